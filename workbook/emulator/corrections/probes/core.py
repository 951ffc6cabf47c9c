"""Probes of what the first lessons need: logs, request ids, and an HTTP API made by a template."""

import json
import time

from workbook.emulator.corrections.probes.made import function, reports, stack
from workbook.targets import Target

_PATIENCE_S = 20
_HANDLER = """
def handler(event, context):
    return {"request_id": context.aws_request_id}
"""


def log_streams(target: Target) -> bool:
    """Return whether two invocations in one environment share a log stream, with an init phase in the first REPORT only."""
    logs, calls = target.client("logs"), 2
    with function(target, _HANDLER) as name:
        group = f"/aws/lambda/{name}"
        logs.create_log_group(logGroupName=group)
        for _ in range(calls):
            target.client("lambda").invoke(FunctionName=name)
        deadline, found = time.monotonic() + _PATIENCE_S, reports(target, group)
        while len(found) < calls and time.monotonic() < deadline:  # a log may come later than the answer
            time.sleep(0.1)
            found = reports(target, group)
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        logs.delete_log_group(logGroupName=group)
    return len(streams) == 1 and ["Init Duration" in report for report in found] == [True, False]


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
