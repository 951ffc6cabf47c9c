"""Turns a finished run on AWS into a small file without identifiers, which others may use: see data/reference/measured/.

What goes in is listed column by column; nothing else of a run does. Then the file is read as any contribution is, which
refuses what looks like an identifier, and is searched for this run's own.
"""

import csv
import getpass
import hashlib
import io
import json
import math
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbook import measured
from workbook.errors import ParameterError
from workbook.frames import CLOCKS_MS
from workbook.lab import RESULTS
from workbook.records import Provenance, Record, read_lines, read_records
from workbook.runs.folder import RunFolder, Status, all_of, shown

_ERROR_TYPE = re.compile(r"[A-Za-z][\w.]{0,63}")  # AWS may add an address to its own
_LEFT_OUT = "account, user and host, run id, names and addresses of resources, request ids, log streams, times of day"


def contribute(
    folder: Path | None = None, *, out: Path | None = None, results: Path = RESULTS, say: Callable[[str], None] = print
) -> Path:
    """Write what a finished run measured on AWS into a file that can be given away, say what is in it, and return its path.

    Without a folder it is the newest run on AWS; without `out` the file goes to data/reference/measured/.

    Raises:
        ParameterError: the run is unfinished, failed, was not on AWS, or something in it looks like an identifier; or
            there is no run, or the file is there already.
    """
    folder = folder or _newest(results)
    facts = _facts(folder)
    records = {one["name"]: read_records(RunFolder(folder).records(one["name"])) for one in facts["notebooks"]}
    _assert_measured(folder, [record for lesson in records.values() for record in lesson])
    text = _text(_rows(facts, records))
    place = out or measured.FOLDER / f"{_name(facts, records, text)}.csv"
    _write(place, text, _own_identifiers(folder, records))
    for line in _account_of(place, measured.read(place)):
        say(line)
    return place


def _newest(results: Path) -> Path:
    for path in all_of(results):
        if (path / "run.json").exists() and RunFolder(path).read()["target"] == "aws":
            return path
    raise ParameterError(
        f"There is no run on AWS in {results}.",
        why="Only what AWS answered can be contributed.",
        fix="Run lessons with --target aws, or name the folder of such a run.",
    )


def _facts(folder: Path) -> dict[str, Any]:
    """Return what a run's `run.json` says.

    Raises:
        ParameterError: it isn't the folder of a run on AWS that ended well.
    """
    facts = RunFolder(folder).read()
    if facts["target"] != "aws":
        raise _refused(folder, f"was on the target {facts['target']}, not on aws")
    if not facts["finished"]:
        raise _refused(folder, "has not finished", fix=f"Go on with it: python -m workbook run --resume --out {folder}")
    for one in facts["notebooks"]:
        if one["status"] not in (Status.PASSED, Status.SKIPPED):
            again = f"Run it again: python -m workbook run --resume --out {folder}"
            raise _refused(folder, f"failed: {one['name']} is {one['status']}", fix=again)
    return facts


def _assert_measured(folder: Path, records: list[Record]) -> None:
    if not records:
        raise _refused(folder, "has no records")
    if other := {record.provenance for record in records} - {Provenance.MEASURED}:
        raise _refused(folder, f"holds numbers that are {min(other)}, as those of a rehearsal are")


def _rows(facts: Mapping[str, Any], records: Mapping[str, list[Record]]) -> Iterable[dict[str, Any]]:
    """Yield what is given away of each call. Environments are numbered in the order in which the run met them."""
    numbers: dict[str, int] = {}
    git = facts["git"]
    common = {
        "workbook": facts["versions"]["packages"]["serverless-workbook"],
        "revision": f"{git['revision'][:10]}{'+' * git['dirty']}" if git["revision"] else "",
        "licence": measured.LICENCE,
    }
    for lesson, calls in records.items():
        for record in calls:
            row = {name: value for name, value in record.to_row().items() if name in measured.COLUMNS}
            environment = record.environment and numbers.setdefault(record.environment, len(numbers) + 1)
            clocks = {clock: _milliseconds(row[clock]) for clock in CLOCKS_MS}
            own = {"lesson": lesson, "date": record.started_at[:10], "environment": environment}
            yield row | common | own | clocks | {"error_type": _error_type(record)}


def _milliseconds(value: float | None) -> str | None:
    """Return a duration to the microsecond, which is finer than any of the clocks."""
    return None if value is None or math.isnan(value) else f"{value:.3f}".rstrip("0").rstrip(".")


def _error_type(record: Record) -> str | None:
    """Return the kind of an error without what AWS or a handler says beside it."""
    kind = _ERROR_TYPE.match(record.error_type or "")
    return kind[0] if kind else record.error_type and str(record.status)


def _text(rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(measured.COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _name(facts: Mapping[str, Any], records: Mapping[str, list[Record]], text: str) -> str:
    """Return a name that says day and region, and is another one for other calls."""
    region = next(record.region for lesson in records.values() for record in lesson)
    return f"{facts['started'][:10]}-{region}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _own_identifiers(folder: Path, records: Mapping[str, list[Record]]) -> set[str]:
    """Return what would lead to this run, this account or this machine, as far as the run folder and the system know it."""
    known = {platform.node(), platform.node().partition(".")[0]}
    with suppress(OSError, KeyError):  # a process without a user's name
        known.add(getpass.getuser())
    for lesson in records.values():
        for record in lesson:
            known |= {record.run_id, record.function, record.environment or "", record.request_id or ""}
    for journal in folder.glob("journal/*.jsonl"):
        for line in read_lines(journal):
            known |= {line.get("account_id") or "", line.get("run_id") or "", line.get("owner") or ""}
    return known - {""}


def _write(place: Path, text: str, own: set[str]) -> None:
    """Write the file, unless it is there, or holds one of the run's own identifiers, or couldn't be read as a contribution.

    Raises:
        ParameterError: then nothing is written.
    """
    if place.exists():
        raise ParameterError(
            f"{place} is there already.",
            why="A file of another run, or one that was sent, would be lost.",
            fix="Remove it, or name another with --out.",
        )
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        for name in ("experiment", "variant", "error_type", "runtime", "lesson"):
            if any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", row[name]) for one in own):
                raise ParameterError(
                    f"{name} in line {number} would name this run, account, user or machine.",
                    why="A contribution is for everybody to read.",
                    fix="Choose another label in the notebook, and run it again.",
                )
    draft = place.with_name(f".{place.name}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        measured.read(draft)
        draft.replace(place)
    except OSError as error:
        raise ParameterError(
            f"{place} can't be written: {error.strerror}.",
            why="The contribution is a file.",
            fix="Name another place with --out.",
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _account_of(place: Path, rows: list[dict[str, str]]) -> Iterable[str]:
    """Yield what the contributor has to know before sending the file."""
    days, lessons, labels = ({row[name] for row in rows} for name in ("date", "lesson", "experiment"))
    labels |= {row["variant"] for row in rows} - {""}
    where = f"in {rows[0]['region']} on {', '.join(sorted(days))}"
    yield f"Wrote {shown(place)}: {len(rows)} calls of {', '.join(sorted(lessons))}, {where}."
    yield f"In it, for each call: {', '.join(measured.COLUMNS)}."
    yield f"Labels as the notebooks give them: {json.dumps(sorted(labels), ensure_ascii=False)}"
    yield f"Not in it: {_LEFT_OUT}."
    yield (
        f"Read it first. Who sends it gives it to everybody under {measured.LICENCE} "
        "(https://creativecommons.org/publicdomain/zero/1.0/): open a pull request that adds it to data/reference/measured/."
    )


def _refused(
    folder: Path,
    what: str,
    *,
    fix: str = "Name the folder of a finished run on AWS, or leave it out for the newest one.",
) -> ParameterError:
    return ParameterError(
        f"The run in {shown(folder)} {what}.", why="Only a whole run that AWS itself answered is ground truth.", fix=fix
    )
