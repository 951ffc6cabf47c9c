"""Records as tidy tables: one row per call, one column per quantity; and what such a table says, with its doubts."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from workbook import statistics, targets
from workbook.errors import ParameterError
from workbook.records import COLUMNS, Record

_TIMES = ("intended_at", "started_at")
_FLOATS = ("client_ms", "gateway_ms", "init_ms", "duration_ms", "handler_ms", "billed_ms")
_INTEGERS = ("attempt", "memory_mb", "max_memory_mb", "status")

# The steps in which each clock counts: REPORT gives hundredths and bills whole milliseconds, a gateway gives whole ones.
# https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
CLOCKS_MS = {
    "client_ms": 0.001,
    "gateway_ms": 1.0,
    "init_ms": 0.01,
    "duration_ms": 0.01,
    "handler_ms": 0.001,
    "billed_ms": 1.0,
}

_NO_VALUE = statistics.Doubt(
    "No call that counts has a value.", "Look at the summary: it says what became of the calls."
)


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per record, with every column of a record and the same types whether or not there are rows.

    Times are UTC timestamps, durations floats in milliseconds, counts nullable integers, everything else text. What a
    target couldn't give is missing.
    """
    table = pd.DataFrame([record.to_row() for record in records], columns=COLUMNS)
    types = dict.fromkeys(COLUMNS, "string")
    types |= dict.fromkeys(_FLOATS, "float64") | dict.fromkeys(_INTEGERS, "Int64")
    types |= dict.fromkeys(_TIMES, "datetime64[us, UTC]")
    return table.astype(types)


def results(table: pd.DataFrame) -> pd.DataFrame:
    """Return the calls that count: without warm-ups, errors, and calls that were not proven to be cold or warm as planned."""
    return table[table["counts_as"] == "result"]


def summary(table: pd.DataFrame, clock: str) -> pd.DataFrame:
    """Return what one clock says of each variant: median and 95th percentile, each with its interval, and how many count.

    The index is `variant`, in the order in which the variants come first. `n` calls count; `warm_ups` were kept apart, and
    `dropped` were errors or not proven to be cold or warm as planned. An interval holds the true value in 95 % of such
    measurements, and has a question mark for a side that needs more values. Where a variant has no value at all, its
    figures are missing.

    Raises:
        ParameterError: there is no such clock.
    """
    _check_clock(clock)
    rows = {}
    for variant, calls in table.groupby("variant", sort=False):
        values = _values(calls, clock)
        said = statistics.summarise(values) if values else None
        rows[variant] = {
            "n": len(values),
            "median_ms": said and said.median,
            "interval_ms": said and said.median_interval,
            "p95_ms": said and said.p95,
            "p95_interval_ms": said and said.p95_interval,
            "warm_ups": int((calls["counts_as"] == "warm-up").sum()),
            "dropped": int(calls["counts_as"].isin(["wrong temperature", "error"]).sum()),
            "provenance": _provenance(calls),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")


def compare(table: pd.DataFrame, clock: str, base: str, other: str) -> statistics.Comparison:
    """Return how the medians of two variants compare on one clock, or how many more calls it would take to say.

    Raises:
        ParameterError: there is no such clock, or a variant has no call that counts.
    """
    _check_clock(clock)
    pair = table[table["variant"].isin([base, other])]
    values = {variant: _values(pair[pair["variant"] == variant], clock) for variant in (base, other)}
    if missing := [variant for variant in values if not values[variant]]:
        raise ParameterError(
            f"No call of {missing[0]!r} counts on {clock}.",
            why="Nothing can be compared with nothing.",
            fix=f"Look at summary(table, {clock!r}): it says which variants there are, and what became of their calls.",
        )
    return statistics.compare(values[base], values[other], base=base, other=other, provenance=_provenance(pair))


@dataclass(frozen=True)
class Caveats:
    """What to keep in mind about a measurement: doubts with their remedies, and what the target does to the clock."""

    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def caveats(table: pd.DataFrame, clock: str) -> Caveats:
    """Return what is to be doubted about each variant's values on one clock, and what of them is the target's doing.

    Raises:
        ParameterError: there is no such clock.
    """
    _check_clock(clock)
    doubted: dict[str, list[str]] = {}
    for variant, calls in table.groupby("variant", sort=False):
        values = _values(calls, clock)
        found = statistics.doubts(values, resolution_ms=CLOCKS_MS[clock]) if values else [_NO_VALUE]
        for doubt in found:
            doubted.setdefault(str(doubt), []).append(variant)
    lines = [f"? {', '.join(variants)}: {said}" for said, variants in doubted.items()]
    lines += [f"≠ {said}" for target in table["target"].unique() if (said := targets.artefact(target, clock))]
    return Caveats(tuple(lines or ["Nothing to doubt."]))


def _values(calls: pd.DataFrame, clock: str) -> list[float]:
    return results(calls)[clock].dropna().tolist()


def _provenance(calls: pd.DataFrame) -> str:
    return ", ".join(calls["provenance"].unique())


def _check_clock(clock: str) -> None:
    if clock not in CLOCKS_MS:
        raise ParameterError(
            f"There is no clock {clock!r}.",
            why="Each clock runs somewhere else, and they are never mixed.",
            fix=f"The clocks are: {', '.join(CLOCKS_MS)}.",
        )
