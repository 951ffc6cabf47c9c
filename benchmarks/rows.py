"""What every topic yields: one quantity, the workbook's figure beside a peer's, and the aim if there is one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from workbook import statistics
from workbook.statistics import Interval


@dataclass(frozen=True)
class Figure:
    """One number in its row's unit, with the interval that may well hold the truth, where it was estimated.

    `values` are what it comes from. They are kept in the results and not printed; a number that was counted has none.
    """

    value: float
    interval: Interval | None = None
    values: Sequence[float] = ()

    @classmethod
    def quantile(cls, values: Sequence[float], q: float = 0.5) -> Self:
        """Return a quantile of values, the median unless told, with its 95 % interval."""
        return cls(statistics.quantile(values, q), statistics.quantile_interval(values, q), tuple(values))

    def __str__(self) -> str:
        return f"{self.value:.4g} {self.interval or ''}".rstrip()


@dataclass(frozen=True)
class Row:
    """One line of a topic's table; all its numbers are in one unit.

    With an aim, the row says whether our value holds it, and the peer's stands beside it and owes nothing. Without one, it
    is read as a ratio, ours over the peer's: below 1 the workbook takes less.
    """

    what: str  # the quantity, as a reader would name it: "warm call", "median of 20 exponential values: held by its interval"
    unit: str  # ms, s, %, or empty for a plain number
    ours: Figure
    peer: str = ""  # whose the other figure is; empty if nobody else measures this
    peers: Figure | None = None
    at_least: float | None = None  # the aim; either side may be open
    at_most: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's; None without a peer, or if the peer's is nothing."""
        return self.ours.value / self.peers.value if self.peers and self.peers.value else None

    @property
    def holds(self) -> bool | None:
        """Whether our value is within the aim; None if there is no aim."""
        return None if self.at_least is None and self.at_most is None else self._is_within(self.ours.value)

    @property
    def reading(self) -> str:
        """What the row says: an aim held or missed, and how surely; a ratio, or that the figures are too close to rank."""
        if self.holds is not None:
            known = self.ours.interval or Interval(self.ours.value, self.ours.value)
            surely = self._is_within(known.low) and self._is_within(known.high)
            return f"{('holds' if surely else 'holds, not surely,') if self.holds else 'MISSES'} {self._aim}"
        if self.ratio is None:
            return ""
        if self.ours.interval and self.peers.interval and self.ours.interval.overlaps(self.peers.interval):
            return "too close to rank"
        return f"{self.ratio:.2f} times"

    def _is_within(self, value: float | None) -> bool:
        if value is None:
            return False
        return (self.at_least is None or self.at_least <= value) and (self.at_most is None or value <= self.at_most)

    @property
    def _aim(self) -> str:
        unit = f" {self.unit}".rstrip()
        if self.at_least is None:
            return f"at most {self.at_most:g}{unit}"
        if self.at_most is None:
            return f"at least {self.at_least:g}{unit}"
        return f"{self.at_least:g} to {self.at_most:g}{unit}"

    def to_facts(self) -> dict[str, Any]:
        """Return the row as the results keep it: every value, and what it says."""
        return asdict(self) | {"ratio": self.ratio, "holds": self.holds}
