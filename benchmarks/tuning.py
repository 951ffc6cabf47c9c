"""The search for a memory size, beside Power Tuning's fixed plan of 50 calls of each: calls, and picks that are worse.

Nothing is called: durations are drawn. Four shapes follow AWS's rule that CPU grows with memory, up to one vCPU at 1,769 MB
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html), so that a call takes CPU time over its share, and
what it waits. The published ones have the durations that warm calls had on AWS (data/reference, warm_durations_published).
How much calls vary is published, too: a lognormal spread that has the ratio of 99th percentile to mean, which for a shape
is the median one of the workload that it resembles. Draws are independent, which calls on AWS aren't quite.

A pick is worse by what its loss, of the median call, exceeds that of the best size. The first call of each size is cold in
our replays. The fixed plan gets 50 warm ones, and isn't stopped by a size at which calls fail, as the tool would be.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import NormalDist, fmean, median
from typing import Any

from benchmarks.rows import Figure, Row
from workbook import published, statistics
from workbook.tuner import Goal, Rates, Tuning, power_tuning, tune
from workbook.tuner.tuning import FIXED_CALLS, MARGIN

SEED_SETS, SEEDS = ("first", "second", "third"), 50
MOST_CALLS, MOST_WORSE = 50, 2  # % of the fixed plan's, and picks over 5 % worse in all replays of the four shapes
SIZES = (128, 256, 512, 1024, 1536, 2048, 3008)  # as in the example of Power Tuning's README-EXECUTE.md
LEAST_SIZES = 5  # of a published workload; of some there are only two or three
VCPU_MB = 1769
GOALS = (Goal("cost"), Goal("speed"), Goal("balanced"))
RATES = Rates.of()
TRUTH = 20_001  # draws that make a median known to 1.5 % where calls vary most, and to 0.1 % where they vary little
PEER = f"{FIXED_CALLS} of each size"

Draw = Callable[[random.Random], float | None]  # one call's duration in milliseconds; None if it fails
Workload = Mapping[int, Draw]  # by memory size, in MB


@dataclass(frozen=True)
class Case:
    """A workload and a goal, and by which share each size is truly worse than the best."""

    name: str
    workload: Workload
    goal: Goal
    worse_by: Mapping[int, float]


def measure() -> Iterator[Row]:
    """Yield rows on calls by shape and goal, then for each set of seeds on calls, worse picks, and bounds that held."""
    shapes, recorded = _shapes(), _published()
    for name, workload in shapes.items():
        for goal in GOALS:
            calls = [_replayed(workload, goal, f"{SEED_SETS[0]} {seed} {name}")[0].calls for seed in range(SEEDS)]
            fixed = Figure(FIXED_CALLS * len(workload))
            yield Row(f"{name}, {goal}: calls", "", Figure.quantile(calls), PEER, fixed)
    aimed = partial(_rows, "four shapes", _cases(shapes), most_calls=MOST_CALLS, most_worse=MOST_WORSE)
    beside = partial(_rows, f"{len(recorded)} published workloads", _cases(recorded))
    for seeds in SEED_SETS:
        yield from aimed(seeds)
        yield from beside(seeds)


def _rows(
    what: str, cases: Sequence[Case], seeds: str, most_calls: float | None = None, most_worse: float | None = None
) -> Iterator[Row]:
    shares, ours, peers, held, decided = [], [], [], [], []
    for case in cases:
        for seed in range(SEEDS):
            tuning, fixed_pick = _replayed(case.workload, case.goal, f"{seeds} {seed} {case.name}")
            shares.append(100 * tuning.calls / (FIXED_CALLS * len(case.workload)))
            ours.append(case.worse_by[tuning.pick.memory_mb])
            peers.append(case.worse_by[fixed_pick])
            held.append(100.0 * (ours[-1] <= tuning.at_most_worse))
            decided.append(100.0 * tuning.decided)
    where = f"{what}, {seeds} seeds, {len(ours)} tunings"
    yield Row(f"{where}: calls", "%", Figure(fmean(shares)), PEER, Figure(100), at_most=most_calls)
    picks = (Figure(sum(each > MARGIN for each in worse)) for worse in (ours, peers))
    yield Row(f"{where}: picks over 5 % worse", "", next(picks), PEER, next(picks), at_most=most_worse)
    yield Row(f"{where}: pick within its bound", "%", Figure(fmean(held)), at_least=100 * statistics.LEVEL)
    yield Row(f"{where}: decided", "%", Figure(fmean(decided)))


def _replayed(workload: Workload, goal: Goal, seed: str) -> tuple[Tuning, int]:
    """Return what the search finds, and the memory size that the fixed plan picks."""
    rng, met = random.Random(f"{seed} {goal}"), set()

    def called(sizes: Sequence[int], calls: int) -> dict[int, list[float | None]]:
        drawn = {size: [workload[size](rng) for _ in range(calls)] for size in sizes}
        for size in set(sizes) - met:
            drawn[size][0] = None
        met.update(sizes)
        return drawn

    tuning = tune(list(workload), goal, called, rates=RATES, provenance="simulated")
    fixed = {size: [draw(rng) for _ in range(FIXED_CALLS)] for size, draw in workload.items()}
    averages = {size: [power_tuning.average_ms(calls)] for size, calls in fixed.items() if None not in calls}
    return tuning, goal.pick(averages, RATES)


def _cases(workloads: Mapping[str, Workload]) -> list[Case]:
    return [
        Case(name, workload, goal, _worse_by(workload, goal)) for name, workload in workloads.items() for goal in GOALS
    ]


def _worse_by(workload: Workload, goal: Goal) -> dict[int, float]:
    """Return by which share each size is worse than the best; infinitely where calls fail."""
    rng = random.Random(f"truth {goal}")
    drawn = {size: [draw(rng) for _ in range(TRUTH)] for size, draw in workload.items()}
    losses = goal.losses({size: calls for size, calls in drawn.items() if None not in calls}, RATES)
    typical = {size: median(values) for size, values in losses.items()}
    return {size: typical[size] / min(typical.values()) - 1 if size in typical else math.inf for size in workload}


def _shapes() -> dict[str, Workload]:
    hashing, sorting, waiting = (
        median(_spread(row) for row in _rows_of(workload))
        for workload in ("cpu-intensive", "memory-intensive", "light")
    )
    return {
        "CPU-bound": {size: partial(_call, size, 200, hashing, 0, waiting) for size in SIZES},
        "I/O-bound": {size: partial(_call, size, 3, hashing, 80, waiting) for size in SIZES},
        "mixed": {size: partial(_call, size, 60, hashing, 100, waiting) for size in SIZES},
        "memory-hungry": {
            size: partial(_call, size, 300, sorting, 0, waiting) if size >= 512 else _fail for size in SIZES
        },
    }


def _published() -> dict[str, Workload]:
    """Return the published workloads with enough sizes up to the largest of the shapes'."""
    workloads: dict[str, dict[int, Draw]] = {}
    for row in _warm():
        if row.memory_mb <= SIZES[-1]:
            spread = _spread(row)
            typical_ms = row.duration_avg_ms / math.exp(spread**2 / 2)
            draws = workloads.setdefault(f"{row.workload}, {row.runtime}", {})
            draws[row.memory_mb] = partial(_varied, typical_ms, spread)
    return {name: workload for name, workload in workloads.items() if len(workload) >= LEAST_SIZES}


def _call(
    size_mb: int, cpu_ms: float, cpu_spread: float, wait_ms: float, wait_spread: float, rng: random.Random
) -> float:
    share = min(1, size_mb / VCPU_MB)
    return _varied(cpu_ms / share, cpu_spread, rng) + _varied(wait_ms, wait_spread, rng)


def _fail(_: random.Random) -> None:
    return None


def _varied(typical_ms: float, spread: float, rng: random.Random) -> float:
    return typical_ms * rng.lognormvariate(0, spread)


def _spread(row: Any) -> float:
    """Return the sigma of the lognormal whose 99th percentile is to its mean as the row's: exp(z sigma - sigma² / 2)."""
    z = NormalDist().inv_cdf(0.99)
    return z - math.sqrt(z**2 - 2 * math.log(row.duration_p99_ms / row.duration_avg_ms))


def _rows_of(workload: str) -> list[Any]:
    return [row for row in _warm() if row.workload == workload]


@cache
def _warm() -> list[Any]:
    return list(published.warm_durations().itertuples())
