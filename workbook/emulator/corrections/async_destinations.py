"""The record of an asynchronous invocation goes to the destination for its success or failure, with AWS's fields.

Needed by 05_sync_vs_async, which reads the records from two queues. Plain MiniStack has a destination for failures only,
none on an event bus and none of a version or alias, and its record lacks fields and always counts three invocations.

AWS: the record's fields, and how queue, topic, function and event bus get it.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
AWS doesn't say what the record of an event that never ran has in the place of an answer: here it has no answer, or the
429 of a throttle. Nor does it name the condition ZeroReservedConcurrency. Records to S3 buckets are left out.
"""

import json
from datetime import UTC, datetime
from typing import Any

from ministack.core.arn import parse_arn

from workbook.emulator import asynchronous, deliveries
from workbook.emulator.asynchronous import Ended


def apply() -> None:
    """Have every end of an event delivered to its destination."""
    asynchronous.install()
    asynchronous.receivers.append(deliver)


def deliver(ended: Ended) -> None:
    """Send the record of an event's end to the destination that the function's settings name, if they name one."""
    result = "Success" if ended.condition == "Success" else "Failure"
    destination = (ended.destinations.get(f"On{result}") or {}).get("Destination")
    if not destination:
        return
    written = record(ended)
    match parse_arn(destination).service:
        case "sqs":
            deliveries.to_queue(destination, json.dumps(written))
        case "sns":
            deliveries.to_topic(destination, json.dumps(written))
        case "lambda":
            deliveries.to_function(destination, written, sender=ended.function)
        case "events":
            deliveries.to_bus(
                destination,
                source="lambda",
                detail_type=f"Lambda Function Invocation Result - {result}",
                detail=json.dumps(written),
                resources=[destination, ended.function],
            )
        case service:
            raise deliveries.NotDeliveredError(f"records don't go to {service} here")


def record(ended: Ended) -> dict[str, Any]:
    """Return the invocation record of an event that just ended."""
    written = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": ended.request_id,
            "functionArn": ended.function,
            "condition": ended.condition,
            "approximateInvokeCount": ended.invocations,
        },
        "requestPayload": ended.event,
    }
    answer = ended.answer
    if answer is None:
        return written
    if answer.get("throttle"):
        return written | {"responseContext": {"statusCode": 429}}
    response = {"statusCode": 200, "executedVersion": ended.version}
    if answer.get("error"):
        response["functionError"] = answer.get("function_error") or "Unhandled"
    return written | {"responseContext": response, "responsePayload": answer.get("body")}
