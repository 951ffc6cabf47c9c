"""The guard kills what it was told about and not told off, and what was started inside, and removes the folder."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from trials import state
from waits import wait_until

from workbook.emulator import guard


def test_what_it_is_told() -> None:
    """Groups that were named and not taken back are left to be killed."""
    assert {3, 2} == guard.survivors(["+1\n", "+2\n", "+3\n", "-1\n", "-2\n", "+2\n"])


def test_the_end_of_the_pipe(tmp_path: Path) -> None:
    """When its pipe closes, the guard kills the group that it was told about, stopped as it is, and removes the folder."""
    folder = tmp_path / "emulator"
    folder.mkdir()
    watch = guard.Guard(folder)
    command = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"]
    left_behind = subprocess.Popen(command, start_new_session=True)
    try:
        wait_until(lambda: state(left_behind.pid) == psutil.STATUS_STOPPED)
        watch.watch(left_behind.pid)
        watch.close()
        assert state(left_behind.pid) == psutil.STATUS_DEAD
        assert not folder.exists()
    finally:
        left_behind.kill()
        left_behind.wait()


def test_a_group_that_is_gone(tmp_path: Path) -> None:
    """A group that ended a moment before is no error."""
    ended = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    ended.wait()
    guard.clean_up({ended.pid}, tmp_path / "missing")


@pytest.mark.skipif(sys.platform != "linux", reason="the guard reads /proc")
def test_a_process_with_a_session_of_its_own(tmp_path: Path) -> None:
    """What was started inside the emulator is killed though no group names it, and nothing else is."""
    folder = tmp_path / "emulator"
    inside = [{"TMPDIR": f"{folder}"}, {"TMPDIR": "/tmp", "LAMBDA_TASK_ROOT": f"{folder}/code/x"}]
    outside = [{"TMPDIR": f"{folder}-2"}, {"PWD": f"{folder}"}, {"OF": f"TMPDIR={folder}"}, {}]
    started = [subprocess.Popen(["sleep", "600"], env=env, start_new_session=True) for env in inside + outside]
    ours, theirs = started[: len(inside)], started[len(inside) :]
    try:
        guard.clean_up((), folder)
        assert [-9, -9] == [process.wait(timeout=10) for process in ours]
        assert [None] * len(outside) == [process.poll() for process in theirs]
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="the guard reads /proc")
def test_the_guard_spares_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard, whose own TMPDIR is the folder too, lives to remove it."""
    folder = tmp_path / "emulator"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    watch = guard.Guard(folder)
    wait_until(lambda: guard.strays(folder) == [watch._process.pid])
    watch.close()
    assert (0, False) == (watch._process.returncode, folder.exists())
