"""A sequential search for the best memory size: calls go where they still matter, and end when nothing is left to decide.

Every size gets the fewest calls that make an interval. After each round the sizes are compared with the one that looks
best; it gets more calls, and so do those that may still beat it by more than a margin. All others are stopped early. The
search is over when nothing can beat it, or when the budget is used.

**Looking more than once.** Whoever looks at growing data again and again, and at several sizes, errs more often than one
look would. All comparisons share one error by Bonferroni's inequality: with six looks planned and k sizes, each one-sided
limit is exceeded in at most 5 % / (6 (k - 1)) of tunings, so that in at least 95 of 100 all those hold that matter for the
pick (repeated confidence intervals: Jennison & Turnbull 1989; k - 1 pairs matter, because one of each is the best: Kim &
Nelson 2001, whose indifference zone the margin is). That is more cautious than need be; `benchmarks/tuning.py` counts.

**What is not covered.** Calls are taken as independent. On AWS all warm calls of one environment share one machine, and by
what machines differ is not seen by calling it more often; nor is by what hours do. The median call stands for all, so
that a size with a long tail may cost more than its row says.
"""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from workbook.errors import ParameterError
from workbook.records import Provenance
from workbook.statistics import LEVEL, Comparison, compare, quantile, quantile_interval, values_needed
from workbook.tuner.goal import Goal, Rates

MARGIN = 0.05  # what is worse by less is as good as the best
LOOKS = 6  # more of them make each one stricter, fewer let calls go to what is decided already
LEAST = 2  # calls of a size in a round: a single one that doesn't count would put it out
FIXED_CALLS = 50  # of each size, in Power Tuning's own example ("num": 50 in its README-EXECUTE.md)

Measure = Callable[[Sequence[int], int], Mapping[int, Sequence[float | None]]]
"""Calls each of some memory sizes so many times and returns their durations in milliseconds: one for each call, and None
for a call that doesn't count because it was cold, a warm-up, or failed."""


@dataclass(frozen=True)
class Size:
    """A memory size after a tuning: its calls that count, in milliseconds, and how many were made in all.

    `state` is `pick`, `beaten` (surely worse than the pick), `no better` (surely not better by more than the margin),
    `open` (it may be), or `out` (a round of which no call counts).
    """

    memory_mb: int
    durations_ms: tuple[float, ...]
    calls: int
    state: str


@dataclass(frozen=True, repr=False)
class Tuning:
    """Which memory size to take, how sure that is, and what it took to find out.

    `comparisons` has, by memory size, what the last look found: how the loss of the median call there stands to the
    pick's, at the level that makes all looks together right in 95 % of tunings.
    """

    goal: Goal
    rates: Rates
    sizes: tuple[Size, ...]  # from the smallest on
    comparisons: Mapping[int, Comparison]
    provenance: str  # of the durations

    @property
    def pick(self) -> Size:
        """The memory size to take."""
        return next(size for size in self.sizes if size.state == "pick")

    @property
    def at_most_worse(self) -> float:
        """By which share the pick is worse than the best at most, in 95 % of tunings: 0.03 is 3 %; inf if nobody can say."""
        return max(map(_excess, self.comparisons.values()), default=0.0)

    @property
    def decided(self) -> bool:
        """Whether the pick is surely within the margin of the best."""
        return self.at_most_worse <= MARGIN

    @property
    def more_needed(self) -> int | None:
        """About how many more calls of the pick and of each open size would decide; 0 if it is decided, None if nobody can say."""
        needed = [_more_needed(comparison) for comparison in self.comparisons.values()]
        return None if None in needed else max(needed, default=0)

    @property
    def calls(self) -> int:
        """How many calls were made, those that don't count included."""
        return sum(size.calls for size in self.sizes)

    @property
    def saved(self) -> int:
        """How many calls fewer than Power Tuning's fixed plan makes, with 50 of each size; below 0 if there were more."""
        return FIXED_CALLS * len(self.sizes) - self.calls

    def table(self) -> pd.DataFrame:
        """Return one row per memory size, in MB: what the goal weighs, what was called, and what became of the size.

        `n` calls count, of `calls` that were made. `interval_ms` is the median's, of 95 %. `usd_per_million` is what a
        million calls like the median one cost, their requests included. A size is `stopped_early` if others got more calls,
        as of it nothing was left to decide. Where no call counts, figures are missing.
        """
        most = max(size.calls for size in self.sizes)
        rows = {
            size.memory_mb: self._figures(size)
            | {"stopped_early": size.calls < most and size.state not in ("pick", "open")}
            for size in self.sizes
        }
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("memory_mb")
        return table.assign(provenance=Provenance.PRICED.on(self.provenance))

    def _figures(self, size: Size) -> dict[str, object]:
        durations = size.durations_ms
        median_ms = quantile(durations, 0.5) if durations else None
        return {
            "n": len(durations),
            "median_ms": median_ms,
            "interval_ms": quantile_interval(durations) if durations else None,
            "usd_per_million": median_ms and float(1_000_000 * self.rates.call_usd(size.memory_mb, median_ms)),
            "calls": size.calls,
            "state": size.state,
        }

    def __repr__(self) -> str:
        pick, best = f"{self.pick.memory_mb} MB", f"best of {len(self.sizes)} by {self.goal}"
        spent = f"{self.calls} calls; {FIXED_CALLS} of each size would be {FIXED_CALLS * len(self.sizes)}"
        if self.decided:
            found = f"Take {pick}: at most {100 * self.at_most_worse:.2g} % worse than the {best}"
        else:
            rivals = ", ".join(str(size.memory_mb) for size in self.sizes if size.state == "open")
            rounded = self.more_needed and float(f"{self.more_needed:.2g}")
            more = "" if rounded is None else f": about {rounded:g} more of each would tell"
            found = (
                f"Not enough samples: {pick} looks {best}, and {rivals} MB may be over {100 * MARGIN:g} % better{more}"
            )
        return f"{found}. {spent} ({Provenance.PRICED.on(self.provenance)})."

    def _repr_html_(self) -> str:
        shown = self.table().round({"median_ms": 2, "usd_per_million": 4})
        return f"<p>{html.escape(repr(self))}</p>{shown.to_html()}"


def tune(
    sizes: Sequence[int],
    goal: Goal,
    measure: Measure,
    *,
    rates: Rates,
    provenance: str,
    budget: int | None = None,
) -> Tuning:
    """Find the best of some memory sizes, in MB, with at most `budget` calls; by default as many as the fixed plan makes.

    `provenance` is that of the durations. A size of which no call in a round counts is out, and gets no more.

    Raises:
        ParameterError: there are fewer than two sizes or one stands twice, the budget is too small for an interval of
            each, or no call of any size counts.
    """
    sizes = sorted(sizes)
    left = FIXED_CALLS * len(sizes) if budget is None else budget
    rounds = _rounds(sizes, left)
    made = dict.fromkeys(sizes, 0)
    counted: dict[int, list[float]] = {size: [] for size in sizes}
    out, called = set(), sizes
    for planned in rounds:
        if (number := min(planned, left // len(called))) < LEAST:
            break
        for size, calls in measure(called, number).items():
            results = [ms for ms in calls if ms is not None]
            counted[size] += results
            made[size] += len(calls)
            left -= len(calls)
            if not results:
                out.add(size)
        standing = {size: counted[size] for size in sizes if size not in out}
        pick, comparisons = _look(standing, goal, rates, _level(len(sizes)), provenance)
        states = {size: _state(comparison) for size, comparison in comparisons.items()} | {pick: "pick"}
        called = [size for size in sizes if states.get(size) in ("pick", "open")]
        if called == [pick]:
            break
    found = (Size(size, tuple(counted[size]), made[size], states.get(size, "out")) for size in sizes)
    return Tuning(goal, rates, tuple(found), comparisons, provenance)


def _rounds(sizes: Sequence[int], budget: int) -> list[int]:
    """Return how many calls of a size each round makes, if nothing stops it.

    The first makes an interval, with a call more, as an environment's first is cold. From there to what the budget leaves
    to two sizes when all others have stopped, the looks stand at equal ratios.
    """
    if len(set(sizes)) != len(sizes) or len(sizes) < 2:
        raise ParameterError(
            f"The memory sizes are {', '.join(map(str, sizes)) or 'none'}.",
            why="The best is found by comparison.",
            fix="Name two different sizes or more.",
        )
    first = values_needed(0.5, _level(len(sizes))) + 1
    if budget < first * len(sizes):
        raise ParameterError(
            f"A budget of {budget} calls is too small for {len(sizes)} memory sizes.",
            why=f"An interval takes {first} calls of each.",
            fix=f"Allow {first * len(sizes)} or more, or leave out sizes.",
        )
    last = max(first, (budget - first * (len(sizes) - 2)) / 2)
    totals = [round(first * (last / first) ** (look / (LOOKS - 1))) for look in range(LOOKS)]
    return [first, *(max(LEAST, later - earlier) for earlier, later in pairwise(totals))]


def _level(sizes: int) -> float:
    """Return the level of each interval that makes all looks at so many sizes hold together; see the module's text."""
    return 1 - 2 * (1 - LEVEL) / (LOOKS * (sizes - 1))


def _look(
    calls: Mapping[int, Sequence[float]], goal: Goal, rates: Rates, level: float, provenance: str
) -> tuple[int, dict[int, Comparison]]:
    """Return the size that looks best, and how all others stand to it."""
    if not calls:
        raise ParameterError(
            "No call of any memory size counts.",
            why="There is nothing to compare.",
            fix="Look at their records: what failed has an error, and a handler that doesn't name its log stream proves nothing.",
        )
    pick, losses = goal.pick(calls, rates), goal.losses(calls, rates)
    ours, named = losses.pop(pick), {"base": f"{pick} MB", "provenance": provenance, "level": level}
    return pick, {size: compare(ours, theirs, other=f"{size} MB", **named) for size, theirs in losses.items()}


def _state(comparison: Comparison) -> str:
    if _excess(comparison) > MARGIN:
        return "open"
    return "beaten" if comparison.ratio_interval.low > 1 else "no better"


def _excess(comparison: Comparison) -> float:
    """Return by which share the pick may be worse than the other size, at most."""
    low = comparison.ratio_interval.low
    return math.inf if low is None else max(0.0, 1 / low - 1)


def _more_needed(comparison: Comparison) -> int | None:
    """Return how many more calls of both would show that the other is no better; an interval shrinks as 1 / sqrt(n)."""
    if _excess(comparison) <= MARGIN:
        return 0
    gap, low = math.log(comparison.ratio * (1 + MARGIN)), comparison.ratio_interval.low
    if low is None or gap <= 0:
        return None
    reach = math.log(comparison.ratio / low)
    return max(1, math.ceil(((reach / gap) ** 2 - 1) * max(comparison.n_base, comparison.n_other)))
