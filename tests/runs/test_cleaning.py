"""What is taken away after runs, and what isn't."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbook import emulator
from workbook.emulator.control_groups import ControlGroups
from workbook.lab import REGISTRY
from workbook.records import append_line
from workbook.runs import RunFolder, clean
from workbook.targets import connect


@pytest.fixture
def results(tmp_path, temporary):
    """A results folder with four runs, the last of them the newest."""
    results = tmp_path / "results"
    for seconds, name in enumerate(("a", "b", "c", "d")):
        opened = {"kind": "opened", "at": "2026-01-01T00:00:00+00:00", "target": "embedded"}
        append_line(results / name / "journal/01_first.jsonl", opened)
        os.utime(results / name, (seconds, seconds))
    return results


def test_clean_removes_all_but_the_newest_runs_and_nothing_else(results):
    """Old run folders are pruned by count; what isn't a run's stays."""
    (results / "photos").mkdir()
    said: list[str] = []

    assert clean(keep=2, results=results, say=said.append)

    assert {"photos", "c", "d"} == {path.name for path in results.iterdir()}
    assert [f"Removed {results / name}." for name in ("b", "a")] == said


def test_clean_leaves_a_run_alone_that_is_in_use(results):
    """Neither a run that goes on nor a sitting in JupyterLab loses its folder."""
    with RunFolder(results / "a"):
        assert not clean(results=results, say=lambda line: None)

    assert ["a"] == [path.name for path in results.iterdir()]


def test_clean_stops_the_shared_emulator_and_takes_its_traces_away(results, temporary):
    """The emulator that JupyterLab's kernels share ends, and so does what a dead emulator left."""
    stray = temporary / "workbook-emulator-dead"
    stray.mkdir()
    os.utime(stray, (0, 0))
    running = emulator.start(log=results / "emulator.log", registry=results / REGISTRY.name)
    try:
        assert clean(results=results, say=lambda line: None)
        assert not running.alive()
        assert ([], []) == (list(results.iterdir()), list(temporary.iterdir()))
    finally:
        running.stop()


def test_clean_removes_control_groups_of_dead_emulators(results):
    """A control group that neither an emulator nor its guard lived to remove goes; that of a running one stays."""
    dead, running = (f"workbook-emulator-test-{kind}-{os.getpid()}" for kind in ("dead", "running"))
    try:
        governors = [ControlGroups(name, lambda beginning: None) for name in (dead, running)]
    except OSError:
        pytest.skip("this process may not make control groups")
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", running]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            for governor in governors:
                governor.admit(process.pid, 1)
                os.utime(governor.groups[0], (0, 0))
            assert clean(results=results, say=lambda line: None)

            assert [0, 1] == [len(governor.groups) for governor in governors]
        finally:
            for governor in governors:
                governor.close()


def left_undone(journal: Path, endpoint: str) -> None:
    """Write the journal of a lesson that made a queue on a LocalStack and never took it away."""
    append_line(
        journal,
        {
            "kind": "opened",
            "at": "2026-01-01T00:00:00+00:00",
            "target": "localstack",
            "endpoint": endpoint,
            "account_id": "000000000000",
        },
    )
    call = {"undo": "call", "service": "sqs", "operation": "delete_queue"}
    queue = f"{endpoint}/000000000000/wb-1-queue"
    append_line(
        journal,
        {"kind": "undo", "of": "2026-01-01T00:00:00+00:00", "entry": {**call, "parameters": {"QueueUrl": queue}}},
    )


def test_clean_keeps_the_only_record_of_what_is_still_out_there(results):
    """A run that made something on a target that doesn't answer now isn't forgotten."""
    left_undone(results / "b/journal/02_queues.jsonl", "http://127.0.0.1:9")
    said: list[str] = []

    assert not clean(results=results, say=said.append)

    assert ["b"] == [path.name for path in results.iterdir()]
    assert "the only record of what its lessons made" in " ".join(said)


def test_clean_takes_away_what_a_lesson_left_on_a_target_that_lives_on(results, tmp_path):
    """Then the run may go, too."""
    with emulator.start(log=tmp_path / "log") as running:
        queues = connect("localstack", endpoint=running.endpoint).client("sqs")
        queues.create_queue(QueueName="wb-1-queue")
        left_undone(results / "b/journal/02_queues.jsonl", running.endpoint)

        assert clean(results=results, say=lambda line: None)

        assert [] == queues.list_queues().get("QueueUrls", [])
    assert [] == list(results.iterdir())
