"""What a run shows while it works, one line a notebook, and the table at its end."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from workbook.runs.execution import Execution
from workbook.runs.folder import Outcome, Status

_CLEAR_BELOW = "\x1b[J"  # ECMA-48, erase in page
_STEP = 5  # cells between two lines where lines can't be rewritten


class Screen:
    """The lines of a run. On a terminal they are rewritten in place; elsewhere a line is printed now and then.

    A run goes on when nobody can read it any more: its output is closed, full, or a pipe whose reader has gone.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout  # None in a process that was started without one
        self._in_place = bool(self._stream) and not self._stream.closed and self._stream.isatty()
        self._drawn = 0  # lines that the next drawing replaces
        self._said: dict[str, int] = {}  # the cell of each notebook that was last told

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._write(f"{self._wiped()}{line}\n")

    def show(self, running: Iterable[Execution]) -> None:
        """Show how far each running notebook is: its name, cell n of m, seconds."""
        if self._in_place:
            lines = [_progress(execution) for execution in running]
            self._write(self._wiped() + "".join(f"{line}\n" for line in lines))
            self._drawn = len(lines)
            return
        for execution in running:
            step = execution.cell // _STEP
            if self._said.get(execution.lesson.name) != step:
                self._said[execution.lesson.name] = step
                self.say(_progress(execution))

    def close(self, outcomes: Sequence[Outcome]) -> None:
        """Print the closing table, and below it what was left out, and what lies behind each failure."""
        width = max(len("notebook"), *(len(one.name) for one in outcomes))
        self.say(f"\n{'notebook':{width}}  {'status':11}  {'seconds':>7}  {'cells':>7}  what went wrong")
        for one in outcomes:
            cells = f"{one.cells_run}/{one.cells}"
            self.say(f"{one.name:{width}}  {one.status:11}  {one.seconds:7.1f}  {cells:>7}  {one.error or ''}".rstrip())
        left_out = [(one.name, reason) for one in outcomes for reason in (*one.skip_reasons, *one.not_tested)]
        if left_out:
            self.say("\nleft out, and why")
        for name, reason in left_out:
            self.say(f"{name:{width}}  {reason}")
        for one in outcomes:
            if one.status is Status.FAILED and one.detail:
                self.say(f"\n── {one.name} ──\n{one.detail}")

    def _wiped(self) -> str:
        """Return what takes away the lines that are to be replaced."""
        drawn, self._drawn = self._drawn, 0
        return f"\x1b[{drawn}A\r{_CLEAR_BELOW}" if drawn else ""

    def _write(self, text: str) -> None:
        """Write at once; after the first failure nowhere, as the run folder keeps all that matters."""
        if self._stream:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # the second is a closed stream's
                self._stream = None


def _progress(execution: Execution) -> str:
    line = f"{execution.lesson.name}  cell {execution.cell} of {execution.cells}  {execution.elapsed_s:.0f} s"
    return line[: shutil.get_terminal_size().columns - 1]
