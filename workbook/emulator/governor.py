"""How much CPU an execution environment gets: in proportion to its memory, as on AWS.

    1769 MB are one vCPU    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html

The init phase of an environment that is made on demand runs at full speed; everything after it, and the init phase under
provisioned concurrency, at the share. AWS's pages don't say so; others measured it:
https://lucvandonkersgoed.com/2022/04/09/when-is-the-lambda-init-phase-free-and-when-is-it-billed/

What holds an environment to its share is chosen once, at the emulator's start: control groups where this process may write
them, as they are the kernel's own and cost nothing; else signals, which need no rights. The variable WORKBOOK_CPU has the
last word.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from workbook.emulator.control_groups import ControlGroups
from workbook.emulator.duty_cycle import DutyCycle
from workbook.errors import ParameterError

VCPU_MB = 1769
_SETTINGS = ("share", "signals", "full")


class Allowance(Protocol):
    """What one group of processes may use. Nothing is limited before the first `run`."""

    def run(self) -> None:
        """Hold the group to its share from now on; it was just thawed, or is in its init phase."""

    def rest(self) -> None:
        """See to it that the group, which was just frozen, stays so until the next `run`."""

    def end(self) -> None:
        """Forget the group, which is dead."""


class Governor(Protocol):
    """What holds groups of processes to their shares."""

    name: str  # "cgroup v1", "cgroup v2", "signals" or "full"

    def admit(self, group: int, share: float) -> Allowance:
        """Return the allowance of a new group: the share of a processor that it may use, 1.5 being one and a half."""

    def close(self) -> None:
        """Take away what the governor itself made."""


class Unlimited:
    """The governor and the allowance of environments that run at this machine's speed."""

    name = "full"

    def admit(self, group: int, share: float) -> "Unlimited":  # noqa: ARG002
        """Return an allowance without a limit."""
        return self

    def run(self) -> None:
        """Do nothing, as the other two."""

    rest = end = close = run


def share(memory_mb: int) -> float:
    """Return the processors that a memory size stands for: 0.5 is half of one. A machine gives no more than it has."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(memory_mb / VCPU_MB, available)


def setting() -> str:
    """Return what WORKBOOK_CPU asks for: "share", which it is by default, "signals" or "full".

    Raises:
        ParameterError: it asks for something else.
    """
    asked = os.environ.get("WORKBOOK_CPU") or "share"
    if asked not in _SETTINGS:
        raise ParameterError(
            f"WORKBOOK_CPU={asked!r} is none of {', '.join(_SETTINGS)}.",
            why="It says how functions are held to the CPU that their memory size stands for.",
            fix="Leave it away for share, or name one: signals never uses control groups, full sets no limit.",
        )
    return asked


def choose(name: str, announce: Callable[[Path], None]) -> Governor:
    """Return the governor that WORKBOOK_CPU asks for and this machine allows, tried out.

    `name` is for its control groups, if it makes any; `announce` is called with the beginning of their paths before that.
    """
    asked = setting()
    if asked == "full":
        return Unlimited()
    if asked == "share":
        try:
            return ControlGroups(name, announce)
        except OSError:  # there are none here, or they are not ours to write: that is what the other way is for
            pass
    return DutyCycle()
