"""What survives the emulator's own sudden end: a small child that kills what the emulator leaves and removes its folder.

SIGKILL gives a process no last word, and a frozen execution environment does not notice that nobody will ever wake it. So
the emulator tells its guard about every process group that it starts, one line each over a pipe ("+1234", later "-1234").
The pipe closes when the emulator ends, in whatever way. Then the guard kills the groups that are still named (SIGKILL
works on a stopped process too), removes the emulator's folder, and ends.

This file is both ends of the pipe: the class is the emulator's end; run as a program, with the standard library only, it
is the guard.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

CLEAN_UP_S = 5.0  # a killed process needs a moment to let go of its files


class Guard:
    """The emulator's end of the pipe. Starts the guard of a folder."""

    def __init__(self, folder: Path) -> None:
        read_end, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(folder)], stdin=read_end, cwd="/", start_new_session=True
        )
        os.close(read_end)

    def watch(self, group: int) -> None:
        """Have a process group killed when the emulator ends."""
        os.write(self._pipe, f"+{group}\n".encode())

    def forget(self, group: int) -> None:
        """Say that a process group is gone, so that another program with the same number is left alone."""
        os.write(self._pipe, f"-{group}\n".encode())

    def close(self) -> None:
        """Have what is still named killed, and the folder removed, now; return when that is done."""
        os.close(self._pipe)
        self._process.wait()


def survivors(lines: Iterable[str]) -> set[int]:
    """Return the process groups that were named with a plus and not with a minus since."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def clean_up(groups: Iterable[int], folder: Path) -> None:
    """Kill the process groups and remove the folder, which a dying process may still be writing to."""
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):  # gone already; the second is macOS's word for a zombie
            os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + CLEAN_UP_S
    while folder.exists():
        if time.monotonic() > deadline:
            sys.exit(f"The emulator's folder {folder} could not be removed within {CLEAN_UP_S} s: remove it by hand.")
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


if __name__ == "__main__":
    clean_up(survivors(sys.stdin), Path(sys.argv[1]))
