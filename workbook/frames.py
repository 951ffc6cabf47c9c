"""Records as tidy tables: one row per call, one column per quantity."""

from collections.abc import Iterable

import pandas as pd

from workbook.records import COLUMNS, Record

_TIMES = ("intended_at", "started_at")
_FLOATS = ("client_ms", "gateway_ms", "init_ms", "duration_ms", "handler_ms", "billed_ms")
_INTEGERS = ("attempt", "memory_mb", "max_memory_mb", "status")


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
