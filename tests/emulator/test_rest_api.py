"""The REST API of a template: its routes, what its function sees of a request, and what it makes of the function's answer."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from trials import throttled

from workbook.emulator.corrections.probes.made import stack
from workbook.emulator.corrections.rest_api_answers import answer
from workbook.emulator.corrections.rest_api_events import forwarded
from workbook.emulator.corrections.rest_api_routes import binary_types
from workbook.targets import Target

BYTES = bytes(range(256))
INTERNAL_ERROR = {"message": "Internal server error"}
MISSING_TOKEN = {"message": "Missing Authentication Token"}


@pytest.fixture
def url(front_door: dict[str, str]) -> str:
    """The address of the REST API's stage, with a path below it."""
    return f"{front_door['RestUrl']}/orders/1"


def event_of(target: Target, url: str, method: str = "GET", **request: Any) -> dict[str, Any]:
    """Return the event that the function says it got."""
    return json.loads(target.send(method, url, **request).body)["event"]


# routes


def test_it_asks_for_a_signature(ours: Target, url: str) -> None:
    """Any method reaches the function, if the request is signed; without a signature nothing does."""
    for method in ("GET", "PUT", "DELETE"):
        assert 200 == ours.send(method, url).status
        refused = ours.send(method, url, sign=False)
        assert (403, MISSING_TOKEN) == (refused.status, json.loads(refused.body))


def test_an_unknown_route_looks_like_a_missing_signature(ours: Target, front_door: dict[str, str]) -> None:
    """Nothing is routed at the root; a stage that isn't there is forbidden."""
    root = ours.send("GET", f"{front_door['RestUrl']}/")
    assert (403, MISSING_TOKEN) == (root.status, json.loads(root.body))
    elsewhere = ours.send("GET", front_door["RestUrl"].replace("/prod", "/Stage") + "/orders")
    assert (403, {"message": "Forbidden"}) == (elsewhere.status, json.loads(elsewhere.body))


@pytest.mark.parametrize("origin", ["https://shop.example", "https://elsewhere.example"])
def test_a_preflight_needs_neither_signature_nor_function(ours: Target, url: str, origin: str) -> None:
    """The gateway answers it by itself, whoever asks, with the headers of the template."""
    before = json.loads(ours.send("GET", url).body)
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = ours.send("OPTIONS", url, headers=asked, sign=False)
    after = json.loads(ours.send("GET", url).body)
    assert 200 == preflight.status
    assert "https://shop.example" == preflight.headers["Access-Control-Allow-Origin"]
    assert "GET,POST" == preflight.headers["Access-Control-Allow-Methods"]
    assert (
        "authorization,content-type,x-amz-date,x-amz-security-token"
        == preflight.headers["Access-Control-Allow-Headers"]
    )
    assert (before["log_stream"], before["calls_before"] + 1) == (after["log_stream"], after["calls_before"])


def test_an_integration_is_imported_whole(ours: Target, front_door: dict[str, str]) -> None:
    """The template's time limit, and a mock's responses, are in the API; so is the template's binary type."""
    service = ours.client("apigateway")
    api = urlsplit(front_door["RestUrl"]).netloc.partition(".")[0]
    [proxy] = [one for one in service.get_resources(restApiId=api)["items"] if one["path"] == "/{proxy+}"]
    where = {"restApiId": api, "resourceId": proxy["id"]}
    assert 1000 == service.get_integration(**where, httpMethod="ANY")["timeoutInMillis"]
    mock = service.get_method(**where, httpMethod="OPTIONS")
    assert "'GET,POST'" in mock["methodIntegration"]["integrationResponses"]["200"]["responseParameters"].values()
    assert "method.response.header.Access-Control-Allow-Origin" in mock["methodResponses"]["200"]["responseParameters"]
    assert ["application/octet-stream"] == service.get_rest_api(restApiId=api)["binaryMediaTypes"]
    assert ["prod"] == [stage["stageName"] for stage in service.get_stages(restApiId=api)["item"]]


def mocked(path: str, binary: list[str]) -> dict[str, Any]:
    """Return a template: a REST API with one path, which answers by itself."""
    integration = {"type": "MOCK", "requestTemplates": {"application/json": '{"statusCode": 200}'}}
    body = {
        "swagger": "2.0",
        "info": {"title": "mocked", "version": "1"},
        "paths": {path: {"get": {"x-amazon-apigateway-integration": integration}}},
    }
    api = {"RestApiId": {"Ref": "Api"}}
    return {
        "Resources": {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body, "BinaryMediaTypes": binary}},
            "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": api | {"StageName": "prod"}},
        },
        "Outputs": {
            "Api": {"Value": {"Ref": "Api"}},
            "Stack": {"Value": {"Ref": "AWS::StackName"}},
            "Url": {"Value": {"Fn::Sub": "https://${Api}.execute-api.us-east-1.amazonaws.com/prod"}},
        },
    }


def test_it_is_updated_in_place(ours: Target) -> None:
    """A changed definition replaces the methods; the API keeps its address, and has the new binary types."""
    service = ours.client("cloudformation")
    with stack(ours, mocked("/old/{id}", [])) as outputs:
        changed = json.dumps(mocked("/new", ["image~1png"]))
        service.update_stack(StackName=outputs["Stack"], TemplateBody=changed)
        service.get_waiter("stack_update_complete").wait(StackName=outputs["Stack"], WaiterConfig={"Delay": 0.1})
        answers = {path: ours.send("GET", outputs["Url"] + path).status for path in ("/old/1", "/new")}
        made = ours.client("apigateway").get_rest_api(restApiId=outputs["Api"])
    assert {"/old/1": 403, "/new": 200} == answers
    assert ["image/png"] == made["binaryMediaTypes"]


def test_binary_types_come_from_properties_and_body() -> None:
    """Both are read, and a slash stands for itself in the body only."""
    body = {"x-amazon-apigateway-binary-media-types": ["image/png", "font/woff2"]}
    assert ["image/png", "font/woff2"] == binary_types({"BinaryMediaTypes": ["image~1png"], "Body": body})
    assert [] == binary_types({})


# events


def test_an_event_without_body(ours: Target, url: str) -> None:
    """Every field that AWS's event has is there, null where there is nothing to say."""
    event = event_of(ours, url)
    context = event.pop("requestContext")
    headers = event.pop("headers")
    assert headers == {name: values[-1] for name, values in event.pop("multiValueHeaders").items()}
    assert event == {
        "resource": "/{proxy+}",
        "path": "/orders/1",
        "httpMethod": "GET",
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": "orders/1"},
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    host = urlsplit(url).netloc
    assert (host, "127.0.0.1", "443", "https") == tuple(
        headers[name] for name in ("Host", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto")
    )
    assert headers["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert (host, host.partition(".")[0], "/prod/orders/1", "prod") == tuple(
        context[name] for name in ("domainName", "domainPrefix", "path", "stage")
    )
    assert set(context) == {
        "accountId",
        "apiId",
        "deploymentId",
        "domainName",
        "domainPrefix",
        "extendedRequestId",
        "httpMethod",
        "identity",
        "path",
        "protocol",
        "requestId",
        "requestTime",
        "requestTimeEpoch",
        "resourceId",
        "resourcePath",
        "stage",
    }


def test_the_caller_is_who_signed(ours: Target, url: str) -> None:
    """An event names the caller's key, account and ARN; what only Cognito knows is null."""
    identity = event_of(ours, url)["requestContext"]["identity"]
    assert "127.0.0.1" == identity.pop("sourceIp")
    assert identity.pop("userAgent").startswith("python-urllib3/")
    account = ours.account_id
    named = {"accessKey": account, "accountId": account, "caller": account, "user": account}
    named["userArn"] = f"arn:aws:iam::{account}:root"
    assert named == {name: value for name, value in identity.items() if value is not None}
    assert 5 == list(identity.values()).count(None)


def test_header_names_and_lines_stay_as_they_came(ours: Target, url: str) -> None:
    """A name keeps its capitals; of a header that comes twice the last is in one field, and both are in the other."""
    event = event_of(ours, url, headers={"X-sHelf": ["top", "bottom"]})
    assert ("bottom", ["top", "bottom"]) == (event["headers"]["X-sHelf"], event["multiValueHeaders"]["X-sHelf"])


def test_a_repeated_query_parameter(ours: Target, url: str) -> None:
    """The last value stands in one field, and all in the other."""
    event = event_of(ours, url, params={"colour": ["red", "blue"], "size": "a b"})
    assert {"colour": "blue", "size": "a b"} == event["queryStringParameters"]
    assert {"colour": ["red", "blue"], "size": ["a b"]} == event["multiValueQueryStringParameters"]


def test_bytes_come_in_encoded_for_a_binary_type_only(ours: Target, url: str) -> None:
    """The template's type makes them base64; any other makes them text."""
    event = event_of(ours, url, "POST", body=BYTES, headers={"Content-Type": "application/octet-stream"})
    assert (True, BYTES) == (event["isBase64Encoded"], base64.b64decode(event["body"]))
    event = event_of(ours, url, "POST", body="é", headers={"Content-Type": "text/plain"})
    assert (False, "é") == (event["isBase64Encoded"], event["body"])


def test_events_at_once_are_not_mixed_up(ours: Target, url: str) -> None:
    """Each of many requests at the same time has its own headers in its event."""

    def number(sent: int) -> str:
        return event_of(ours, url, headers={"X-Number": str(sent)})["headers"]["X-Number"]

    with ThreadPoolExecutor(8) as callers:
        assert [str(sent) for sent in range(40)] == list(callers.map(number, range(40)))


def test_what_the_gateway_adds_to_the_headers() -> None:
    """It appends the address that it sees, keeps a trace that it gets, and drops what is about the connection."""
    received = [
        ("host", "127.0.0.1:4566"),
        ("Connection", "keep-alive"),
        ("Content-Length", "5"),
        ("x-forwarded-for", "203.0.113.1"),
        ("X-Amzn-Trace-Id", "Root=1-5e8ed291-0"),
    ]
    assert forwarded(received, host="api.example", client_ip="198.51.100.7") == {
        "Host": ["api.example"],
        "X-Amzn-Trace-Id": ["Root=1-5e8ed291-0"],
        "X-Forwarded-For": ["203.0.113.1, 198.51.100.7"],
        "X-Forwarded-Port": ["443"],
        "X-Forwarded-Proto": ["https"],
    }


# answers


@pytest.mark.parametrize("shape", ["own", "misshapen", "nothing", "failure"])
def test_what_is_no_answer_is_an_internal_error(ours: Target, url: str, shape: str) -> None:
    """The client isn't told what the function returned, or why it failed."""
    refused = ours.send("GET", url, params={"answer": shape})
    assert (502, INTERNAL_ERROR) == (refused.status, json.loads(refused.body))


def test_a_throttled_function_is_an_internal_error(ours: Target, url: str, front_door: dict[str, str]) -> None:
    """It looks like any other failure, but for its status."""
    with throttled(ours, front_door["FunctionName"]):
        refused = ours.send("GET", url)
    assert (500, INTERNAL_ERROR) == (refused.status, json.loads(refused.body))


def test_a_header_with_two_values(ours: Target, url: str) -> None:
    """Both values arrive."""
    assert "top, bottom" == ours.send("GET", url, params={"answer": "twice"}).headers["X-Shelf"]


@pytest.mark.parametrize(
    ("accept", "body"),
    [
        (None, base64.b64encode(BYTES)),
        ("application/octet-stream", BYTES),
        ("application/octet-stream;q=1, */*", BYTES),
        ("*/*, application/octet-stream", base64.b64encode(BYTES)),
    ],
)
def test_bytes_go_out_as_such_if_the_client_accepts_them_first(
    ours: Target, url: str, accept: str | None, body: bytes
) -> None:
    """Who doesn't ask for the binary type before all others gets the text that the function wrote."""
    headers = {"Accept": accept} if accept else {}
    assert body == ours.send("GET", url, params={"answer": "binary"}, headers=headers).body


@pytest.mark.parametrize(
    ("returned", "status", "body"),
    [
        ({}, 200, ""),
        ({"headers": {"x-shelf": "top"}}, 200, ""),
        ({"statusCode": 204}, 204, ""),
        ({"statusCode": "418", "body": "tea", "headers": None}, 418, "tea"),
        ({"body": "no code"}, 200, "no code"),
    ],
)
def test_no_key_of_an_answer_has_to_be_there(returned: dict[str, Any], status: int, body: str) -> None:
    """What is missing is 200, no header, and nothing in the body."""
    made = answer({"body": returned})
    assert (status, body) == (made["statusCode"], made["body"])
    assert returned.get("headers") == made.get("headers")


@pytest.mark.parametrize(
    "returned",
    [
        None,
        "text",
        ["a list"],
        '{"statusCode": 200}',
        {"statusCode": 200, "cookies": []},
        {"statusCode": "many"},
        {"statusCode": 200, "body": 5},
        {"statusCode": 200, "headers": ["x-shelf"]},
        {"statusCode": 200, "multiValueHeaders": "x-shelf"},
    ],
)
def test_every_other_shape_is_an_internal_error(returned: object) -> None:
    """So is one that other doors take."""
    made = answer({"body": returned})
    assert (502, INTERNAL_ERROR) == (made["statusCode"], json.loads(made["body"]))
