"""What Lambda itself sends to other services, inside MiniStack and in the account and region of the thread."""

import asyncio
import json
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, sns, sqs

from workbook.emulator.lineage import with_lineage

Attributes = dict[str, dict[str, str]]  # of a message: {"Name": {"DataType": "String", "StringValue": "..."}}


class NotDeliveredError(Exception):
    """The receiver isn't there, or doesn't take it."""


def to_queue(arn: str, body: str, attributes: Attributes | None = None) -> None:
    """Send a message to a queue."""
    queue = parse_arn(arn)
    message = {"QueueUrl": f"{queue.account_id}/{queue.resource}", "MessageBody": body}
    sqs._act_send_message(message | {"MessageAttributes": attributes or {}}, "")


def to_topic(arn: str, body: str, attributes: Attributes | None = None) -> None:
    """Publish a message to a topic."""
    if sns.publish_internal(arn, body, message_attributes=attributes) is None:
        raise NotDeliveredError(f"there is no topic {arn}")


def to_function(arn: str, payload: Any, *, sender: str) -> None:
    """Invoke a function asynchronously. A chain of functions that is too long ends here, as it does at Invoke."""
    name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)
    headers = {
        "x-amz-invocation-type": "Event",
        "x-amzn-trace-id": with_lineage(None, sender, lambda_svc._invoke_depth.get()),
    }
    status, _, answer = asyncio.run(lambda_svc._invoke(name, payload, headers, qualifier))
    if status != 202:
        raise NotDeliveredError(answer.decode())


def to_bus(arn: str, *, source: str, detail_type: str, detail: str, resources: list[str]) -> None:
    """Put an event on a bus."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": detail, "Resources": resources}
    _, _, answer = eventbridge._put_events({"Entries": [entry | {"EventBusName": arn}]})
    if json.loads(answer)["FailedEntryCount"]:
        raise NotDeliveredError(answer.decode())
