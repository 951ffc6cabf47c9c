"""The formats of AWS Lambda Power Tuning: the output of its state machine, and the address of its chart.

Both are described in https://github.com/alexcasalboni/aws-lambda-power-tuning/blob/master/README-INPUT-OUTPUT.md, and how
the figures come about in its lambda/utils.js. An address holds its data behind the #, which a browser sends to nobody;
nothing here opens one.
"""

import math
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Self
from urllib.parse import urlsplit

from workbook.errors import ParameterError
from workbook.tuner.tuning import Tuning

CHART = "https://lambda-power-tuning.show/"
_DISCARD = 0.2  # of the calls at each end: "discardTopBottom", as it is by default
_INT16, _FLOAT32 = "h", "f"  # the arrays of an address, little-endian: memory sizes; durations and costs


@dataclass(frozen=True)
class Stat:
    """One memory size: average duration in milliseconds, and what such a call costs in US dollars, without its request."""

    memory_mb: int
    duration_ms: float
    cost_usd: float


@dataclass(frozen=True)
class Output:
    """What a run of the state machine returns: the memory size that it picked, and the figures of all, the smallest first."""

    power_mb: int
    stats: tuple[Stat, ...]
    state_machine_usd: float = 0.0  # what Step Functions asked for the run: nothing, if there was none
    calls_usd: float = 0.0  # what the calls cost; of a search, those that count

    @classmethod
    def of(cls, tuning: Tuning) -> Self:
        """Return what Power Tuning would write of the same calls: averages of billed times without the outer fifths.

        What it averages and what it leaves out of the cost, the price of the request, differs from what `Tuning` shows.
        """
        rates, stats, calls_usd = tuning.rates, [], 0.0
        for size in tuning.sizes:
            if size.durations_ms:
                typical_ms = average_ms(size.durations_ms)
                stats.append(Stat(size.memory_mb, typical_ms, float(rates.duration_usd(size.memory_mb, typical_ms))))
                calls_usd += sum(float(rates.duration_usd(size.memory_mb, ms)) for ms in size.durations_ms)
        return cls(tuning.pick.memory_mb, tuple(stats), calls_usd=calls_usd)

    def to_facts(self) -> dict[str, Any]:
        """Return the output as the state machine returns it with `includeOutputResults`, ready for JSON."""
        picked = next(stat for stat in self.stats if stat.memory_mb == self.power_mb)
        results = {
            "power": self.power_mb,
            "cost": picked.cost_usd,
            "duration": picked.duration_ms,
            "stateMachine": {
                "executionCost": self.state_machine_usd,
                "lambdaCost": self.calls_usd,
                "visualization": chart_url(self.stats),
            },
            "stats": [
                {"averagePrice": stat.cost_usd, "averageDuration": stat.duration_ms, "value": stat.memory_mb}
                for stat in self.stats
            ],
        }
        return {"results": results}

    @classmethod
    def parse(cls, facts: Mapping[str, Any]) -> Self:
        """Return what an output says; without `stats`, which are optional, its figures are those of its chart's address.

        Raises:
            ParameterError: it isn't such an output.
        """
        try:
            results = facts.get("results", facts)
            machine = results["stateMachine"]
            if "stats" in results:
                stats = [
                    Stat(int(stat["value"]), float(stat["averageDuration"]), float(stat["averagePrice"]))
                    for stat in results["stats"]
                ]
            else:
                stats = parse_chart_url(machine["visualization"])
            power_mb = int(results["power"])
            costs = float(machine["executionCost"]), float(machine["lambdaCost"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ParameterError(
                f"This is no output of Power Tuning: {type(error).__name__}, {error}.",
                why="Its figures would be misread.",
                fix="Give the whole JSON object that the state machine returned.",
            ) from error
        return cls(power_mb, tuple(sorted(stats, key=lambda stat: stat.memory_mb)), *costs)


def average_ms(durations_ms: Sequence[float]) -> float:
    """Return the mean of the billed times, in whole milliseconds, without the shortest and the longest fifth of them."""
    billed = sorted(math.ceil(ms) for ms in durations_ms)
    cut = int(len(billed) * _DISCARD)
    return fmean(billed[cut : len(billed) - cut])


def chart_url(stats: Sequence[Stat]) -> str:
    """Return the address at which Power Tuning's public page draws the figures of some memory sizes."""
    ordered = sorted(stats, key=lambda stat: stat.memory_mb)
    parts = (
        _packed(_INT16, [stat.memory_mb for stat in ordered]),
        _packed(_FLOAT32, [stat.duration_ms for stat in ordered]),
        _packed(_FLOAT32, [stat.cost_usd for stat in ordered]),
    )
    return f"{CHART}#{';'.join(parts)}"


def parse_chart_url(url: str) -> list[Stat]:
    """Return the figures that the address of a chart holds, to the seven digits or so of its 32-bit floats.

    Raises:
        ParameterError: the address holds no such figures.
    """
    try:
        sizes, durations, costs = urlsplit(url).fragment.split(";")
        columns = _unpacked(_INT16, sizes), _unpacked(_FLOAT32, durations), _unpacked(_FLOAT32, costs)
        return [Stat(*row) for row in zip(*columns, strict=True)]
    except (ValueError, struct.error) as error:
        raise ParameterError(
            f"{url[:80]!r} holds no chart of Power Tuning's.",
            why="Behind its # stand memory sizes, durations and costs, each in base64, with semicolons between.",
            fix=f"Copy the whole address, which begins with {CHART}#.",
        ) from error


def _packed(kind: str, values: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(values)}{kind}", *values)).decode()


def _unpacked(kind: str, text: str) -> tuple[Any, ...]:
    raw = b64decode(text, validate=True)
    return struct.unpack(f"<{len(raw) // struct.calcsize(kind)}{kind}", raw)
