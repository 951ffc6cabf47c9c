"""Probes of HTTP APIs: events and answers of either payload format, CORS from a template, and what takes too long."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from workbook.emulator.corrections.probes.made import function, stack
from workbook.targets import HttpAnswer, Target

_ECHO = """
import json

def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
"""
_NOTHING = """
def handler(event, context):
    return None
"""
_FAILS = """
def handler(event, context):
    raise ValueError("not for clients")
"""
_SLOW = """
import time

def handler(event, context):
    time.sleep(0.5)
    return {"statusCode": 200, "body": "too late"}
"""
_LIMIT_MS = 50  # the least that AWS allows
_ORIGIN = "https://shop.example"


@contextmanager
def http_api(target: Target, name: str, *, version: str, limit_ms: int = 30_000) -> Iterator[str]:
    """Create an HTTP API that hands every request to a function, if it is signed; yield its URL, and delete it."""
    service = target.client("apigatewayv2")
    api = {"ApiId": service.create_api(Name=name, ProtocolType="HTTP")["ApiId"]}
    try:
        integration = service.create_integration(
            **api,
            IntegrationType="AWS_PROXY",
            IntegrationUri=_arn(target, name),
            PayloadFormatVersion=version,
            TimeoutInMillis=limit_ms,
        )["IntegrationId"]
        for key in ("$default", "ANY /shelves/{shelf}"):
            service.create_route(**api, RouteKey=key, Target=f"integrations/{integration}", AuthorizationType="AWS_IAM")
        service.create_stage(**api, StageName="$default", AutoDeploy=True)
        yield f"https://{api['ApiId']}.execute-api.{target.region}.amazonaws.com/"
    finally:
        service.delete_api(**api)


@contextmanager
def rest_api(target: Target, name: str, *, limit_ms: int) -> Iterator[str]:
    """Create a REST API whose root hands a signed GET to a function; yield its stage's URL, and delete it."""
    service = target.client("apigateway")
    api = service.create_rest_api(name=name)["id"]
    try:
        [root] = service.get_resources(restApiId=api)["items"]
        method = {"restApiId": api, "resourceId": root["id"], "httpMethod": "GET"}
        service.put_method(**method, authorizationType="AWS_IAM")
        service.put_integration(
            **method,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=f"arn:aws:apigateway:{target.region}:lambda:path/2015-03-31/functions/{_arn(target, name)}/invocations",
            timeoutInMillis=limit_ms,
        )
        service.create_deployment(restApiId=api, stageName="probe")
        yield f"https://{api}.execute-api.{target.region}.amazonaws.com/probe/"
    finally:
        service.delete_rest_api(restApiId=api)


def http_api_events(target: Target) -> bool:
    """Return whether format 2.0 has cookies in a field of their own, and 1.0 is sent where the integration asks for it."""
    events = {}
    with function(target, _ECHO) as name:
        for version in ("1.0", "2.0"):
            with http_api(target, name, version=version) as url:
                answer = target.send("GET", f"{url}shelves/top?book=a&book=b", headers={"cookie": "a=1; b=2"})
                events[version] = json.loads(answer.body)
    return (
        events["2.0"].get("cookies") == ["a=1", "b=2"]
        and events["1.0"].get("multiValueQueryStringParameters") == {"book": ["a", "b"]}
        and events["1.0"]["requestContext"].get("identity", {}).get("accountId") == target.account_id
    )


def http_api_answers(target: Target) -> bool:
    """Return whether None is an answer in format 2.0 and none in 1.0, and of a failing function nothing is told."""
    failed = (500, {"message": "Internal Server Error"})
    answers = []
    for source, version in ((_NOTHING, "2.0"), (_NOTHING, "1.0"), (_FAILS, "2.0")):
        with function(target, source) as name, http_api(target, name, version=version) as url:
            answers.append(_told(target.send("GET", url)))
            target.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
            throttled = _told(target.send("GET", url))
    return answers == [(200, None), failed, failed] and throttled == (503, {"message": "Service Unavailable"})


def http_api_cors(target: Target) -> bool:
    """Return whether a template's CORS configuration answers a listed page, and another one without CORS headers."""
    configuration = {"AllowOrigins": [_ORIGIN], "AllowMethods": ["GET"]}
    template = {
        "Resources": {
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {"Name": "probe", "ProtocolType": "HTTP", "CorsConfiguration": configuration},
            },
            "Stage": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {"ApiId": {"Ref": "Api"}, "StageName": "$default"},
            },
        },
        "Outputs": {"Url": {"Value": {"Fn::Sub": "https://${Api}.execute-api.us-east-1.amazonaws.com/probe"}}},
    }
    with stack(target, template) as outputs:
        listed, other = (
            target.send(
                "OPTIONS",
                outputs["Url"],
                headers={"Origin": origin, "Access-Control-Request-Method": "GET"},
                sign=False,
            )
            for origin in (_ORIGIN, "https://elsewhere.example")
        )
    return (listed.status, listed.headers.get("Access-Control-Allow-Origin")) == (204, _ORIGIN) and (
        other.status,
        other.headers.get("Access-Control-Allow-Origin"),
    ) == (204, None)


def integration_timeouts(target: Target) -> bool:
    """Return whether both kinds of API answer a client whose request takes longer than the integration's limit."""
    with function(target, _SLOW) as name:
        with http_api(target, name, version="2.0", limit_ms=_LIMIT_MS) as url:
            http = _told(target.send("GET", url))
        with rest_api(target, name, limit_ms=_LIMIT_MS) as url:
            rest = _told(target.send("GET", url))
    return http == (503, {"message": "Service Unavailable"}) and rest == (
        504,
        {"message": "Endpoint request timed out"},
    )


def _arn(target: Target, name: str) -> str:
    return f"arn:aws:lambda:{target.region}:{target.account_id}:function:{name}"


def _told(answer: HttpAnswer) -> tuple[int, object]:
    """Return an answer's status, and its body as JSON, or as it is if it is no JSON."""
    try:
        return answer.status, json.loads(answer.body)
    except ValueError:
        return answer.status, answer.body
