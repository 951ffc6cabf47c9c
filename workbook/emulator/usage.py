"""What a process and its descendants use, as the system counts it: CPU time, and memory at its peak.

On Linux a process's descendants are those that the kernel lists as its children, and their children (`children` in
https://man7.org/linux/man-pages/man5/proc_pid_task.5.html; a kernel without that list counts the process alone). One
whose parent has ended is no longer among them. Elsewhere psutil answers; that is meant for macOS and was not tried there.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_LINUX = sys.platform == "linux"
if not _LINUX:
    import psutil

_LOOK_S = 0.1  # between two looks for new descendants
# it ended before, or just now, or took other rights
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
if not _LINUX:
    _GONE += (psutil.NoSuchProcess, psutil.AccessDenied)


def family(leader: int) -> list[int]:
    """Return the ids of a process and its descendants; none if it has ended."""
    if not _LINUX:
        with suppress(*_GONE):
            return [leader, *(child.pid for child in psutil.Process(leader).children(recursive=True))]
        return []
    found, ahead = [], [leader]
    while ahead:
        process = ahead.pop()
        with suppress(*_GONE):
            threads = os.listdir(f"/proc/{process}/task")  # noqa: PTH208 -- asked often, and names are enough
            found.append(process)
            for thread in threads:
                ahead += map(int, Path(f"/proc/{process}/task/{thread}/children").read_text().split())
    return found


class CpuClock:
    """The CPU time of a process and its descendants, in seconds. It never goes back.

    A descendant counts from the look that finds it, at most 0.1 s after its start, with all that it used before; one that
    ended counts on in its parent's account, to the system's tick of 10 ms.
    """

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._family: list[int] = []
        self._looked_at = -_LOOK_S
        self._ended_s = self._read_s = 0.0

    def read(self) -> float:
        """Return the CPU seconds that were used so far; what they were at last, once the process has ended."""
        used = [_cpu_s(process) for process in self._family]
        if None in used or time.monotonic() - self._looked_at >= _LOOK_S:
            self._looked_at, self._family = time.monotonic(), family(self._leader)
            self._ended_s = sum(map(_ended_children_s, self._family)) if _LINUX else 0.0
            used = [_cpu_s(process) for process in self._family]
        self._read_s = max(self._read_s, self._ended_s + sum(filter(None, used)))
        return self._read_s


def peak_memory_bytes(leader: int) -> int | None:
    """Return the most memory that a process and its descendants were seen to hold; None once it has ended.

    Linux keeps the process's own peak, however short (VmHWM, https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
    With descendants it is at least what all hold now, with shared pages counted once (Pss, proc_pid_smaps.5). Elsewhere it
    is the resident memory of this moment.
    """
    members = family(leader)
    if not _LINUX:
        return sum(map(_resident_bytes, members)) or None
    peak_kb = _kilobytes(f"/proc/{leader}/status", "VmHWM:")
    held_kb = sum(_kilobytes(f"/proc/{process}/smaps_rollup", "Pss:") for process in members) if members[1:] else 0
    return max(peak_kb, held_kb) * 1024 or None


def _cpu_s(process: int) -> float | None:
    """Return the CPU seconds of one process with all its threads, or None if it has ended."""
    try:
        if _LINUX:
            # clock_getcpuclockid(3) makes the number of another process's clock in this way, to the nanosecond
            return time.clock_gettime((~process << 3) | 2)
        times = psutil.Process(process).cpu_times()
    except (OSError, *_GONE):  # OSError: EINVAL, no process has this clock
        return None
    return times.user + times.system


def _ended_children_s(process: int) -> float:
    """Return the CPU seconds of the children that a process has waited for: cutime and cstime in proc_pid_stat.5."""
    with suppress(*_GONE):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _kilobytes(path: str, name: str) -> int:
    """Return a value of a file that says "name: 123 kB" among others; 0 of a process that has ended or may not be asked."""
    with suppress(*_GONE):
        return int(Path(path).read_text().partition(name)[2].partition("kB")[0] or 0)
    return 0


def _resident_bytes(process: int) -> int:
    """Return the resident memory of one process; 0 of one that has ended or may not be asked."""
    with suppress(*_GONE):
        return psutil.Process(process).memory_info().rss
    return 0
