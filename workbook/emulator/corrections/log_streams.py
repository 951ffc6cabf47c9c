"""One log stream an execution environment, with Lambda's own lines as Lambda writes them.

Needed by 01_first_function, which reads the logs and follows an environment by its stream. Plain MiniStack opens a new
stream for every invocation, and writes lines of its own around what the function wrote.

AWS: "A single execution environment writes to the same log stream during its lifetime."
https://docs.aws.amazon.com/lambda/latest/operatorguide/log-structure.html
"""

import threading
import time
from typing import Any

from ministack.services import cloudwatch_logs, lambda_svc

from workbook.emulator.system_log import InvocationLog
from workbook.emulator.workers import log_group

_creation = threading.Lock()  # two first invocations at once make one log group


def apply() -> None:
    """Replace what writes an invocation's log, for the invocations that ran in an environment of ours."""
    stock = lambda_svc._emit_lambda_logs

    def emit(func: dict[str, Any], *args: Any, log_source: InvocationLog | str | None) -> None:
        if not isinstance(log_source, InvocationLog):
            return stock(func, *args, log_source=log_source)
        *_, duration_ms = args
        return write(log_group(func.get("config") or func), log_source, duration_ms)

    lambda_svc._emit_lambda_logs = emit


def write(group_name: str, log: InvocationLog, duration_ms: int) -> None:
    """Append an invocation's log, that just ended, to its stream. Group and stream are made if they are missing."""
    with _creation:
        if group_name not in cloudwatch_logs._log_groups:
            cloudwatch_logs._create_log_group({"logGroupName": group_name})
        streams = cloudwatch_logs._log_groups[group_name]["streams"]
        if log.stream not in streams:
            cloudwatch_logs._create_log_stream({"logGroupName": group_name, "logStreamName": log.stream})
    events = log_events(log, ended_ms=int(time.time() * 1000), duration_ms=duration_ms)
    cloudwatch_logs._append_log_events(streams[log.stream], events)
    cloudwatch_logs._fanout_to_subscription_filters(group_name, log.stream, events)


def log_events(log: InvocationLog, *, ended_ms: int, duration_ms: int) -> list[dict[str, Any]]:
    """Return CloudWatch's events: up to START they carry the time of the invocation's start, after it that of its end."""
    events, timestamp = [], ended_ms - duration_ms
    for record in log.records:
        events.append({"timestamp": timestamp, "message": record, "ingestionTime": ended_ms})
        if record.startswith("START RequestId: "):
            timestamp = ended_ms
    return events
