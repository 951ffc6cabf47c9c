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
    """The lines of a run. On a terminal they are rewritten in place; elsewhere a line is printed now and then."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._in_place = self._stream.isatty()
        self._drawn = 0  # lines that the next drawing replaces
        self._said: dict[str, int] = {}  # the cell of each notebook that was last told

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._wipe()
        print(line, file=self._stream, flush=True)

    def show(self, running: Iterable[Execution]) -> None:
        """Show how far each running notebook is: its name, cell n of m, seconds."""
        if self._in_place:
            lines = [_progress(execution) for execution in running]
            self._wipe()
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._drawn = len(lines)
            self._stream.flush()
            return
        for execution in running:
            step = execution.cell // _STEP
            if self._said.get(execution.lesson.name) != step:
                self._said[execution.lesson.name] = step
                self.say(_progress(execution))

    def close(self, outcomes: Sequence[Outcome]) -> None:
        """Print the closing table, and below it what lies behind each failure."""
        width = max(len("notebook"), *(len(one.name) for one in outcomes))
        self.say(f"\n{'notebook':{width}}  {'status':11}  {'seconds':>7}  {'cells':>7}  what went wrong")
        for one in outcomes:
            cells = f"{one.cells_run}/{one.cells}"
            self.say(f"{one.name:{width}}  {one.status:11}  {one.seconds:7.1f}  {cells:>7}  {one.remark}".rstrip())
        for one in outcomes:
            if one.status is Status.FAILED and one.detail:
                self.say(f"\n── {one.name} ──\n{one.detail}")

    def _wipe(self) -> None:
        if self._drawn:
            self._stream.write(f"\x1b[{self._drawn}A\r{_CLEAR_BELOW}")
            self._drawn = 0


def _progress(execution: Execution) -> str:
    line = f"{execution.lesson.name}  cell {execution.cell} of {execution.cells}  {execution.elapsed_s:.0f} s"
    return line[: shutil.get_terminal_size().columns - 1]
