"""One moment tried: a run, a death in it, `clean`, a look at what is left, and the next run, which has to pass."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import rehearsals

from faults import leftovers
from faults.moments import Moment
from faults.wire import Wire
from workbook.emulator import Emulator

ROOT = Path(__file__).resolve().parent.parent.parent
LESSONS = ("--only", "01", "03", "05", "--quick")
CLEAN = {"embedded": ("clean",), "aws": ("clean", "--target", "aws")}  # the command line that has to leave nothing
_RUN_LIMIT_S = 400  # many times what three lessons take
GONE_S = 10  # a guard needs a moment after the death of what it guards
_CMDLINES = {"kernel": "ipykernel_launcher", "emulator": "workbook.emulator.launch"}
# A shell's own settings would lead somewhere else than the trial's.
_OTHERS = ("AWS_", "WORKBOOK_", "PYTHONPATH", "TMPDIR", "LOCALSTACK_")


class LateError(Exception):
    """A run ended before its moment came: well, and so it is a measurement of how long one takes."""

    def __init__(self, took_s: float) -> None:
        super().__init__(took_s)
        self.took_s = took_s


class UndisturbedError(Exception):
    """A run failed that nobody disturbed, so that nothing can be learned by disturbing it."""


@dataclass
class Scene:
    """Where a moment happens: a folder with temporary files and results of its own, and on aws an account of its own."""

    target: str
    lessons: Sequence[str]
    place: Path
    variables: dict[str, str] = field(default_factory=dict)
    wire: Wire | None = None
    account: Emulator | None = None

    def __post_init__(self) -> None:
        self.temporary, self.results = self.place / "tmp", self.place / "results"
        self.temporary.mkdir(parents=True)
        self.before = leftovers.groups() | self.in_account()

    def command(self, name: str, *arguments: str, results: Path | None = None) -> subprocess.Popen[bytes]:
        """Start `python -m workbook` with these arguments, and everything that it says in a file of that name.

        With other `results` than its own it knows nothing of the scene's runs, as on another machine.
        """
        shell = {key: value for key, value in os.environ.items() if not key.startswith(_OTHERS)}
        own = {"TMPDIR": str(self.temporary), "WORKBOOK_RESULTS": str(results or self.results)}
        with (self.place / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "workbook", *arguments],
                env=shell | self.variables | own,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, name: str) -> subprocess.Popen[bytes]:
        """Start a run of the lessons."""
        return self.command(name, "run", *self.lessons, "--target", self.target)

    def left(self, *, results: bool) -> list[str]:
        """Return what is left, after the guards had their moment; of the results folder only if asked."""
        deadline = time.monotonic() + GONE_S
        while (found := self.there(results=results)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def there(self, *, results: bool) -> list[str]:
        """Return what is there at this moment that wasn't before the scene, each in a line of its own."""
        running = [f"process {pid}: {line}" for pid, line in leftovers.processes(self.place).items()]
        written = leftovers.files(self.temporary) | (leftovers.files(self.results) if results else set())
        return sorted([*running, *written, *((leftovers.groups() | self.in_account()) - self.before)])

    def in_account(self) -> set[str]:
        """Return what stands in the scene's account, as its root sees it; nothing where it has none."""
        return leftovers.in_account(rehearsals.root(self.account)) if self.account else set()


@contextmanager
def scene(target: str, lessons: Sequence[str], place: Path) -> Iterator[Scene]:
    """Set the scene of a moment on a target: the account and the way to it stand outside its folder. End all of it after."""
    if target != "aws":
        yield Scene(target, lessons, place)
        return
    with (
        tempfile.TemporaryDirectory(prefix="workbook-faults-account-") as folder,
        rehearsals.account(Path(folder)) as account,
        Wire(account.endpoint) as wire,
    ):
        variables = rehearsals.principal(account) | {"AWS_ENDPOINT_URL": wire.endpoint}
        yield Scene(target, lessons, place, variables, wire, account)


def measure(target: str, lessons: Sequence[str]) -> float:
    """Return how many seconds an undisturbed run takes.

    Raises:
        UndisturbedError: it fails.
    """
    with (
        tempfile.TemporaryDirectory(prefix="workbook-faults-") as folder,
        scene(target, lessons, Path(folder)) as where,
    ):
        status, took_s = _ended(where.run("undisturbed"))
        _assert_undisturbed(status, where, "undisturbed")
        return took_s


def attempt(moment: Moment, length_s: float, lessons: Sequence[str] = LESSONS) -> dict[str, Any]:
    """Try one moment of a run that takes so many seconds, and return what came of it; `passed` says whether all was well.

    The folder of a moment that didn't pass stays, with all that its commands said.

    Raises:
        LateError, UndisturbedError: the run ended before the moment came, well or not.
    """
    place = Path(tempfile.mkdtemp(prefix="workbook-faults-"))
    try:
        with scene(moment.target, lessons, place) as where:
            facts = _attempt(moment, length_s, where)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    if facts["passed"]:
        shutil.rmtree(place)
    return facts | ({} if facts["passed"] else {"place": str(place)})


def _attempt(moment: Moment, length_s: float, where: Scene) -> dict[str, Any]:
    at_s = moment.fraction * length_s
    runner = where.run("disturbed")
    with _not_outliving(runner):
        killed = _strike(moment, at_s, runner, where)
        _stop_once_noticed(runner, where)
        status, _ = _ended(runner)
    if where.wire and killed == "network":
        where.wire.mend()
    stood = where.there(results=True)
    left = _left_elsewhere(moment, where)
    cleaned, _ = _ended(where.command("clean", *CLEAN[moment.target]))
    left += where.left(results=True)
    passed, took_s = _ended(where.run("next"))
    left_after = where.left(results=False)
    return {
        **moment.key,
        "victim": killed,
        "drawn": moment.victim,
        "at_s": round(at_s, 3),
        "length_s": round(length_s, 3),
        "run_ended": status,
        "stood_before_clean": len(stood),
        "clean_ended": cleaned,
        "left": left,
        "next_ended": passed,
        "next_s": round(took_s, 3),
        "left_after_next": left_after,
        "passed": cleaned == passed == 0 and not left and not left_after,
    }


def _left_elsewhere(moment: Moment, where: Scene) -> list[str]:
    """Return what is left in the account if every other moment is cleaned from another machine, by tags alone."""
    if moment.number % 2 == 0 or "--target" not in CLEAN[moment.target]:
        return []
    elsewhere = where.place / "elsewhere"
    _ = _ended(where.command("elsewhere", *CLEAN[moment.target], results=elsewhere))
    return [f"{one} (cleaned from another machine)" for one in sorted(where.in_account() - where.before)]


def _strike(moment: Moment, at_s: float, runner: subprocess.Popen[bytes], where: Scene) -> str:
    """Wait for the moment, kill the victim, and return what it was: the runner where there is no other yet, or any more.

    Raises:
        LateError, UndisturbedError: the run ended before, well or not.
    """
    begun_s = time.monotonic()
    with suppress(subprocess.TimeoutExpired):
        _assert_undisturbed(runner.wait(at_s), where, "disturbed")
        raise LateError(time.monotonic() - begun_s)
    if moment.victim == "network":
        where.wire.cut()
        return "network"
    with suppress(psutil.NoSuchProcess):  # it ended just now
        if candidates := _candidates(moment.victim, runner):
            candidates[int(moment.choice * len(candidates))].kill()
            return moment.victim
    runner.kill()
    return "runner"


def _stop_once_noticed(runner: subprocess.Popen[bytes], where: Scene) -> None:
    """Stop a run that survived, as a learner would who sees its first lesson fail: what it does after that tells nothing."""
    deadline = time.monotonic() + _RUN_LIMIT_S
    while runner.poll() is None and time.monotonic() < deadline:
        reports = [json.loads(path.read_text()) for path in where.results.glob("*/run.json")]
        if any(one["status"] == "failed" for report in reports for one in report["notebooks"]):
            runner.terminate()
            return
        time.sleep(0.1)


def _candidates(victim: str, runner: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the run's own kernels or emulators, oldest first; none for the runner."""
    found = []
    for process in psutil.Process(runner.pid).children(recursive=True) if victim in _CMDLINES else ():
        with suppress(psutil.Error):
            if any(_CMDLINES[victim] in word for word in process.cmdline()):
                found.append(process)
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def _assert_undisturbed(status: int | str, where: Scene, name: str) -> None:
    if status != 0:
        said = (where.place / f"{name}.log").read_text(errors="replace")
        raise UndisturbedError(f"A run that nobody disturbed ended with {status}. It said:\n{said}")


def _ended(process: subprocess.Popen[bytes]) -> tuple[int | str, float]:
    """Wait for a command's end, and return its status, or that it never ended, and the seconds that it took."""
    begun_s, status = time.monotonic(), f"did not end within {_RUN_LIMIT_S} s"
    with _not_outliving(process), suppress(subprocess.TimeoutExpired):
        status = process.wait(_RUN_LIMIT_S)
    return status, time.monotonic() - begun_s


@contextmanager
def _not_outliving(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """See to it that a command doesn't outlive the block; its guards end what it started."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
