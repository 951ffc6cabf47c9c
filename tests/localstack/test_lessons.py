"""The lessons on LocalStack: each runs to its end, or is skipped for something that this LocalStack lacks."""

import pytest

from workbook import lessons, runs

NAMES = [lesson.name for lesson in lessons.table()]
NEED_NO_MORE = ("01_first_function", "03_cold_starts", "03b_cold_starts_on_aws", "03c_cold_start_claims")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, runs.Outcome]:
    run = runs.run(out=tmp_path_factory.mktemp("run") / "out", target="localstack", quick=True)
    return {outcome.name: outcome for outcome in run.outcomes}


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_runs_or_says_what_is_missing(outcomes: dict[str, runs.Outcome], name: str) -> None:
    """No lesson fails on LocalStack, one that is skipped says why, and those that need Lambda and logs alone all run."""
    outcome = outcomes[name]
    possible = {runs.Status.PASSED} if name in NEED_NO_MORE else {runs.Status.PASSED, runs.Status.SKIPPED}
    assert outcome.status in possible, outcome.remark
    assert (outcome.status is runs.Status.SKIPPED) == bool(outcome.skip_reasons)
