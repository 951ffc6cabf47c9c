"""A share of the processor by control groups: one each environment, with a quota of CPU time in every period of 20 ms.

Linux only, and only where this process may make groups inside its own and move processes there: as root, or in a group
that was handed over to the user. Version 1 has a tree for each controller
(https://docs.kernel.org/scheduler/sched-bwc.html), version 2 has one for all
(https://docs.kernel.org/admin-guide/cgroup-v2.html). In version 2 a group with processes can't hand the CPU controller
down, so ours are made in the nearest group above that does, and nobody else's settings are changed. Version 2 follows the
kernel's page, and was not tried where it has the CPU controller.
"""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from workbook.emulator.guard import CLEAN_UP_S, dissolve

# The kernel's default is 100 ms. AWS names no period; the makers of https://github.com/pwrdrvr/lambda-dispatch observed this.
PERIOD_US = 20_000
_QUOTA = {1: "cpu.cfs_quota_us", 2: "cpu.max"}


class ControlGroups:
    """The governor that the kernel is. All processes of an environment count, whatever session they are in.

    The groups stand side by side, named "NAME.1234" after their process: inside one of ours they would all together have
    no more weight than a single process when the machine is busy.
    """

    def __init__(self, name: str, announce: Callable[[Path], None]) -> None:
        """Try out where groups can be made; `announce` is called with the beginning of their paths before one is.

        Raises:
            OSError: this process may not do that here, or there are no control groups.
        """
        self._version = 2 if _membership("cpu") is None else 1
        self.name = f"cgroup v{self._version}"
        reason = FileNotFoundError("There are no control groups here.")
        for place in places():
            self._beginning = str(place / name)
            announce(place / name)
            try:
                self._try_out()
            except OSError as error:
                reason = error
            else:
                return
        raise reason

    @property
    def groups(self) -> list[Path]:
        """Return the folders of the groups that are there."""
        beginning = Path(self._beginning)
        return sorted(beginning.parent.glob(f"{beginning.name}.*"))

    def admit(self, group: int, share: float) -> "_ControlGroup":
        """Move a process into a group of its own, where its children will be too."""
        return _ControlGroup(Path(f"{self._beginning}.{group}"), group, self._version, share)

    def close(self) -> None:
        """Remove the groups, with what is in them."""
        for folder in self.groups:
            _remove(folder)

    def _try_out(self) -> None:
        """Take a process in and set a quota, which may be refused: inside a smaller one, for instance."""
        with subprocess.Popen(["sleep", "60"]) as trial:
            try:
                self.admit(trial.pid, os.cpu_count() or 1).run()
            finally:
                trial.kill()
                self.close()


class _ControlGroup:
    """The allowance of one environment."""

    def __init__(self, folder: Path, group: int, version: int, share: float) -> None:
        self._folder, self._file, self._limited = folder, folder / _QUOTA[version], False
        self._quota = f"{share * PERIOD_US:.0f}"
        folder.mkdir()
        if version == 1:
            (folder / "cpu.cfs_period_us").write_text(f"{PERIOD_US}")
        else:
            self._quota += f" {PERIOD_US}"
        with suppress(ProcessLookupError):  # it has ended already
            (folder / "cgroup.procs").write_text(f"{group}")

    def run(self) -> None:
        if not self._limited:
            self._file.write_text(self._quota)
            self._limited = True

    def rest(self) -> None:
        """Do nothing: a quota takes no notice of processes that stand still."""

    def end(self) -> None:
        _remove(self._folder)


def places() -> list[Path]:
    """Return the control groups in which ours may be made, the nearest first; none where there are no control groups.

    https://man7.org/linux/man-pages/man7/cgroups.7.html
    """
    if found := _membership("cpu"):  # version 1
        return _folders("cgroup", "cpu", found)[:1]
    if found := _membership(""):
        return _folders("cgroup2", "", found)
    return []


def _membership(controller: str) -> str | None:
    """Return this process's control group in a controller's tree, or in version 2's, whose controller is empty here."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except FileNotFoundError:  # this is no Linux
        return None
    return next(
        (path for _, names, path in (line.split(":", 2) for line in lines) if controller in names.split(",")), None
    )


def _folders(kind: str, controller: str, path: str) -> list[Path]:
    """Return where a control group lies in the file system, and those above it; none if its tree isn't mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, source = line.partition(" - ")
        root, top = mounted.split()[3:5]
        found, _, options = source.split()
        if found == kind and (not controller or controller in options.split(",")):
            own = Path(top, os.path.relpath(path, root))
            return [own, *(folder for folder in own.parents if folder.is_relative_to(top))]
    return []


def _remove(folder: Path) -> None:
    """Kill what is left in a group, and remove it. What won't die in time is left to the guard."""
    deadline = time.monotonic() + CLEAN_UP_S
    while not dissolve(folder) and time.monotonic() < deadline:
        time.sleep(0.001)
