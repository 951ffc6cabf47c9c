"""The record: one row per call, the same columns on every target, and the JSON lines that keep it.

Everything below this module on the street speaks in records. A value that a target can't give is `None`, never invented.
"""

import errno
import json
import os
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from workbook.errors import ParameterError, SetupError


class Provenance(StrEnum):
    """Where a number comes from. It travels with the number to every table, figure and verdict."""

    EMULATED = "emulated"  # timed on an emulator: shows a mechanism, decides no magnitude on AWS
    MEASURED = "measured"  # timed on a real AWS account
    PUBLISHED = "published"  # somebody else's measurement, with source and date
    PRICED = "priced"  # computed from the price book
    SIMULATED = "simulated"  # computed by a model
    DOCUMENTED = "documented"  # stated by AWS's documentation

    def on(self, basis: str) -> str:
        """Return the provenance of a number that was computed from others.

        >>> Provenance.PRICED.on(Provenance.PUBLISHED)
        'priced from published'
        """
        return f"{self} from {basis}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One invocation or HTTP request. Durations are in milliseconds, on five clocks that are never mixed.

    `client_ms` is the caller's own clock, from `intended_at` where a plan said when the call was due and otherwise from
    `started_at`, to the last byte of the answer. `gateway_ms` is what an API says of itself, `init_ms` and `duration_ms`
    come from the REPORT line, `handler_ms` was taken inside the handler.
    """

    run_id: str
    experiment: str
    variant: str = ""
    attempt: int = 1
    counts_as: str = "result"  # result | warm-up | wrong temperature | error; only results are ever summarised
    target: str
    region: str
    function: str
    via: str  # invoke | http_api | rest_api | function_url
    memory_mb: int | None = None
    runtime: str | None = None  # the interpreter that really ran
    arch: str | None = None
    intended_at: str | None = None  # UTC, ISO 8601: when the call was due
    started_at: str  # UTC, ISO 8601: when it went
    temperature: str | None = None  # cold | warm | provisioned
    environment: str | None = None  # the environment's log stream
    client_ms: float
    gateway_ms: float | None = None
    init_ms: float | None = None
    duration_ms: float | None = None
    handler_ms: float | None = None
    billed_ms: float | None = None
    max_memory_mb: int | None = None
    status: int
    error_type: str | None = None
    request_id: str | None = None
    provenance: Provenance

    def to_row(self) -> dict[str, Any]:
        """Return the record as a dict of plain values, in the order of the columns."""
        return {name: str(value) if isinstance(value, Provenance) else value for name, value in asdict(self).items()}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Return the record that `to_row` wrote.

        Raises:
            ParameterError: the row has a column that a record doesn't know.
        """
        unknown = sorted(row.keys() - set(COLUMNS))
        if unknown:
            raise ParameterError(
                f"A record has no column {unknown[0]!r}.",
                why="Rows of another format would be read as something that they are not.",
                fix=f"The columns are: {', '.join(COLUMNS)}.",
            )
        return cls(**{**row, "provenance": Provenance(row["provenance"])})


COLUMNS = tuple(field.name for field in fields(Record))


def read_records(path: Path) -> list[Record]:
    """Return the records of a file, in the order of the calls.

    A later line about the same call replaces the earlier one: it is the same record, completed by its REPORT line.

    Raises:
        ParameterError, SetupError: as `Record.from_row` and `read_lines` do.
    """
    records = (Record.from_row(row) for row in read_lines(path))
    return list({(record.request_id, record.started_at, record.attempt): record for record in records}.values())


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Append one row to a file of JSON lines, at once and whole: what this returns from has been handed to the system.

    Raises:
        SetupError: the line can't be written, because the disk is full or the folder is not writable. The lines before
            it stay as they are, and nothing of this one stays.
    """
    line = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            length = file.seek(0, os.SEEK_END)
            if (written := file.write(line)) != len(line):
                file.truncate(length)
                raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes fitted")
    except OSError as error:
        raise SetupError(
            f"{path.name} can't be written: {error.strerror}.",
            why="A record that isn't kept is lost; those written before are safe.",
            fix=f"Make room or fix the permissions of {path.parent}, then run again with --resume.",
        ) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines; a file that doesn't exist has none.

    A last line that was cut short (its writer was killed while writing) is left out. A broken line before the last is not
    explained by that.

    Raises:
        SetupError: a line before the last is not JSON.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            if line:
                rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise SetupError(
                f"Line {number} of {path} is not JSON: {line[:60]!r}.",
                why="A record file that was edited by hand can't be trusted.",
                fix="Delete that line or the file, then run again.",
            ) from error
    return rows
