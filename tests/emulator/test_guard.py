"""The guard kills what it was told about and not told off, and removes the folder."""

import subprocess
import sys
from pathlib import Path

import psutil
from trials import state, wait_until

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
