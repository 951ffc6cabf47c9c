"""The rules of the exercises in `02_front_door`."""

import copy
from numbers import Real
from typing import Any

from workbook.exercises import choices

_FORMAT_2 = {"version": "2.0", "headers": {}, "isBase64Encoded": False}
_FORMAT_1 = {"headers": {}, "multiValueHeaders": {}, "httpMethod": "GET", "body": None, "isBase64Encoded": False}
_EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a REST API's event": (
        "/orders/7",
        _FORMAT_1
        | {
            "resource": "/{proxy+}",
            "path": "/orders/7",
            "pathParameters": {"proxy": "orders/7"},
            "requestContext": {"path": "/prod/orders/7", "stage": "prod", "resourcePath": "/{proxy+}"},
        },
    ),
    "an event of payload format 1.0": (
        "/one/orders/7",
        _FORMAT_1
        | {
            "version": "1.0",
            "resource": "/one/{proxy+}",
            "path": "/one/orders/7",
            "pathParameters": {"proxy": "orders/7"},
            "requestContext": {"path": "/one/orders/7", "stage": "$default", "resourcePath": "/one/{proxy+}"},
        },
    ),
    "an event of payload format 2.0": (
        "/two/orders/7",
        _FORMAT_2
        | {
            "routeKey": "GET /two/{proxy+}",
            "rawPath": "/two/orders/7",
            "pathParameters": {"proxy": "orders/7"},
            "requestContext": {"http": {"method": "GET", "path": "/two/orders/7"}, "stage": "$default"},
        },
    ),
    "a function URL's event": (
        "/orders/7",
        _FORMAT_2
        | {
            "routeKey": "$default",
            "rawPath": "/orders/7",
            "requestContext": {"http": {"method": "GET", "path": "/orders/7"}, "stage": "$default"},
        },
    ),
}
_WHY = {
    "caching": "Only a REST API keeps answers.",
    "request validation": "Only a REST API checks a request against a model.",
    "AWS WAF": "Only a REST API's stage can stand behind it directly.",
    "custom domain": "Both kinds of API can have one.",
    "JWT authorizer": "That is the HTTP API's own.",
    "built-in CORS": "That is the HTTP API's; a REST API needs a method of its own for it.",
}


def path(answer: Any) -> str | None:
    """02.1: a function that finds the path in events of both shapes."""
    if not callable(answer):
        return f"The answer is a function of an event; this is {answer!r}."
    for name, (expected, event) in _EVENTS.items():
        try:
            got = answer(copy.deepcopy(event))
        except KeyError as error:
            return f"For {name} it ends in KeyError {error}: this event has no such key."
        if got != expected:
            return f"For {name} it returns {got!r}, where the path is {expected!r}."
    return None


def only_rest(answer: Any) -> str | None:
    """02.2: what only a REST API can do."""
    return choices.fault(answer, right={"caching", "request validation", "AWS WAF"}, why=_WHY, things="the needs")


def paid_seconds(answer: Any) -> str | None:
    """02.3: how many seconds of the function are billed."""
    if isinstance(answer, bool) or not isinstance(answer, Real):
        return f"A number of seconds is wanted; this is {answer!r}."
    if answer in (30, 60, 90):
        return "That is what the client waited. The function works on when the gateway gives up."
    if answer in (40, 80):
        return "The client asks a second and a third time, after the first; each request is an invocation of its own."
    return None if answer == 120 else f"Count the invocations, and how long each takes; {answer:g} isn't it."


RULES = {"02.1": path, "02.2": only_rest, "02.3": paid_seconds}
