"""Until an emulator answers: ours with environments and corrections, beside the plain one."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Figure, Row
from workbook import emulator
from workbook.emulator.upstream import plain

ROUNDS = 7


def measure() -> Iterator[Row]:
    """Yield one row: milliseconds from the command to the first answer."""
    ours, peers = [], []
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder:
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            with emulator.start(log=Path(folder) / "log"):
                ours.append((time.perf_counter() - begun) * 1000)
            begun = time.perf_counter()
            with plain(Path(sys.executable)):
                peers.append((time.perf_counter() - begun) * 1000)
    yield Row("start of the emulator", "ms", Figure.quantile(ours), "plain MiniStack", Figure.quantile(peers))
