"""What survives the emulator's own sudden end: a small child that kills what the emulator leaves and removes its folder.

SIGKILL gives a process no last word, and a frozen execution environment does not notice that nobody will ever wake it. So
the emulator tells its guard about every process group that it starts, one line each over a pipe ("+1234", later "-1234").
The pipe closes when the emulator ends, in whatever way. Then the guard kills the groups that are still named (SIGKILL
works on a stopped process too), removes the emulator's folder, and ends. A line that is a path is how the paths of the
emulator's control groups begin, before a dot; the guard empties and removes those too.

A process that a handler started in a session of its own belongs to none of these groups. On Linux the guard knows it by
its environment, in which the emulator's folder stands, and kills it too. Elsewhere it outlives the emulator, as does one
that was started with an environment of its own making.

A run's kernels have guards of the same kind, each with the kernel's own temporary folder.

This file is both ends of the pipe: the class is the emulator's end; run as a program, with the standard library only, it
is the guard.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
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

    def watch_control_groups(self, beginning: Path) -> None:
        """Have the control groups whose paths begin so, before a dot, emptied and removed when the emulator ends."""
        os.write(self._pipe, f"{beginning}\n".encode())

    def close(self) -> None:
        """Have what is still named killed, and the folder removed, now; return when that is done."""
        os.close(self._pipe)
        self._process.wait()


def survivors(lines: Iterable[str]) -> set[int]:
    """Return the process groups that were named with a plus and not with a minus since."""
    groups: set[int] = set()
    for line in lines:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
    return groups


def beginnings_of_control_groups(lines: Iterable[str]) -> list[Path]:
    """Return how the paths of control groups begin that were named."""
    return [Path(line.rstrip("\n")) for line in lines if line.startswith("/")]


def clean_up(groups: Iterable[int], folder: Path, beginnings: Sequence[Path] = ()) -> None:
    """Kill the process groups, the control groups and the strays, and remove the folder last of all.

    A dying process may still be writing to it. Return when a look finds nothing left: a stray that is just being started
    is found by the next look.
    """
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):  # gone already; the second is macOS's word for a zombie
            os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + CLEAN_UP_S
    while True:
        control_groups = (group for beginning in beginnings for group in beginning.parent.glob(f"{beginning.name}.*"))
        undissolved = [group for group in control_groups if not dissolve(group)]
        left = strays(folder)
        if not (undissolved or left or folder.exists()):
            return
        if time.monotonic() > deadline:
            what = f"processes {left} of {folder}" if left else f"folder {(undissolved or [folder])[0]}"
            sys.exit(f"The {what} could not be removed within {CLEAN_UP_S} s: do it by hand.")
        for process in left:
            with suppress(ProcessLookupError, PermissionError):  # it ended since, or took other rights
                os.kill(process, signal.SIGKILL)
        if not undissolved:
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


def dissolve(control_group: Path) -> bool:
    """Kill everything in a control group and remove it; return whether it is gone.

    A process needs a moment to die: until then its group can't be removed.
    """
    with suppress(OSError):  # the group or a process is gone already, or still on its way out
        for process in (control_group / "cgroup.procs").read_text().split():
            if process != "0":  # of another namespace
                os.kill(int(process), signal.SIGKILL)
        control_group.rmdir()
    return not control_group.exists()


def strays(folder: Path) -> list[int]:
    """Return the processes, but for this one, that were started inside the emulator. Elsewhere than on Linux: none.

    Inside it TMPDIR and LAMBDA_TASK_ROOT lie in its folder, and a function can't set the second one. Only these two are
    looked at: the folder stands in the PWD of whatever a learner starts there from a terminal.
    https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html
    """
    if sys.platform != "linux":
        return []
    inside = re.compile(rb"(^|\0)(TMPDIR|LAMBDA_TASK_ROOT)=" + re.escape(os.fsencode(folder)) + rb"(/|\0|$)")
    found = []
    for process in {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()} - {os.getpid()}:
        with suppress(OSError):  # it ended since, or is another user's
            if inside.search(Path(f"/proc/{process}/environ").read_bytes()):
                found.append(process)
    return found


if __name__ == "__main__":
    told = list(sys.stdin)
    clean_up(survivors(told), Path(sys.argv[1]), beginnings_of_control_groups(told))
