"""One notebook on one kernel: papermill runs it in a worker thread, while another thread looks on and may end it."""

import asyncio
import logging
import os
import re
import signal
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import papermill
from botocore.exceptions import BotoCoreError, ClientError
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines

from workbook import account, emulator, targets
from workbook.emulator.guard import Guard
from workbook.errors import NotebookError, WorkbookError
from workbook.lab import PLANNED, RESULTS, pending, undo
from workbook.lessons import Lesson
from workbook.records import read_lines
from workbook.runs.folder import Outcome, RunFolder, Status
from workbook.runs.notebook import as_papermill_takes_it, content_hash

_MATPLOTLIB_CACHE = RESULTS / ".cache" / "matplotlib"  # built by the first figure, for all that follow
_START_LIMIT_S = 60  # a kernel imports IPython from a cold disk in a few seconds
_SAVE_EVERY_S = 0.5  # a run that is killed loses no more of what its notebook showed
_TAIL_LINES = 15
# What a target may lack, so that a lesson or a conclusion that needs it may be left out there. Whatever else is left out
# fails the run.
MAY_LACK = {
    "embedded": frozenset({"cpu_share"}),  # under WORKBOOK_CPU=full; all else that lessons need it has
    "localstack": frozenset({"http_api", "freeze", "cpu_share", "database"}),
    "aws": frozenset({"database"}),
}
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_QUIET = logging.getLogger(__name__)  # nbclient says of a dead kernel what the outcome says better
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


class Execution:
    """One notebook being run. `run` belongs to a worker thread; everything else may be called from any thread."""

    def __init__(
        self,
        lesson: Lesson,
        notebook: nbformat.NotebookNode,
        arguments: Mapping[str, Any],
        folder: RunFolder,
        *,
        cell_limit_s: int,
        target: targets.Target | None = None,
        admitted: account.Account | None = None,
    ) -> None:
        self.lesson, self.cell_limit_s = lesson, cell_limit_s
        self.cell = 0  # the code cell that runs now, counted from 1
        self.cells = sum(_is_code(cell) for cell in notebook.cells) + 1  # papermill adds one for the arguments
        self._started_s: float | None = None  # on the monotonic clock
        self._notebook, self._arguments, self._folder = notebook, dict(arguments), folder
        self._target = target  # None: the embedded one, which every lesson starts for itself
        self._admitted = admitted  # what is known of a real account
        self._scratch = folder.scratch / lesson.name
        self._kernel: AsyncKernelManager | None = None
        self._emulator: emulator.Emulator | None = None
        self._ending: tuple[Status, str] | None = None  # why it was ended from outside
        self._not_tested: tuple[str, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether a worker has taken it up."""
        return self._started_s is not None

    @property
    def elapsed_s(self) -> float:
        """The seconds since it was taken up; 0 before."""
        return time.monotonic() - self._started_s if self._started_s is not None else 0.0

    @property
    def pending(self) -> Outcome:
        """What is to be said of it as long as it hasn't ended, or if nobody lives to see its end."""
        return Outcome(
            name=self.lesson.name,
            content=content_hash(self._notebook, self._arguments),
            cells=self.cells,
            error="It was not run to its end.",
        )

    def run(self) -> Outcome:
        """Run the notebook to its end and return what came of it, whatever that is."""
        self._started_s = time.monotonic()
        status, error, detail, skip_reasons = Status.PASSED, None, "", ()
        try:
            self._run()
        except _SkipError as skip:
            status, skip_reasons = Status.SKIPPED, skip.reasons
        except Exception as fault:  # the one place where every way to fail becomes an outcome
            status, error, detail = self._explain(fault)
        if left := self._take_away():
            status = Status.FAILED if status is Status.PASSED else status
            error = f"{error} {left}" if error else left
        return replace(
            self.pending,
            status=status,
            seconds=round(self.elapsed_s, 3),
            cells_run=self.cell,
            error=error,
            skip_reasons=skip_reasons,
            not_tested=self._not_tested,
            detail=detail,
        )

    def _take_away(self) -> str:
        """Take away what the lesson made and didn't take away itself, where it would stay, and say what is still there.

        Nobody waits for that after Ctrl-C: what is still there is only said then.
        """
        if self._target is None:  # the emulator that it had to itself is gone
            return ""
        journal = self._folder.journal(self.lesson.name)
        remedy = f"Take it away with: make clean TARGET={self._target.name}"
        try:
            for sitting in pending(journal):
                if self._ending and self._ending[0] is Status.INTERRUPTED:
                    return f"What it made is still there. {remedy}"
                undo(journal, sitting, self._target, say=lambda _: None)
        except (WorkbookError, BotoCoreError, ClientError) as fault:
            return f"What it made is still there: {getattr(fault, 'what', fault)} {remedy}"
        return ""

    def watch(self) -> None:
        """End the notebook if its emulator is gone, and see to it that what was ended does end."""
        if self._emulator and not self._emulator.alive():
            died = NotebookError(
                f"Its emulator died in cell {self.cell} of {self.cells}.",
                why="Nothing answers the lesson's calls any more.",
                fix="The end of its log may say why; run it again with --resume.",
            )
            self.end(Status.FAILED, str(died))
        if self._ending:
            self._kill_kernel()

    def end(self, status: Status, reason: str) -> None:
        """End the notebook from outside; the first reason counts."""
        self._ending = self._ending or (status, reason)
        self._kill_kernel()

    def drive(self, execution_manager: NotebookExecutionManager) -> None:
        """Execute all cells on a kernel of its own. Papermill's engine calls this."""
        self._stop_if_ended()
        guard = Guard(self._scratch)
        with closing(guard), _own_event_loop(), self._folder.log(self.lesson.name, "kernel").open("wb") as log:
            self._client(execution_manager, guard).execute(
                cleanup_kc=True, env=self._environment(), cwd=str(self.lesson.path.parent), stdout=log, stderr=log
            )

    def _client(self, execution_manager: NotebookExecutionManager, guard: Guard) -> PapermillNotebookClient:
        """Return what executes the cells, with a kernel that is still to be started."""
        self._kernel = _GuardedKernel(
            guard,
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # this interpreter, whatever the user's home holds
            connection_file=str(self._scratch / "kernel.json"),
        )
        return PapermillNotebookClient(
            execution_manager,
            km=self._kernel,
            log=_QUIET,
            timeout=self.cell_limit_s,
            startup_timeout=_START_LIMIT_S,
            shutdown_kernel="immediate",  # a lesson keeps everything at once, so nothing is left to be saved
            extra_arguments=["--log-level=ERROR"],  # below that it warns of listening on loopback without encryption
            on_cell_start=self._note_progress,
        )

    def _run(self) -> None:
        self._stop_if_ended()
        name, target = self.lesson.name, self._arguments["target"]
        if target not in self.lesson.targets:
            raise _SkipError((f"It is made for {', '.join(self.lesson.targets)}, not for {target}.",))
        journal_before = len(read_lines(self._folder.journal(name)))
        self._folder.set_aside(name)
        self._scratch.mkdir(parents=True, exist_ok=True)
        nbformat.write(self._notebook, self._folder.executed(name))
        path = as_papermill_takes_it(self._folder.executed(name))
        with self._own_emulator() as self._emulator:
            try:
                papermill.execute_notebook(
                    path, path, self._arguments, engine_name=_Engine.NAME, progress_bar=False, execution=self
                )
                self._assert_all_cells_were_run()
                self._not_tested = self._left_out("not concluded", journal_before)
            except papermill.PapermillExecutionError:
                if reasons := self._left_out("skip", journal_before):
                    raise _SkipError(reasons) from None
                raise
            finally:
                self.watch()  # the notebook may have found out first that its emulator is gone
                self._emulator = None

    def _assert_all_cells_were_run(self) -> None:
        """Find out what papermill passes over: to it, `sys.exit(0)` ends a notebook well, wherever it stands.

        Raises:
            NotebookError: cells are left.
        """
        if self.cell < self.cells:
            raise NotebookError(
                f"It ended itself in cell {self.cell} of {self.cells}.",
                why="The cells after that one were not run, so what they would have shown is not known.",
                fix="Take the exit out of that cell; a lesson that can't go on says so with an error.",
            )

    def _own_emulator(self) -> AbstractContextManager[emulator.Emulator | None]:
        """Return an emulator of its own for the embedded target; the others are there already."""
        if not targets.is_started_here(self._arguments["target"]):
            return nullcontext()
        return emulator.start(log=self._folder.log(self.lesson.name, "emulator"))

    def _left_out(self, kind: str, journal_before: int) -> tuple[str, ...]:
        """Return what the lesson left out, and why: the whole of it (a "skip"), or conclusions ("not concluded").

        Raises:
            NotebookError: it was for want of something that the target has, or may not lack.
        """
        name = self._arguments["target"]
        target = self._target or targets.connect(name, endpoint=self._emulator.endpoint)
        entries = read_lines(self._folder.journal(self.lesson.name))[journal_before:]
        left_out = [entry for entry in entries if entry["kind"] == kind]
        for needs in (entry["needs"] for entry in left_out):
            has = needs in target.capabilities
            if has or needs not in MAY_LACK[name]:
                raise NotebookError(
                    f"It gave up for want of {needs}, which the target {name} {'has' if has else 'may not lack'}.",
                    why="A skip that isn't needed hides what the lesson would have shown.",
                    fix="Take the condition out of the lesson.",
                )
        return tuple(" ".join(filter(None, (entry.get("statement"), entry["reason"]))) for entry in left_out)

    def _environment(self) -> dict[str, str]:
        """Return the kernel's environment variables: the shell's, and where this run keeps things."""
        scratch = str(self._scratch)
        environment = os.environ | {
            "WORKBOOK_RUN_FOLDER": str(self._folder.path),
            "IPYTHONDIR": scratch,  # no profile, start-up file or history of the user's
            "TMPDIR": scratch,
            "MPLCONFIGDIR": str(_MATPLOTLIB_CACHE),
        }
        environment.pop("PYTHONSTARTUP", None)
        if self._emulator:
            environment["WORKBOOK_ENDPOINT"] = self._emulator.endpoint
        if self._arguments["target"] == "aws":
            environment[PLANNED] = "yes"
        if self._target and self._target.found:
            environment |= self._target.found.to_environment()
        if self._admitted:
            environment |= self._admitted.to_environment()
        return environment

    def _note_progress(self, cell: nbformat.NotebookNode, **_: Any) -> None:
        self.cell += _is_code(cell)

    def _stop_if_ended(self) -> None:
        """Go no further if the notebook was ended while it waited for a worker or for its emulator."""
        if self._ending:
            raise DeadKernelError("It was ended before its kernel was started.")

    def _kill_kernel(self) -> None:
        """Kill the kernel and what it started: its process group. nbclient notices within a second."""
        provisioner = self._kernel and self._kernel.provisioner
        process = provisioner and provisioner.process
        if process and process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _explain(self, fault: Exception) -> tuple[Status, str, str]:
        """Return the status that a fault means, one sentence about it, and the traceback or the logs behind it."""
        if self._ending:
            return *self._ending, self._tails()
        here = f"cell {self.cell} of {self.cells}"
        match fault:
            case papermill.PapermillExecutionError():
                said = " ".join(f"{fault.ename}: {fault.evalue}".split())
                return Status.FAILED, f"In {here}: {said}", _ANSI.sub("", "\n".join(fault.traceback))
            case CellTimeoutError():
                sentence = NotebookError(
                    f"It hung in {here}, which ran longer than {self.cell_limit_s} s and was ended.",
                    why="A cell that waits for ever would hold up the whole run.",
                    fix="If it needs longer, allow it with --cell-limit.",
                )
            case DeadKernelError():
                sentence = NotebookError(
                    f"Its kernel died in {here}.",
                    why="It was killed (by the system, if memory ran out), or a library in it crashed.",
                    fix="Free some memory and run it again with --resume.",
                )
            case OSError():
                sentence = NotebookError(
                    f"It could not be kept: {fault}.",
                    why="What the cells before showed is in the run folder.",
                    fix="Make room or fix the permissions, then run it again with --resume.",
                )
            case WorkbookError():
                sentence = fault
            case _:
                wall = "".join(traceback.format_exception(fault))
                return Status.FAILED, f"In {here}: {type(fault).__name__}: {fault}", wall
        return Status.FAILED, str(sentence), self._tails()

    def _tails(self) -> str:
        """Return the last lines of the logs of its kernel and its emulator."""
        logs = (self._folder.log(self.lesson.name, of) for of in ("kernel", "emulator"))
        return "\n".join(f"The end of {log.name}:\n{tail}" for log in logs if (tail := _tail(log)))


class _GuardedKernel(AsyncKernelManager):
    """A kernel that ends with this process at the latest, and all that it started with it.

    A kernel looks for its parent itself, but not while it is stopped, nor while a call into C holds the interpreter.
    """

    def __init__(self, guard: Guard, **settings: Any) -> None:
        super().__init__(**settings)
        self._guard = guard

    async def _async_launch_kernel(self, kernel_cmd: list[str], **settings: Any) -> None:
        await super()._async_launch_kernel(kernel_cmd, **settings)
        self._guard.watch(self.provisioner.pid)  # it leads a group of its own


class _SkipError(Exception):
    """A lesson gave up because its target lacks something, as it may."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


class _Manager(NotebookExecutionManager):
    """Papermill's keeper of a notebook, which writes it twice a second instead of twice a cell."""

    def save(self, **_: Any) -> None:
        """Write the notebook if the last time is long enough ago, or if this is the last one."""
        if self.end_time or (self.now() - self.last_save_time).total_seconds() > _SAVE_EVERY_S:
            super().save()


class _Engine(Engine):
    """The engine through which papermill hands a notebook back to the execution that it belongs to."""

    NAME = "workbook"

    @classmethod
    def execute_notebook(
        cls, nb: nbformat.NotebookNode, *_kernel_name: str, output_path: str, execution: Execution, **_: Any
    ) -> nbformat.NotebookNode:
        manager = _Manager(nb, output_path=output_path, progress_bar=False)
        manager.notebook_start()
        try:
            execution.drive(manager)
        finally:
            manager.notebook_complete()
        return manager.nb


@contextmanager
def _own_event_loop() -> Iterator[None]:
    """Give this thread the event loop that nbclient uses, and end the loop and what still waits in it after the block."""
    loop = ensure_event_loop()
    try:
        yield
    finally:
        loop.run_until_complete(_cancel_the_others())
        loop.close()


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


papermill_engines.register(_Engine.NAME, _Engine)


def _is_code(cell: nbformat.NotebookNode) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


def _tail(log: Path) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
