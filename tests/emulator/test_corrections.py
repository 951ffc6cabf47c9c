"""Every correction is needed by plain MiniStack and works on ours, and says what it is for."""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from waits import wait_until

from workbook import lessons
from workbook.emulator import corrections
from workbook.emulator.corrections import CORRECTIONS, Correction
from workbook.emulator.corrections.http_api_body import Route, routes
from workbook.emulator.corrections.log_streams import log_events
from workbook.emulator.corrections.probes import PROBES
from workbook.emulator.corrections.probes.made import function, stack
from workbook.emulator.system_log import InvocationLog
from workbook.targets import Target

each_correction = pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda correction: correction.name)

GREETER = """
def handler(event, context):
    return {"path": event["rawPath"], "caller": event["requestContext"]["authorizer"]["iam"]["accountId"]}
"""
FAILING = """
def handler(event, context):
    raise RuntimeError("again")
"""


def sam(path: str) -> dict[str, Any]:
    """Return a SAM template: a function behind one route of an HTTP API that asks for a signature."""
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Api": {
                "Type": "AWS::Serverless::HttpApi",
                "Properties": {"Auth": {"EnableIamAuthorizer": True, "DefaultAuthorizer": "AWS_IAM"}},
            },
            "Greeter": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "InlineCode": GREETER,
                    "Handler": "index.handler",
                    "Runtime": "python3.13",
                    "Events": {
                        "Get": {
                            "Type": "HttpApi",
                            "Properties": {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": path},
                        }
                    },
                },
            },
        },
        "Outputs": {
            "Stack": {"Value": {"Ref": "AWS::StackName"}},
            "Url": {"Value": {"Fn::Sub": "https://${Api}.execute-api.us-east-1.amazonaws.com"}},
        },
    }


@each_correction
def test_plain_ministack_needs_it(correction: Correction, plain_ministack: Target) -> None:
    """The probe finds plain MiniStack's departure from AWS, so that it can tell when a release no longer has it."""
    assert not PROBES[correction.name](plain_ministack)


@each_correction
def test_ours_shows_what_aws_shows(correction: Correction, ours: Target) -> None:
    """The probe finds AWS's behaviour on our emulator."""
    assert PROBES[correction.name](ours)


@each_correction
def test_it_says_what_it_is_for(correction: Correction) -> None:
    """A correction's module says what it restores, cites AWS's page, and names the lesson that needs it, which is there."""
    assert correction.lesson in [lesson.name for lesson in lessons.table()]
    explanation = import_module(f"{corrections.__name__}.{correction.name}").__doc__
    assert correction.documentation in explanation
    assert correction.lesson in explanation
    assert correction.restores in explanation


def test_every_probe_has_its_correction() -> None:
    """There are as many probes as corrections, under the same names."""
    assert [correction.name for correction in CORRECTIONS] == list(PROBES)


def test_an_http_api_by_template(ours: Target) -> None:
    """A function's HTTP API event in a SAM template becomes a route that takes signed requests and refuses others."""
    with stack(ours, sam("/greet/{name}")) as outputs:
        url = outputs["Url"] + "/greet/you"
        assert {"path": "/greet/you", "caller": "000000000000"} == json.loads(ours.send("GET", url).body)
        assert 403 == ours.send("GET", url, sign=False).status
        assert 404 == ours.send("POST", url).status


def test_an_http_api_is_updated_in_place(ours: Target) -> None:
    """A changed definition replaces the routes; the API keeps its address."""
    service = ours.client("cloudformation")
    with stack(ours, sam("/old")) as outputs:
        service.update_stack(
            StackName=outputs["Stack"], TemplateBody=json.dumps(sam("/new")), Capabilities=["CAPABILITY_IAM"]
        )
        service.get_waiter("stack_update_complete").wait(StackName=outputs["Stack"], WaiterConfig={"Delay": 0.1})
        answers = {path: ours.send("GET", outputs["Url"] + path).status for path in ("/old", "/new")}
    assert {"/old": 404, "/new": 200} == answers


def test_routes_of_a_definition() -> None:
    """An operation becomes a route, any method and the default route too, signed if one of its schemes is AWS's."""
    integration = {"type": "aws_proxy"}
    definition = {
        "paths": {
            "/a": {
                "get": {"security": [{"iam": []}], "x-amazon-apigateway-integration": integration},
                "summary": "no route",
            },
            "/b": {"x-amazon-apigateway-any-method": {"security": [{"NONE": []}]}},
            "$default": {"x-amazon-apigateway-any-method": {}},
        },
        "components": {"securitySchemes": {"iam": {"x-amazon-apigateway-authtype": "awsSigv4"}}},
    }
    expected = [
        Route("GET /a", integration, signed=True),
        Route("ANY /b", {}, signed=False),
        Route("$default", {}, signed=False),
    ]
    assert expected == list(routes(definition))


def test_a_retried_event_keeps_its_id(ours: Target) -> None:
    """The retries of an asynchronous call carry the request id of its answer."""
    service, logs = ours.client("lambda"), ours.client("logs")
    with function(ours, FAILING) as name:
        group = f"/aws/lambda/{name}"
        logs.create_log_group(logGroupName=group)
        service.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
        answer = service.invoke(FunctionName=name, InvocationType="Event")
        pattern = f'"REPORT RequestId: {answer["ResponseMetadata"]["RequestId"]}"'
        wait_until(lambda: len(logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"]) == 2)


def test_a_traceback_is_one_log_event(ours: Target) -> None:
    """The lines of an exception stay together, as the runtime sent them."""
    with function(ours, FAILING) as name:
        ours.client("lambda").invoke(FunctionName=name)
        found = ours.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="RuntimeError")
    [message] = [event["message"] for event in found["events"] if event["message"].startswith("[ERROR]")]
    assert message.startswith("[ERROR] RuntimeError: again\nTraceback (most recent call last):\n")
    assert message.endswith('raise RuntimeError("again")\n')


def test_when_log_events_happened() -> None:
    """What stands before the handler's work carries the time of the call's start, the rest that of its end."""
    log = InvocationLog("stream", ("init\n", "START RequestId: 1 Version: 2\n", "working\n", "END RequestId: 1\n"))
    events = log_events(log, ended_ms=5_000, duration_ms=400)
    assert [4_600, 4_600, 5_000, 5_000] == [event["timestamp"] for event in events]
    assert list(log.records) == [event["message"] for event in events]


def test_first_calls_at_once_lose_no_log(ours: Target) -> None:
    """Two first calls of a function at once make one log group, with a stream each."""
    source = "import time\ndef handler(event, context): time.sleep(0.3)"
    with function(ours, source) as name, ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda _: ours.measured_client("lambda").invoke(FunctionName=name), range(4)))
        streams = ours.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]
    assert 4 == len(streams)
