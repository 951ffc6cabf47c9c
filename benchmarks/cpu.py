"""Whether a function gets the CPU that its memory stands for: REPORT's duration beside CPU time over share."""

import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil

from benchmarks import functions
from benchmarks.rows import Figure, Row
from workbook import calls, emulator
from workbook.emulator.governor import VCPU_MB
from workbook.targets import Target, connect

ROUNDS = 3
SIZES_MB = (128, 256, 512, 1024, VCPU_MB)
CPU_S, SLEEP_S = 0.3, 1.0
NEIGHBOUR_MB = 256
HANDLER = """
import time
def handler(event, context):
    time.sleep(event["sleep_s"])
    before = time.process_time()
    while (used_s := time.process_time() - before) < event["cpu_s"]:
        pass
    return used_s
"""
BURN, SLEEP = {"cpu_s": CPU_S, "sleep_s": 0}, {"cpu_s": 0, "sleep_s": SLEEP_S}


def measure() -> Iterator[Row]:
    """Yield what every way of sharing that this machine allows makes of a burning and a sleeping handler, in per cent."""
    seen = set()
    for setting in ("share", "signals"):
        with _emulator(setting) as (target, process):
            if target.limits["cpu"] not in seen:
                seen.add(target.limits["cpu"])
                yield from _rows(target, process)


@contextmanager
def _emulator(setting: str) -> Iterator[tuple[Target, psutil.Process]]:
    """Run an emulator under a value of WORKBOOK_CPU, with a function of every size in it, all of them warm."""
    before = os.environ.get("WORKBOOK_CPU")
    os.environ["WORKBOOK_CPU"] = setting
    try:
        with (
            tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder,
            emulator.start(log=Path(folder) / "log") as running,
        ):
            target = connect("embedded", endpoint=running.endpoint)
            for memory_mb in SIZES_MB:
                functions.make(target, f"f-{memory_mb}", HANDLER, memory_mb=memory_mb)
                _call(target, f"f-{memory_mb}", {"cpu_s": 0, "sleep_s": 0})
            functions.make(target, "neighbour", HANDLER, memory_mb=NEIGHBOUR_MB)
            yield target, psutil.Process(running.pid)
    finally:
        os.environ.pop("WORKBOOK_CPU") if before is None else os.environ.update(WORKBOOK_CPU=before)


def _rows(target: Target, process: psutil.Process) -> Iterator[Row]:
    way = target.limits["cpu"]
    governors = [child for child in process.children() if "workbook.emulator.duty_cycle" in child.cmdline()]
    for where in ("alone", "beside a busy one"):
        burnt, slept = defaultdict(list), defaultdict(list)
        passed_s = used_s = 0.0
        with nullcontext() if where == "alone" else _neighbour(target):
            for _ in range(ROUNDS):
                begun, before_s = time.perf_counter(), sum(map(_cpu_s, governors))
                for memory_mb in SIZES_MB:
                    cpu_s, duration_ms = _call(target, f"f-{memory_mb}", BURN)
                    burnt[memory_mb].append(_off(duration_ms, cpu_s * 1000 * VCPU_MB / memory_mb))
                passed_s += time.perf_counter() - begun
                used_s += sum(map(_cpu_s, governors)) - before_s
                with ThreadPoolExecutor() as callers:  # all at once: sleepers are in nobody's way
                    ended = callers.map(lambda memory_mb: _call(target, f"f-{memory_mb}", SLEEP), SIZES_MB)
                for memory_mb, (_, duration_ms) in zip(SIZES_MB, ended, strict=True):
                    slept[memory_mb].append(_off(duration_ms, SLEEP_S * 1000))
        for memory_mb, values in burnt.items():
            yield _row(f"{way}, {where}: {memory_mb} MB at work, off CPU over share", values, 3)
        for memory_mb, values in slept.items():
            yield _row(f"{way}, {where}: {memory_mb} MB asleep, off its time", values, 2)
        if governors and where == "alone":  # control groups have none: there the kernel does it by the way
            what = f"{way}: the governor's time of one core, with one at work"
            yield Row(what, "%", Figure(100 * used_s / passed_s), at_most=2)


def _row(what: str, values: list[float], aim: float) -> Row:
    return Row(what, "%", Figure.quantile(values), at_least=-aim, at_most=aim)


def _off(value: float, ideal: float) -> float:
    """Return by how many per cent a value is above the ideal one."""
    return 100 * (value / ideal - 1)


def _call(target: Target, name: str, event: dict[str, float]) -> tuple[float, float]:
    """Call a function and return the CPU seconds that it counted itself, and REPORT's milliseconds."""
    call = calls.invoke(target, name, event, run_id="bench", experiment="cpu")
    return call.answer, call.record.duration_ms


@contextmanager
def _neighbour(target: Target) -> Iterator[None]:
    """Keep another function busy meanwhile."""
    done = threading.Event()

    def burn() -> None:
        while not done.is_set():
            _call(target, "neighbour", BURN)

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _cpu_s(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])
