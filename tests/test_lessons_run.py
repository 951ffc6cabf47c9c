"""The lessons executed, with slips and solutions in the exercises' place, by a learner on a rehearsed account.

Untouched they run on the embedded target in `make test`; that covers what only that target can do.
"""

import json
from datetime import datetime, timedelta

import pytest
from rehearsals import Learner
from stacks import INFRA

from workbook import lessons, runs
from workbook.exercises import Outcome
from workbook.lab import pending
from workbook.records import read_lines, read_records
from workbook.templates import read_template

NAMES = [lesson.name for lesson in lessons.table()]


@pytest.fixture
def run(learner: Learner) -> runs.Report:
    """The run of all lessons, each exercise with its slip and then with its solution."""
    return learner.run


@pytest.mark.parametrize("name", NAMES)
def test_each_answer_gets_its_verdict(run: runs.Report, name: str):
    """Every slip is told from a solution, every solution is right, and the lesson runs to its end."""
    assert {"passed"} == {str(outcome.status) for outcome in run.outcomes}
    checks = [line for line in read_lines(run.folder / "journal" / f"{name}.jsonl") if line["kind"] == "check"]
    verdicts = {exercise: [] for exercise in dict.fromkeys(check["exercise"] for check in checks)}
    for check in checks:
        verdicts[check["exercise"]].append(check["outcome"])
    assert len(verdicts) >= 2
    assert {(str(Outcome.WRONG), str(Outcome.RIGHT))} == set(map(tuple, verdicts.values()))


@pytest.mark.parametrize("name", NAMES)
def test_no_output_is_a_warning(run: runs.Report, name: str):
    """Nothing is written to standard error, so no warning stands in an executed lesson."""
    notebook = json.loads((run.folder / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert outputs
    assert [] == [output["text"] for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_says_what_it_shows(run: runs.Report, name: str):
    """The alt text of a figure survives execution, for readers of the executed lesson."""
    notebook = json.loads((run.folder / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert figures
    assert all(len(figure["metadata"]["image/png"]["alt"]) > 40 for figure in figures)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_leaves_nothing_to_undo(run: runs.Report, name: str):
    """What a lesson made is gone when it ends, by its own journal."""
    assert [] == pending(run.folder / "journal" / f"{name}.jsonl")


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_stays_below_the_peak_that_its_template_states(run: runs.Report, name: str):
    """In no second does it send more through a gateway than it says, of which each stage lets through twice as much."""
    template = INFRA / f"{name}.yaml"
    stated = read_template(template).get("Metadata", {}) if template.exists() else {}
    peaks = stated.get("Workbook", {}).get("PeakPerSecond", {})
    sent = [
        datetime.fromisoformat(record.started_at)
        for record in read_records(run.folder / "records" / f"{name}.jsonl")
        if record.via in {"http_api", "rest_api"}
    ]
    busiest = max((sum(at <= other < at + timedelta(seconds=1) for other in sent) for at in sent), default=0)
    assert busiest <= sum(peaks.values())
