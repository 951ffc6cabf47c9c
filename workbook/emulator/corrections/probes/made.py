"""What probes make for a moment: a function of one source file, a stack, a queue, an archive."""

import io
import json
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workbook.targets import Target

_PATIENCE = {"Delay": 0.1, "MaxAttempts": 3000}  # 5 minutes: LocalStack may have to fetch a runtime's image first
ROLE = "arn:aws:iam::000000000000:role/probe"


@contextmanager
def function(target: Target, source: str, *, file: str = "app.py", **configuration: Any) -> Iterator[str]:
    """Create a function of one source file, yield its name when it is active, and delete it."""
    service, name = target.client("lambda"), f"probe-{secrets.token_hex(4)}"
    given = {
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Role": ROLE,
        "Code": {"ZipFile": zipped(source, file)},
    }
    service.create_function(FunctionName=name, **given | configuration)
    try:
        service.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=_PATIENCE)
        yield name
    finally:
        service.delete_function(FunctionName=name)


@contextmanager
def stack(target: Target, template: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Create a stack, yield its outputs when it is complete, and delete it."""
    service, name = target.client("cloudformation"), f"probe-{secrets.token_hex(4)}"
    service.create_stack(StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
    try:
        service.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=_PATIENCE)
        [made] = service.describe_stacks(StackName=name)["Stacks"]
        yield {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}
    finally:
        service.delete_stack(StackName=name)


@contextmanager
def queue(target: Target) -> Iterator[tuple[str, str]]:
    """Create a queue, yield its address and its ARN, and delete it."""
    service = target.client("sqs")
    url = service.create_queue(QueueName=f"probe-{secrets.token_hex(4)}")["QueueUrl"]
    try:
        found = service.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        yield url, found["Attributes"]["QueueArn"]
    finally:
        service.delete_queue(QueueUrl=url)


def reports(target: Target, group: str) -> list[str]:
    """Return the REPORT lines that have arrived in a log group, sorted out here: LocalStack ignores a filter's pattern."""
    events = target.client("logs").filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events if event["message"].startswith("REPORT")]


def zipped(source: str, file: str = "app.py") -> bytes:
    """Return a zip archive of one source file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as contents:
        contents.writestr(file, source)
    return archive.getvalue()
