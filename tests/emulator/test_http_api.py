"""What an HTTP API hands to a function and makes of its answer, in both payload formats, and when it doesn't wait for one.

The lesson's own stack stands for what templates make; what it doesn't have, such as a stage with a name, is made with boto3.
"""

import base64
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from trials import throttled
from waits import wait_until

from workbook import stack
from workbook.emulator.corrections import http_api_answers
from workbook.emulator.corrections.http_api_cors import of_template, preflight
from workbook.emulator.corrections.http_api_events import Gateway, format_1_0, headers_of
from workbook.emulator.corrections.probes import made
from workbook.emulator.corrections.probes.http_api import http_api, rest_api
from workbook.emulator.corrections.probes.made import function
from workbook.targets import HttpAnswer, Target

TEMPLATE = Path(__file__).parents[2] / "infra" / "02_front_door.yaml"
PAGE, OTHER_PAGE = "https://shop.example", "https://elsewhere.example"
FAILED = (500, {"message": "Internal Server Error"})
UNAVAILABLE = (503, {"message": "Service Unavailable"})

TEXT = {"content-type": ["text/plain; charset=utf-8"]}

ECHO = """
import json

def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
"""
OPEN_TO_ALL = """
def handler(event, context):
    headers = {"access-control-allow-origin": "*", "Access-Control-Allow-Credentials": "true", "x-shelf": "top"}
    return {"statusCode": 200, "headers": headers, "body": "{}"}
"""
WAITS_FOR = """
import os, time

def handler(event, context):
    while not os.path.exists({gate!r}):
        time.sleep(0.01)
    print("work done")
    return {{"statusCode": 200, "body": "too late"}}
"""

each_door = pytest.mark.parametrize("door", ["one", "two"])


class Desk:
    """The function of lesson 02, behind the two doors of its HTTP API."""

    def __init__(self, target: Target, outputs: dict[str, str]) -> None:
        self.target, self.name, self.url = target, outputs["FunctionName"], outputs["HttpUrl"]

    def ask(self, door: str, method: str = "GET", **request: Any) -> HttpAnswer:
        return self.target.send(method, f"{self.url}/{door}/books", **request)

    def told(self, door: str, wanted: str, **more: str) -> tuple[int, Any]:
        """Return the status and the JSON that a client gets for what it wants the function to do."""
        answer = self.ask(door, params={"answer": wanted, **more})
        return answer.status, json.loads(answer.body)

    def event(self, door: str, method: str = "GET", **request: Any) -> dict[str, Any]:
        """Return the event that the function got."""
        return json.loads(self.ask(door, method, **request).body)["event"]

    def raw(self, door: str, lines: list[tuple[str, str]], query: str = "") -> tuple[list[tuple[str, str]], bytes]:
        """Send a GET with exactly these header lines, and return the answer's header lines and its body."""
        parts = urlsplit(self.target.url(f"{self.url}/{door}/books{query}"))
        connection = http.client.HTTPConnection(parts.netloc)
        connection.putrequest("GET", f"{parts.path}?{parts.query}", skip_accept_encoding=True)
        scope = f"{self.target.account_id}/20260101/us-east-1/execute-api/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"  # nobody checks it
        for line in [*lines, ("Authorization", signature)]:
            connection.putheader(*line)
        connection.endheaders()
        answer = connection.getresponse()
        try:
            return answer.getheaders(), answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def desk(ours: Target) -> Iterator[Desk]:
    """Lesson 02's stack, deployed as the lesson deploys it."""
    remembered: list[dict[str, Any]] = []
    quiet = {"remember": remembered.append, "say": lambda line: None}
    try:
        deployed = stack.deploy(ours, TEMPLATE, name="wb-test-http-api", tags={"workbook:run": "test"}, **quiet)
        yield Desk(ours, deployed.outputs)
    finally:
        stack.teardown(ours, remembered, say=lambda line: None)


# events


def test_the_event_of_format_1_0(desk: Desk) -> None:
    """It has every field that AWS documents; what there is nothing of is null."""
    event = desk.event("one", headers={"User-Agent": "browser"})
    context, headers = event["requestContext"], event["headers"]
    api_id, account_id = context["apiId"], desk.target.account_id
    host = f"{api_id}.execute-api.us-east-1.amazonaws.com"
    assert {
        "version": "1.0",
        "resource": "/one/{proxy+}",
        "path": "/one/books",
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {
            "accountId": account_id,
            "apiId": api_id,
            "domainName": host,
            "domainPrefix": api_id,
            "extendedRequestId": context["requestId"],
            "httpMethod": "GET",
            "identity": {
                "accessKey": account_id,
                "accountId": account_id,
                "caller": account_id,
                "cognitoAuthenticationProvider": None,
                "cognitoAuthenticationType": None,
                "cognitoIdentityId": None,
                "cognitoIdentityPoolId": None,
                "principalOrgId": None,
                "sourceIp": "127.0.0.1",
                "user": account_id,
                "userAgent": "browser",
                "userArn": f"arn:aws:iam::{account_id}:root",
            },
            "path": "/one/books",
            "protocol": "HTTP/1.1",
            "requestId": context["requestId"],
            "requestTime": context["requestTime"],
            "requestTimeEpoch": context["requestTimeEpoch"],
            "resourceId": "GET /one/{proxy+}",
            "resourcePath": "/one/{proxy+}",
            "stage": "$default",
        },
        "pathParameters": {"proxy": "books"},
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    } == event
    assert host == headers["Host"]


def test_the_event_of_format_2_0(desk: Desk) -> None:
    """It has every field that AWS documents; what there is nothing of has no key."""
    event = desk.event("two", headers={"User-Agent": "browser"})
    context, account_id = event["requestContext"], desk.target.account_id
    api_id = context["apiId"]
    assert {
        "version": "2.0",
        "routeKey": "GET /two/{proxy+}",
        "rawPath": "/two/books",
        "rawQueryString": "",
        "headers": event["headers"],
        "requestContext": {
            "accountId": account_id,
            "apiId": api_id,
            "authorizer": context["authorizer"],
            "domainName": f"{api_id}.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": api_id,
            "http": {
                "method": "GET",
                "path": "/two/books",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "browser",
            },
            "requestId": context["requestId"],
            "routeKey": "GET /two/{proxy+}",
            "stage": "$default",
            "time": context["time"],
            "timeEpoch": context["timeEpoch"],
        },
        "pathParameters": {"proxy": "books"},
        "isBase64Encoded": False,
    } == event
    assert account_id == context["authorizer"]["iam"]["accountId"]


@each_door
def test_headers_that_the_gateway_adds(desk: Desk, door: str) -> None:
    """The function learns who came through which port, under the API's own name, and a trace to follow."""
    headers = desk.event(door, headers={"X-Forwarded-For": "192.0.2.1"})["headers"]
    added = ["Content-Length", "Host", "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"]
    length, host, trace, *forwarded = (headers[name if door == "one" else name.lower()] for name in added)
    assert ["192.0.2.1, 127.0.0.1", "443", "https"] == forwarded
    assert trace.startswith("Root=1-")
    assert host.endswith(".execute-api.us-east-1.amazonaws.com")
    assert "0" == length


def test_repeated_query_keys(desk: Desk) -> None:
    """Format 1.0 has the last value, and a list of all, 2.0 joins them."""
    one, two = (desk.event(door, params={"shelf": ["a", "b"], "free": ""}) for door in ("one", "two"))
    assert {"shelf": ["a", "b"], "free": [""]} == one["multiValueQueryStringParameters"]
    assert {"shelf": "b", "free": ""} == one["queryStringParameters"]
    assert {"shelf": "a,b", "free": ""} == two["queryStringParameters"]
    assert "shelf=a&shelf=b&free=" == two["rawQueryString"]


def test_repeated_headers_and_cookies(desk: Desk) -> None:
    """Format 1.0 has a list of each header's values; 2.0 joins them, and has its cookies in a field of their own."""
    lines = [("X-Shelf", "a, b"), ("X-Shelf", "c"), ("Cookie", "k=1; l=2"), ("Cookie", "m=3")]
    one, two = (json.loads(desk.raw(door, lines)[1])["event"] for door in ("one", "two"))
    assert (["a, b", "c"], "c") == (one["multiValueHeaders"]["X-Shelf"], one["headers"]["X-Shelf"])
    assert ["k=1; l=2", "m=3"] == one["multiValueHeaders"]["Cookie"]
    assert "a, b,c" == two["headers"]["x-shelf"]
    assert ["k=1", "l=2", "m=3"] == two["cookies"]
    assert "cookie" not in two["headers"]


def test_the_spelling_of_header_names(desk: Desk) -> None:
    """Format 1.0 keeps the client's, but for the headers that are the gateway's business; 2.0 writes all small."""
    lines = [("aCCept", "a/b"), ("user-agent", "browser"), ("X-Shelf", "top"), ("x-shelf", "bottom")]
    one, two = (json.loads(desk.raw(door, lines)[1])["event"]["headers"] for door in ("one", "two"))
    assert ("a/b", "browser", "bottom") == (one["aCCept"], one["User-Agent"], one["X-Shelf"])
    assert all(name == name.lower() for name in two)
    assert {name.lower() for name in one} == set(two)


def test_a_path_with_escapes(desk: Desk) -> None:
    """Only the `path` of format 1.0 keeps them."""
    answers = (desk.target.send("GET", f"{desk.url}/{door}/tea%20%E2%98%95@1") for door in ("one", "two"))
    one, two = (json.loads(answer.body)["event"] for answer in answers)
    assert "/one/tea%20%E2%98%95@1" == one["path"]
    assert "/one/tea ☕@1" == one["requestContext"]["path"]
    assert "/two/tea ☕@1" == two["rawPath"] == two["requestContext"]["http"]["path"]
    assert {"proxy": "tea ☕@1"} == one["pathParameters"] == two["pathParameters"]


@each_door
def test_bytes_and_text(desk: Desk, door: str) -> None:
    """Bytes reach the function in Base64 and come back as bytes; text stays text."""
    sent = desk.event(door, "POST", body=b"\x00\xff", headers={"Content-Type": "application/octet-stream"})
    assert (b"\x00\xff", True) == (base64.b64decode(sent["body"]), sent["isBase64Encoded"])
    text = desk.event(door, "POST", body={"book": "Momo"})
    assert ('{"book": "Momo"}', False) == (text["body"], text["isBase64Encoded"])
    answer = desk.ask(door, params={"answer": "binary"})
    assert (200, bytes(range(256))) == (answer.status, answer.body)


def test_a_stage_with_a_name_heads_the_path(ours: Target) -> None:
    """In both formats the path begins with the stage; its variables come along."""
    events = []
    with function(ours, ECHO) as name:
        for version in ("1.0", "2.0"):
            with http_api(ours, name, version=version) as url:
                api_id = urlsplit(url).hostname.partition(".")[0]
                variables = {"shelf": "top"}
                ours.client("apigatewayv2").create_stage(ApiId=api_id, StageName="dev", StageVariables=variables)
                events.append(json.loads(ours.send("GET", f"{url}dev/shelves/top").body))
    one, two = events
    assert {"shelf": "top"} == one["stageVariables"] == two["stageVariables"]
    assert "/dev/shelves/top" == one["path"] == one["requestContext"]["path"]
    assert "/dev/shelves/top" == two["rawPath"] == two["requestContext"]["http"]["path"]
    assert "/shelves/{shelf}" == one["resource"]
    assert {"shelf": "top"} == one["pathParameters"] == two["pathParameters"]


def test_requests_at_once_keep_their_events_apart(desk: Desk) -> None:
    """Each gets its own headers, in the format of its own door."""

    def ask(number: int) -> tuple[str, str]:
        event = desk.event(("one", "two")[number % 2], headers={"X-Number": str(number)})
        return event["version"], {name.lower(): value for name, value in event["headers"].items()}["x-number"]

    with ThreadPoolExecutor(8) as callers:
        assert [(("1.0", "2.0")[n % 2], str(n)) for n in range(16)] == list(callers.map(ask, range(16)))


@pytest.mark.parametrize(
    ("authorizer", "expected"),
    [
        ({"jwt": {"claims": {"sub": "me"}, "scopes": ["read"]}}, {"claims": {"sub": "me"}, "scopes": ["read"]}),
        ({"lambda": {"shelf": "top"}}, {"claims": None, "scopes": None, "shelf": "top"}),
    ],
)
def test_what_an_authorizer_found_out_in_format_1_0(authorizer: dict[str, Any], expected: dict[str, Any]) -> None:
    """It stands in `authorizer` without the word for its kind, which 2.0 has."""
    call = {"method": "GET", "protocol": "HTTP/1.1", "userAgent": "browser"}
    context = {"accountId": "1", "apiId": "a", "http": call, "requestId": "r", "stage": "$default", "timeEpoch": 0}
    event = {
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "requestContext": context | {"authorizer": authorizer},
        "pathParameters": None,
        "isBase64Encoded": False,
    }
    found = format_1_0(event, Gateway({}, "192.0.2.1", "a.example", {}))
    assert expected == found["requestContext"]["authorizer"]
    assert ("$default", None) == (found["resource"], found["requestContext"]["identity"]["accountId"])


def test_headers_of_a_body() -> None:
    """Its length is told as it came; what is about the connection stays outside; a trace goes on."""
    received = [
        ("Connection", "close"),
        ("Content-Length", "2"),
        ("X-Amzn-Trace-Id", "Root=1-2-3"),
        ("X", "1"),
        ("x", "2"),
    ]
    headers = headers_of(received, host="a.example", source_ip="192.0.2.1", has_body=True)
    assert "Connection" not in headers
    assert (["2"], ["Root=1-2-3"], ["1", "2"]) == (headers["Content-Length"], headers["X-Amzn-Trace-Id"], headers["X"])


# answers


@pytest.mark.parametrize(
    ("wanted", "one", "two"),
    [
        ("own", FAILED, (200, {"greeting": "hello"})),
        ("nothing", FAILED, (200, None)),
        ("misshapen", FAILED, FAILED),
        ("failure", FAILED, FAILED),
    ],
)
def test_what_an_answer_becomes(desk: Desk, wanted: str, one: tuple[int, Any], two: tuple[int, Any]) -> None:
    """Format 2.0 makes an answer of what isn't one; nobody learns why a function failed."""
    assert (one, two) == (desk.told("one", wanted), desk.told("two", wanted))


def test_a_header_with_two_values(desk: Desk) -> None:
    """Format 1.0 sends both, each on a line; 2.0 doesn't know the field they stand in."""
    one, two = (desk.raw(door, [], "?answer=twice")[0] for door in ("one", "two"))
    assert ["top", "bottom"] == [value for name, value in one if name.lower() == "x-shelf"]
    assert [] == [value for name, value in two if name.lower() == "x-shelf"]


def test_a_throttled_function(desk: Desk) -> None:
    """The gateway says that the service is unavailable, and nothing of concurrency."""
    with throttled(desk.target, desk.name):
        assert (UNAVAILABLE, UNAVAILABLE) == (desk.told("one", "own"), desk.told("two", "own"))


@each_door
def test_other_requests_reach_nobody(desk: Desk, door: str) -> None:
    """Another method or path is not found; without a signature a request is refused."""
    not_found = desk.ask(door, "PUT"), desk.target.send("GET", f"{desk.url}/three/books")
    assert [(404, b'{"message":"Not Found"}')] * 2 == [(answer.status, answer.body) for answer in not_found]
    refused = desk.ask(door, sign=False)
    assert (403, {"message": "Forbidden"}) == (refused.status, json.loads(refused.body))


@pytest.mark.parametrize(
    ("version", "value", "expected"),
    [
        ("2.0", "hello", (200, {"content-type": "application/json"}, "hello")),
        ("2.0", [1, "ä"], (200, {"content-type": "application/json"}, '[1, "ä"]')),
        ("1.0", {"statusCode": 200, "headers": {"Content-Type": "a/b"}}, (200, {"content-type": ["a/b"]}, "")),
        ("2.0", {"statusCode": "201"}, (201, TEXT, "")),
        ("1.0", {"statusCode": 204, "headers": None, "body": None}, (204, TEXT, "")),
        ("2.0", {"statusCode": 200, "headers": {"X-Count": 3}}, (200, {"x-count": ["3"], **TEXT}, "")),
        ("2.0", {"statusCode": 200, "multiValueHeaders": {"X": ["1", "2"]}}, (200, TEXT, "")),
        (
            "1.0",
            {"statusCode": 200, "headers": {"X": "1", "Y": "1"}, "multiValueHeaders": {"x": ["2", "3"], "Y": ["1"]}},
            (200, {"x": ["1", "2", "3"], "y": ["1"], **TEXT}, ""),
        ),
    ],
)
def test_answers_that_are_read(version: str, value: Any, expected: tuple[int, dict[str, Any], str]) -> None:
    """By the rules of the format, names of headers in lower case."""
    found = http_api_answers.answer(version, {"body": value})
    assert expected == (found["statusCode"], found["headers"], found["body"])


@pytest.mark.parametrize(
    ("version", "value"),
    [
        ("1.0", "hello"),
        ("2.0", {"statusCode": "OK"}),
        ("2.0", {"statusCode": None}),
        ("2.0", {"statusCode": 99}),
        ("2.0", {"statusCode": 200, "body": 3}),
        ("2.0", {"statusCode": 200, "body": "abc", "isBase64Encoded": True}),
        ("2.0", {"statusCode": 200, "body": "ä", "isBase64Encoded": True}),
        ("1.0", {"statusCode": 200, "headers": ["x"]}),
        ("1.0", {"statusCode": 200, "headers": {"x": ["1"]}}),
        ("1.0", {"statusCode": 200, "multiValueHeaders": {"x": "1"}}),
        ("2.0", {"statusCode": 200, "cookies": "k=1"}),
    ],
)
def test_answers_that_are_not_of_the_format(version: str, value: Any) -> None:
    """They are an internal error to the client."""
    found = http_api_answers.answer(version, {"body": value})
    assert FAILED == (found["statusCode"], json.loads(found["body"]))


@each_door
def test_an_answer_that_doesn_t_say_what_it_is(desk: Desk, door: str) -> None:
    """It is text."""
    headers = dict(desk.raw(door, [], "?answer=twice")[0])
    assert "text/plain; charset=utf-8" == {name.lower(): value for name, value in headers.items()}["content-type"]


def test_cookies_are_of_format_2_0_only() -> None:
    """There each becomes a header of its own; 1.0 doesn't know the field."""
    value = {"statusCode": 200, "cookies": ["k=1", "l=2"]}
    found = {version: http_api_answers.answer(version, {"body": value})["cookies"] for version in ("1.0", "2.0")}
    assert {"1.0": [], "2.0": ["k=1", "l=2"]} == found


# CORS


def cors_headers(answer: HttpAnswer) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items() if name.lower().startswith("access-control")}


def asks(page: str, method: str = "GET") -> dict[str, str]:
    return {"Origin": page, "Access-Control-Request-Method": method}


@each_door
def test_preflights_don_t_reach_the_function(desk: Desk, door: str) -> None:
    """The gateway answers them without a signature: a listed page with what it may do, another one with nothing."""
    before = json.loads(desk.ask(door).body)["calls_before"]
    listed, other = (desk.ask(door, "OPTIONS", headers=asks(page), sign=False) for page in (PAGE, OTHER_PAGE))
    assert before + 1 == json.loads(desk.ask(door).body)["calls_before"]
    assert (204, b"", 204, b"") == (listed.status, listed.body, other.status, other.body)
    assert {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "authorization,content-type,x-amz-date,x-amz-security-token",
    } == cors_headers(listed)
    assert {} == cors_headers(other)


@each_door
def test_other_requests_of_a_page(desk: Desk, door: str) -> None:
    """The function answers both pages; only a listed one may read it."""
    listed, other = (desk.ask(door, headers={"Origin": page}) for page in (PAGE, OTHER_PAGE))
    assert (200, {"access-control-allow-origin": PAGE}) == (listed.status, cors_headers(listed))
    assert (200, {}) == (other.status, cors_headers(other))


def test_the_function_s_own_cors_headers_are_ignored(ours: Target) -> None:
    """If the API has a configuration; without one they go through."""
    with function(ours, OPEN_TO_ALL) as name, http_api(ours, name, version="2.0") as url:
        before = ours.send("GET", url, headers={"Origin": OTHER_PAGE})
        api_id = urlsplit(url).hostname.partition(".")[0]
        ours.client("apigatewayv2").update_api(ApiId=api_id, CorsConfiguration={"AllowOrigins": [PAGE]})
        after = [ours.send("GET", url, headers={"Origin": page}) for page in (PAGE, OTHER_PAGE)]
    assert {"access-control-allow-origin": "*", "access-control-allow-credentials": "true"} == cors_headers(before)
    assert [{"access-control-allow-origin": PAGE}, {}] == [cors_headers(answer) for answer in after]
    assert ["top", "top"] == [answer.headers["x-shelf"] for answer in after]


def test_a_changed_configuration(ours: Target) -> None:
    """An update of the stack lets another page in, whether the template has the configuration or its OpenAPI body."""
    service = ours.client("cloudformation")

    def template(properties: dict[str, Any]) -> dict[str, Any]:
        return {
            "Resources": {"Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": properties}},
            "Outputs": {
                "Stack": {"Value": {"Ref": "AWS::StackName"}},
                "Url": {"Value": {"Fn::Sub": "https://${Api}.execute-api.us-east-1.amazonaws.com/"}},
            },
        }

    body = {"openapi": "3.0.1", "info": {"title": "t", "version": "1"}, "paths": {}}
    first = {"Body": body | {"x-amazon-apigateway-cors": {"allowOrigins": [PAGE]}}}
    second = {"Body": body, "CorsConfiguration": {"AllowOrigins": [OTHER_PAGE]}}
    with made.stack(ours, template(first)) as outputs:
        before = [cors_headers(ours.send("OPTIONS", outputs["Url"], headers=asks(page))) for page in (PAGE, OTHER_PAGE)]
        service.update_stack(StackName=outputs["Stack"], TemplateBody=json.dumps(template(second)))
        service.get_waiter("stack_update_complete").wait(StackName=outputs["Stack"], WaiterConfig={"Delay": 0.1})
        after = [cors_headers(ours.send("OPTIONS", outputs["Url"], headers=asks(page))) for page in (PAGE, OTHER_PAGE)]
    assert [{"access-control-allow-origin": PAGE}, {}] == before
    assert [{}, {"access-control-allow-origin": OTHER_PAGE}] == after


def test_what_a_preflight_has_to_say() -> None:
    """Without a page or the method that it asks for, a request with OPTIONS is no preflight."""
    cors = {"allowOrigins": [PAGE], "maxAge": 0}
    asked = {"origin": PAGE, "access-control-request-method": "GET"}
    assert "0" == preflight(cors, asked)["Access-Control-Max-Age"]
    assert [{}, {}] == [preflight(cors, {name: value}) for name, value in asked.items()]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, None),
        ({"Body": {"x-amazon-apigateway-cors": {"maxAge": 60}}}, {"maxAge": 60}),
        ({"CorsConfiguration": {"MaxAge": 60, "AllowOrigins": ["*"]}}, {"maxAge": 60, "allowOrigins": ["*"]}),
    ],
)
def test_the_configuration_of_a_template(properties: dict[str, Any], expected: dict[str, Any] | None) -> None:
    """Its names begin small, as the service's do."""
    assert expected == of_template(properties)


# time limits


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("http", UNAVAILABLE), ("rest", (504, {"message": "Endpoint request timed out"}))],
)
def test_a_client_doesn_t_wait_for_a_slow_function(
    ours: Target, tmp_path: Path, kind: str, expected: tuple[int, Any]
) -> None:
    """It has its answer while the function is at work; that is finished all the same, and billed."""
    logs, gate = ours.client("logs"), tmp_path / "gate"
    with function(ours, WAITS_FOR.format(gate=str(gate)), Timeout=60) as name:
        logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
        opened = (
            http_api(ours, name, version="1.0", limit_ms=100) if kind == "http" else rest_api(ours, name, limit_ms=100)
        )
        with opened as url:
            with ThreadPoolExecutor(4) as callers:
                answers = list(callers.map(lambda _: ours.send("GET", url), range(4)))
            assert [expected] * 4 == [(answer.status, json.loads(answer.body)) for answer in answers]
            gate.touch()

            def lines(pattern: str) -> list[Any]:
                return logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern=pattern)["events"]

            wait_until(lambda: len(lines('"work done"')) == 4 == len(lines("REPORT")))


def test_the_limit_of_a_template(desk: Desk) -> None:
    """The lesson's doors wait for a second, and then say so; what the function does in less is answered."""
    assert [UNAVAILABLE] * 2 == [desk.told(door, "slow", seconds="2") for door in ("one", "two")]
    assert 200 == desk.ask("two", params={"answer": "slow", "seconds": "0.01"}).status
