"""Probes of a REST API: what it takes of a template, what its functions see of a request, and what it makes of their answers."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from workbook.emulator.corrections.probes.made import function, stack
from workbook.targets import Target

_ECHO = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
"""
_MISSHAPEN = """
def handler(event, context):
    if event["path"] == "/failure":
        raise ValueError("no such order")
    return {"greeting": "hello"}
"""


@contextmanager
def rest_api(target: Target, function_name: str) -> Iterator[str]:
    """Create a REST API that sends every request to a function, yield its stage's URL, and delete it."""
    service = target.client("apigateway")
    api = service.create_rest_api(name=f"probe-{secrets.token_hex(4)}")["id"]
    try:
        [root] = service.get_resources(restApiId=api)["items"]
        proxy = service.create_resource(restApiId=api, parentId=root["id"], pathPart="{proxy+}")["id"]
        method = {"restApiId": api, "resourceId": proxy, "httpMethod": "ANY"}
        service.put_method(**method, authorizationType="AWS_IAM")
        region = target.region
        arn = f"arn:aws:lambda:{region}:{target.account_id}:function:{function_name}"
        uri = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
        service.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
        service.create_deployment(restApiId=api, stageName="probe")
        yield f"https://{api}.execute-api.{region}.amazonaws.com/probe"
    finally:
        service.delete_rest_api(restApiId=api)


def rest_api_routes(target: Target) -> bool:
    """Return whether any method is taken with its signature, a preflight request gets its headers, and a type is binary."""
    answering = {"type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'}}
    allow_origin = {"method.response.header.Access-Control-Allow-Origin": "'https://shop.example'"}
    preflight = answering | {"responses": {"default": {"statusCode": "200", "responseParameters": allow_origin}}}
    path = {
        "x-amazon-apigateway-any-method": {
            "security": [{"signature": []}],
            "x-amazon-apigateway-integration": answering,
        },
        "options": {"x-amazon-apigateway-integration": preflight},
    }
    definition = {
        "openapi": "3.0.1",
        "info": {"title": "probe", "version": "1"},
        "paths": {"/probe": path},
        "components": {"securitySchemes": {"signature": {"x-amazon-apigateway-authtype": "awsSigv4"}}},
    }
    properties = {"Body": definition, "BinaryMediaTypes": ["application~1octet-stream"]}
    api = {"RestApiId": {"Ref": "Api"}}
    template = {
        "Resources": {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": properties},
            "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": api | {"StageName": "probe"}},
        },
        "Outputs": {
            "Api": {"Value": {"Ref": "Api"}},
            "Url": {"Value": {"Fn::Sub": "https://${Api}.execute-api.us-east-1.amazonaws.com/probe/probe"}},
        },
    }
    with stack(target, template) as outputs:
        url = outputs["Url"]
        statuses = [target.send("POST", url, sign=signed).status for signed in (True, False)]
        allowed = target.send("OPTIONS", url, sign=False).headers.get("Access-Control-Allow-Origin")
        made = target.client("apigateway").get_rest_api(restApiId=outputs["Api"])
    return (statuses, allowed, made["binaryMediaTypes"]) == (
        [200, 403],
        "https://shop.example",
        ["application/octet-stream"],
    )


def rest_api_events(target: Target) -> bool:
    """Return whether an event has a header's name as it was sent, the last of two values, and where the request came in."""
    with function(target, _ECHO) as name, rest_api(target, name) as url:
        answer = target.send("GET", f"{url}/orders", headers={"X-Shelf": "top"}, params={"colour": ["red", "blue"]})
    event = json.loads(answer.body)
    seen = event["headers"].get("X-Shelf"), event["queryStringParameters"]["colour"], event["headers"].get("Host")
    return seen == ("top", "blue", event["requestContext"].get("domainName")) and "version" not in event


def rest_api_answers(target: Target) -> bool:
    """Return whether failing, misshapen and throttled functions are internal errors, of which nothing more is said."""
    with function(target, _MISSHAPEN) as name, rest_api(target, name) as url:
        answers = [target.send("GET", f"{url}/{path}") for path in ("failure", "misshapen")]
        target.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        answers.append(target.send("GET", f"{url}/throttled"))
    said = [json.loads(answer.body) for answer in answers]
    return [answer.status for answer in answers] == [502, 502, 500] and said == [
        {"message": "Internal server error"}
    ] * 3
