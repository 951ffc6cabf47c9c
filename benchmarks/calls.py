"""A bare Python function called through boto3, cold and warm: our environments beside plain MiniStack's workers."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import functions
from benchmarks.rows import Figure, Row
from workbook import emulator, targets
from workbook.emulator.upstream import plain
from workbook.targets import Target

COLD_ROUNDS, WARM_ROUNDS = 20, 30
BLOCK = 10  # warm calls in a row: a process that slept while the other side had its turn is slow to wake
SILENT = "def handler(event, context):\n    return event\n"
PRINTING = "def handler(event, context):\n    print('called')\n    return event\n"


def measure() -> Iterator[Row]:
    """Yield three rows: a cold call, a warm one, and a warm one whose handler prints."""
    with (
        tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder,
        emulator.start(log=Path(folder) / "log") as ours,
        plain(Path(sys.executable)) as peer,
    ):
        sides = [targets.connect("embedded", endpoint=endpoint) for endpoint in (ours.endpoint, peer)]
        for target in sides:
            functions.make(target, "silent", SILENT)
            functions.make(target, "printing", PRINTING)
        yield _row("cold call of a bare Python function", *_cold(sides))
        yield _row("warm call", *_warm(sides, "silent"))
        yield _row("warm call of a function that prints", *_warm(sides, "printing"))


def _row(what: str, ours_ms: list[float], peers_ms: list[float]) -> Row:
    return Row(what, "ms", Figure.quantile(ours_ms), "plain MiniStack", Figure.quantile(peers_ms))


def _cold(sides: list[Target]) -> list[list[float]]:
    values: list[list[float]] = [[], []]
    for _ in range(COLD_ROUNDS):
        for target, kept in zip(sides, values, strict=True):
            functions.make_cold(target, "silent")
            kept.append(_timed(target, "silent"))
    return values


def _warm(sides: list[Target], name: str) -> list[list[float]]:
    for target in sides:
        _timed(target, name)
    values: list[list[float]] = [[], []]
    for _ in range(WARM_ROUNDS):
        for target, kept in zip(sides, values, strict=True):
            kept.extend(_timed(target, name) for _ in range(BLOCK))
    return values


def _timed(target: Target, name: str) -> float:
    """Call a function as anybody would, and return the milliseconds of the whole."""
    client = target.measured_client("lambda")
    begun = time.perf_counter()
    client.invoke(FunctionName=name, Payload=b"{}")["Payload"].read()
    return (time.perf_counter() - begun) * 1000
