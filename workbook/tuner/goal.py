"""What makes one memory size better than another: what a call costs, how long it takes, or a weighing of both.

The strategies, their weight and what the weight means are those of AWS Lambda Power Tuning, so that both can be asked the
same question: https://github.com/alexcasalboni/aws-lambda-power-tuning/blob/master/README-INPUT-OUTPUT.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Self

from workbook.costs import MB_PER_GB
from workbook.errors import ParameterError
from workbook.prices import price
from workbook.statistics import quantile

TIE = (
    0.01  # two sizes are equal if what is asked of them differs by at most 1 %; no sample of some ten calls knows more
)
_STRATEGIES = ("cost", "speed", "balanced")
_ARCHITECTURES = {"x86_64": "duration-x86", "arm64": "duration-arm64"}

Calls = Mapping[int, Sequence[float]]
"""By memory size, in MB, the durations of the calls that count, in milliseconds."""


@dataclass(frozen=True)
class Rates:
    """What Lambda asks for one request and for one GB-second of running code, in US dollars."""

    request_usd: Decimal
    gb_s_usd: Decimal

    @classmethod
    def of(cls, region: str = "us-east-1", architecture: str = "x86_64") -> Self:
        """Return the rates of the price book: the first tier of a month, without any free tier.

        Raises:
            ParameterError: the book knows no such region, or there is no such architecture.
        """
        if architecture not in _ARCHITECTURES:
            raise ParameterError(
                f"There is no architecture {architecture!r}.",
                why="Each has a price of its own.",
                fix=f"Choose from: {', '.join(_ARCHITECTURES)}.",
            )
        skus = ("requests", _ARCHITECTURES[architecture])
        return cls(*(price("Lambda", sku, region=region).usd for sku in skus))

    def duration_usd(self, memory_mb: int, duration_ms: float) -> Decimal:
        """Return what running code for that long costs, in US dollars: memory times duration, rounded up to 1 ms.

        https://aws.amazon.com/lambda/pricing/
        """
        return ceil(duration_ms) * memory_mb * self.gb_s_usd / (1000 * MB_PER_GB)

    def call_usd(self, memory_mb: int, duration_ms: float) -> Decimal:
        """Return what one warm call costs, its request included, in US dollars."""
        return self.request_usd + self.duration_usd(memory_mb, duration_ms)


@dataclass(frozen=True)
class Goal:
    """What is asked of a memory size: `cost`, `speed`, or `balanced` with a `weight` from 0 (speed) to 1 (cost).

    **Tie rule.** Sizes that differ by at most 1 % in what is asked of them are equal. Of equally cheap or equally balanced
    ones the fastest is taken, of equally fast ones the cheapest, and after that the smallest. (Power Tuning has the same
    rule for exact equality, which measured values hardly ever have, and none for balanced.)

    Raises:
        ParameterError: there is no such strategy, or the weight is not between 0 and 1.
    """

    strategy: str = "cost"
    weight: float = 0.5  # of the cost, for balanced alone

    def __post_init__(self) -> None:
        if self.strategy not in _STRATEGIES:
            raise ParameterError(
                f"There is no strategy {self.strategy!r}.",
                why="It decides which memory size is best.",
                fix=f"Choose from: {', '.join(_STRATEGIES)}.",
            )
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 <= self.weight <= 1:
            raise ParameterError(
                f"The weight is {self.weight!r}.",
                why="It shares what counts between speed, at 0, and cost, at 1.",
                fix="Give a number from 0 to 1, such as 0.5.",
            )

    def __str__(self) -> str:
        return f"balanced, weight {self.weight:g}" if self.strategy == "balanced" else self.strategy

    def losses(self, calls: Calls, rates: Rates) -> dict[int, list[float]]:
        """Return for each call what is to be small: US dollars, milliseconds, or for balanced a number without unit.

        Balanced is `weight * cost / largest cost + (1 - weight) * duration / largest duration`, as in Power Tuning; the
        largest are the largest medians of all sizes. Whatever the strategy, a longer call of the same size has no
        smaller loss, so that the median loss is the loss of the median call.
        """
        costs = {size: [float(rates.call_usd(size, ms)) for ms in durations] for size, durations in calls.items()}
        if self.strategy == "cost":
            return costs
        if self.strategy == "speed":
            return {size: list(durations) for size, durations in calls.items()}
        largest_usd, largest_ms = (max(quantile(values, 0.5) for values in each.values()) for each in (costs, calls))
        per_usd, per_ms = self.weight / largest_usd, (1 - self.weight) / largest_ms
        return {
            size: [per_usd * usd + per_ms * ms for usd, ms in zip(costs[size], durations, strict=True)]
            for size, durations in calls.items()
        }

    def pick(self, calls: Calls, rates: Rates) -> int:
        """Return the memory size, in MB, that is best by the medians, after the tie rule."""
        medians = {size: quantile(losses, 0.5) for size, losses in self.losses(calls, rates).items()}
        equal = [size for size, loss in medians.items() if loss <= (1 + TIE) * min(medians.values())]
        typical_ms = {size: quantile(calls[size], 0.5) for size in equal}
        if self.strategy == "speed":
            return min(equal, key=lambda size: (rates.call_usd(size, typical_ms[size]), size))
        return min(equal, key=lambda size: (typical_ms[size], size))
