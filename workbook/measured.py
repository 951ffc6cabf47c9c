"""What contributors measured on AWS with this workbook: one file a run, without identifiers, checked line by line.

`contribution` writes such files, and data/reference/measured/README.md says what stands in them. Calls of two runs are never
pooled: another caller has another way to the region.
"""

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import botocore.session
import pandas as pd

from workbook import frames
from workbook.errors import ParameterError
from workbook.published import FOLDER as REFERENCE
from workbook.records import Provenance

FOLDER = REFERENCE / "measured"
LICENCE = (
    "CC0-1.0"  # figures that anybody may use for anything, as NOTICE asks nothing more of data than that it is named
)
NOTHING = "None yet: python -m workbook contribute"  # pandas shows no more than 50 characters of a cell

_BEGINNING = date(2014, 11, 13)  # https://aws.amazon.com/blogs/aws/run-code-cloud/
_IDENTIFIERS = {
    "an account's 12 digits": r"(?<!\d)\d{12}(?!\d)",
    "an ARN": r"(?i)\barn:",
    "an access key": r"\b(AKIA|ASIA|AROA|AIDA)[A-Z0-9]{8,}",
    "a UUID": r"(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    "a hexadecimal id": r"(?i)\b[0-9a-f]{16,}\b",
    "a run id": r"\b\d{8}-\d{6}-[0-9a-f]{4}\b",
    "an address": r"(?i)execute-api|lambda-url|amazonaws|\.on\.aws|://|@|\b\d{1,3}(\.\d{1,3}){3}\b",
    "a resource's name": r"\bwb-|/aws/",
}


@dataclass(frozen=True)
class Column:
    """What may stand in a column: as a whole it matches the pattern, and is in words what `says` says."""

    pattern: str
    says: str
    dtype: str = "string"
    holds: Callable[[str], bool] = lambda _: True


def _one_of(*words: str, blank: bool = False) -> Column:
    return Column("|".join(map(re.escape, words)) + ("|" if blank else ""), f"one of {', '.join(words)}")


def _is_day(text: str) -> bool:
    try:
        return _BEGINNING <= date.fromisoformat(text) <= datetime.now(UTC).date()
    except ValueError:
        return False


@cache
def _regions() -> frozenset[str]:
    """Return the regions that have Lambda, as far as the installed botocore knows."""
    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(region for one in partitions for region in session.get_available_regions("lambda", one))


_LABEL = Column(r"[^\x00-\x1f]{0,80}", "a label of at most 80 characters")
_NAME = Column(r"[\w.+-]{0,64}", "a name of at most 64 letters, digits and .+-")
_COUNT = Column(r"\d{1,6}|", "a whole number, or blank", "Int64")
_MS = Column(r"\d{1,7}(\.\d{1,3})?|", "milliseconds with at most three decimals, or blank", "float64")
COLUMNS: Mapping[str, Column] = {
    "date": Column(r"\d{4}-\d\d-\d\d", f"a day from {_BEGINNING} to today", "datetime64[us]", _is_day),
    "region": Column(r"[a-z0-9-]+", "a region that has Lambda", holds=lambda text: text in _regions()),
    "workbook": Column(r"\d+\.\d+\.\d+", "a version, such as 0.1.0"),
    "revision": Column(r"([0-9a-f]{10}\+?)?", "ten digits of a revision, with a plus if files differed, or blank"),
    "lesson": Column(r"\w{1,60}", "the name of a lesson"),
    "experiment": _LABEL,
    "variant": _LABEL,
    "attempt": Column(r"\d{1,6}", "a whole number", "Int64"),
    "counts_as": _one_of("result", "warm-up", "wrong temperature", "error"),
    "via": _one_of("invoke", "http_api", "rest_api", "function_url"),
    "memory_mb": _COUNT,
    "runtime": _NAME,
    "arch": _one_of("x86_64", "arm64", blank=True),
    "temperature": _one_of("cold", "warm", "provisioned", blank=True),
    "environment": _COUNT,
    **dict.fromkeys(frames.CLOCKS_MS, _MS),
    "max_memory_mb": _COUNT,
    "status": Column(r"\d{3}", "an HTTP status", "Int64"),
    "error_type": _NAME,
    "provenance": _one_of(str(Provenance.MEASURED)),
    "licence": _one_of(LICENCE),
}


def calls(folder: Path = FOLDER) -> pd.DataFrame:
    """Return one row per contributed call, with the columns of the files and the name of its file as `contribution`.

    Clocks are in milliseconds, as in a record; `environment` tells one run's environments apart. Without any file the
    table has the same columns and no row.

    Raises:
        ParameterError: a file is malformed; the message names it, the line and the reason.
    """
    rows = [{"contribution": path.stem, **row} for path in sorted(folder.glob("*.csv")) for row in read(path)]
    types = {"contribution": "string"} | {name: column.dtype for name, column in COLUMNS.items()}
    table = pd.DataFrame(rows, columns=list(types)).replace("", None)
    numeric = [name for name, dtype in types.items() if dtype in ("Int64", "float64")]
    table[numeric] = table[numeric].apply(pd.to_numeric)
    return table.astype(types)


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of one contributed file as they stand there, each cell checked.

    Raises:
        ParameterError: the file can't be read, is malformed, or holds what looks like an identifier.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise _malformed(path, "can't be read", str(error)) from error
    if not rows or rows[0] != list(COLUMNS):
        raise _malformed(path, "line 1", f"the columns have to be {','.join(COLUMNS)}")
    if len(rows) == 1:
        raise _malformed(path, "line 2", "there is no call")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(COLUMNS):
            raise _malformed(path, f"line {number}", f"{len(row)} cells stand under {len(COLUMNS)} columns")
        for (name, column), cell in zip(COLUMNS.items(), row, strict=True):
            if kind := identifier(cell):
                raise _malformed(path, f"line {number}", f"{name} holds what looks like {kind}")
            if not (re.fullmatch(column.pattern, cell) and column.holds(cell)):
                raise _malformed(path, f"line {number}", f"{name} is {cell[:40]!r}, not {column.says}")
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]


def identifier(text: str) -> str | None:
    """Return what kind of identifier a text seems to hold, in words such as "an ARN", or None."""
    return next((kind for kind, pattern in _IDENTIFIERS.items() if re.search(pattern, text)), None)


def table(
    lesson: str, experiment: str, *, clock: str = "client_ms", by: str = "variant", folder: Path = FOLDER
) -> pd.DataFrame:
    """Return what contributors measured in one experiment: a row per run and variant, on one clock, in milliseconds.

    Median and 95th percentile stand with their intervals, as in `frames.summary`. `by` names another column to tell calls
    apart by. If nobody has contributed it, one row says how to.

    Raises:
        ParameterError: a file is malformed, or there is no such clock.
    """
    said = []
    for run in _runs(lesson, experiment, folder):
        summary = frames.summary(run.assign(variant=run[by]), clock).rename_axis(by).reset_index()
        said.append(summary.assign(region=run["region"].iloc[0], date=run["date"].iloc[0]))
    return _shown(said, ["region", "date", by, "n", "median_ms", "interval_ms", "p95_ms", "dropped", "provenance"])


def compared(
    lesson: str, experiment: str, base: str, other: str, *, clock: str = "client_ms", folder: Path = FOLDER
) -> pd.DataFrame:
    """Return how two variants compare in each contributed run: the other median minus the base's, and what follows.

    Raises:
        ParameterError: a file is malformed, or there is no such clock.
    """
    said = []
    for run in _runs(lesson, experiment, folder):
        counted = frames.results(run).dropna(subset=clock)["variant"]
        if {base, other} <= set(counted):
            found = frames.compare(run, clock, base, other)
            row = {"n": found.n_base + found.n_other, "difference_ms": found.difference}
            row |= {"interval_ms": found.difference_interval, "verdict": str(found)}
            said.append(pd.DataFrame([row]).assign(region=run["region"].iloc[0], date=run["date"].iloc[0]))
    said = [one.assign(provenance=str(Provenance.MEASURED)) for one in said]
    return _shown(said, ["region", "date", "n", "difference_ms", "interval_ms", "verdict", "provenance"])


def doors(folder: Path = FOLDER) -> pd.DataFrame:
    """Return what lesson 02 measured of each door on AWS: what a client waited for a warm call. See `table`."""
    return table("02_front_door", "doors", folder=folder)


def rest_against_http(folder: Path = FOLDER) -> pd.DataFrame:
    """Return how much longer a warm call through a REST API took than through an HTTP API, run by run. See `compared`."""
    return compared("02_front_door", "doors", "HTTP API 2.0", "REST API", folder=folder)


def provisioned_starts(folder: Path = FOLDER) -> pd.DataFrame:
    """Return what lesson 07's bursts on provisioned environments waited, by temperature: spill-over is cold. See `table`."""
    return table("07_concurrency", "bursts", by="temperature", folder=folder)


def _runs(lesson: str, experiment: str, folder: Path) -> list[pd.DataFrame]:
    """Return the contributed calls of one experiment, a table per run."""
    found = calls(folder)
    found = found[(found["lesson"] == lesson) & (found["experiment"] == experiment)]
    found = found.assign(target="aws", variant=found["variant"].fillna(""))
    return [run for _, run in found.groupby("contribution")]


def _shown(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Return the tables as one, or, where there is none, a row that says how to contribute."""
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame({"measured": [NOTHING]})


def _malformed(path: Path, where: str, reason: str) -> ParameterError:
    return ParameterError(
        f"{path.name}, {where}: {reason}.",
        why="A contribution is shown as measured, so every line of it has to be what it says.",
        fix="Make the file anew with `python -m workbook contribute`, or take it out of the folder.",
    )
