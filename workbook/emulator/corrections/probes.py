"""One probe a correction: does AWS's behaviour show at this target?

A probe makes what it needs, looks, and takes everything away again. Tests run the probes against plain MiniStack, where
they say no, and against ours, where they say yes; `make upstream` runs them against the newest MiniStack.
"""

import io
import json
import secrets
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from workbook.targets import Target

_PATIENCE = {"Delay": 0.1, "MaxAttempts": 200}  # 20 s
_ROLE = "arn:aws:iam::000000000000:role/probe"
_HANDLER = """
def handler(event, context):
    return {"request_id": context.aws_request_id}
"""


def log_streams(target: Target) -> bool:
    """Return whether two invocations in one environment share a log stream, with an init phase in the first REPORT only."""
    logs = target.client("logs")
    with function(target, _HANDLER) as name:
        for _ in range(2):
            target.client("lambda").invoke(FunctionName=name)
        group = f"/aws/lambda/{name}"
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        messages = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
        logs.delete_log_group(logGroupName=group)
    reports = [message for message in messages if message.startswith("REPORT")]
    return len(streams) == 1 and ["Init Duration" in report for report in reports] == [True, False]


def invoke_request_id(target: Target) -> bool:
    """Return whether the answer to Invoke carries the request id that the handler saw."""
    with function(target, _HANDLER) as name:
        answer = target.client("lambda").invoke(FunctionName=name)
        seen = json.load(answer["Payload"])["request_id"]
    return answer["ResponseMetadata"]["RequestId"] == seen


def http_api_body(target: Target) -> bool:
    """Return whether a route of an OpenAPI definition is there and asks for a signature: 403 without one, and not 404."""
    operation = {
        "security": [{"signature": []}],
        "x-amazon-apigateway-integration": {"type": "aws_proxy", "payloadFormatVersion": "2.0"},
    }
    definition = {
        "openapi": "3.0.1",
        "info": {"title": "probe", "version": "1"},
        "paths": {"/probe": {"get": operation}},
        "components": {"securitySchemes": {"signature": {"x-amazon-apigateway-authtype": "awsSigv4"}}},
    }
    template = {
        "Resources": {
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": definition}},
            "Stage": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "$default"},
            },
        },
        "Outputs": {"Url": {"Value": {"Fn::Sub": "https://${Api}.execute-api.us-east-1.amazonaws.com/probe"}}},
    }
    with stack(target, template) as outputs:
        return target.send("GET", outputs["Url"], sign=False).status == 403


PROBES: dict[str, Callable[[Target], bool]] = {
    probe.__name__: probe for probe in (log_streams, invoke_request_id, http_api_body)
}


@contextmanager
def function(target: Target, source: str, *, file: str = "app.py", **configuration: Any) -> Iterator[str]:
    """Create a function of one source file, yield its name when it is active, and delete it."""
    service, name = target.client("lambda"), f"probe-{secrets.token_hex(4)}"
    given = {
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Role": _ROLE,
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


def zipped(source: str, file: str = "app.py") -> bytes:
    """Return a zip archive of one source file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as contents:
        contents.writestr(file, source)
    return archive.getvalue()
