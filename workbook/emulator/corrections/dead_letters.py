"""A dead-letter queue or topic gets the event itself, with the request id and the error as message attributes.

Needed by 05_sync_vs_async, which lays such a message beside the record of a failure. Plain MiniStack sends a record in the
event's place, without attributes, and nothing at all if the function has a destination for failures too.

AWS: "Lambda sends the event to the dead-letter queue as-is, with additional information in attributes": RequestID,
ErrorCode, which is the HTTP status code, and the first 1 KB of the error message.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

import json

from ministack.core.arn import parse_arn

from workbook.emulator import asynchronous, deliveries
from workbook.emulator.asynchronous import Ended

_MESSAGE_BYTES = 1024


def apply() -> None:
    """Have every event that Lambda gives up on delivered to the function's dead-letter queue or topic."""
    asynchronous.install()
    asynchronous.receivers.append(deliver)


def deliver(ended: Ended) -> None:
    """Send an event that failed to the queue or topic that the function names, if it names one."""
    if ended.condition == "Success" or not ended.dead_letters:
        return
    send = {"sqs": deliveries.to_queue, "sns": deliveries.to_topic}[parse_arn(ended.dead_letters).service]
    send(ended.dead_letters, json.dumps(ended.event), attributes(ended))


def attributes(ended: Ended) -> deliveries.Attributes:
    """Return the message attributes of an event that failed.

    An event that wasn't tried has no status code, and an empty message is left out, as no attribute may be empty.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    status, message = _error(ended)
    given = {
        "RequestID": ("String", ended.request_id),
        "ErrorCode": ("Number", status),
        "ErrorMessage": ("String", message.encode(errors="replace")[:_MESSAGE_BYTES].decode(errors="ignore")),
    }
    return {name: {"DataType": kind, "StringValue": value} for name, (kind, value) in given.items() if value}


def _error(ended: Ended) -> tuple[str, str]:
    """Return the HTTP status code and the message of an event's last error."""
    if ended.answer is None:
        return "", "The function was not invoked: its reserved concurrency is zero."
    body = ended.answer.get("body")
    if ended.answer.get("throttle"):
        return "429", body["message"]
    # A custom runtime reports errors of any shape.
    return "200", str(body.get("errorMessage", "")) if isinstance(body, dict) else ""
