"""What a run uses of an account, counted call by call.

A `Meter` sees each call before it goes and when it is answered, and appends a line to a file of the run folder each time;
so a kernel that is killed takes no count along. What functions and Lambda do by themselves can't be seen going: it is
estimated from above, until the functions' own logs say how often and for how long each was invoked.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from workbook import calls, costs
from workbook.errors import TargetError
from workbook.records import append_line, read_lines
from workbook.targets import Target
from workbook.usage import ATTEMPTS, BILLED, KB, PER_MESSAGE, Amounts, Bill, Shape, added, bill, usd

# Making, changing and deleting functions, APIs, roles, log groups and stacks of AWS's own resource types is free:
# https://aws.amazon.com/lambda/pricing/, https://aws.amazon.com/api-gateway/pricing/, https://aws.amazon.com/iam/,
# https://aws.amazon.com/cloudformation/pricing/; so is reading logs, other than by Insights.
_FREE = {
    *("apigateway", "apigatewayv2", "cloudformation", "freetier", "iam", "lambda", "logs", "organizations", "sts"),
    *("resourcegroupstaggingapi", "service-quotas", "servicediscovery"),
}
_TAKES_AWAY = ("Delete", "Detach", "Remove", "Untag", "Disable", "Terminate")
_CLEANS = (*_TAKES_AWAY, "List", "Describe", "Head")  # goes on beyond the cap, as whoever cleans up has to look, too
_ADDS = ("Create", "Put", "Update", "Execute", "Invoke", "Publish", "Start", "Send", "Run")
# https://aws.amazon.com/s3/pricing/: "PUT, COPY, POST, LIST" have one price, "GET, SELECT, and all other requests" another;
# deleting is free.
_S3_READS = ("Get", "Head", "Select")
_STORED = Decimal(1) / 30  # of a month: what a day costs, as stacks expire after one
_LOG_KB = 2  # of an invocation whose log wasn't read: three lines of Lambda's own have 0.3 KB, a traceback about one
_LINE_BYTES = 26  # that CloudWatch Logs adds to each event: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
_PROVISIONED_STEP_S = 300  # "rounded up to the nearest five minutes": https://aws.amazon.com/lambda/pricing/
_LOOK_EVERY_S = 5  # between two looks at what all kernels of the run have spent
FOLDER = "metered"  # of a run folder
_NO_CALL = ("opened", " answered", "functions reported")


class Meter:
    """Counts the calls of one lesson, line by line, and refuses further ones when the run has spent what it may.

    `file` is the lesson's own, beside those of the other lessons of the run.
    """

    def __init__(self, file: Path, *, region: str, shape: Shape | None = None, cap_usd: float | None = None) -> None:
        self._file, self._region, self._shape = file, region, shape or Shape()
        self._cap_usd = cap_usd
        self._lock = threading.Lock()
        self._spent_usd = self._others_usd = Decimal(0)
        self._look_at_s = 0.0  # when to read again what was spent, on the monotonic clock
        self._guessed: dict[str, Decimal] = {}  # what invocations were taken to use, before their logs were read
        self._invoked, self._functions = 0, set()
        append_line(file, {"at": _now(), "call": "opened", "used": {}, "region": region})

    def ask(self, service: str, operation: str, parameters: Mapping[str, Any]) -> "Ticket":
        """Count a call that is about to go, and return what to tell its answer to.

        Raises:
            TargetError: it would cost, or make something, and the run has spent what it may.
        """
        used = _used_by_sending(service, operation, parameters, self._shape)
        guess = _used_by_invoking(service, operation, parameters, self._shape)
        if guess or operation.startswith(_ADDS) or (used and not operation.startswith(_CLEANS)):
            self._refuse_beyond_cap(service, operation)
        if service == "cloudformation" and (stack := parameters.get("StackName")):
            self._functions |= {_stack_name(stack) + end for end in self._shape.functions}
        elif guess and "FunctionName" in parameters:
            self._functions.add(_function_name(parameters["FunctionName"]))
        self._guess(guess)
        standing = _standing(service, operation, parameters, self._shape)
        self._write(f"{service} {operation}", added(used, guess), **standing)
        return Ticket(self, service, operation, parameters, guess)

    def answered(self, ticket: "Ticket", status: int, size_bytes: int, log: str = "") -> None:
        """Count what an answer tells: how long the function ran, and how much came back."""
        used = {"out_gb": Decimal(size_bytes) / KB**3}
        if "http_api_requests" in _used_by_sending(ticket.service, ticket.operation, ticket.parameters, self._shape):
            steps = ceil(max(size_bytes, ticket.parameters["size_bytes"]) / KB / costs.HTTP_STEP_KB)
            used["http_api_requests"] = Decimal(max(steps - 1, 0))  # the first was counted as it went
        if ticket.guess and status in {401, 403, 429}:  # nothing was invoked
            used = added(used, self._guess({name: -amount for name, amount in ticket.guess.items()}))
        elif ticket.guess:
            with self._lock:
                self._invoked += 1
            used = added(used, self._guess(self._duration(ticket, log)))
        self._write(f"{ticket.service} {ticket.operation} answered", used, status=status)

    def read_reports(self, target: Target) -> None:
        """Put what the functions' logs say in the place of what was estimated, as far as it has arrived.

        That is how often each was invoked, by whomever, for how long, and how much it logged. Logs that aren't there or
        may not be read leave the estimate as it is.
        """
        reported, invocations = {}, 0
        for function in sorted(self._functions):
            try:
                events = list(_log(target, function))
            except ClientError:
                continue
            reports = [calls.report(event) for event in events if event.startswith("REPORT ")]
            gb_s = sum((_gb_s(report["billed_ms"], report["memory_mb"]) for report in reports), Decimal(0))
            own = {
                "lambda_requests": Decimal(len(reports)),
                f"lambda_gb_s_{self._shape.cpu(function)}": gb_s,
                "log_gb": Decimal(sum(len(event.encode()) + _LINE_BYTES for event in events)) / KB**3,
            }
            by_itself = self._shape.by_itself(function)
            reported = added(reported, own, {name: len(reports) * amount for name, amount in by_itself.items()})
            invocations += len(reports)
        if invocations < self._invoked:  # some haven't arrived, and may be the longest ones
            names = {*reported, *self._guessed}
            reported = {
                name: max(reported.get(name, Decimal(0)), self._guessed.get(name, Decimal(0))) for name in names
            }
        difference = added(reported, {name: -amount for name, amount in self._guessed.items()})
        self._guessed = reported
        self._write("functions reported", difference)

    def _duration(self, ticket: "Ticket", log: str) -> dict[str, Decimal]:
        """Return the GB-seconds of an invocation: as REPORT has them, or as long as its caller waited."""
        shape = self._shape
        name = f"lambda_gb_s_{shape.cpu(_function_name(ticket.parameters.get('FunctionName', '')))}"
        told = calls.report(log)
        if told["billed_ms"] is not None and told["memory_mb"] is not None:
            return {name: _gb_s(told["billed_ms"], told["memory_mb"])}
        if ticket.parameters.get("InvocationType") == "Event":  # nobody knows how long; no longer than it may
            return {name: ATTEMPTS * _gb_s(1000 * shape.timeout_s, shape.memory_mb)}
        return {name: _gb_s(ceil(ticket.elapsed_ms), shape.memory_mb)}

    def _guess(self, used: Amounts) -> Amounts:
        with self._lock:
            self._guessed = added(self._guessed, used)
        return used

    def _write(self, what: str, used: Amounts, **more: Any) -> None:
        line = {name: f"{amount:f}" for name, amount in used.items() if amount}
        append_line(self._file, {"at": _now(), "call": what, "used": line, **more})
        cost_usd = sum((amount * self._rates.get(name, 0) for name, amount in used.items()), Decimal(0))
        with self._lock:
            self._spent_usd += cost_usd

    @cached_property
    def _rates(self) -> dict[str, Decimal]:
        """The list price of the first unit of everything, which no further one exceeds."""
        items = bill(dict.fromkeys(BILLED, Decimal(1)), self._region).items
        by_sku = {(item.part.price.service, item.part.price.sku): item.part.price.usd for item in items}
        return {name: by_sku.get((service, sku), Decimal(0)) for name, (_, service, sku, _) in BILLED.items()}

    def _refuse_beyond_cap(self, service: str, operation: str) -> None:
        if self._cap_usd is None:
            return
        if time.monotonic() >= self._look_at_s:
            self._look_at_s = time.monotonic() + _LOOK_EVERY_S
            self._others_usd = Decimal(0)
            for file in self._file.parent.glob("*.jsonl"):
                other_usd = bill(_used_in(file), self._region).list_usd
                if file == self._file:
                    self._spent_usd = other_usd  # what stands goes on costing
                else:
                    self._others_usd += other_usd
        if (spent_usd := self._spent_usd + self._others_usd) >= Decimal(str(self._cap_usd)):
            raise TargetError(
                f"This run has spent about {usd(spent_usd)} USD at list price, and WORKBOOK_MAX_USD is {self._cap_usd:g}: "
                f"{service} {operation} was not sent.",
                why="It could cost more than you agreed to.",
                fix="Take away what stands with `python -m workbook clean`, or raise WORKBOOK_MAX_USD and go on.",
            )


@dataclass
class Ticket:
    """One call that is under way, as its meter knows it."""

    meter: Meter
    service: str
    operation: str
    parameters: Mapping[str, Any]
    guess: Amounts  # what the invocations that it causes were taken to use
    started_s: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_ms(self) -> float:
        """How long the caller has waited, in milliseconds."""
        return (time.perf_counter() - self.started_s) * 1000

    def answered(self, status: int, size_bytes: int, log: str = "") -> None:
        """Tell the meter of the answer, and of the end of the log that came with it."""
        self.meter.answered(self, status, size_bytes, log)


def _used_by_sending(service: str, operation: str, parameters: Mapping[str, Any], shape: Shape) -> Amounts:
    """Return what a call uses by being sent, as far as it is billed, beside the invocations that it causes."""
    match service, operation:
        case "http", _:
            return _used_by_request(parameters["url"], shape)
        case "sqs", _:
            return {"sqs_requests": Decimal(1)}
        case "dynamodb", "TransactWriteItems":
            return {"dynamodb_write_units": Decimal(2 * len(parameters["TransactItems"]))}
        case "dynamodb", "PutItem" | "UpdateItem" | "DeleteItem":  # of up to 1 KB, as all items of lessons are
            return {"dynamodb_write_units": Decimal(1)}
        case "dynamodb", "GetItem":  # of up to 4 KB
            return {"dynamodb_read_units": Decimal(1)}
        case "dynamodb", "Scan" | "Query":  # the most that a page of 1 MB can take
            return {"dynamodb_read_units": Decimal(256 if parameters.get("ConsistentRead") else 128)}
        case "dynamodb", name if name.startswith(("Describe", "List", "CreateTable", "DeleteTable", "Tag")):
            return {}
        case "s3", name if name.startswith(_TAKES_AWAY):
            return {}
        case "s3", name if name.startswith(_S3_READS):
            return {"s3_get_requests": Decimal(1)}
        case "s3", _:
            body = parameters.get("Body", b"")
            size_bytes = len(body) if isinstance(body, bytes | str) else 0
            return {"s3_put_requests": Decimal(1), "s3_gb_months": Decimal(size_bytes) / KB**3 * _STORED}
        case "cloudwatch", "GetMetricData":
            return {"metric_requests": Decimal(len(parameters["MetricDataQueries"]))}
        case "cloudwatch", _:
            return {"metric_requests": Decimal(1)}
        case free, _ if free in _FREE:
            return {}
    return {f"{service} {operation}": Decimal(1)}  # stands in no price list, so that the bill names it


def _used_by_request(url: str, shape: Shape) -> Amounts:
    """Return what API Gateway bills for a request; a function URL costs nothing beside its function."""
    parts = urlsplit(url)
    if ".lambda-url." in (parts.hostname or "") or parts.path.startswith("/_aws/lambda-url/"):
        return {}
    path = parts.path.split("/")[1:]
    stage = path[3] if path[:2] == ["_aws", "execute-api"] and len(path) > 3 else path[0] if path else ""
    return {"rest_api_requests" if stage in shape.rest_stages else "http_api_requests": Decimal(1)}


def _used_by_invoking(service: str, operation: str, parameters: Mapping[str, Any], shape: Shape) -> Amounts:
    """Return what the invocations that a call causes use before anything is known of them; none cause nothing."""
    if service == "http":
        times, by_itself = 1, shape.by_a_call()
    elif (service, operation) == ("lambda", "Invoke"):
        times = ATTEMPTS if parameters.get("InvocationType") == "Event" else 1
        own = shape.by_itself(_function_name(parameters["FunctionName"]))
        by_itself = {name: times * amount for name, amount in own.items()}
    elif (service, operation) in {("sqs", "SendMessage"), ("sqs", "SendMessageBatch")} and shape.polled:
        times, by_itself = len(parameters.get("Entries", [None])), {"sqs_requests": Decimal(PER_MESSAGE)}
    else:
        return {}
    return added({"lambda_requests": Decimal(times), "log_gb": Decimal(times * _LOG_KB) / KB**2}, by_itself)


def _standing(service: str, operation: str, parameters: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Return what goes on being used from a call on, or what ends with it."""
    match service, operation:
        case "cloudformation", "CreateChangeSet" | "CreateStack" if shape.polled:
            polls = {name: f"{amount:f}" for name, amount in shape.polls(1).items()}
            return {"stands": _stack_name(parameters["StackName"]), "per_s": polls, "step_s": 1}
        case "cloudformation", "DeleteStack":
            return {"ends": _stack_name(parameters["StackName"])}
        case "lambda", "PutProvisionedConcurrencyConfig":
            function = _function_name(parameters["FunctionName"])
            ready_gb = Decimal(parameters["ProvisionedConcurrentExecutions"] * shape.memory_mb) / KB
            used = {f"provisioned_gb_s_{shape.cpu(function)}": f"{ready_gb:f}"}
            return {"stands": function, "per_s": used, "step_s": _PROVISIONED_STEP_S}
        case "lambda", "DeleteProvisionedConcurrencyConfig" | "DeleteFunction":
            return {"ends": _function_name(parameters["FunctionName"])}
    return {}


# what was spent


@dataclass(frozen=True)
class Spent:
    """What a run has spent, as far as it was counted: the bill, and how often each operation was called."""

    bill: Bill
    called: Mapping[str, int]

    def to_facts(self) -> dict[str, Any]:
        """Return it as plain values, as `run.json` keeps it."""
        sums = {"list_usd": float(self.bill.list_usd), "after_free_usd": float(self.bill.charged_usd)}
        return {"region": self.bill.region, **sums, "called": dict(self.called)}

    def __str__(self) -> str:
        by_service = Counter()
        for call, count in self.called.items():
            by_service[call.partition(" ")[0]] += count
        called = ", ".join(f"{count:,} of {service}" for service, count in by_service.most_common())
        said = (
            f"Spent about {usd(self.bill.list_usd)} USD at list price ({usd(self.bill.charged_usd)} after what is free each "
            f"month), by what was called: {called or 'nothing'}. AWS's bill comes later and decides."
        )
        return " ".join([said, *self.bill.notes()])


def metered(target: Target, run_folder: Path, lesson: str, template: Path) -> Target:
    """Return the target with a meter on it, which counts what a lesson uses into its run folder, up to the target's cap."""
    file, shape = metered_file(run_folder, lesson), Shape.of(template)
    return replace(target, meter=Meter(file, region=target.region, shape=shape, cap_usd=target.cap_usd))


def spent(run_folder: Path) -> Spent | None:
    """Return what the lessons of a run folder have spent so far; None if nothing was metered there.

    What still stands is counted until now.
    """
    files = sorted((run_folder / FOLDER).glob("*.jsonl"))
    lines = [line for file in files for line in read_lines(file)]
    regions = [line["region"] for line in lines if "region" in line]
    if not regions:
        return None
    return Spent(bill(added(*map(_used_in, files)), regions[0]), _called(lines))


def used(run_folder: Path, lesson: str) -> dict[str, Decimal]:
    """Return what one lesson of a run folder has used, by the names of `BILLED`."""
    return _used_in(metered_file(run_folder, lesson))


def called(run_folder: Path, lesson: str) -> Counter[str]:
    """Return how often one lesson of a run folder called each operation, such as "lambda Invoke"."""
    return _called(read_lines(metered_file(run_folder, lesson)))


def _called(lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    return Counter(line["call"] for line in lines if not line["call"].endswith(_NO_CALL))


def metered_file(run_folder: Path, lesson: str) -> Path:
    """Return where the counts of a lesson are."""
    return run_folder / FOLDER / f"{lesson}.jsonl"


def _used_in(file: Path) -> dict[str, Decimal]:
    lines = read_lines(file)
    journal = file.parent.parent / "journal" / file.name
    undone = [line["at"] for line in read_lines(journal) if line["kind"] == "undone" and "at" in line]
    return added(
        *({name: Decimal(text) for name, text in line["used"].items()} for line in lines), *_stood(lines, undone)
    )


def _stood(lines: list[dict[str, Any]], undone: list[str]) -> Iterator[Amounts]:
    """Yield what was used by what stood for a while: up to its end, by whomever, or to this moment."""
    for place, line in enumerate(lines):
        if "stands" not in line:
            continue
        later = lines[place + 1 :]
        ends = [
            *(one["at"] for one in later if line["stands"].startswith(one.get("ends", "\0"))),
            *(
                one["at"] for one in later if one.get("stands") == line["stands"]
            ),  # asked for anew, and counted from there
            *(at for at in undone if at > line["at"]),
        ]
        stood_s = (
            datetime.fromisoformat(min(ends, default=_now())) - datetime.fromisoformat(line["at"])
        ).total_seconds()
        steps_s = max(ceil(stood_s / line["step_s"]), 1) * line["step_s"]
        yield {name: Decimal(per_s) * steps_s for name, per_s in line["per_s"].items()}


def _gb_s(duration_ms: float, memory_mb: int) -> Decimal:
    return Decimal(str(duration_ms)) / 1000 * memory_mb / KB


def _log(target: Target, function: str) -> Iterator[str]:
    """Yield the messages in a function's log."""
    pages = target.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
    return (event["message"] for page in pages for event in page["events"])


def _function_name(name: str) -> str:
    """Return a function's own name, without account, version or alias."""
    return name.rpartition(":function:")[2].partition(":")[0]


def _stack_name(name: str) -> str:
    return name.partition(":stack/")[2].partition("/")[0] or name


def _now() -> str:
    return datetime.now(UTC).isoformat()
