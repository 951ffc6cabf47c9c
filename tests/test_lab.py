"""What a notebook opens."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
from fake_localstack import found
from pg8000.native import InterfaceError

from workbook.calls import Door
from workbook.emulator import Emulator
from workbook.errors import NotebookError, ParameterError, TargetError
from workbook.lab import Lab, open_lab, pending, undo
from workbook.records import Record, read_lines, read_records
from workbook.stack import leftovers


@pytest.fixture
def lab(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("WORKBOOK_ENDPOINT", emulator.endpoint)
    monkeypatch.setenv("WORKBOOK_RUN_FOLDER", str(tmp_path))
    return open_lab("01_first_function")


@pytest.fixture
def tried(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator counts as a LocalStack that has been tried and has nothing."""
    for name, value in found(emulator.endpoint).items():
        monkeypatch.setenv(name, value)


def test_it_says_where_it_runs(lab: Lab, capsys: pytest.CaptureFixture[str]):
    """The first line names lesson, target, run and what its numbers are."""
    assert "Lesson 01_first_function on embedded" in repr(lab)
    assert "What is measured on it is emulated." in repr(lab)


def test_two_runs_never_meet_in_a_name(lab: Lab, tmp_path: Path):
    """A name carries its run, and two runs of one second differ."""
    other = open_lab("01_first_function")
    assert lab.run_id != other.run_id
    assert lab.name("role") != other.name("role")


@pytest.mark.parametrize("run_id", ["My_Run", "../elsewhere", "a" * 25, "a\0b", 5])
def test_a_run_id_that_no_resource_could_bear_is_refused_at_the_door(lab: Lab, run_id: object):
    """A name that AWS would refuse later is refused before anything is made, with what it may hold."""
    with pytest.raises(ParameterError, match=r"run_id = .* can't be used.*lower-case letters"):
        open_lab("01_first_function", run_id=run_id)


@pytest.mark.parametrize("guess", ["ten", True, [3], float("nan")])
def test_a_guess_that_is_no_number_is_refused_before_the_run(lab: Lab, guess: object):
    """A guess in words is told so at once, not after the work is done."""
    with pytest.raises(ParameterError, match="A guess is one number"):
        lab.guess("Beats", guess, unit="beats")


def test_nothing_is_concluded_where_the_target_can_not_show_it(lab: Lab, tmp_path: Path, capsys):
    """A conclusion that needs what the target lacks is neither seen nor failed."""
    lab.saw("Time went backwards.", False, needs="time_machine")
    said = "○ Not tested here: Time went backwards. The target embedded has no time_machine."
    assert said in capsys.readouterr().out
    assert "not concluded" == read_lines(tmp_path / "journal" / "01_first_function.jsonl")[-1]["kind"]


def test_calls_guesses_checks_and_conclusions_are_kept_at_once(lab: Lab, tmp_path: Path):
    """Each is a line in the run folder as soon as it is there."""
    outputs = lab.deploy()
    try:
        call = lab.invoke(outputs["Anatomy"], {}, experiment="kept")
        lab.guess("Beats", 3, unit="beats")
        lab.check("01.1", ...)
        lab.saw("It answered.", call.record.status == 200)
        (record,) = read_lines(tmp_path / "records" / "01_first_function.jsonl")
        kinds = [line["kind"] for line in read_lines(tmp_path / "journal" / "01_first_function.jsonl")]
    finally:
        lab.close()
    assert call.record.to_row() == record
    assert ["guess", "check", "conclusion"] == kinds[-3:]


def test_a_conclusion_that_does_not_hold_stops_the_lesson(lab: Lab, capsys: pytest.CaptureFixture[str]):
    """A lesson concludes only what it has seen."""
    with pytest.raises(NotebookError, match=r"Not seen in this run: 'Pigs fly\.'"):
        lab.saw("Pigs fly.", False)
    assert "✔" not in capsys.readouterr().out


def test_closing_takes_everything_away_and_may_be_repeated(lab: Lab, capsys: pytest.CaptureFixture[str]):
    """After the teardown the target has nothing of the run, and a second teardown finds nothing to do."""
    outputs = lab.deploy()
    lab.close()
    functions = lab.client("lambda").list_functions()["Functions"]
    assert [] == [f["FunctionName"] for f in functions if lab.run_id in f["FunctionName"]]
    assert outputs["Anatomy"] not in [f["FunctionName"] for f in functions]
    capsys.readouterr()
    lab.close()
    assert "There was nothing left to remove.\n" == capsys.readouterr().out


def test_a_dead_kernel_is_cleared_up_after(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a killed process had made goes when the lesson is opened again, from the journal alone."""
    script = (
        "import os, signal; from workbook import open_lab; lab = open_lab('01_first_function'); lab.deploy();"
        "lab.undo_later('iam', 'delete_role', RoleName='never-made'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "WORKBOOK_ENDPOINT": emulator.endpoint, "WORKBOOK_RUN_FOLDER": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False, capture_output=True)
    assert -9 == done.returncode, done.stderr.decode()
    journal = tmp_path / "journal" / "01_first_function.jsonl"
    assert pending(journal)
    monkeypatch.setenv("WORKBOOK_ENDPOINT", emulator.endpoint)
    monkeypatch.setenv("WORKBOOK_RUN_FOLDER", str(tmp_path))
    again = open_lab("01_first_function")
    assert [] == pending(journal)
    made_by = read_lines(journal)[0]["run_id"]
    assert [] == leftovers(again.target, made_by)


def test_what_is_left_on_one_target_is_not_forgotten_on_another(
    lab: Lab, tried: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A lesson that is opened elsewhere leaves an earlier sitting's things, and their record, to `clean`."""
    earlier = open_lab("00_start_here", target="localstack")
    earlier.undo_later("iam", "delete_role", RoleName="still-out-there")
    open_lab("00_start_here").close()
    (left,) = pending(tmp_path / "journal" / "00_start_here.jsonl")
    assert ("localstack", "still-out-there") == (left.opened["target"], left.entries[0]["parameters"]["RoleName"])
    assert "An earlier start left something on localstack" in capsys.readouterr().out
    earlier.close()
    assert [] == pending(tmp_path / "journal" / "00_start_here.jsonl")


@pytest.mark.parametrize(
    ("elsewhere", "words"),
    [
        ({"account_id": "111111111111"}, "is in account 000000000000, and this is 111111111111"),
        ({"region": "eu-west-1"}, "is in us-east-1, and this is eu-west-1"),
        ({"endpoint": None}, "is on an emulator, and this is AWS"),
    ],
)
def test_nothing_is_undone_elsewhere(lab: Lab, tmp_path: Path, elsewhere: dict, words: str):
    """A teardown that would find nothing, and forget, is refused."""
    lab.undo_later("iam", "delete_role", RoleName="elsewhere")
    journal = tmp_path / "journal" / "01_first_function.jsonl"
    (sitting,) = pending(journal)
    with pytest.raises(TargetError, match=words):
        undo(journal, sitting, dataclasses.replace(lab.target, **elsewhere))
    assert [sitting] == pending(journal)


def test_a_missing_capability_is_a_skip_with_its_reason(lab: Lab, tmp_path: Path):
    """What a target can't do ends the lesson with a reason that the runner can read."""
    with pytest.raises(TargetError, match="The target embedded has no time_machine"):
        lab.need("time_machine")
    assert "time_machine" == read_lines(tmp_path / "journal" / "01_first_function.jsonl")[-1]["needs"]


def test_what_was_found_out_about_localstack_is_the_reason_of_a_skip(lab: Lab, tried: None, tmp_path: Path):
    """A learner reads why, and what would enable it."""
    with pytest.raises(TargetError, match=r"No http_api here\. This lesson is about it."):
        open_lab("01_first_function", target="localstack").need("http_api")
    assert "No http_api here." == read_lines(tmp_path / "journal" / "01_first_function.jsonl")[-1]["reason"]


def test_a_lab_has_one_database_and_ends_it(lab: Lab, capsys: pytest.CaptureFixture[str]):
    """A cell that is run again doesn't leave a server behind, nor does a lesson that closes."""
    first = lab.database(max_connections=1)
    second = lab.database(max_connections=2)
    with pytest.raises(InterfaceError):
        first.sessions()
    assert 2 == second.sessions().limit
    lab.close()
    with pytest.raises(InterfaceError):
        second.sessions()
    assert "There was nothing left to remove" not in capsys.readouterr().out


def test_a_database_is_only_where_functions_can_reach_it(lab: Lab, tried: None):
    """On a target whose functions run elsewhere the lesson is skipped, and nothing is started."""
    with pytest.raises(TargetError, match="The target localstack has no database"):
        open_lab("01_first_function", target="localstack").database(max_connections=1)


def test_waiting_has_a_deadline(lab: Lab):
    """A condition that never holds ends in what was waited for."""
    with pytest.raises(TargetError, match=r"Waited 0\.1 s in vain for the moon"):
        lab.until(lambda: False, what="the moon", timeout_s=0.1)
    assert 7 == lab.until(lambda: 7, what="a seven")


def test_a_kernel_without_a_runner_finds_one_emulator_and_leaves_none(tmp_path: Path):
    """In JupyterLab kernels share an emulator, which ends with JupyterLab."""
    script = (
        "import json, workbook.lab as lab; from pathlib import Path;"
        f"lab.RESULTS = Path({str(tmp_path)!r}); lab.REGISTRY = lab.RESULTS / 'emulator.json';"
        "one = lab._shared_emulator(); two = lab._shared_emulator(); print(json.dumps([one.pid, two.pid]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "JPY_PARENT_PID"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    one, two = json.loads(done.stdout)
    assert one == two
    with pytest.raises(ProcessLookupError):
        _ended(one)


def _ended(pid: int) -> None:
    """Ask until a process is gone, and raise what the system says of it then."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        time.sleep(0.05)


# measuring


@pytest.fixture
def anatomy(lab: Lab) -> Iterator[str]:
    yield lab.deploy()["Anatomy"]
    lab.close()


def test_cold_calls_are_kept_whole_and_said(lab: Lab, anatomy: str, tmp_path: Path, capsys):
    """Each call of a plan is in the records when it ends, and what counts is said in one line."""
    table = lab.cold({"one": anatomy}, experiment="cold", repeats=3)
    kept = [Record.from_row(row) for row in read_lines(tmp_path / "records" / "01_first_function.jsonl")]
    assert ["result"] * 3 == [record.counts_as for record in kept]
    assert 3 == table["environment"].nunique()
    assert capsys.readouterr().out.endswith("3 cold calls count.\n")


def test_what_does_not_count_is_said_as_well(lab: Lab, anatomy: str, capsys):
    """A plan whose calls weren't cold says so, and the table has them."""
    lab.invoke(anatomy, {}, experiment="before")
    table = lab.cold({"one": anatomy}, experiment="not cold", repeats=2, prepare=lambda variant: None)
    assert capsys.readouterr().out.endswith("0 cold calls count; 4 set apart: wrong temperature.\n")
    assert ["wrong temperature"] * 4 == table["counts_as"].tolist()


def test_making_cold_keeps_the_function_s_own_variables(lab: Lab, anatomy: str):
    """The setting that is changed is one of ours; the function's own stay as they were."""
    client = lab.client("lambda")
    client.update_function_configuration(FunctionName=anatomy, Environment={"Variables": {"COLOUR": "green"}})
    first = lab.invoke(anatomy, {}, experiment="before").record
    lab.make_cold(anatomy)
    second = lab.invoke(anatomy, {}, experiment="after")
    assert first.environment != second.record.environment
    assert "green" == second.answer["colour"]


def test_a_table_stands_in_the_order_of_its_variants(lab: Lab, anatomy: str):
    """Calls were made in turns; the table is read variant by variant."""
    table = lab.warm({"a": anatomy, "b": anatomy}, experiment="warm", repeats=4, block=2)
    assert ["a", "b"] == table["variant"].unique().tolist()
    assert {"warm-up": 6, "result": 8} == table["counts_as"].value_counts().to_dict()


def test_doors_are_timed_in_turns_like_functions(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A variant may be a door: its calls say through which kind they went, and are proven warm by the handler's answer."""
    monkeypatch.setenv("WORKBOOK_ENDPOINT", emulator.endpoint)
    monkeypatch.setenv("WORKBOOK_RUN_FOLDER", str(tmp_path))
    lab = open_lab("02_front_door")
    outputs = lab.deploy()
    function = outputs["FunctionName"]
    doors = {"REST": Door("rest_api", outputs["RestUrl"] + "/orders", function)}
    doors["HTTP"] = Door("http_api", outputs["HttpUrl"] + "/two/orders", function)
    table = lab.warm(doors, experiment="doors", repeats=3)
    lab.close()
    assert {("rest_api", "REST"), ("http_api", "HTTP")} == set(zip(table["via"], table["variant"], strict=True))
    assert {"warm-up": 6, "result": 6} == table["counts_as"].value_counts().to_dict()


def test_a_burst_a_pace_and_a_closed_loop_are_kept_too(lab: Lab, anatomy: str, tmp_path: Path):
    """Calls from many threads are all in the records, each on a line of its own."""
    lab.burst(anatomy, experiment="burst", callers=4, event={"wait_s": 0.1})
    paced = lab.paced(anatomy, experiment="paced", rate_per_s=50, count=6)
    lab.closed(anatomy, experiment="closed", callers=2, count=5)
    assert 15 == len(read_records(tmp_path / "records" / "01_first_function.jsonl"))
    assert paced["intended_at"].notna().all()


def test_evidence_is_kept_with_where_it_comes_from(lab: Lab, tmp_path: Path):
    """What a lesson found out about a claim is in the journal, for the verdict."""
    lab.evidence("C129", "half the wait", True, provenance="published", n=20)
    line = read_lines(tmp_path / "journal" / "01_first_function.jsonl")[-1]
    assert ("evidence", "C129", "for", "published", 20) == tuple(
        line[key] for key in ("kind", "claim", "speaks", "provenance", "n")
    )


def test_an_emulator_decides_nothing_about_aws(lab: Lab, tmp_path: Path):
    """A finding of this target about AWS's magnitudes is refused, and nothing of it is kept."""
    before = len(read_lines(tmp_path / "journal" / "01_first_function.jsonl"))
    with pytest.raises(ParameterError, match="can't decide C129"):
        lab.evidence("C129", "half the wait", True)
    assert before == len(read_lines(tmp_path / "journal" / "01_first_function.jsonl"))


def test_a_conclusion_names_what_it_rests_on(lab: Lab, tmp_path: Path, capsys):
    """A conclusion from published numbers isn't called emulated."""
    lab.saw("Python is first.", True, provenance="published")
    assert "✔ Python is first. (published)" in capsys.readouterr().out
    assert "published" == read_lines(tmp_path / "journal" / "01_first_function.jsonl")[-1]["provenance"]


def test_a_call_through_an_api_is_kept_once_completed(emulator: Emulator, tmp_path: Path, monkeypatch, capsys):
    """The record of a call through a gateway is completed by its REPORT line, in the table and in the file."""
    monkeypatch.setenv("WORKBOOK_ENDPOINT", emulator.endpoint)
    monkeypatch.setenv("WORKBOOK_RUN_FOLDER", str(tmp_path))
    lab = open_lab("00_start_here")
    outputs = lab.deploy()
    try:
        call = lab.get(outputs["ApiUrl"], function=outputs["FunctionName"], experiment="door")
        table = lab.reported([call])
    finally:
        lab.close()
    (kept,) = read_records(tmp_path / "records" / "00_start_here.jsonl")
    assert call.record.duration_ms is None
    assert kept.duration_ms == table["duration_ms"].item() > 0
    assert "1 of 1 calls met their REPORT line." in capsys.readouterr().out


def test_what_was_observed_is_kept_beside_what_is_documented(lab: Lab, tmp_path: Path):
    """Each row of the matrix is a line of the journal, with what it agrees with and where that stands."""
    table = lab.beside("front door", {("no body", "REST API"): "body is null", ("no body", "HTTP API 2.0"): "a moon"})
    assert ["yes", "no"] == list(table["agrees"])
    kept = [
        line for line in read_lines(tmp_path / "journal" / "01_first_function.jsonl") if line["kind"] == "behaviour"
    ]
    assert [("REST API", "yes", "emulated"), ("HTTP API 2.0", "no", "emulated")] == [
        (line["where"], line["agrees"], line["provenance"]) for line in kept
    ]
    assert all(line["source_url"].startswith("https://") for line in kept)


def test_a_log_is_searched_for_words(lab: Lab, anatomy: str):
    """Whole messages come back, oldest first, those of one invocation if its id is asked for; words that nobody wrote find none."""
    first, second = (lab.invoke(anatomy, {}, experiment="log").record.request_id for _ in range(2))
    reports = lab.logged(anatomy, "REPORT")
    assert [True, True] == [wanted in line for wanted, line in zip((first, second), reports[-2:], strict=True)]
    assert lab.logged(anatomy, f"REPORT RequestId: {first}") == reports[-2:-1]
    assert [] == lab.logged(anatomy, "nobody wrote this")


def test_log_lines_that_are_late_are_waited_for(lab: Lab, anatomy: str):
    """So many lines as are asked for come back, also one that arrives meanwhile; and the wait has an end."""
    logs = lab.client("logs")
    place = {"logGroupName": f"/aws/lambda/{anatomy}", "logStreamName": "late"}
    logs.create_log_stream(**place)

    def arrive() -> None:
        now_ms = int(time.time() * 1000)
        logs.put_log_events(**place, logEvents=[{"timestamp": now_ms, "message": "late news"}])

    arrival = Timer(0.2, arrive)
    arrival.start()
    assert ["late news"] == lab.logged(anatomy, "late news", at_least=1)
    arrival.join()
    with pytest.raises(TargetError, match=r"in vain for 2 log lines with 'late news'"):
        lab.logged(anatomy, "late news", at_least=2, timeout_s=0.1)


def test_a_stack_of_a_lesson_carries_its_tags(lab: Lab, anatomy: str):
    """Run, lesson, owner and expiry are on its stack and its functions; a sitting has one moment of expiry."""
    own = lab.tags
    assert {"workbook:run", "workbook:lesson", "workbook:owner", "workbook:expires"} == own.keys()
    assert own.items() <= lab.client("lambda").get_function(FunctionName=anatomy)["Tags"].items()
    assert own is lab.tags


def test_only_the_emulator_of_ours_restores_anything(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """What a correction supplies is called restored; what answers by itself keeps its own provenance."""
    assert "restored from documentation" == lab.restored
    monkeypatch.setattr(lab, "target", dataclasses.replace(lab.target, name="localstack"))
    assert "emulated" == lab.restored
