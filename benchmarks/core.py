"""The core lessons, 00 to 05, as they run by default, beside papermill's own command for one after the other."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.rows import Figure, Row
from workbook import lessons
from workbook.lab import ROOT

AIM_S = 90  # on two cores
CORE = ("00", "01", "02", "03", "04", "05")


def measure() -> Iterator[Row]:
    """Yield one row: the wall time of one full run of the core lessons, every measurement with its default repeats."""
    core = [lesson.path for lesson in lessons.table() if lesson.name.partition("_")[0] in CORE]
    papermill = ["-m", "papermill", "--cwd", str(lessons.FOLDER)]  # where Jupyter, too, runs a notebook
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder:
        only = [word for path in core for word in ("--only", path.stem)]
        ours_s = _seconds(["-m", "workbook", "run", *only, "--out", f"{folder}/ours"], folder)
        peers_s = sum(_seconds([*papermill, str(path), f"{folder}/{path.name}"], folder) for path in core)
    what = f"full run of the {len(core)} core lessons, {os.cpu_count()} cores"
    yield Row(what, "s", Figure(ours_s), "papermill", Figure(peers_s), at_most=AIM_S)


def _seconds(command: Sequence[str], folder: str) -> float:
    """Return how long a Python command takes, whose lessons keep what they find in a folder."""
    begun = time.perf_counter()
    variables = os.environ | {"WORKBOOK_RUN_FOLDER": str(Path(folder) / "journal")}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=variables, check=True, capture_output=True)
    return time.perf_counter() - begun
