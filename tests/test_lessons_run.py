"""The lessons executed: with the solutions in the exercises' place, and with the slips. Untouched they run in `make test`."""

import json

import pytest

from workbook import lessons, runs
from workbook.exercises import Outcome
from workbook.lab import pending
from workbook.records import read_lines

NAMES = [lesson.name for lesson in lessons.table()]


@pytest.fixture(scope="module", params=[runs.Answers.SOLUTION, runs.Answers.WRONG], ids=["solution", "wrong"])
def report(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[runs.Answers, runs.Report]:
    out = tmp_path_factory.mktemp("run") / "out"
    return request.param, runs.run(out=out, quick=True, answers=request.param)


@pytest.mark.parametrize("name", NAMES)
def test_each_answer_gets_its_verdict(report: tuple[runs.Answers, runs.Report], name: str):
    """Every solution is right, every slip is told from it, and the lesson runs to its end with either."""
    answers, run = report
    assert {"passed"} == {str(outcome.status) for outcome in run.outcomes}
    expected = Outcome.RIGHT if answers is runs.Answers.SOLUTION else Outcome.WRONG
    checks = [line for line in read_lines(run.folder / "journal" / f"{name}.jsonl") if line["kind"] == "check"]
    assert len(checks) >= 2
    assert {str(expected)} == {check["outcome"] for check in checks}


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_a_warning(report: tuple[runs.Answers, runs.Report], name: str):
    """Nothing is written to standard error, so no warning stands in an executed lesson."""
    _, run = report
    notebook = json.loads((run.folder / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert outputs
    assert [] == [output["text"] for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_says_what_it_shows(report: tuple[runs.Answers, runs.Report], name: str):
    """The alt text of a figure survives execution, for readers of the executed lesson."""
    _, run = report
    notebook = json.loads((run.folder / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert figures
    assert all(len(figure["metadata"]["image/png"]["alt"]) > 40 for figure in figures)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_leaves_nothing_to_undo(report: tuple[runs.Answers, runs.Report], name: str):
    """What a lesson made is gone when it ends, by its own journal."""
    _, run = report
    assert [] == pending(run.folder / "journal" / f"{name}.jsonl")
