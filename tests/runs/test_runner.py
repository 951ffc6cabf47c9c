"""What a run does with its notebooks, and what it leaves in its folder."""

import io
import json
import sys
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pytest
import small_notebooks
from fake_localstack import fake_localstack

from workbook import capabilities, targets
from workbook.account import Account, Plan
from workbook.errors import ParameterError, SetupError
from workbook.records import Record, append_line
from workbook.runs import Outcome, RunFolder, Status, run, runner
from workbook.runs.execution import MAY_LACK
from workbook.runs.screen import Screen
from workbook.targets import Target

KEEP_A_RECORD = """\
import os
from pathlib import Path
from workbook.lab import REGISTRY
from workbook.records import Record, append_line
record = Record(run_id=run_id, experiment="{0}", target=target, region="us-east-1", function="f", via="invoke",
                started_at="2026-01-01T00:00:00+00:00", client_ms=1.5, status=200, provenance="emulated")
append_line(Path(os.environ["WORKBOOK_RUN_FOLDER"]) / "records" / "{0}.jsonl", record.to_row())
"""


OPEN = """\
from workbook import open_lab
lab = open_lab("01_open", target=target)
print(sorted(lab.target.capabilities - {"cpu_share"}))
"""

# what a run leaves


def test_a_run_leaves_its_report_notebooks_records_and_summaries(tmp_path, notebooks, quietly):
    """Status, seconds, cells and error of each notebook, versions and request; one Parquet of all records; JUnit XML."""
    small_notebooks.write(notebooks, "01_good", KEEP_A_RECORD.format("01_good"), "print(quick)")
    small_notebooks.write(notebooks, "02_bad", KEEP_A_RECORD.format("02_bad"), "1 / 0", "never = 1")

    report = quietly(quick=True)

    folder = tmp_path / "run"
    facts = json.loads((folder / "run.json").read_text())
    good, bad = facts["notebooks"]
    assert 1 == report.exit_status
    assert ("localstack", True, "untouched", {}) == tuple(
        facts[key] for key in ("target", "quick", "answers", "parameters")
    )
    assert facts["started"] <= facts["finished"]
    assert "2.7.0" == facts["versions"]["packages"]["papermill"]
    assert ("01_good", "passed", 4, 4, None) == tuple(
        good[key] for key in ("name", "status", "cells_run", "cells", "error")
    )
    assert ("failed", 4, 5) == tuple(bad[key] for key in ("status", "cells_run", "cells"))
    assert "In cell 4 of 5: ZeroDivisionError: division by zero" == bad["error"]
    assert ["True"] == small_notebooks.outputs(folder / "notebooks/01_good.ipynb")

    table = pd.read_parquet(folder / "records.parquet")
    assert ["01_good", "02_bad"] == table["experiment"].tolist()
    assert [facts["run_id"]] == table["run_id"].unique().tolist()

    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    assert ("2", "1", "0") == tuple(suite.get(key) for key in ("tests", "failures", "skipped"))
    assert bad["error"] == suite.find("testcase[@name='02_bad']/failure").get("message")
    assert {"run.json", "notebooks", "records", "records.parquet", "journal", "logs", "junit.xml"} == {
        path.name for path in folder.iterdir() if path.name != ".lock"
    }


def test_the_summary_for_build_servers_is_xml_whatever_an_error_says(tmp_path):
    """Characters that XML 1.0 can't hold are left out."""
    said = "a\ud800b\udfffc\ufffed\uffffe\x00f\x1b\U0001f600\t\n"
    outcome = Outcome(name="01_bad", content="", status=Status.FAILED, error=said, detail=said)
    with RunFolder(tmp_path / "run") as folder:
        folder.write_summaries([outcome])

    failure = ElementTree.parse(tmp_path / "run/junit.xml").getroot().find("testsuite/testcase/failure")
    assert ["abcdef\U0001f600\t\n"] * 2 == [failure.get("message"), failure.text]


def test_a_notebook_that_ends_itself_has_not_passed(notebooks, quietly):
    """Papermill takes `sys.exit(0)` for a good end, though the cells after it were not run."""
    small_notebooks.write(notebooks, "01_early", "import sys\nsys.exit(0)", "1 / 0")
    small_notebooks.write(notebooks, "02_last", "import sys\nsys.exit(0)")

    early, last = quietly().outcomes

    assert Status.FAILED is early.status
    assert early.error.startswith("It ended itself in cell 3 of 4. ")
    assert Status.PASSED is last.status


@pytest.mark.parametrize("limit", [0, -1, 0.5, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_an_error_before_anything_runs(tmp_path, notebooks, quietly, limit):
    """Jupyter counts whole seconds, and takes 0 for no limit at all."""
    small_notebooks.write(notebooks, "01_first")

    with pytest.raises(ParameterError, match=f"--cell-limit {limit} is not a whole number"):
        quietly(cell_limit_s=limit)
    assert not (tmp_path / "run").exists()


def test_a_run_without_records_still_has_all_columns(tmp_path, notebooks, quietly):
    """A table of nothing has the same columns as any other."""
    small_notebooks.write(notebooks, "01_first")

    quietly()

    table = pd.read_parquet(tmp_path / "run/records.parquet")
    assert (0, list(Record.__dataclass_fields__)) == (len(table), table.columns.tolist())


def test_a_skip_is_allowed_only_if_the_target_lacks_what_was_asked_for(tmp_path, notebooks, quietly):
    """A lesson that gives up for want of something that its target has counts as failed."""
    give_up = """\
import os
from pathlib import Path
from workbook.records import append_line
journal = Path(os.environ["WORKBOOK_RUN_FOLDER"]) / "journal" / "{0}.jsonl"
append_line(journal, {{"kind": "skip", "needs": "{1}", "reason": "No {1} here."}})
raise SystemExit("gives up")
"""
    small_notebooks.write(notebooks, "01_may", give_up.format("01_may", "http_api"))
    small_notebooks.write(notebooks, "02_may_not", give_up.format("02_may_not", "http_api"))
    skipped = quietly(only=("01",))
    failed = quietly(only=("02",), out=tmp_path / "other", target="embedded")

    assert (0, Status.SKIPPED, ("No http_api here.",)) == (
        skipped.exit_status,
        skipped.outcomes[0].status,
        skipped.outcomes[0].skip_reasons,
    )
    assert (1, Status.FAILED) == (failed.exit_status, failed.outcomes[0].status)
    assert "It gave up for want of http_api, which the target embedded has." in failed.outcomes[0].error


LEAVE_OUT = """\
import os
from pathlib import Path
from workbook.records import append_line
journal = Path(os.environ["WORKBOOK_RUN_FOLDER"]) / "journal" / "{0}.jsonl"
facts = {{"statement": "Nothing ran.", "needs": "{1}", "reason": "No {1} here."}}
append_line(journal, {{"kind": "not concluded", **facts}})
"""


def test_what_was_left_out_is_listed(notebooks, quietly):
    """A conclusion that a target can't show doesn't fail the lesson, and doesn't go unsaid either."""
    small_notebooks.write(notebooks, "01_part", LEAVE_OUT.format("01_part", "freeze"))
    shown = io.StringIO()

    report = quietly(screen=Screen(shown))

    assert (0, Status.PASSED) == (report.exit_status, report.outcomes[0].status)
    assert ("Nothing ran. No freeze here.",) == report.outcomes[0].not_tested
    assert "left out, and why\n01_part   Nothing ran. No freeze here.\n" in shown.getvalue()


@pytest.mark.parametrize("target", MAY_LACK)
def test_whatever_a_target_may_not_lack_is_not_left_out(notebooks, quietly, target, monkeypatch):
    """The list says what may be missing where, and what nobody has heard of is nowhere on it."""
    rehearsal = Target("aws", "http://127.0.0.1:9", cap_usd=1.0)  # a plan is held against the cap there
    monkeypatch.setattr(runner, "_find", lambda name: rehearsal if name == "aws" else Target(name, None))
    for name, value in Account("us-east-1", Plan("unknown")).to_environment().items():
        monkeypatch.setenv(name, value)
    small_notebooks.write(notebooks, "01_part", LEAVE_OUT.format("01_part", "time_machine"))

    (outcome,) = quietly(target=target).outcomes

    assert Status.FAILED is outcome.status
    assert f"for want of time_machine, which the target {target} may not lack." in outcome.error


@pytest.mark.parametrize(("concurrency", "side_by_side"), [(10, False), (49, False), (50, True), (1000, True)])
def test_in_a_small_account_lessons_run_one_after_the_other(notebooks, quietly, monkeypatch, concurrency, side_by_side):
    """What one lesson is throttled by may not be another lesson."""
    monkeypatch.setattr(runner, "_find", lambda _: Target("aws", "http://127.0.0.1:9", cap_usd=1.0))
    for name, value in Account("us-east-1", Plan("unknown"), concurrency=concurrency).to_environment().items():
        monkeypatch.setenv(name, value)
    asked = []
    plain = runner._work
    monkeypatch.setattr(runner, "_work", lambda todo, jobs, **how: (asked.append(jobs), plain(todo, jobs, **how)))
    small_notebooks.write(notebooks, "01_one", "1")
    assert Status.PASSED is quietly(target="aws", jobs=2).outcomes[0].status
    assert (2 if side_by_side else 1) == asked[0]


def test_what_a_target_may_lack_is_what_it_is_not_known_to_have():
    """No list allows to leave out what the target has, and LocalStack may lack all that can be tried."""
    assert [] == [(name, one) for name, lacks in MAY_LACK.items() for one in lacks & targets.capabilities(name)]
    assert {"cpu_share"} == MAY_LACK["embedded"]
    assert MAY_LACK["localstack"] == capabilities.PROBES.keys()


def test_a_run_tries_localstack_once_and_its_kernels_know(notebooks, tmp_path, emulator, monkeypatch):
    """What was found stands in the report, and a lesson opens without trying again."""
    small_notebooks.write(notebooks, "01_open", OPEN, OPEN)
    monkeypatch.delenv("WORKBOOK_FOUND", raising=False)
    with fake_localstack(emulator.endpoint) as fake:
        monkeypatch.setenv("WORKBOOK_ENDPOINT", fake.endpoint)
        report = run(notebooks=notebooks, out=tmp_path / "run", target="localstack", screen=Screen(io.StringIO()))
        asked = [path for path in fake.asked if path == "/_localstack/info"]

    assert 0 == report.exit_status, report.outcomes[0].error
    assert ["/_localstack/info"] == asked
    assert fake.endpoint == json.loads((tmp_path / "run/run.json").read_text())["found"]["endpoint"]
    assert small_notebooks.outputs(tmp_path / "run/notebooks/01_open.ipynb")[-1].endswith(
        "['database', 'freeze', 'http_api']"
    )


def test_a_lesson_that_is_not_made_for_a_target_is_skipped_there(notebooks, quietly):
    """Its metadata names the targets that it runs on; elsewhere it isn't even started."""
    path = small_notebooks.write(notebooks, "01_first", "1 / 0")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.workbook.targets = ["aws"]
    nbformat.write(notebook, path)

    report = quietly()

    outcome = report.outcomes[0]
    assert (0, Status.SKIPPED) == (report.exit_status, outcome.status)
    assert ("It is made for aws, not for localstack.",) == outcome.skip_reasons


def test_notebooks_run_side_by_side_and_exclusive_ones_alone(tmp_path, notebooks, quietly):
    """Two notebooks that wait for each other both end; an exclusive one starts when they have."""
    meet = """\
import os, time
from pathlib import Path
here = Path(os.environ["WORKBOOK_RUN_FOLDER"])
(here / "{0}").touch()
deadline = time.monotonic() + 30
while not (here / "{1}").exists():
    assert time.monotonic() < deadline, "the other one never came"
    time.sleep(0.01)
"""
    alone = """\
import os
from pathlib import Path
here = Path(os.environ["WORKBOOK_RUN_FOLDER"])
assert (here / "left").exists() and (here / "right").exists()
"""
    small_notebooks.write(notebooks, "01_alone", alone, exclusive=True)
    small_notebooks.write(notebooks, "02_left", meet.format("left", "right"))
    small_notebooks.write(notebooks, "03_right", meet.format("right", "left"))

    report = quietly(jobs=2)

    assert [Status.PASSED] * 3 == [outcome.status for outcome in report.outcomes]


def test_the_longest_notebook_begins_first(tmp_path, notebooks, quietly):
    """One after the other, what has most cells comes first; the report keeps the reading order."""
    small_notebooks.write(notebooks, "01_short", "1")
    small_notebooks.write(notebooks, "02_long", "1", "2", "3")
    report = quietly(jobs=1)
    assert ["01_short", "02_long"] == [outcome.name for outcome in report.outcomes]
    written = {path.stem: path.stat().st_mtime_ns for path in (report.folder / "notebooks").glob("*.ipynb")}
    assert ["02_long", "01_short"] == sorted(written, key=written.get)


def test_a_kernel_is_this_interpreter_and_keeps_out_of_the_users_home(tmp_path, notebooks, quietly, monkeypatch):
    """A kernelspec of the user's that is named python3 doesn't take over, and nothing is written into the home folder."""
    home = tmp_path / "home"
    spec = home / ".local/share/jupyter/kernels/python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text('{"argv": ["false"], "display_name": "theirs", "language": "python"}')
    (home / "startup.py").write_text("print('startup')")
    before = sorted(home.rglob("*"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYTHONSTARTUP", str(home / "startup.py"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    figure = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])\nplt.close()"
    small_notebooks.write(notebooks, "01_first", "import sys\nprint(sys.prefix)", figure)

    report = quietly()

    assert 0 == report.exit_status, report.outcomes[0].error
    assert [sys.prefix] == small_notebooks.outputs(tmp_path / "run/notebooks/01_first.ipynb")
    assert before == sorted(home.rglob("*"))


# a run that goes on


def test_resume_keeps_what_passed_and_runs_the_rest_as_it_was_asked_for(tmp_path, notebooks, quietly):
    """What passed isn't run again; what failed is, with the same run id, settings and quickness, and no record is lost."""
    small_notebooks.write(notebooks, "01_good", KEEP_A_RECORD.format("01_good"))
    small_notebooks.write(notebooks, "02_bad", KEEP_A_RECORD.format("02_bad"), "1 / 0")
    first = quietly(quick=True, settings={"repeats": "9"})
    small_notebooks.write(notebooks, "02_bad", KEEP_A_RECORD.format("02_bad"), "print(quick, repeats)")

    second = quietly(resume=True)

    assert (1, 0) == (first.exit_status, second.exit_status)
    assert first.outcomes[0] == second.outcomes[0]
    assert ["True 9"] == small_notebooks.outputs(tmp_path / "run/notebooks/02_bad.ipynb")
    table = pd.read_parquet(tmp_path / "run/records.parquet")
    assert ["01_good", "02_bad"] == table["experiment"].tolist()
    assert (tmp_path / "run/records/earlier/02_bad-1.jsonl").exists()


def test_resume_runs_again_what_has_changed_since(tmp_path, notebooks, quietly):
    """A notebook whose cells or arguments differ has not been run as it is now."""
    small_notebooks.write(notebooks, "01_first", "print(repeats)")
    quietly()

    quietly(resume=True, settings={"repeats": "8"})

    assert ["8"] == small_notebooks.outputs(tmp_path / "run/notebooks/01_first.ipynb")


def test_resume_takes_the_newest_run_and_not_a_sitting_in_jupyterlab(tmp_path, notebooks, quietly):
    """Without --out the run that was touched last goes on."""
    small_notebooks.write(notebooks, "01_first")
    quietly(out=None, results=tmp_path / "results")
    append_line(tmp_path / "results/lab-1/journal/01_first.jsonl", {"kind": "opened", "target": "embedded"})

    resumed = quietly(out=None, results=tmp_path / "results", resume=True)

    assert resumed.folder.name == json.loads((resumed.folder / "run.json").read_text())["run_id"]


def test_a_run_can_not_go_on_where_there_is_none(tmp_path, quietly):
    """--resume needs a run."""
    with pytest.raises(ParameterError, match="no readable run"):
        quietly(resume=True)
    with pytest.raises(ParameterError, match="There is no run in"):
        quietly(resume=True, out=None, results=tmp_path)


def test_a_run_can_not_go_on_on_another_target(notebooks, quietly):
    """Records of two targets in one run would be taken for one another."""
    small_notebooks.write(notebooks, "01_first")
    quietly()

    with pytest.raises(ParameterError, match="was made on the target localstack, not on embedded"):
        quietly(resume=True, target="embedded")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, notebooks, quietly):
    """--out names an empty folder, or one that isn't there yet."""
    small_notebooks.write(notebooks, "01_first")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").touch()

    with pytest.raises(ParameterError, match="is not empty"):
        quietly()
    assert ["thesis.txt"] == [path.name for path in (tmp_path / "run").iterdir()]


def test_a_run_folder_has_one_run_at_a_time(tmp_path):
    """A second run in the same folder is refused, and may come in when the first has gone."""
    with RunFolder(tmp_path), pytest.raises(SetupError, match="in use by another run"), RunFolder(tmp_path):
        pass
    with RunFolder(tmp_path):
        pass
