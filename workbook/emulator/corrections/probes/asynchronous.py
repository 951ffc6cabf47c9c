"""Probes of asynchronous invocation: what becomes of an event, and who is told."""

import json
import time
from typing import Any

from workbook.emulator.corrections.probes.made import function, queue, reports
from workbook.targets import Target

_PATIENCE_S = 20
_FAILS = """
def handler(event, context):
    if event["fail"]:
        raise ValueError("as requested")
    return {"request_id": context.aws_request_id}
"""
_SLOW = """
import time

def handler(event, context):
    time.sleep(0.3)
"""


def async_throttles(target: Target) -> bool:
    """Return whether events that have no retries all run, though there are more at once than may run at once."""
    service, logs, events = target.client("lambda"), target.client("logs"), 4
    with queue(target) as (failures, arn), function(target, _SLOW) as name:
        group = f"/aws/lambda/{name}"
        logs.create_log_group(logGroupName=group)
        service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        _settle(target, name, OnFailure=arn)
        for _ in range(events):
            service.invoke(FunctionName=name, InvocationType="Event")
        deadline, ran = time.monotonic() + _PATIENCE_S, 0
        while ran < events and time.monotonic() < deadline and not received(target, failures, wait_s=0):
            time.sleep(0.1)
            ran = len(reports(target, group))
        logs.delete_log_group(logGroupName=group)
    return ran == events


def async_destinations(target: Target) -> bool:
    """Return whether a failure and a success each leave a record that says which invocation it is about, and how it ended."""
    with queue(target) as (url, arn), function(target, _FAILS) as name:
        _settle(target, name, OnSuccess=arn, OnFailure=arn)
        return all(
            _recorded(target, name, url, fail=fail, condition=condition)
            for fail, condition in ((True, "RetriesExhausted"), (False, "Success"))
        )


def dead_letters(target: Target) -> bool:
    """Return whether a dead letter is the event, with the request id and the error as attributes."""
    service, event = target.client("lambda"), {"fail": True}
    with queue(target) as (url, arn), function(target, _FAILS, DeadLetterConfig={"TargetArn": arn}) as name:
        _settle(target, name)
        answer = service.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
        letter = received(target, url)
    if letter is None or json.loads(letter["Body"]) != event:
        return False
    attributes = {name: value["StringValue"] for name, value in letter.get("MessageAttributes", {}).items()}
    request_id = answer["ResponseMetadata"]["RequestId"]
    return attributes == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "as requested"}


def received(target: Target, url: str, *, wait_s: int = _PATIENCE_S) -> dict[str, Any] | None:
    """Return a message from a queue with its attributes, and take it off the queue. None if none comes in that time."""
    service = target.client("sqs")
    found = service.receive_message(QueueUrl=url, WaitTimeSeconds=wait_s, MessageAttributeNames=["All"])
    for message in found.get("Messages", []):
        service.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return message
    return None


def _settle(target: Target, name: str, **destinations: str) -> None:
    """Let a function have no retries, and destinations for its outcomes."""
    config = {outcome: {"Destination": arn} for outcome, arn in destinations.items()}
    target.client("lambda").put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig=config
    )


def _recorded(target: Target, name: str, url: str, *, fail: bool, condition: str) -> bool:
    event = {"fail": fail}
    answer = target.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    message = received(target, url)
    record = json.loads(message["Body"]) if message else {}
    context = record.get("requestContext", {})
    return (
        record.get("version") == "1.0"
        and record["requestPayload"] == event
        and (context["condition"], context["approximateInvokeCount"]) == (condition, 1)
        and context["requestId"] == answer["ResponseMetadata"]["RequestId"]
    )
