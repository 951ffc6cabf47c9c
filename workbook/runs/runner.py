"""Many notebooks, side by side, into one run folder."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from nbformat import NotebookNode

from workbook import account, capabilities, forecast, meter, targets
from workbook.errors import ParameterError, TargetError
from workbook.lab import RESULTS, new_run_id
from workbook.lessons import FOLDER, Lesson
from workbook.runs.execution import Execution
from workbook.runs.folder import Outcome, RunFolder, Status, all_of, shown
from workbook.runs.notebook import Answers, arguments, choose
from workbook.runs.screen import Screen
from workbook.runs.versions import git_state, versions

_ROOM_FOR_TWO = (
    50  # invocations at once: a lesson's burst has up to twenty callers, and what was throttled by another lesson
)
# would pass for a result. New accounts may have fewer: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_TICK_S = 0.1  # how often the running notebooks are looked at
_STOPPING = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "the end of its terminal"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run is to do. It stands in `run.json`, so that the run can be resumed as it was asked for."""

    only: tuple[str, ...] = ()  # names of notebooks, or how they begin; empty: all
    target: str = "embedded"
    quick: bool = False
    answers: Answers = Answers.UNTOUCHED
    settings: Mapping[str, str] = field(default_factory=dict)  # parameters by name, as typed on a command line
    notebooks: Path = FOLDER

    def to_facts(self) -> dict[str, Any]:
        """Return the request as `run.json` keeps it."""
        return {
            "target": self.target,
            "quick": self.quick,
            "answers": str(self.answers),
            "parameters": dict(self.settings),
            "folder": str(self.notebooks.resolve()),
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Return the request that a run folder was made by."""
        return cls(
            only=tuple(notebook["name"] for notebook in facts["notebooks"]),
            target=facts["target"],
            quick=facts["quick"],
            answers=Answers(facts["answers"]),
            settings=facts["parameters"],
            notebooks=Path(facts["folder"]),
        )


@dataclass(frozen=True)
class Report:
    """What came of a run."""

    folder: Path
    outcomes: tuple[Outcome, ...]
    seconds: float
    stopped_by: signal.Signals | None = None

    @property
    def exit_status(self) -> int:
        """0 if nothing failed, 1 if something did, and 128 plus the signal's number after a signal, as in a shell."""
        if self.stopped_by:
            return 128 + self.stopped_by
        return int(any(one.status in (Status.FAILED, Status.INTERRUPTED) for one in self.outcomes))

    def __str__(self) -> str:
        counts = {status: sum(one.status is status for one in self.outcomes) for status in Status}
        said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        where = shown(self.folder)
        go_on = f"{shown(Path(sys.executable))} -m workbook run --resume --out {where}"
        if self.stopped_by:
            return f"Stopped by {_STOPPING[self.stopped_by]}: {said}. What finished is kept in {where}. Go on with: {go_on}"
        after = f" When the cause is gone, go on with: {go_on}" if self.exit_status else ""
        return f"{said} in {self.seconds:.0f} s. Everything is kept in {where}.{after}"


def run(
    *,
    jobs: int = 2,
    cell_limit_s: int = 300,
    out: Path | None = None,
    resume: bool = False,
    results: Path = RESULTS,
    screen: Screen | None = None,
    **asked: Any,
) -> Report:
    """Run notebooks, and return what came of them; `asked` holds fields of `Request`.

    A new run gets a folder of its own in `results`, or the empty or missing folder `out`. With `resume` the run in `out`,
    or the newest one, goes on as it was asked for, except for what `asked` changes: what passed with the same content and
    arguments is kept, the rest is run.

    Raises:
        ParameterError: something that was asked for doesn't exist or doesn't fit.
        NotebookError: a chosen notebook can't be run at all.
        SetupError: the run folder can't be written, or is in use.
        TargetError: the target is not reachable or not allowed.
    """
    if jobs < 1:
        raise ParameterError(f"--jobs {jobs} runs nothing.", why="Nothing would be found out.", fix="Give 1 or more.")
    if not isinstance(cell_limit_s, int) or cell_limit_s < 1:
        raise ParameterError(
            f"--cell-limit {cell_limit_s} is not a whole number of seconds from 1 on.",
            why="A cell without a limit could hold up the whole run, and Jupyter counts in whole seconds.",
            fix="Give 1 or more.",
        )
    begun_s, screen = time.monotonic(), screen or Screen()
    run_id = new_run_id()
    folder = RunFolder(out or (_newest(results) if resume else results / run_id))
    earlier = folder.read() if resume else {}
    run_id = earlier.get("run_id", run_id)
    request = Request(**({**vars(Request.from_facts(earlier)), **asked} if resume else asked))
    _check_folder(folder, earlier, request)
    prepared = _prepare(request, run_id)
    target = _find(request.target)
    admitted = account.known(target) if target else None
    executions = [
        Execution(*parts, folder, target=target, admitted=admitted, cell_limit_s=cell_limit_s) for parts in prepared
    ]
    outcomes = {one["name"]: Outcome.from_facts(one) for one in earlier.get("notebooks", ())}
    todo = [execution for execution in executions if not _is_done(outcomes.get(execution.lesson.name), execution)]
    if request.target == "aws":
        planned = _plan(request, [execution.lesson for execution in todo], target.region)
        screen.say(f"{planned}\n")
        screen.say(f"{admitted}\n")
        planned.agree(target, already=meter.spent(folder.path))
        if jobs > 1 and admitted.concurrency is not None and admitted.concurrency < _ROOM_FOR_TWO:
            screen.say(
                f"With {admitted.concurrency} invocations at once in the account, lessons run one after the other."
            )
            jobs = 1

    with folder, _caught_signals() as caught:
        outcomes |= {execution.lesson.name: execution.pending for execution in todo}
        facts = {
            "run_id": run_id,
            "started": earlier.get("started", _now()),
            "finished": None,
            **request.to_facts(),
            "git": git_state(),
            "versions": versions(),
            "found": asdict(target.found) if target and target.found else None,
            "account": admitted.to_facts() if admitted else None,
        }

        def look(running: list[Execution]) -> None:
            if caught:
                for execution in todo:
                    execution.end(Status.INTERRUPTED, f"It was stopped by {_STOPPING[caught[0]]}.")
            for execution in running:
                execution.watch()
            screen.show(running)

        def keep(outcome: Outcome) -> None:
            outcomes[outcome.name] = outcome
            folder.write_report(facts, outcomes.values())
            screen.say(f"{outcome.name}  {outcome.status}  {outcome.seconds:.1f} s")

        folder.write_report(facts, outcomes.values())
        screen.say(f"Run {run_id}: {len(todo)} of {len(executions)} notebooks to run on the target {request.target}.")
        # The longest first, as far as cells tell: what begins last is short, and no processor is left alone for long.
        shared = sorted((one for one in todo if not one.lesson.exclusive), key=lambda one: -one.cells)
        _work(shared, jobs, look=look, keep=keep)
        _work([one for one in todo if one.lesson.exclusive], 1, look=look, keep=keep)

        ordered = tuple(outcomes[name] for name in sorted(outcomes))
        folder.write_summaries(ordered)
        cost = meter.spent(folder.path)
        folder.write_report(facts | {"finished": _now()} | ({"spent": cost.to_facts()} if cost else {}), ordered)
        report = Report(folder.path, ordered, time.monotonic() - begun_s, caught[0] if caught else None)
        screen.close(ordered)
        screen.say(f"\n{report}")
        if cost:
            screen.say(str(cost))
    return report


def _prepare(request: Request, run_id: str) -> list[tuple[Lesson, NotebookNode, dict[str, Any]]]:
    """Return what is to be run, each with its arguments. Whatever is wrong with the request shows here.

    Raises:
        ParameterError, NotebookError: as `run` does.
    """
    chosen = choose(request.notebooks, request.only)
    given = arguments(chosen, request.settings, run_id=run_id, target=request.target, quick=request.quick)
    return [(notebook.lesson, notebook.prepare(request.answers), given[notebook.name]) for notebook in chosen]


def planned(*, out: Path | None = None, resume: bool = False, results: Path = RESULTS, **asked: Any) -> forecast.Plan:
    """Return what a run would make, call, take and cost on AWS, without asking AWS; `asked` is as for `run`.

    The region is the one that the environment names. A target that isn't aws costs nothing, and may go without: the
    prices are those of us-east-1 then.

    Raises:
        ParameterError, NotebookError: as `run` does.
        TargetError: the target is aws, and the environment names no region.
    """
    earlier = RunFolder(out or _newest(results)).read() if resume else {}
    request = Request(**({**vars(Request.from_facts(earlier)), **asked} if resume else asked))
    region = targets.named_region()
    if region is None and request.target == "aws":
        raise TargetError(
            "The target aws was named without AWS_REGION.",
            why="Prices differ from region to region.",
            fix="Name it in the environment, such as AWS_REGION=eu-west-1.",
        )
    chosen = [lesson for lesson, *_ in _prepare(request, "planned")]
    return _plan(request, chosen, region or "us-east-1")


def spent(folder: Path | None = None, *, results: Path = RESULTS) -> str:
    """Return in words, and item by item, what a run has spent so far: the newest one, or the one in a folder.

    Raises:
        ParameterError: there is no run, or nothing was counted in it.
    """
    folders = [folder] if folder else all_of(results)
    found, folder = next(((bill, one) for one in folders if (bill := meter.spent(one))), (None, None))
    if found is None:
        raise ParameterError(
            f"Nothing was counted in {', '.join(map(shown, folders)) or results}.",
            why="Only calls to the target aws are counted, as no other costs money.",
            fix="Run a lesson with --target aws, or name the folder of such a run.",
        )
    return f"{found.bill}\n\n{found}"


def _plan(request: Request, chosen: Sequence[Lesson], region: str) -> forecast.Plan:
    repeats = request.settings.get("repeats")  # a whole number, as `_prepare` has seen to
    return forecast.plan(chosen, region, quick=request.quick, repeats=int(repeats) if repeats else None)


def _find(name: str) -> targets.Target | None:
    """Return the target of that name and what it can do, or None for the one that every lesson starts for itself.

    Raises:
        TargetError: as `run` does.
    """
    return None if targets.is_started_here(name) else capabilities.known(targets.configured(name))


def _work(
    executions: Sequence[Execution],
    jobs: int,
    *,
    look: Callable[[list[Execution]], None],
    keep: Callable[[Outcome], None],
) -> None:
    """Run notebooks in threads, `jobs` at a time; look at the running ones every tick, keep each outcome as it comes."""
    with ThreadPoolExecutor(jobs) as pool:
        open_: dict[Future[Outcome], Execution] = {pool.submit(execution.run): execution for execution in executions}
        try:
            while open_:
                done, _ = wait(open_, timeout=_TICK_S, return_when=FIRST_COMPLETED)
                look([execution for future, execution in open_.items() if future not in done and execution.begun])
                for future in done:
                    del open_[future]
                    keep(future.result())
        finally:  # something is wrong with the run itself, such as a full disk: no notebook goes on without it
            while wait(open_, timeout=_TICK_S).not_done:
                for execution in open_.values():
                    execution.end(Status.INTERRUPTED, "The run could not go on.")


def _newest(results: Path) -> Path:
    for path in all_of(results):
        if (path / "run.json").exists():
            return path
    raise ParameterError(
        f"There is no run in {results} to go on with.",
        why="--resume adds to one.",
        fix="Leave out --resume to begin one.",
    )


def _check_folder(folder: RunFolder, earlier: Mapping[str, Any], request: Request) -> None:
    if earlier and earlier["target"] != request.target:
        raise ParameterError(
            f"The run {earlier['run_id']} was made on the target {earlier['target']}, not on {request.target}.",
            why="Records of two targets in one run would be taken for one another.",
            fix="Leave out --resume to begin a run of its own.",
        )
    if not earlier and folder.path.is_dir() and any(folder.path.iterdir()):
        raise ParameterError(
            f"The folder {folder.path} is not empty.",
            why="A run would mix with what is there.",
            fix="Name another folder with --out, or go on with the run in it with --resume.",
        )


def _is_done(outcome: Outcome | None, execution: Execution) -> bool:
    return bool(outcome and outcome.status is Status.PASSED and outcome.content == execution.pending.content)


@contextmanager
def _caught_signals() -> Iterator[list[signal.Signals]]:
    """Collect, in order, the signals that ask the process to stop. Only the main thread hears signals."""
    caught: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    heard = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]  # nohup asks for that
    before = {
        number: signal.signal(number, lambda number, _: caught.append(signal.Signals(number))) for number in heard
    }
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
