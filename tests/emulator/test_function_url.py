"""The function URL of a template: what its function sees of a request, and what becomes of the function's answer."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from trials import throttled

from workbook.emulator.corrections.function_url_answers import is_well_shaped
from workbook.targets import Target

BYTES = bytes(range(256))


@pytest.fixture
def url(front_door: dict[str, str]) -> str:
    """The function's own address, with a path below it."""
    return f"{front_door['FunctionUrl']}orders/1"


def seen(target: Target, url: str, method: str = "GET", **request: Any) -> dict[str, Any]:
    """Return what the function says: its event, and the id of the invocation."""
    return json.loads(target.send(method, url, **request).body)


def test_it_asks_for_a_signature(ours: Target, url: str) -> None:
    """Without one the function isn't reached."""
    refused = ours.send("GET", url, sign=False)
    assert (403, {"Message": "Forbidden"}) == (refused.status, json.loads(refused.body))


# events


def test_an_event_without_body(ours: Target, url: str) -> None:
    """What there is nothing of has no key: body, query, cookies."""
    event = seen(ours, url)["event"]
    context, headers = event.pop("requestContext"), event.pop("headers")
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/orders/1",
        "rawQueryString": "",
        "isBase64Encoded": False,
    }
    host = urlsplit(url).netloc
    assert (host, host, host.partition(".")[0], "$default", ours.account_id) == (
        headers["host"],
        *(context[name] for name in ("domainName", "domainPrefix", "stage", "accountId")),
    )
    moment = datetime.strptime(context["time"], "%d/%b/%Y:%H:%M:%S %z")
    assert moment == datetime.fromtimestamp(context["timeEpoch"] // 1000, UTC)


def test_the_caller_is_who_signed(ours: Target, url: str) -> None:
    """An event names the caller's key, account and ARN."""
    account = ours.account_id
    assert seen(ours, url)["event"]["requestContext"]["authorizer"] == {
        "iam": {
            "accessKey": account,
            "accountId": account,
            "callerId": account,
            "principalOrgId": None,
            "userArn": f"arn:aws:iam::{account}:root",
            "userId": account,
        }
    }


def test_cookies_have_a_field_of_their_own(ours: Target, url: str) -> None:
    """They also stay among the headers, as they came."""
    event = seen(ours, url, headers={"Cookie": "a=1; b=2"})["event"]
    assert (["a=1", "b=2"], "a=1; b=2") == (event["cookies"], event["headers"]["cookie"])


def test_a_repeated_query_parameter(ours: Target, url: str) -> None:
    """Its values are joined."""
    event = seen(ours, url, params={"colour": ["red", "blue"]})["event"]
    assert ({"colour": "red,blue"}, "colour=red&colour=blue") == (
        event["queryStringParameters"],
        event["rawQueryString"],
    )


def test_a_repeated_header(ours: Target, url: str) -> None:
    """Its values are joined; the lines of cookies are one header and many cookies."""
    event = seen(ours, url, headers={"X-Shelf": ["top", "bottom"], "Cookie": ["a=1", "b=2"]})["event"]
    assert ("top,bottom", "a=1; b=2") == (event["headers"]["x-shelf"], event["headers"]["cookie"])
    assert ["a=1", "b=2"] == event["cookies"]


def test_bytes_come_in_encoded(ours: Target, url: str) -> None:
    """Nothing has to be set for that; text stays text."""
    event = seen(ours, url, "POST", body=BYTES, headers={"Content-Type": "application/octet-stream"})["event"]
    assert (True, BYTES) == (event["isBase64Encoded"], base64.b64decode(event["body"]))
    event = seen(ours, url, "POST", body="é", headers={"Content-Type": "text/plain"})["event"]
    assert (False, "é") == (event["isBase64Encoded"], event["body"])


def test_the_request_has_the_id_of_the_invocation(ours: Target, url: str) -> None:
    """Event, function and answer have the same one, and each of many requests at once its own."""

    def ids(_: int) -> tuple[str, str, str]:
        answer = ours.send("GET", url)
        said = json.loads(answer.body)
        return said["request_id"], said["event"]["requestContext"]["requestId"], answer.headers["x-amzn-RequestId"]

    with ThreadPoolExecutor(8) as callers:
        found = list(callers.map(ids, range(16)))
    assert [1] * 16 == [len(set(same)) for same in found]
    assert 16 == len(set(found))


# answers


@pytest.mark.parametrize(
    ("shape", "status", "body"),
    [
        ("own", 200, b'{"greeting": "hello"}'),
        ("nothing", 200, b"null"),
        ("binary", 200, BYTES),
        ("misshapen", 502, b"Internal Server Error"),
        ("failure", 502, b"Internal Server Error"),
    ],
)
def test_what_becomes_of_an_answer(ours: Target, url: str, shape: str, status: int, body: bytes) -> None:
    """JSON without a status code is taken as it is; of a failure nothing is told."""
    answer = ours.send("GET", url, params={"answer": shape})
    assert (status, body) == (answer.status, answer.body)


def test_a_header_with_two_values(ours: Target, url: str) -> None:
    """The format knows none: multiValueHeaders is ignored."""
    answer = ours.send("GET", url, params={"answer": "twice"})
    assert (200, None) == (answer.status, answer.headers.get("X-Shelf"))


def test_a_throttled_function(ours: Target, url: str, front_door: dict[str, str]) -> None:
    """Its URL says so."""
    with throttled(ours, front_door["FunctionName"]):
        refused = ours.send("GET", url)
    assert 429 == refused.status


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://shop.example", "https://shop.example"), ("https://elsewhere.example", None)]
)
def test_a_preflight_needs_neither_signature_nor_function(
    ours: Target, url: str, origin: str, allowed: str | None
) -> None:
    """The URL's own configuration answers it; a page that isn't listed gets no headers."""
    before = seen(ours, url)
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = ours.send("OPTIONS", url, headers=asked, sign=False)
    after = seen(ours, url)
    assert (200, allowed) == (preflight.status, preflight.headers.get("Access-Control-Allow-Origin"))
    assert ("GET,POST" if allowed else None) == preflight.headers.get("Access-Control-Allow-Methods")
    assert (before["log_stream"], before["calls_before"] + 1) == (after["log_stream"], after["calls_before"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"statusCode": 201}, True),
        ({"statusCode": "201", "body": None, "headers": None}, True),
        ({"statusCode": "many"}, False),
        ({"statusCode": 200, "body": 5}, False),
        ({"statusCode": 200, "headers": []}, False),
    ],
)
def test_what_can_be_an_answer_over_http(answer: dict[str, Any], expected: bool) -> None:
    """The status is a number, the body text, and the headers have names."""
    assert expected == is_well_shaped(answer)
