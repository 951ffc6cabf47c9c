"""A run's folder: where everything that a run finds out is kept, written at once, so that a crash loses nothing.

data/results/<run id>/
    run.json            what was asked for and what came of it, rewritten whole after every notebook
    notebooks/          the executed notebooks
    records/  journal/  what the lessons wrote line by line; records.parquet holds all records
    logs/               of every kernel and every emulator
    junit.xml           the same outcomes for a build server
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

from workbook.errors import ParameterError, SetupError
from workbook.frames import frame
from workbook.records import read_records

# https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


class Status(StrEnum):
    """How a notebook ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one notebook in one run."""

    name: str
    content: str  # what identifies its work: see `notebook.content_hash`
    status: Status = Status.INTERRUPTED
    seconds: float = 0.0
    cells_run: int = 0
    cells: int = 0
    error: str | None = None  # one sentence
    skip_reasons: tuple[str, ...] = ()
    not_tested: tuple[str, ...] = ()  # conclusions that it left out, each with the reason
    detail: str = ""  # the traceback, or the end of the log that tells why

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Self:
        """Return the outcome that `run.json` holds."""
        lists = {name: tuple(facts.get(name, ())) for name in ("skip_reasons", "not_tested")}
        return cls(**facts | lists | {"status": Status(facts["status"])})

    @property
    def remark(self) -> str:
        """What is to be said beside the status: the error, or why it was skipped."""
        return self.error or " ".join(self.skip_reasons)


class RunFolder:
    """The folder of one run, held by one process at a time. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def __enter__(self) -> Self:
        """Make the folder if it is missing, and hold it until the process ends or the block does.

        Raises:
            SetupError: the folder can't be made or written, or another process holds it.
        """
        try:
            for part in ("notebooks", "records", "journal", "logs"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
            self._lock = self._lock_file.open("w")
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise SetupError(
                f"The run folder {self.path} is in use by another run.",
                why="Two runs would write over each other.",
                fix="Wait for it to end, or leave out --out and --resume to get a folder of your own.",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)  # in the run folder, so that what stays is no stray either
        self._lock.close()

    def hold_through_exec(self) -> None:
        """Go on holding the folder in the program that this process becomes."""
        os.set_inheritable(self._lock.fileno(), True)

    def in_use(self) -> bool:
        """Return whether a process holds the folder."""
        if not self._lock_file.exists():
            return False
        with self._lock_file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def _lock_file(self) -> Path:
        return self.path / ".lock"

    @property
    def scratch(self) -> Path:
        """Where kernels keep what nobody needs after the run."""
        return self.path / ".scratch"

    def executed(self, name: str) -> Path:
        """Return where the executed notebook of a lesson is."""
        return self.path / "notebooks" / f"{name}.ipynb"

    def records(self, name: str) -> Path:
        """Return where the records of a lesson are."""
        return self.path / "records" / f"{name}.jsonl"

    def journal(self, name: str) -> Path:
        """Return where the journal of a lesson is."""
        return self.path / "journal" / f"{name}.jsonl"

    def log(self, name: str, of: str) -> Path:
        """Return where the log of a lesson's kernel or emulator is."""
        return self.path / "logs" / f"{name}.{of}.log"

    def read(self) -> dict[str, Any]:
        """Return what `run.json` says.

        Raises:
            ParameterError: this is not the folder of a run.
        """
        try:
            return json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise ParameterError(
                f"{self.path} has no readable run.json.",
                why="Without it nobody knows what that run was about.",
                fix="Name the folder of a run with --out, or leave out --resume.",
            ) from error

    def set_aside(self, name: str) -> None:
        """Move a lesson's records of an earlier attempt out of the way of the next one. None of them is lost."""
        records = self.records(name)
        if records.exists():
            aside = records.parent / "earlier"
            aside.mkdir(exist_ok=True)
            records.replace(aside / f"{name}-{len(list(aside.glob(f'{name}-*'))) + 1}.jsonl")

    def write_report(self, report: dict[str, Any], outcomes: Iterable[Outcome]) -> None:
        """Write `run.json`, whole or not at all.

        Raises:
            SetupError: it can't be written.
        """
        notebooks = [{key: value for key, value in asdict(one).items() if key != "detail"} for one in outcomes]
        text = json.dumps(report | {"notebooks": notebooks}, indent=2, ensure_ascii=False)
        self._replace("run.json", text.encode() + b"\n")

    def write_summaries(self, outcomes: Iterable[Outcome]) -> None:
        """Write `records.parquet` and `junit.xml` from what the run has left.

        Raises:
            SetupError: they can't be written.
        """
        outcomes = list(outcomes)
        records = (record for one in outcomes for record in read_records(self.records(one.name)))
        self._replace("records.parquet", frame(records).to_parquet())
        self._replace("junit.xml", _junit(self.path.name, outcomes))

    def _replace(self, name: str, content: bytes) -> None:
        draft = self.path / f".{name}"
        try:
            draft.write_bytes(content)
            draft.replace(self.path / name)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise _unwritable(self.path / name, error) from error


def shown(path: Path) -> Path:
    """Return a path as a reader wants to see and type it: without the part that leads to where they are."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def all_of(results: Path) -> list[Path]:
    """Return the run folders in a results folder, the one that was touched last first."""
    folders = [
        path
        for path in results.glob("[!.]*/")
        if any((path / part).exists() for part in ("run.json", "journal", "records"))
    ]
    return sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)


def _unwritable(path: Path, error: OSError) -> SetupError:
    return SetupError(
        f"{path} can't be written: {error.strerror}.",
        why="What a run finds out is kept there, and what was kept before is safe.",
        fix="Make room or fix the permissions, or name another place with --out.",
    )


def _junit(run: str, outcomes: list[Outcome]) -> bytes:
    """Return the outcomes in the XML format that build servers read (https://github.com/testmoapp/junitxml)."""
    counts = {status: sum(one.status is status for one in outcomes) for status in Status}
    suite = ElementTree.Element(
        "testsuite",
        name=_for_xml(run),
        tests=str(len(outcomes)),
        failures=str(counts[Status.FAILED]),
        errors=str(counts[Status.INTERRUPTED]),
        skipped=str(counts[Status.SKIPPED]),
        time=f"{sum(one.seconds for one in outcomes):.3f}",
    )
    for one in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname="notebooks", name=_for_xml(one.name), time=f"{one.seconds:.3f}"
        )
        tag = {Status.FAILED: "failure", Status.INTERRUPTED: "error", Status.SKIPPED: "skipped"}.get(one.status)
        if tag:
            ElementTree.SubElement(case, tag, message=_for_xml(one.remark)).text = _for_xml(one.detail)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _for_xml(text: str) -> str:
    """Return a text without the characters that XML 1.0 can't hold."""
    return _NOT_XML.sub("", text)
