"""A share of the processor by control groups: one each environment, with a quota of CPU time in every period of 20 ms.

Linux only, and only where this process may make groups inside its own and move processes there: as root, or in a group
that was handed over to the user. Version 1 has a tree for each controller
(https://docs.kernel.org/scheduler/sched-bwc.html), version 2 has one for all
(https://docs.kernel.org/admin-guide/cgroup-v2.html). In version 2 a group with processes can't hand the CPU controller
down, so ours is made in the nearest group above that does, and nobody else's settings are changed. Version 2 follows the
kernel's page, and was not tried where it has the CPU controller.
"""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from workbook.emulator.guard import CLEAN_UP_S, dissolve

PERIOD_US = 20_000  # AWS's own, as its throttling shows; the kernel's default is 100 ms


class ControlGroups:
    """The governor that the kernel is. All processes of an environment count, whatever session they are in."""

    def __init__(self, name: str, announce: Callable[[Path], None]) -> None:
        """Make a group of that name, around those of the environments, and try it out.

        Raises:
            OSError: this process may not do that here, or there are no control groups.
        """
        version, parents = places()
        for parent in parents:
            self.folder = parent / name
            with suppress(PermissionError):
                announce(self.folder)
                self.folder.mkdir()
                if (self.folder / _QUOTA[version]).exists():
                    break
                self.folder.rmdir()
        else:
            raise FileNotFoundError(f"No control group above {parents[0]} lends its CPU controller.")
        self.name, self._version = f"cgroup v{version}", version
        try:
            if version == 2:
                (self.folder / "cgroup.subtree_control").write_text("+cpu")
            self._try_out()
        except OSError:
            self.close()
            raise

    def admit(self, group: int, share: float) -> "_ControlGroup":
        """Move a process into a group of its own, where its children will be too."""
        return _ControlGroup(self.folder / str(group), self._version, share)

    def close(self) -> None:
        """Remove the group, with what is in it."""
        _remove(self.folder)

    def _try_out(self) -> None:
        """Take a process in and set a quota, which may be refused: inside a smaller one, for instance."""
        with subprocess.Popen(["sleep", "60"]) as trial:
            try:
                allowance = self.admit(trial.pid, os.cpu_count() or 1)
                allowance.run()
            finally:
                trial.kill()
        allowance.end()


class _ControlGroup:
    """The allowance of one environment."""

    def __init__(self, folder: Path, version: int, share: float) -> None:
        self._folder, self._quota_us = folder, round(share * PERIOD_US)
        self._file, self._limited = folder / _QUOTA[version], False
        folder.mkdir()
        if version == 1:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        self._text = f"{self._quota_us}" if version == 1 else f"{self._quota_us} {PERIOD_US}"
        with suppress(ProcessLookupError):  # it has ended already
            (folder / "cgroup.procs").write_text(folder.name)

    def run(self) -> None:
        if not self._limited:
            self._file.write_text(self._text)
            self._limited = True

    def rest(self) -> None:
        """Do nothing: a quota takes no notice of processes that stand still."""

    def end(self) -> None:
        _remove(self._folder)


_QUOTA = {1: "cpu.cfs_quota_us", 2: "cpu.max"}


def places() -> tuple[int, list[Path]]:
    """Return the version of the control groups for CPU, and the folders in which one may be made, the nearest first.

    https://man7.org/linux/man-pages/man7/cgroups.7.html

    Raises:
        OSError: there are none.
    """
    memberships = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, controllers, path in memberships:
        if "cpu" in controllers.split(","):
            return 1, [_folder("cgroup", "cpu", path)[0]]
    for number, _, path in memberships:
        if number == "0":
            own, top = _folder("cgroup2", None, path)
            return 2, [own, *(folder for folder in own.parents if folder.is_relative_to(top))]
    raise FileNotFoundError("This process is in no control group.")


def _folder(kind: str, controller: str | None, path: str) -> tuple[Path, Path]:
    """Return where a control group's path lies in the file system, and where its tree is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, source = line.partition(" - ")
        root, top = mounted.split()[3:5]
        if source.split()[0] == kind and (controller is None or controller in source.split()[2].split(",")):
            return Path(top, os.path.relpath(path, root)), Path(top)
    raise FileNotFoundError(f"No file system of the kind {kind} is mounted.")


def _remove(folder: Path) -> None:
    """Kill what is left in a group, and remove it. What won't die in time is left to the guard."""
    deadline = time.monotonic() + CLEAN_UP_S
    while not dissolve(folder) and time.monotonic() < deadline:
        time.sleep(0.001)
