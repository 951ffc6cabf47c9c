"""What others measured on AWS, as tidy tables: every row with its source, its day and its provenance.

Where the rows come from, under which licence, and how sure they are: data/reference/README.md.
"""

from pathlib import Path

import pandas as pd

from workbook.records import Provenance

FOLDER = Path(__file__).resolve().parent.parent / "data" / "reference"
SNAPSHOT = "2026-08-22"  # the one day of which every single sample is kept

_TEXTS = ("source", "runtime", "arch", "package", "workload", "metric", "door", "region", "source_url", "note")
_TYPES = dict.fromkeys(_TEXTS, "string") | dict.fromkeys(("memory_mb", "sample", "samples"), "Int64")
_TYPES |= {"value_ms": "float64"}


def cold_starts() -> pd.DataFrame:
    """Return one row per published figure, in milliseconds; figures that nobody has confirmed are left out.

    A `metric` is never mixed with another: `init_*` is the Init Duration of the REPORT line, `cold_*` is that and the
    first duration together, `warm_*` the duration of later calls, `e2e_*` what a client saw; `idle_instance_lifetime*`
    is no start at all, but how long an idle environment was kept. A date that is given as a month stands on its first
    day. What a source doesn't say is missing. What AWS itself states is `documented`, everything else `published`.
    """
    table = _read("cold_starts_published.csv").dropna(subset="value_ms").reset_index(drop=True)
    stated = table["source"] == "AWS documentation"
    return table.assign(provenance=_provenance(table).mask(stated, str(Provenance.DOCUMENTED)))


def init_durations() -> pd.DataFrame:
    """Return every Init Duration, in milliseconds, that lambda-perf took of a hello world on one day: ten per variant.

    A variant is a runtime, an architecture, a memory size and a package (zip or image). The time to place and download
    the code is not in an Init Duration.
    """
    table = _read(f"lambda_perf_raw_{SNAPSHOT}.csv")
    return table.assign(
        date=pd.Series(SNAPSHOT, index=table.index, dtype="datetime64[us]"),
        source=pd.Series("lambda-perf", index=table.index, dtype="string"),
        provenance=_provenance(table),
    )


def init_history() -> pd.DataFrame:
    """Return what lambda-perf measured on one day of each month: median and mean Init Duration, in milliseconds.

    Zip packages of 128 and 1,024 MB only. Rows whose runtime ends in "snapstart" are that project's own reading of a
    restore, and not comparable with an Init Duration.
    """
    table = _read("lambda_perf_history.csv")
    return table.assign(provenance=_provenance(table))


def latencies() -> pd.DataFrame:
    """Return what was published about the time that a door takes, in milliseconds: REST API, HTTP API, function URL.

    `e2e_*` is what a client saw, its function and network included, so that only rows of one source can be compared.
    `overhead_p99_below` is AWS's own upper bound of what an HTTP API adds, and `documented`; the rest is `published`.
    """
    table = _read("latency_published.csv")
    return table.assign(provenance=_provenance(table).mask(table["source"] == "AWS", str(Provenance.DOCUMENTED)))


def warm_durations() -> pd.DataFrame:
    """Return how long warm calls took on AWS by memory size, in milliseconds: mean and 99th percentile of 300 calls each.

    One run of one day, x86_64, in us-east-2. Workloads are `cpu-intensive` (hashing), `memory-intensive` (sorting 100 MB)
    and `light` (DynamoDB, so that it waits as well). A size at which a call failed isn't published.
    """
    table = _read("warm_durations_published.csv")
    return table.assign(provenance=_provenance(table))


def _read(name: str) -> pd.DataFrame:
    table = pd.read_csv(FOLDER / name, dtype=_TYPES)
    if "date" in table:
        table["date"] = pd.to_datetime(table["date"], format="ISO8601").astype("datetime64[us]")
    return table


def _provenance(table: pd.DataFrame) -> pd.Series:
    return pd.Series(str(Provenance.PUBLISHED), index=table.index, dtype="string")
