"""How often an interval of 95 % holds the truth: ours, beside what is often used instead, on samples whose truth is known.

Every interval is judged by what it is for: the mean's by the true mean, all others by the true quantile, difference or
ratio. The truth comes from the distribution, never from a simulation.
"""

import itertools
import math
import operator
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist, fmean, stdev

import numpy as np

from benchmarks.rows import Figure, Row
from workbook.statistics import Comparison, Interval, compare, quantile_interval

SEED = 20261121
TRIALS = 10_000  # a share near 95 % is then known to 0.4 %; 1,000 trials know it to 1.4 %, too little to judge by
PEER_TRIALS = 1_000  # the first of the same ones: the bootstrap is slow
RESAMPLES = 500  # of the bootstrap
AT_LEAST, AT_MOST = 93.0, 97.0
MEDIAN_SIZES, P95_SIZES, PAIR_SIZES = (6, 10, 20, 50, 200), (100, 200, 500), (10, 20, 50, 200)
FACTOR = 1.5  # by which the second sample of a pair is slower

Sample = list[float]
Trial = tuple[Sample, ...]  # one sample, or the two that are compared
Method = Callable[..., Interval]  # from a trial's samples
STANDARD, FAST, SLOW, SLOW_SHARE = NormalDist(), NormalDist(3, 0.3), NormalDist(60, 6), 0.05


@dataclass(frozen=True)
class Shape:
    """A distribution of durations: how to draw from it, and what is true of it."""

    name: str
    draw: Callable[[random.Random], float]
    cdf: Callable[[float], float]
    mean: float

    def trials(self, size: int, *factors: float) -> Iterator[Trial]:
        """Yield endless trials, the same each time: for each factor one sample of so many values, each times the factor."""
        rng = random.Random(f"{SEED} {self.name} {size}")
        while True:
            yield tuple([factor * self.draw(rng) for _ in range(size)] for factor in factors)

    def quantile(self, q: float) -> float:
        """Return the true q-quantile, found by halving until no number lies between."""
        low, high = 0.0, 1_000.0
        while low < (middle := (low + high) / 2) < high:
            low, high = (middle, high) if self.cdf(middle) < q else (low, middle)
        return high


SHAPES = (
    Shape("normal", lambda rng: rng.gauss(10, 1), NormalDist(10, 1).cdf, 10),
    Shape("exponential", lambda rng: rng.expovariate(1), lambda x: 1 - math.exp(-x), 1),
    Shape("lognormal", lambda rng: rng.lognormvariate(0, 1), lambda x: STANDARD.cdf(math.log(x)), math.exp(0.5)),
    Shape(
        "two-mode",
        lambda rng: rng.gauss(60, 6) if rng.random() < SLOW_SHARE else rng.gauss(3, 0.3),
        lambda x: SLOW_SHARE * SLOW.cdf(x) + (1 - SLOW_SHARE) * FAST.cdf(x),
        SLOW_SHARE * SLOW.mean + (1 - SLOW_SHARE) * FAST.mean,
    ),
)


def measure() -> Iterator[Row]:
    """Yield one row per quantity, shape and size: the share of trials, in %, in which the interval held the truth."""
    for rows in (_medians, _p95s, _pairs):
        for shape in SHAPES:
            yield from rows(shape)


def _medians(shape: Shape) -> Iterator[Row]:
    true, bootstrap = shape.quantile(0.5), _bootstrap(_medians_of)
    for size in MEDIAN_SIZES:
        ours = _held(quantile_interval, true, shape.trials(size, 1), TRIALS)
        for peer, method, aimed_at in (
            ("mean ± 1.96 s.e.", _mean_interval, shape.mean),
            ("bootstrap", bootstrap, true),
        ):
            peers = _held(method, aimed_at, shape.trials(size, 1), PEER_TRIALS)
            yield _row(f"median of {size} {shape.name} values", ours, peer, peers)


def _p95s(shape: Shape) -> Iterator[Row]:
    true, bootstrap = shape.quantile(0.95), _bootstrap(partial(np.quantile, q=0.95, axis=1))
    for size in P95_SIZES:
        ours = _held(partial(quantile_interval, q=0.95), true, shape.trials(size, 1), TRIALS)
        peers = _held(bootstrap, true, shape.trials(size, 1), PEER_TRIALS)
        yield _row(f"p95 of {size} {shape.name} values", ours, "bootstrap", peers)


def _pairs(shape: Shape) -> Iterator[Row]:
    difference = (FACTOR - 1) * shape.quantile(0.5)
    quantities = (
        ("ratio", FACTOR, lambda *pair: _compared(*pair).ratio_interval, _bootstrap_of_two(operator.truediv)),
        ("difference", difference, lambda *pair: _compared(*pair).difference_interval, _bootstrap_of_two(operator.sub)),
    )
    for size in PAIR_SIZES:
        for quantity, true, method, bootstrap in quantities:
            ours = _held(method, true, shape.trials(size, 1, FACTOR), TRIALS)
            peers = _held(bootstrap, true, shape.trials(size, 1, FACTOR), PEER_TRIALS)
            yield _row(f"{quantity} of medians, {size} {shape.name} values each", ours, "bootstrap", peers)


def _row(what: str, ours: Figure, peer: str, peers: Figure) -> Row:
    return Row(what, "%", ours, peer, peers, AT_LEAST, AT_MOST)


def _held(method: Method, true: float, trials: Iterator[Trial], count: int) -> Figure:
    """Return in which share of so many trials the method's interval held the truth, within 1.96 standard errors."""
    intervals = (method(*trial) for trial in itertools.islice(trials, count))
    share = fmean(interval.low <= true <= interval.high for interval in intervals)
    error = 1.96 * math.sqrt(share * (1 - share) / count)
    return Figure(100 * share, Interval(100 * (share - error), 100 * (share + error)))


def _compared(base: Sample, other: Sample) -> Comparison:
    return compare(base, other, base="base", other="other", provenance="simulated")


def _mean_interval(sample: Sample) -> Interval:
    mean, error = fmean(sample), stdev(sample) / math.sqrt(len(sample))
    return Interval(mean - 1.96 * error, mean + 1.96 * error)


def _bootstrap(statistic: Callable[..., np.ndarray]) -> Method:
    """Return the percentile bootstrap of a statistic that takes resamples, one in each row, and gives one number for each."""
    rng = np.random.default_rng(SEED)

    def method(*samples: Sample) -> Interval:
        resamples = (rng.choice(sample, (RESAMPLES, len(sample))) for sample in samples)
        return Interval(*np.quantile(statistic(*resamples), (0.025, 0.975)).tolist())

    return method


def _bootstrap_of_two(combine: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Method:
    return _bootstrap(lambda base, other: combine(_medians_of(other), _medians_of(base)))


def _medians_of(resamples: np.ndarray) -> np.ndarray:
    return np.median(resamples, axis=1)
