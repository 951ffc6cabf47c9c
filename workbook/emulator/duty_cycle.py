"""A share of the processor by signals: a group of processes is stopped when it has used its budget, and goes on with a new one.

It needs no rights, and works on Linux; it is meant for macOS too, and was not tried there. What a group may use is a bucket
that fills with its share of the time and holds that of 20 ms, the period of AWS's quotas. It is emptied by the CPU time that
the system counts for the environment's processes. An empty bucket stops the group (SIGSTOP) until it is full again
(SIGCONT). What was used beyond it, because a stop comes late or several processors were at work, is a debt that the next
pause is longer for.

The governor is a process of its own, as its looks must come in time while the emulator is busy. The emulator tells it who
runs and who rests, one line each over a pipe: "run 1234 0.0724", "rest 1234", "end 1234". It ends when the pipe does.

Environments are frozen and thawed by the same two signals. The emulator sends its own first and then its line, upon which
the governor sends the signal again: so whatever it did meanwhile, the last signal is the one that was meant.

This file is both ends of the pipe: the classes in front are the emulator's; run as a program, it is the governor.
"""

import math
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

from workbook.emulator.usage import CpuClock
from workbook.errors import SetupError

PERIOD_S = 0.020
_SOONEST_S = 0.0001  # between two looks at a group; what is left for less time is not waited for
_LATEST_S = PERIOD_S / 2  # between two looks at one that long used nothing; by that much it may overdraw at once


class DutyCycle:
    """The governor's end in the emulator. A process that left the group's session is counted, but never stopped."""

    name = "signals"

    def __init__(self) -> None:
        """Start the governor's process and return when it is ready.

        Raises:
            SetupError: it does not start.
        """
        command = [sys.executable, "-P", "-m", "workbook.emulator.duty_cycle"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        if not self._process.stdout.readline():
            raise SetupError(
                f"The governor of CPU time ended at its start, with exit status {self._process.wait()}.",
                why="Without it no function is held to the CPU that its memory stands for.",
                fix="See above what it said, or do without: WORKBOOK_CPU=full.",
            )

    def admit(self, group: int, share: float) -> "_Turns":
        """Return the allowance of a group, of which the governor hears when it first runs."""
        return _Turns(self, group, share)

    def tell(self, line: str) -> None:
        """Send a line; one is so short that it is never mixed with another thread's."""
        os.write(self._process.stdin.fileno(), line.encode())

    def close(self) -> None:
        """End the governor's process."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class _Turns:
    """The allowance of one group."""

    def __init__(self, governor: DutyCycle, group: int, share: float) -> None:
        self._governor, self._group, self._share = governor, group, share

    def run(self) -> None:
        self._governor.tell(f"run {self._group} {self._share}\n")

    def rest(self) -> None:
        self._governor.tell(f"rest {self._group}\n")

    def end(self) -> None:
        self._governor.tell(f"end {self._group}\n")


class Account:
    """What one group may still use, and whether it is stopped for having used too much."""

    def __init__(self, group: int, share: float, now: float) -> None:
        self._group, self._share = group, share
        self._full_s = self._left_s = share * PERIOD_S
        self._fastest = 1.0 if share < 1 else os.cpu_count() or 1.0  # processors that it may be using
        self._clock = CpuClock(group)
        self._used_s, self._settled_at = self._clock.read(), now
        self._stopped = False
        self.look_at = math.inf  # when to settle next

    def run(self, now: float) -> None:
        """The group was thawed. Its pause has filled the bucket, and no more than that."""
        self._signal(signal.SIGCONT)
        self._stopped = False
        self.settle(now)

    def rest(self) -> None:
        """The group was frozen: there is nothing to look after."""
        self._signal(signal.SIGSTOP)
        self.look_at = math.inf

    def settle(self, now: float) -> None:
        """Bring the account up to date, stop the group or let it go on as that says, and set the next look."""
        used_s = self._clock.read()
        passed_s, spent_s = now - self._settled_at, used_s - self._used_s
        was_idle = not self._stopped and self.look_at < math.inf and not spent_s
        left_s = self._left_s + self._share * passed_s - spent_s
        if not self._stopped:  # a late end of a pause is made up for; time in which nothing was asked for is not
            left_s = min(left_s, max(self._full_s, self._left_s))
        self._left_s, self._used_s, self._settled_at = left_s, used_s, now
        if self._stopped and left_s >= self._full_s:
            self._signal(signal.SIGCONT)
            self._stopped = False
        elif not self._stopped and left_s <= _SOONEST_S:
            self._signal(signal.SIGSTOP)
            self._stopped = True
        if self._stopped:
            wait_s = (self._full_s - left_s) / self._share
        else:  # until the bucket can be empty; later and later while it isn't drawn from
            wait_s = left_s / max(self._fastest - self._share, 0.1)
            if was_idle:
                wait_s = max(wait_s, min(1.25 * passed_s, _LATEST_S))
        self.look_at = now + max(wait_s, _SOONEST_S)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # it has ended; the second is macOS's word for a zombie
            os.killpg(self._group, number)


def govern(lines: int) -> None:
    """Look after all groups that the lines from a descriptor name, until it is closed at the other end."""
    accounts: dict[int, Account] = {}
    rest_of_line = b""
    while True:
        now = time.perf_counter()
        for account in accounts.values():
            if account.look_at <= now + _SOONEST_S / 2:
                account.settle(now)
        look_at = min((account.look_at for account in accounts.values()), default=math.inf)
        wait_s = None if look_at == math.inf else max(look_at - time.perf_counter(), 0)
        if not select.select([lines], [], [], wait_s)[0]:
            continue
        received = os.read(lines, 65536)
        if not received:
            return
        *whole, rest_of_line = (rest_of_line + received).split(b"\n")
        for line in whole:
            order, group, *share = line.split()
            follow(accounts, order.decode(), int(group), *map(float, share))


def follow(accounts: dict[int, Account], order: str, group: int, share: float = 1.0) -> None:
    """Do what one line says."""
    if order == "run":
        now = time.perf_counter()
        if group not in accounts:
            accounts[group] = Account(group, share, now)
        accounts[group].run(now)
    elif order == "rest" and group in accounts:
        accounts[group].rest()
    elif order == "end":
        accounts.pop(group, None)


if __name__ == "__main__":
    with suppress(PermissionError):  # only root may go before others
        os.nice(-10)
    print("ready", flush=True)
    govern(sys.stdin.fileno())
