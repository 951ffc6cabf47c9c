"""What a month of a described API costs on AWS: a scenario in, an itemised bill out.

    >>> scenario = Scenario.parse(
    ...     {"region": "us-east-1", "requests_per_month": 3_000_000, "memory_mb": 1536, "duration_ms": 120}
    ... )
    >>> f"{bill(scenario).total_usd:.2f}"
    '9.60'

Amounts are decimal, never binary, and stay exact until they are written.
"""

import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import ROUND_HALF_UP, Context, Decimal
from math import ceil
from typing import Annotated, Any, ClassVar, Self

from workbook.errors import ParameterError
from workbook.prices import Price, Slice, cost, price
from workbook.records import Provenance

HOURS_PER_MONTH = 730  # 365 days of 24 h, in twelve parts
MB_PER_GB = 1024
KB_PER_GB = 1024**2
# Metering steps: https://aws.amazon.com/api-gateway/pricing/
HTTP_STEP_KB = 512
WEBSOCKET_STEP_KB = 32

_GROUPS = {"API Gateway": "gateway", "CloudWatch Logs": "logs", "Data transfer": "data out"}
_MOST = 10**15  # far above any month of AWS's
_WIDE = Context(prec=50)  # holds the largest product of numbers that are allowed, with six decimals


_Reader = Callable[[str, Any], Any]  # takes a field's name and what was given for it; returns what the field holds


def _number(low: int = 0, high: int = _MOST, *, whole: bool = False) -> _Reader:

    def read(name: str, value: Any) -> Decimal:
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            number = Decimal(str(value))  # 0.1 is meant as it is written, not as it is stored
            if number.is_finite() and low <= number <= high and (not whole or number == number.to_integral_value()):
                return number
        raise ParameterError(
            f"{name} is {_shown(value)}.",
            why="A wrong number would become a wrong amount.",
            fix=f"Give a {'whole ' if whole else ''}number from {low:,} to {high:,}.",
        )

    return read


def _one_of(*names: str) -> _Reader:

    def read(name: str, value: Any) -> str:
        if value not in names:
            raise ParameterError(
                f"{name} is {_shown(value)}.",
                why="It decides which prices apply.",
                fix=f"Choose from: {', '.join(names)}.",
            )
        return value

    return read


def _read_region(_: str, value: Any) -> str:
    price("Lambda", "requests", region=value)  # the error names the regions that the book knows
    return value


class _Described:
    """What can be described as an object of JSON. Each field's annotation holds what reads its value."""

    WHERE: ClassVar[str]

    @classmethod
    def parse(cls, description: Mapping[str, Any]) -> Self:
        """Return what the mapping describes.

        Raises:
            ParameterError: it is no mapping, a key is unknown or missing, or a value is not allowed.
        """
        known = [each.name for each in fields(cls)]  # type: ignore[arg-type]
        needed = [each.name for each in fields(cls) if each.default is MISSING]  # type: ignore[arg-type]
        if not isinstance(description, Mapping):
            raise ParameterError(
                f"{_shown(description)} can't describe {cls.WHERE}.",
                why="Each value needs its name.",
                fix=f"Give an object with some of: {', '.join(known)}.",
            )
        if unknown := [key for key in description if key not in known]:
            raise ParameterError(
                f"There is no {_shown(unknown[0])} in {cls.WHERE}.",
                why="What isn't understood can't be priced.",
                fix=f"Choose from: {', '.join(known)}.",
            )
        if missing := [name for name in needed if name not in description]:
            raise ParameterError(
                f"{cls.WHERE.capitalize()} lacks {', '.join(missing)}.",
                why="A bill multiplies prices by what is used.",
                fix=f"It needs {', '.join(needed)}; the rest has defaults.",
            )
        return cls(**description)

    @classmethod
    def read(cls, _: str, value: Any) -> Self:
        """Return the value if it is an instance already, and else what it describes."""
        return value if isinstance(value, cls) else cls.parse(value)

    def __post_init__(self) -> None:
        for each in fields(self):  # type: ignore[arg-type]
            value = each.type.__metadata__[0](f"{each.name} in {self.WHERE}", getattr(self, each.name))
            object.__setattr__(self, each.name, value)


@dataclass(frozen=True, kw_only=True)
class Provisioned(_Described):
    """Environments that stand ready, and for how many hours of the month."""

    WHERE = "provisioned"

    environments: Annotated[Decimal, _number(0, 10**6, whole=True)]
    hours_per_month: Annotated[Decimal, _number(0, 744)] = Decimal(HOURS_PER_MONTH)


@dataclass(frozen=True, kw_only=True)
class WebSocket(_Described):
    """How long clients stay connected, all of them together, and how many messages go with one request."""

    WHERE = "websocket"

    connection_minutes: Annotated[Decimal, _number()] = Decimal(0)
    messages_per_request: Annotated[Decimal, _number(1, 10**6)] = Decimal(2)  # the one that asks is the first of them


@dataclass(frozen=True, kw_only=True)
class Scenario(_Described):
    """An API, and what a month asks of it.

    Numbers may be given as int, float or Decimal, and are held as Decimal.

    Raises:
        ParameterError: a value is not allowed; the error says which are.
    """

    WHERE = "the scenario"

    region: Annotated[str, _read_region]
    requests_per_month: Annotated[Decimal, _number(whole=True)]
    memory_mb: Annotated[Decimal, _number(128, 10_240, whole=True)]
    duration_ms: Annotated[Decimal, _number(0, 900_000)]  # the longest timeout is 15 min
    gateway: Annotated[str, _one_of("none", "http", "rest", "websocket")] = "none"
    request_kb: Annotated[Decimal, _number(0, 10**6)] = Decimal(0)
    response_kb: Annotated[Decimal, _number(0, 10**6)] = Decimal(0)
    cold_fraction: Annotated[Decimal, _number(0, 1)] = Decimal(0)
    init_ms: Annotated[Decimal, _number(0, 900_000)] = Decimal(0)
    architecture: Annotated[str, _one_of("x86_64", "arm64")] = "x86_64"
    log_kb_per_request: Annotated[Decimal, _number(0, 10**6)] = Decimal(0)
    free_tier: Annotated[str, _one_of("none", "current", "legacy")] = "none"
    provisioned: Annotated[Provisioned, Provisioned.read] = Provisioned(environments=Decimal(0))
    websocket: Annotated[WebSocket, WebSocket.read] = WebSocket()

    @property
    def is_provisioned(self) -> bool:
        """Whether environments stand ready for any part of the month."""
        return self.provisioned_gb_s > 0

    @property
    def provisioned_gb_s(self) -> Decimal:
        """Memory that stands ready times the time for which it does, in GB-seconds."""
        # "rounded up to the nearest five minutes": https://aws.amazon.com/lambda/pricing/
        ready_s = _up(self.provisioned.hours_per_month * 12) * 300
        return self.provisioned.environments * self._memory_gb * ready_s

    @property
    def duration_gb_s(self) -> Decimal:
        """Billed duration of all invocations times memory, in GB-seconds.

        The init phase counts since 1 August 2025:
        https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
        """
        warm_ms = _up(self.duration_ms)
        cold_ms = _up(self.init_ms + self.duration_ms)
        mean_ms = warm_ms + self.cold_fraction * (cold_ms - warm_ms)
        return self.requests_per_month * mean_ms / 1000 * self._memory_gb

    @property
    def metered_requests(self) -> Decimal:
        """Requests as an HTTP API counts them: one for each started 512 KB of the larger of request and response."""
        return self.requests_per_month * _started(HTTP_STEP_KB, max(self.request_kb, self.response_kb))

    @property
    def metered_messages(self) -> Decimal:
        """Messages as a WebSocket API counts them, each started 32 KB as one: one comes in, the replies go out."""
        coming, going = (_started(WEBSOCKET_STEP_KB, size_kb) for size_kb in (self.request_kb, self.response_kb))
        return self.requests_per_month * (coming + (self.websocket.messages_per_request - 1) * going)

    @property
    def out_gb(self) -> Decimal:
        """What leaves AWS, in GB."""
        replies = self.websocket.messages_per_request - 1 if self.gateway == "websocket" else 1
        return self.requests_per_month * replies * self.response_kb / KB_PER_GB

    @property
    def log_gb(self) -> Decimal:
        """What the function logs, in GB."""
        return self.requests_per_month * self.log_kb_per_request / KB_PER_GB

    @property
    def _memory_gb(self) -> Decimal:
        return self.memory_mb / MB_PER_GB


@dataclass(frozen=True)
class Item:
    """One line of a bill: so many units of something, at one price."""

    what: str
    part: Slice

    @property
    def group(self) -> str:
        """What the line is paid for: the gateway, Lambda's requests, running code (init phases and waiting environments
        included), logs, or data out."""
        if self.part.price.service == "Lambda":
            return "Lambda requests" if self.part.price.unit == "request" else "running code"
        return _GROUPS[self.part.price.service]

    def to_facts(self) -> dict[str, Any]:
        """Return the line as plain values; quantity and cost are rounded to six decimals, the price is as it is."""
        return {
            "service": self.part.price.service,
            "what": self.what,
            "quantity": rounded(self.part.quantity, 6),
            "unit": self.part.price.unit,
            "unit_price_usd": self.part.price.usd,
            "cost_usd": rounded(self.part.cost_usd, 6),
        }


@dataclass(frozen=True, repr=False)
class Bill:
    """What a scenario costs in a month. Prints itself as a table, and shows itself as one in a notebook."""

    scenario: Scenario
    items: tuple[Item, ...]

    @property
    def total_usd(self) -> Decimal:
        """The whole month in US dollars, not rounded."""
        return sum((item.part.cost_usd for item in self.items), Decimal(0))

    def by_group(self) -> dict[str, Decimal]:
        """Return the amounts in US dollars by what they are paid for, not rounded; see `Item.group`."""
        groups = dict.fromkeys(("gateway", "Lambda requests", "running code", "logs", "data out"), Decimal(0))
        for item in self.items:
            groups[item.group] += item.part.cost_usd
        return groups

    @property
    def prices(self) -> tuple[Price, ...]:
        """The prices that the bill rests on, each once."""
        return tuple(dict.fromkeys(item.part.price for item in self.items))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the bill takes for granted, and what it leaves out."""
        return tuple(_assumptions(self.scenario))

    def to_facts(self) -> dict[str, Any]:
        """Return the bill as plain values: amounts as Decimal, the total rounded to the cent, days as in ISO 8601."""
        return {
            "items": [item.to_facts() for item in self.items],
            "total_usd": rounded(self.total_usd, 2),
            "price_dates": [dict(dated) for dated in dict.fromkeys(map(_dated, self.prices))],
            "assumptions": list(self.assumptions),
        }

    def __str__(self) -> str:
        rows = [("service", "what", "quantity", "unit", "USD each", "USD")]
        for item in self.items:
            line = item.to_facts()
            quantity, each = f"{line['quantity'].normalize():,f}", f"{line['unit_price_usd'].normalize():f}"
            rows.append((line["service"], item.what, quantity, line["unit"], each, _cents(item.part.cost_usd)))
        rows.append(("a month", str(Provenance.PRICED), "", "", "", _cents(self.total_usd)))
        notes = [*self.assumptions, *_seen(self.prices)]
        return "\n".join([*laid_out(rows, right={2, 4, 5}), "", *(f"- {note}" for note in notes)])

    __repr__ = _repr_markdown_ = __str__


def bill(scenario: Scenario) -> Bill:
    """Return what the scenario costs in a month, line by line.

    Raises:
        ParameterError: the price book lacks a price that the scenario needs. It is named, never taken as zero.
    """
    items = (item for usage in _usage(scenario) for item in _priced(usage, scenario))
    return Bill(scenario, tuple(items))


@dataclass(frozen=True)
class Usage:
    """How much of what has a price a month uses, and the allowance that a free tier may hold for it."""

    what: str
    service: str
    sku: str
    quantity: Decimal
    free_sku: str | None = None


def _usage(scenario: Scenario) -> Iterator[Usage]:
    requests, duration = scenario.requests_per_month, scenario.duration_gb_s
    cpu = scenario.architecture.removesuffix("_64")  # as the book calls it
    if scenario.is_provisioned:  # "The Lambda free tier does not apply": https://aws.amazon.com/lambda/pricing/
        ready = scenario.provisioned_gb_s
        yield Usage("requests", "Lambda", "requests", requests)
        yield Usage("environments, provisioned", "Lambda", f"provisioned-concurrency-{cpu}", ready)
        yield Usage("duration, provisioned", "Lambda", f"provisioned-duration-{cpu}", duration)
    else:
        yield Usage("requests", "Lambda", "requests", requests, "free-requests")
        yield Usage("duration", "Lambda", f"duration-{cpu}", duration, "free-duration")

    if scenario.gateway == "rest":
        yield Usage("REST API", "API Gateway", "rest-requests", requests, "free-rest-requests")
    elif scenario.gateway == "http":
        yield Usage("HTTP API", "API Gateway", "http-requests", scenario.metered_requests, "free-http-requests")
    elif scenario.gateway == "websocket":
        messages, minutes = scenario.metered_messages, scenario.websocket.connection_minutes
        yield Usage("WebSocket API", "API Gateway", "websocket-messages", messages, "free-websocket-messages")
        yield Usage("WebSocket API", "API Gateway", "websocket-connection-minutes", minutes, "free-websocket-minutes")

    logs, out = scenario.log_gb, scenario.out_gb
    yield Usage("logs, coming in", "CloudWatch Logs", "ingest-lambda-vended", logs, "free-ingest-storage-scan")
    yield Usage("out to the internet", "Data transfer", "out-internet", out, "out-internet-free")


def _priced(usage: Usage, scenario: Scenario) -> Iterator[Item]:
    is_free = usage.free_sku in _FREE[scenario.free_tier]
    return lines(usage, region=scenario.region, free=allowance(usage) if is_free else Decimal(0))


def allowance(usage: Usage) -> Decimal:
    """Return how many units of what is used a month has for nothing, for as long as an offer lasts.

    Raises:
        ParameterError: the price book has no such allowance.
    """
    return price(usage.service, usage.free_sku, region="global").tier_to


def lines(usage: Usage, *, region: str, free: Decimal = Decimal(0)) -> Iterator[Item]:
    """Yield the lines of a bill for what is used in a region, of which up to `free` units cost nothing.

    Raises:
        ParameterError: the price book lacks a price that is needed.
    """
    free = min(usage.quantity, free)
    if free:
        for part in cost(usage.service, usage.free_sku, free, region="global"):
            yield Item(f"{usage.what}, free tier", part)
    for part in cost(usage.service, usage.sku, usage.quantity - free, region=region, used=free):
        beyond = part.price.tier_from
        yield Item(f"{usage.what}, beyond {beyond:,}" if beyond else usage.what, part)


# Of those that the book knows: what every account has each month, whenever it was made. SQS's is "free-requests", too.
ALWAYS_FREE = frozenset({"free-requests", "free-duration", "free-ingest-storage-scan", "out-internet-free"})
_FIRST_YEAR = {"free-rest-requests", "free-http-requests", "free-websocket-messages", "free-websocket-minutes"}
_FREE = {"none": set(), "current": ALWAYS_FREE, "legacy": ALWAYS_FREE | _FIRST_YEAR}

_GATEWAYS = {
    "none": "No gateway: callers reach the function by its URL or through the SDK, and pay for neither.",
    "http": "An HTTP API counts one request for each started 512 KB of the larger of request and response. AWS says "
    "that it meters in such steps, and counts 12 KB in and 46 KB out as one; it doesn't say how two large ones combine "
    "(https://aws.amazon.com/api-gateway/pricing/).",
    "rest": "A REST API counts each request once, whatever its size; responses aren't streamed "
    "(https://aws.amazon.com/api-gateway/pricing/).",
    "websocket": "A WebSocket API counts each started 32 KB of a message as one "
    "(https://aws.amazon.com/api-gateway/pricing/). Of a request's messages the first comes in, with request_kb, and "
    "the others go out, with response_kb each.",
}
_WHAT_IS_FREE = (
    "this API alone uses up what is always free: Lambda's 1,000,000 requests and 400,000 GB-seconds "
    "(https://aws.amazon.com/lambda/pricing/), 100 GB out to the internet, and 5 GB of logs, if Lambda's count as others "
    "do. What is free counts towards the tiers"
)
_FREE_TIERS = {
    "none": "No free tier is taken off.",
    "current": f"In an account made since 15 July 2025, {_WHAT_IS_FREE}. Credits are not taken off "
    "(https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/free-tier.html).",
    "legacy": f"In an account made before 15 July 2025, {_WHAT_IS_FREE}. For its first twelve months, which ended in July "
    "2026 for the youngest, API Gateway adds 1,000,000 requests or messages and 750,000 connection minutes "
    "(https://aws.amazon.com/api-gateway/pricing/).",
}


def _assumptions(scenario: Scenario) -> Iterator[str]:
    yield (
        "List prices in US dollars before tax, for an account that uses nothing else. Tiers are walked; amounts are "
        "rounded once, when they are written, so that lines may miss the total by a cent."
    )
    yield f"1 GB is 1,024 MB or 1,048,576 KB, a tier's TB is 1,024 GB, and a month has {HOURS_PER_MONTH} hours."
    yield (
        "Each request invokes the function once and takes exactly duration_ms, rounded up to 1 ms. On a cold start "
        "init_ms is added first, as AWS has billed it since 1 August 2025."
    )
    if scenario.is_provisioned:
        yield (
            "All requests fall into the hours in which environments stand ready, one stretch rounded up to five minutes, "
            "and none finds them all busy; nothing of Lambda's is free then (https://aws.amazon.com/lambda/pricing/)."
        )
    yield _GATEWAYS[scenario.gateway]
    yield _FREE_TIERS[scenario.free_tier]
    yield "Every response goes out to the internet; headers aren't counted, and what comes in costs nothing."
    yield (
        "Left out: keeping logs (AWS doesn't state the ratio at which it compresses them), API Gateway's own logs and "
        "caches, NAT, DNS, certificates, firewalls, traces, alarms, /tmp above 512 MB, SnapStart, response streaming, "
        "and whatever else the function uses."
    )
    if scenario.gateway != "websocket" and scenario.websocket != WebSocket():
        yield "Connections and messages are described, but not priced: the gateway is no WebSocket API."
    plain = [each for each in fields(scenario) if isinstance(each.default, str | Decimal)]
    if taken := [f"{each.name} {each.default}" for each in plain if getattr(scenario, each.name) == each.default]:
        yield f"At their defaults: {', '.join(taken)}."


def _dated(each: Price) -> tuple[tuple[str, str | None], ...]:
    return (
        ("service", each.service),
        ("sku", each.sku),
        ("region", each.region),
        ("seen", each.effective_date and each.effective_date.isoformat()),
        ("review_by", each.review_by.isoformat()),
    )


def _seen(prices: tuple[Price, ...]) -> Iterator[str]:
    if days := sorted(each.effective_date for each in prices if each.effective_date):
        yield f"Prices were seen from {days[0]} to {days[-1]}."
    if unknown := [f"{each.service} {each.sku}" for each in prices if not each.effective_date]:
        yield f"Seen on an unknown day: {', '.join(unknown)}."


def _shown(value: Any) -> str:
    return str(value)[:40] if isinstance(value, Decimal) else reprlib.repr(value)


def _up(value: Decimal) -> Decimal:
    return Decimal(ceil(value))


def _started(step_kb: int, size_kb: Decimal) -> Decimal:
    return max(_up(size_kb / step_kb), Decimal(1))  # an empty one counts, too


def rounded(amount: Decimal, digits: int) -> Decimal:
    """Return the amount with so many decimals, halves away from zero."""
    return amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _WIDE)


def _cents(amount_usd: Decimal) -> str:
    cents = rounded(amount_usd, 2)
    return "<0.01" if amount_usd and not cents else f"{cents:,}"


def laid_out(rows: list[tuple[str, ...]], *, right: set[int]) -> list[str]:
    """Lay out rows under their first one as a Markdown table that is also aligned as text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ruler = tuple("-" * (width - 1) + (":" if index in right else "-") for index, width in enumerate(widths))
    return [
        "| "
        + " | ".join(f"{cell:{'>' if index in right else '<'}{widths[index]}}" for index, cell in enumerate(row))
        + " |"
        for row in (rows[0], ruler, *rows[1:])
    ]
