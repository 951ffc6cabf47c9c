"""What is used of an account, and what that costs; and what a lesson's template says of what will be used.

Whatever isn't known before is taken from above.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbook import costs, prices
from workbook.errors import ParameterError
from workbook.prices import Price
from workbook.templates import functions, read_template

Amounts = Mapping[str, Decimal]

# Everything that lessons use and AWS bills: what a bill calls it, and service, sku and allowance in the price book. That
# provisioned environments run at a lower price, and outside what is free, doesn't show in a REPORT line; the first is dearer.
BILLED = {
    "lambda_requests": ("requests", "Lambda", "requests", "free-requests"),
    "lambda_gb_s_x86": ("duration on x86_64", "Lambda", "duration-x86", "free-duration"),
    "lambda_gb_s_arm64": ("duration on arm64", "Lambda", "duration-arm64", "free-duration"),
    "provisioned_gb_s_x86": ("provisioned on x86_64", "Lambda", "provisioned-concurrency-x86", None),
    "provisioned_gb_s_arm64": ("provisioned on arm64", "Lambda", "provisioned-concurrency-arm64", None),
    "http_api_requests": ("HTTP API", "API Gateway", "http-requests", None),
    "rest_api_requests": ("REST API", "API Gateway", "rest-requests", None),
    "sqs_requests": ("requests", "SQS", "standard-requests", "free-requests"),
    "dynamodb_write_units": ("write units", "DynamoDB", "on-demand-write-unit", None),
    "dynamodb_read_units": ("read units", "DynamoDB", "on-demand-read-unit", None),
    "s3_put_requests": ("writing and listing", "S3", "put-requests", None),
    "s3_get_requests": ("reading", "S3", "get-requests", None),
    "s3_gb_months": ("storage", "S3", "storage-standard", None),
    "log_gb": ("logs, coming in", "CloudWatch Logs", "ingest-lambda-vended", "free-ingest-storage-scan"),
    "metric_requests": ("metrics asked for", "CloudWatch", "api-requests", None),
    "out_gb": ("out to the internet", "Data transfer", "out-internet", "out-internet-free"),
}
# Their first tiers cost the same wherever the book has both.
_AS_MUCH = {"ingest-lambda-vended": ("ingest-standard",)}
KB = 1024

# A poller of an event source mapping asks for 20 s at a time, and five of them ask even of an empty queue:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
_POLLS_PER_S = Decimal(5) / 20
PER_MESSAGE = 2  # received and deleted
ATTEMPTS = (
    3  # of an asynchronous event: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
)
# The most that one invocation of these handlers asks of other services, as their code stands in handlers/; a write of a
# transaction takes two units (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html).
# What a worker leaves goes to a queue: a success to one, a failure to two.
BY_HANDLER: dict[str, dict[str, int]] = {
    "job_desk": {"dynamodb_write_units": 1, "dynamodb_read_units": 1},
    "job_worker": {"dynamodb_write_units": 6, "sqs_requests": 2},
}


@dataclass(frozen=True)
class Bill:
    """What some usage costs in a region at list price, and after what every account has free each month.

    `borrowed` is what the book has no price of in that region, each with the price that stands in for it.
    `unpriced` is what has no price at all. It is in neither sum.
    """

    region: str
    items: tuple[costs.Item, ...]
    charged: tuple[costs.Item, ...]
    borrowed: tuple[tuple[costs.Usage, Price], ...]
    unpriced: tuple[str, ...]

    @property
    def list_usd(self) -> Decimal:
        """The sum at list price, in US dollars, not rounded."""
        return _total(self.items)

    @property
    def charged_usd(self) -> Decimal:
        """The sum after what is free each month, in US dollars, not rounded, if nothing else of the account uses that up."""
        return _total(self.charged)

    def notes(self) -> Iterator[str]:
        """Yield what a reader has to know about the sums, a sentence each."""
        for usage, price in self.borrowed:
            same, dearest = f"{price.sku}, the same where it has both", f"{price.region}, the dearest that it has"
            yield (
                f"The book has no price of {usage.service} {usage.sku} in {self.region}; that of "
                f"{same if price.region == self.region else dearest}, stands in for it."
            )
        if self.unpriced:
            yield f"Without a price, and in no sum: {', '.join(self.unpriced)}."

    def __str__(self) -> str:
        rows = [("service", "what", "quantity", "unit", "USD each", "USD")]
        for item in self.items:
            line = item.to_facts()
            quantity, each = f"{line['quantity'].normalize():,f}", f"{line['unit_price_usd'].normalize():f}"
            rows.append((line["service"], item.what, quantity, line["unit"], each, usd(item.part.cost_usd)))
        rows.append(("together", "at list price", "", "", "", usd(self.list_usd)))
        rows.append(("", "after what is free each month", "", "", "", usd(self.charged_usd)))
        return "\n".join([*costs.laid_out(rows, right={2, 4, 5}), "", *(f"- {note}" for note in self.notes())]).strip()


def bill(used: Amounts, region: str) -> Bill:
    """Return what amounts of `BILLED` things cost in a region; whatever else is among them is named as unpriced."""
    unpriced = sorted(name for name in used if name not in BILLED)
    items, charged, borrowed, left = [], [], [], {}
    for name in BILLED:
        quantity = Decimal(used.get(name, 0))
        if quantity <= 0:
            continue
        usage = costs.Usage(*BILLED[name][:3], quantity, BILLED[name][3])
        try:
            usage, where = _known(usage, region, borrowed)
        except ParameterError:
            unpriced.append(f"{usage.service} {usage.sku}")
            continue
        items += costs.lines(usage, region=where)
        allowance = (usage.service, usage.free_sku)
        if usage.free_sku and allowance not in left:
            left[allowance] = costs.allowance(usage)
        charged += costs.lines(usage, region=where, free=left.get(allowance, Decimal(0)))
        left[allowance] = max(left.get(allowance, Decimal(0)) - quantity, Decimal(0))
    return Bill(region, tuple(items), tuple(charged), tuple(borrowed), tuple(unpriced))


def added(*several: Amounts) -> dict[str, Decimal]:
    """Return the sums of several amounts, by name."""
    together: dict[str, Decimal] = {}
    for amounts in several:
        for name, amount in amounts.items():
            together[name] = together.get(name, Decimal(0)) + amount
    return together


def usd(amount: Decimal) -> str:
    """Return an amount for a reader: four decimals, as what a lesson uses seldom costs a cent."""
    shown = costs.rounded(amount, 4)
    return "<0.0001" if amount and not shown else f"{shown:,}"


# what a lesson's functions are


@dataclass(frozen=True)
class Shape:
    """What a template says of usage: its functions, what polls for them, and which stages are a REST API's."""

    memory_mb: int = 128  # the largest
    timeout_s: int = 3  # the longest
    functions: Mapping[str, tuple[str, str]] = field(
        default_factory=dict
    )  # end of a name -> handler folder, architecture
    polled: frozenset[str] = frozenset()  # the ends of the names of functions that a mapping polls for
    rest_stages: frozenset[str] = frozenset()

    @classmethod
    def of(cls, template: Path) -> "Shape":
        """Return the shape of a template; a lesson without one makes functions of the least size, if any."""
        if not template.exists():
            return cls()
        body = read_template(template)
        made = functions(body)
        ends = {logical: _end(properties.get("FunctionName")) for logical, properties in made.items()}
        resources = body["Resources"].values()
        mapped = [each["Properties"] for each in resources if each["Type"] == "AWS::Lambda::EventSourceMapping"]
        return cls(
            max((int(each.get("MemorySize", 128)) for each in made.values()), default=128),
            max((int(each.get("Timeout", 3)) for each in made.values()), default=3),
            {
                ends[logical]: (Path(str(each.get("CodeUri"))).name, each.get("Architectures", ["x86_64"])[0])
                for logical, each in made.items()
            },
            frozenset(ends[each["FunctionName"]["Ref"]] for each in mapped),
            frozenset(each["Properties"]["StageName"] for each in resources if each["Type"] == "AWS::Serverless::Api"),
        )

    def cpu(self, function: str) -> str:
        """Return the architecture of a function as the price book calls it; x86, the dearer one, if nothing tells."""
        return next((cpu for end, (_, cpu) in self._own(function)), "x86_64").removesuffix("_64")

    def by_itself(self, function: str) -> dict[str, Decimal]:
        """Return the most that one invocation of a function asks of other services, and Lambda for it."""
        found = Counter(next((BY_HANDLER.get(handler, {}) for _, (handler, _) in self._own(function)), {}))
        found["sqs_requests"] += PER_MESSAGE * any(function.endswith(end) for end in self.polled)
        return {name: Decimal(count) for name, count in found.items() if count}

    def by_a_call(self) -> dict[str, Decimal]:
        """Return the most that a call to an API asks for by the functions behind it, their further attempts included."""
        return added(
            *(self.by_itself(end) for end in self.functions if end not in self.polled for _ in range(ATTEMPTS))
        )

    def polls(self, seconds: int) -> dict[str, Decimal]:
        """Return what event source mappings ask their queues in so many seconds, messages or none."""
        return {"sqs_requests": len(self.polled) * _POLLS_PER_S * Decimal(seconds)} if self.polled else {}

    def _own(self, function: str) -> list[tuple[str, tuple[str, str]]]:
        return [(end, found) for end, found in self.functions.items() if function.endswith(end)]


def _end(name: Any) -> str:
    """Return what follows the stack's name in the name of a function, such as "-hello"."""
    return name["Fn::Sub"].removeprefix("${AWS::StackName}") if isinstance(name, dict) else str(name)


def _known(usage: costs.Usage, region: str, borrowed: list[tuple[costs.Usage, Price]]) -> tuple[costs.Usage, str]:
    """Return the usage with the sku, and the region, whose price is to be taken; what stands in for another is noted.

    That is the region asked for, or there a sku that costs as much elsewhere, or else the dearest region of the book.

    Raises:
        ParameterError: the book has no price of it in any region.
    """
    for sku in (usage.sku, *_AS_MUCH.get(usage.sku, ())):
        try:
            found = prices.price(usage.service, sku, region=region)
        except ParameterError:
            continue
        if sku != usage.sku:
            borrowed.append((usage, found))
        return replace(usage, sku=sku), region
    found = prices.dearest(usage.service, usage.sku)
    borrowed.append((usage, found))
    return usage, found.region


def _total(items: Iterable[costs.Item]) -> Decimal:
    return sum((item.part.cost_usd for item in items), Decimal(0))
