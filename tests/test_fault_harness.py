"""The harness behind `make faults`, tried out on notebooks of one cell: that it kills, looks, remembers, and can fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import rehearsals
import small_notebooks
from faults import leftovers, trial
from faults.__main__ import main
from faults.moments import VICTIMS, Moment, draw

from workbook.records import append_line, read_lines

# Whether a run is the one that is disturbed: nothing has been cleaned yet.
FIRST = """\
import os, threading
from pathlib import Path
def is_first():
    return not Path(os.environ["WORKBOOK_RESULTS"], "..", "clean.log").exists()
"""
HANG = f"{FIRST}while is_first():\n    threading.Event().wait(0.05)"
QUEUE = f"""\
{FIRST}
from workbook import open_lab
lab = open_lab("01_queue", target=target, run_id=run_id)
queues, name = lab.client("sqs"), lab.name("queue")
lab.undo_later("sqs", "delete_queue", QueueUrl=queues.create_queue(QueueName=name)["QueueUrl"])
while is_first():
    queues.get_queue_url(QueueName=name)  # until nobody answers
lab.close()
"""
LENGTH_S = 6  # as long as such a run takes that doesn't hang


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where the harness makes its folders: in the test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_moments_follow_from_the_seed_alone():
    """The same seed draws the same ones, however many are asked for, and each victim has its turn."""
    for target, victims in VICTIMS.items():
        many = draw(target, 7, 21)
        assert many[:4] == draw(target, 7, 4)
        assert {7} == {[one.victim for one in many].count(victim) for victim in victims}
        assert 21 == len({one.fraction for one in many})
        assert all(0 <= one.fraction < 1 for one in many)
        assert many != draw(target, 8, 21)


def test_a_moment_that_failed_is_tried_again_and_one_that_passed_is_not(tmp_path, temporary, monkeypatch, capsys):
    """A cleaning that does something else is found out, named, and counted; when it is mended, the same moment passes."""
    small_notebooks.write(tmp_path / "notebooks", "01_hang", HANG)
    earlier = {"target": "embedded", "seed": 0, "number": 0, "next_ended": 0, "next_s": LENGTH_S}
    append_line(tmp_path / "state", earlier)
    command = ["--target", "embedded", "--moments", "1", "--out", str(tmp_path / "state"), "--"]
    command += ["--notebooks", str(tmp_path / "notebooks")]

    with monkeypatch.context() as broken:
        broken.setattr(trial, "GONE_S", 1)
        broken.setitem(trial.CLEAN, "embedded", ("run", "--notebooks", str(tmp_path / "notebooks")))
        assert 1 == main(command)
    said = capsys.readouterr().out
    assert "0 of 1 moments passed" in said
    row = read_lines(tmp_path / "state")[-1]
    assert [Path(row["place"])] == list(temporary.iterdir())
    assert any(f"left by clean: {left}" in said for left in row["left"])

    assert 0 == main(command)
    assert "embedded: 1 of 1 moments passed" in capsys.readouterr().out

    monkeypatch.setattr(trial, "attempt", None)
    assert 0 == main(command)
    assert [False, True] == [row["passed"] for row in read_lines(tmp_path / "state")[1:]]


def test_a_network_that_breaks_leaves_nothing_in_the_account(tmp_path, temporary):
    """AWS is out of reach in the middle of a run, and comes back: `clean` takes away what was left, and the next run passes."""
    small_notebooks.write(tmp_path / "notebooks", "01_queue", QUEUE)
    lessons = ("--notebooks", str(tmp_path / "notebooks"))

    row = trial.attempt(Moment("aws", 1, 0, "network", 0.9, 0.0), LENGTH_S, lessons)

    assert ("network", True) == (row["victim"], row["passed"])
    assert 0 != row["run_ended"]
    assert [] == list(temporary.iterdir())


def test_a_run_that_fails_by_itself_teaches_nothing(tmp_path):
    """Then it says what the run said, and nothing is counted."""
    small_notebooks.write(tmp_path / "notebooks", "01_bad", "1 / 0")

    with pytest.raises(trial.UndisturbedError, match="ZeroDivisionError"):
        trial.measure("embedded", ("--notebooks", str(tmp_path / "notebooks")))


def test_every_kind_of_leftover_is_seen(tmp_path, monkeypatch):
    """A process, a temporary file, a file among the results, and a resource of an account: each is named once."""
    monkeypatch.setattr(trial, "GONE_S", 1)
    with trial.scene("aws", (), tmp_path / "place") as where:
        assert [] == where.left(results=True)
        where.results.mkdir()
        (where.results / "run").mkdir()
        (where.temporary / "workbook-emulator-x").mkdir()
        rehearsals.root(where.account).client("sqs").create_queue(QueueName="wb-1-queue")
        command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        variables = os.environ | {"TMPDIR": str(where.temporary)}
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=variables) as process:
            left = where.left(results=True)
            process.stdin.close()

    assert 4 == len(left)
    assert str(where.results / "run") in left
    assert str(where.temporary / "workbook-emulator-x") in left
    assert [one for one in left if one.startswith(f"process {process.pid}: ")]
    assert [one for one in left if one.startswith("sqs list_queues: ") and one.endswith("wb-1-queue")]


def test_control_groups_of_emulators_that_run_are_no_leftovers():
    """Other work on this machine is left alone."""
    assert all(Path(group).name.startswith("workbook-emulator-") for group in leftovers.groups())
