"""The price book: what AWS asks for one unit, in US dollars, with the day on which that was last seen."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

from workbook.errors import ParameterError

BOOK = Path(__file__).resolve().parent.parent / "data" / "reference" / "prices.csv"


@dataclass(frozen=True)
class Price:
    """What one unit costs in US dollars, within one monthly tier; tiers count in the same unit."""

    service: str
    sku: str
    region: str  # a region's code, or "global"; CloudFront's are "us"
    unit: str  # always one: a request, not a million of them
    usd: Decimal
    tier_from: Decimal | None  # inclusive; None: there are no tiers
    tier_to: Decimal | None  # exclusive; None: no upper bound
    effective_date: date | None  # the latest day on which the figure was seen valid; None: day unknown
    checked_on: date  # the day on which it was put into the book
    review_by: date  # the day after which it should be looked up again
    source_url: str
    note: str

    def __str__(self) -> str:
        seen = f"seen {self.effective_date}" if self.effective_date else "day unknown"
        return f"{self.usd:f} USD per {self.unit} ({self.service} {self.sku}, {self.region}, {seen})"

    def is_due(self, on: date) -> bool:
        """Return whether the price should have been looked up again before this day."""
        return on > self.review_by


@dataclass(frozen=True)
class Slice:
    """So many units at one price: the part of a month's usage that falls into one tier."""

    quantity: Decimal
    price: Price

    @property
    def cost_usd(self) -> Decimal:
        """What the slice costs, in US dollars, not rounded."""
        return self.quantity * self.price.usd


def price(service: str, sku: str, *, region: str = "us-east-1", usage: float | Decimal = 0) -> Price:
    """Return the price of the tier into which the unit after `usage` units in a month falls.

    >>> print(price("Lambda", "duration-x86"))
    0.0000166667 USD per GB-second (Lambda duration-x86, us-east-1, seen 2026-09-19)

    Raises:
        ParameterError: the book doesn't know the service, the sku, the region or the tier, nobody has confirmed the
            price, or the usage is below 0. A price is never taken over from another region or tier.
    """
    if not usage >= 0:
        raise ParameterError(
            f"A monthly usage of {usage} is no amount.",
            why="Usage picks the tier, and tiers begin at 0.",
            fix="Give how many units the month has already seen, such as usage=0.",
        )
    rows = _among(_book(), "service", service, f"The price book has no service {service!r}.")
    rows = _among(rows, "sku", sku, f"{service} has no sku {sku!r} in the price book.")
    rows = _among(rows, "region", region, f"The price book has no {service} {sku} in {region}.")
    row = next((row for row in rows if _covers(row, usage)), None)
    if row is None:
        first, last = _tier(rows[0])[0] or 0, _tier(rows[-1])[1]
        bounds = f"from {first:,} to {last:,}" if last else f"from {first:,}"
        raise ParameterError(
            f"{service} {sku} in {region} has no price at a monthly usage of {usage:,.12g} ({rows[0]['unit']}).",
            why=f"The book knows it {bounds}; elsewhere it may cost less or nothing.",
            fix="Ask within those bounds, or add a row with its source to data/reference/prices.csv.",
        )
    if not row["price_usd"]:
        raise ParameterError(
            f"Nobody has confirmed the price of {service} {sku} in {region}.",
            why="The price of another region or tier may differ; it is not assumed.",
            fix="Ask for another region, or fill in the row of data/reference/prices.csv with its source.",
        )
    return _price(row)


def dearest(service: str, sku: str) -> Price:
    """Return the highest price of a first unit that the book has for this, over all regions: a bound for those it lacks.

    Raises:
        ParameterError: the book has no price of it in any region.
    """
    rows = _among(_book(), "service", service, f"The price book has no service {service!r}.")
    rows = _among(rows, "sku", sku, f"{service} has no sku {sku!r} in the price book.")
    known = [_price(row) for row in rows if row["price_usd"] and not _tier(row)[0]]
    if not known:
        raise ParameterError(
            f"Nobody has confirmed the price of {service} {sku} in any region.",
            why="Without a price there is no bound either.",
            fix="Fill in a row of data/reference/prices.csv with its source.",
        )
    return max(known, key=lambda price: price.usd)


def cost(
    service: str, sku: str, quantity: Decimal | int, *, region: str = "us-east-1", used: Decimal | int = 0
) -> list[Slice]:
    """Return what `quantity` units cost after the `used` ones of a month: one slice for each tier that they reach.

    >>> [str(part.cost_usd) for part in cost("API Gateway", "http-requests", 432_000_000)]
    ['300.000000', '118.8000000']

    Nothing costs nothing: a quantity of 0 has no slices.

    Raises:
        ParameterError: as for `price`, in any of the tiers; or the quantity is below 0 or not a number.
    """
    if not 0 <= quantity < Decimal("inf"):
        raise ParameterError(
            f"A quantity of {quantity} can't be priced.",
            why="A month has used some units or none.",
            fix="Give a number of units from 0 on.",
        )
    slices = []
    start, end = Decimal(used), Decimal(used) + quantity
    while start < end:
        tier = price(service, sku, region=region, usage=start)
        stop = end if tier.tier_to is None else min(end, tier.tier_to)
        slices.append(Slice(stop - start, tier))
        start = stop
    return slices


def due(on: date) -> list[Price]:
    """Return the prices that should have been looked up again before this day, in the order of the book."""
    known = [_price(row) for row in _book() if row["price_usd"]]
    return [found for found in known if found.is_due(on)]


@cache
def _book() -> tuple[dict[str, str], ...]:
    with BOOK.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _among(rows: Iterable[dict[str, str]], column: str, value: str, otherwise: str) -> list[dict[str, str]]:
    found = [row for row in rows if row[column] == value]
    if not found:
        raise ParameterError(
            otherwise,
            why="Each price stands in the book with its source; none is taken over from elsewhere.",
            fix=f"It has: {', '.join(sorted({row[column] for row in rows}))}.",
        )
    return found


def _tier(row: dict[str, str]) -> tuple[Decimal | None, Decimal | None]:
    lower, upper = row["tier_from"], row["tier_to"]
    return Decimal(lower) if lower else None, Decimal(upper) if upper else None


def _covers(row: dict[str, str], usage: float | Decimal) -> bool:
    tier_from, tier_to = _tier(row)
    return (tier_from or 0) <= usage and (tier_to is None or usage < tier_to)


def _price(row: dict[str, str]) -> Price:
    tier_from, tier_to = _tier(row)
    return Price(
        service=row["service"],
        sku=row["sku"],
        region=row["region"],
        unit=row["unit"],
        usd=Decimal(row["price_usd"]),
        tier_from=tier_from,
        tier_to=tier_to,
        effective_date=date.fromisoformat(row["effective_date"]) if row["effective_date"] else None,
        checked_on=date.fromisoformat(row["checked_on"]),
        review_by=date.fromisoformat(row["review_by"]),
        source_url=row["source_url"],
        note=row["note"],
    )
