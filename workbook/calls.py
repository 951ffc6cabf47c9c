"""One invocation or HTTP request, turned into one record.

Measured calls are never retried: a throttle is a result, and so is every error that the function answers with. The
client's clock runs from the moment that a request goes out to the last byte of its answer.
"""

import base64
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from workbook.records import Record
from workbook.targets import Target, measured_answer

_REPORT_FIELD = {
    "duration_ms": re.compile(r"\tDuration: ([\d.]+) ms"),
    "billed_ms": re.compile(r"\tBilled Duration: ([\d.]+) ms"),
    "memory_mb": re.compile(r"\tMemory Size: (\d+) MB"),
    "max_memory_mb": re.compile(r"\tMax Memory Used: (\d+) MB"),
    "init_ms": re.compile(r"\tInit Duration: ([\d.]+) ms"),
}

_REPORT_ID = re.compile(r"REPORT RequestId: (\S+)\t")
_REPORTED = re.compile(r"^REPORT RequestId: ", re.MULTILINE)
_INIT_REPORTED = re.compile(r"^(?:INIT_REPORT |REPORT RequestId: .*\t)Init Duration: ", re.MULTILINE)
_LOG_POLL_S = 0.2
_CLOCKS_DIFFER_S = 60  # as far as this machine's clock may be ahead of AWS's


@dataclass(frozen=True)
class Door:
    """A way to a function over HTTP: what kind it is, as a record's `via` names it, its address, and the function."""

    via: Literal["http_api", "rest_api", "function_url"]
    url: str
    function: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one call came back with: its record, the parsed answer, the end of the log, and Invoke's FunctionError."""

    record: Record
    answer: Any
    log: str = ""
    function_error: str | None = None

    def __repr__(self) -> str:
        record = self.record
        kind = f"{record.temperature} call" if record.temperature else "call"
        return f"<{kind} via {record.via}: {record.error_type or record.status}, {record.client_ms:.1f} ms, {record.provenance}>"


def report(log: str) -> dict[str, float | int | None]:
    """Return what the last REPORT line of a log says: `duration_ms`, `billed_ms`, `memory_mb`, `max_memory_mb`, `init_ms`.

    A field that the line doesn't have is None; `init_ms` stands there only on a cold start. Without a REPORT line all
    are None. The format is AWS's: https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    """
    lines = [line for line in log.splitlines() if line.startswith("REPORT ")]
    found = {name: pattern.search(lines[-1]) if lines else None for name, pattern in _REPORT_FIELD.items()}
    return {
        name: match and (int(match[1]) if name.endswith("_mb") else float(match[1])) for name, match in found.items()
    }


def invoke(
    target: Target,
    function: str,
    event: Any = None,
    *,
    run_id: str,
    experiment: str,
    invocation_type: Literal["RequestResponse", "Event"] = "RequestResponse",
    **labels: Any,
) -> Call:
    """Invoke a function, wait for its answer, and return the call.

    `event` is anything that JSON can hold. `labels` are further columns of the record, such as `variant` or `attempt`. A
    function error and a throttle come back as calls with an `error_type`. With `invocation_type="Event"` Lambda only says
    that it has taken the event: 202, and nothing of what the function does.

    Raises:
        TargetError: nothing answers at the target, or not to the end.
        botocore.exceptions.ClientError: AWS refused the call for another reason than a throttle.
    """
    client = target.measured_client("lambda")
    try:
        response = client.invoke(
            FunctionName=function, InvocationType=invocation_type, Payload=json.dumps(event), LogType="Tail"
        )
        raw = response["Payload"].read()
    except client.exceptions.TooManyRequestsException as error:
        response, raw = error.response, json.dumps({"errorType": error.response["Error"]["Code"]}).encode()
    measured = measured_answer()
    answer = json.loads(raw) if raw else None
    log = base64.b64decode(response.get("LogResult", "")).decode(errors="replace")
    failed = response.get("FunctionError") or "Error" in response
    return Call(
        record=_record(
            target,
            function,
            answer,
            log,
            run_id=run_id,
            experiment=experiment,
            via="invoke",
            started_at=measured.sent_at.isoformat(),
            client_ms=measured.took_ms,
            status=response["ResponseMetadata"]["HTTPStatusCode"],
            error_type=answer.get("errorType", "Unknown") if failed else None,
            request_id=response["ResponseMetadata"].get("RequestId"),
            **report(log),
            **labels,
        ),
        answer=answer,
        log=log,
        function_error=response.get("FunctionError"),
    )


def request(
    target: Target, method: str, url: str, *, function: str, via: str, run_id: str, experiment: str, **labels: Any
) -> Call:
    """Send one signed HTTP request to an API or a function URL and return the call.

    A gateway carries no log back: what the REPORT line knows is missing from the record. An answer that is not JSON
    stays text. `labels` are further columns of the record.

    Raises:
        TargetError: nothing answers at the target.
    """
    response = target.send(method, url)
    text = response.body.decode(errors="replace")
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        answer = text
    return Call(
        record=_record(
            target,
            function,
            answer,
            run_id=run_id,
            experiment=experiment,
            via=via,
            started_at=response.sent_at.isoformat(),
            client_ms=response.took_ms,
            status=response.status,
            error_type=None
            if response.status < 400
            else response.headers.get("x-amzn-errortype", str(response.status)),
            **labels,
        ),
        answer=answer,
    )


def with_reports(target: Target, records: Sequence[Record], *, timeout_s: float = 120) -> list[Record]:
    """Return the records of one function, completed by its REPORT lines in CloudWatch Logs, joined by request id.

    This is how a call through a gateway, which carries no log back, meets what Lambda says of it. AWS delivers logs late;
    what hasn't arrived within `timeout_s` seconds stays missing.

    Raises:
        botocore.exceptions.ClientError: the function has no log group, or it may not be read.
    """
    missing = {record.request_id for record in records if record.request_id and record.duration_ms is None}
    found: dict[str, str] = {}
    deadline = time.monotonic() + timeout_s
    while missing - found.keys():
        found |= {request_id: line for request_id, line in _report_lines(target, records) if request_id in missing}
        if time.monotonic() > deadline:
            break
        if missing - found.keys():
            time.sleep(_LOG_POLL_S)
    return [_completed(record, found.get(record.request_id, "")) for record in records]


def _report_lines(target: Target, records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """Yield request id and REPORT line of every invocation since the first of the records."""
    since = min(datetime.fromisoformat(record.started_at) for record in records)
    pages = (
        target.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=f"/aws/lambda/{records[0].function}",
            filterPattern="REPORT",
            startTime=int((since.timestamp() - _CLOCKS_DIFFER_S) * 1000),
        )
    )
    for page in pages:
        for event in page["events"]:
            if match := _REPORT_ID.match(event["message"]):
                yield match[1], event["message"]


def _completed(record: Record, line: str) -> Record:
    """Return a record with what its REPORT line says, where it doesn't know better by itself."""
    said = {name: value for name, value in report(line).items() if value is not None}
    if line and record.temperature is None:
        said["temperature"] = _temperature(line, None)
    return replace(record, **said)


def _record(target: Target, function: str, answer: Any, log: str = "", **columns: Any) -> Record:
    """Return the record of a call, completed by what a measured handler says of itself in its answer."""
    own = answer if isinstance(answer, dict) else {}
    return Record(
        target=target.name,
        region=target.region,
        provenance=target.provenance,
        function=function,
        environment=own.get("log_stream"),
        runtime=own.get("runtime"),
        handler_ms=own.get("handler_ms"),
        temperature=_temperature(log, answer),
        **{"request_id": own.get("request_id"), **columns},
    )


def _temperature(log: str, answer: Any) -> str | None:
    """Return provisioned, cold if the call waited for an init phase, warm if it didn't, None if nothing tells.

    REPORT gives an Init Duration on a cold start, and INIT_REPORT one if the init phase failed. It gives none where an init
    phase is repeated inside an invocation, after a timeout or a crash; there a handler that counts its environment's calls
    gives it away. An environment that Lambda made ahead of the call reports an Init Duration too, although nobody waited
    for it. AWS does that now and then, and always where concurrency is provisioned; that, the handler can tell by its
    AWS_LAMBDA_INITIALIZATION_TYPE.
    Sources: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
    """
    told = answer if isinstance(answer, dict) else {}
    counted = told.get("calls_before")
    if told.get("initialization_type") == "provisioned-concurrency":
        return "provisioned"
    if counted == 0 or _INIT_REPORTED.search(log):
        return "cold"
    return "warm" if counted or _REPORTED.search(log) else None
