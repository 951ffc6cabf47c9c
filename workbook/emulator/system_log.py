"""An invocation's log: what the function wrote, between the lines that Lambda itself writes.

The format is that of plain-text system logs since 2024: a `Status` at the end of REPORT where an invocation failed, in
place of lines of their own. https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import json
import math
from dataclasses import dataclass

from workbook.emulator.environment import Outcome, reported_error_type


@dataclass(frozen=True)
class InvocationLog:
    """What one invocation adds to its environment's log stream."""

    stream: str
    records: tuple[str, ...]  # one log event each; a traceback is one record of several lines

    @property
    def text(self) -> str:
        """Return the log as one text."""
        return "".join(self.records)


def invocation_log(
    outcome: Outcome,
    *,
    stream: str,
    request_id: str,
    version: str,
    memory_mb: int,
    init_log: str,
    init_ms: float | None,
) -> InvocationLog:
    """Return the log of an invocation, from its init phase to REPORT.

    Args:
        outcome: how the invocation ended.
        stream: the environment's log stream.
        request_id: the invocation's id.
        version: the function's version, "$LATEST" or a number.
        memory_mb: the function's memory size.
        init_log: what was written in the init phase before it, empty on a warm environment.
        init_ms: how long that init phase took; None on a warm environment, and where the init phase failed.
    """
    return InvocationLog(
        stream,
        (
            *records(init_log + outcome.init_log),
            f"START RequestId: {request_id} Version: {version}\n",
            *records(outcome.log),
            f"END RequestId: {request_id}\n",
            report_line(outcome, request_id=request_id, memory_mb=memory_mb, init_ms=init_ms),
        ),
    )


def records(written: str) -> list[str]:
    """Return what a runtime wrote as log records: a line each.

    A carriage return inside a line is how the runtime keeps the lines of one record, such as a traceback, together.
    """
    return [line.replace("\r", "\n") + "\n" for line in written.removesuffix("\n").split("\n")] if written else []


def report_line(outcome: Outcome, *, request_id: str, memory_mb: int, init_ms: float | None) -> str:
    """Return the REPORT line. A value that the environment could not give is left out."""
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {outcome.duration_ms:.2f} ms",
        f"Billed Duration: {billed_ms(outcome.duration_ms, init_ms)} ms",
        f"Memory Size: {memory_mb} MB",
    ]
    if outcome.max_memory_mb is not None:
        fields.append(f"Max Memory Used: {outcome.max_memory_mb} MB")
    if init_ms is not None:
        fields.append(f"Init Duration: {init_ms:.2f} ms")
    if outcome.kind == "timeout":
        fields.append("Status: timeout")
    elif outcome.kind == "exit":
        fields += ["Status: error", f"Error Type: {reported_error_type(json.loads(outcome.payload)['errorType'])}"]
    else:
        fields.append("")  # AWS closes the line with a tab where no status follows
    return "\t".join(fields) + "\n"


def billed_ms(duration_ms: float, init_ms: float | None) -> int:
    """Return the milliseconds that are charged: duration and init phase together, rounded up.

    https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/ (since 1 August 2025)
    """
    return math.ceil(duration_ms + (init_ms or 0.0))
