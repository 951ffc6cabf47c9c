"""The rules of the exercises in `02_front_door`."""

from typing import Any

from workbook.exercises import choices

_EVENTS = {
    "a REST API's event": {"resource": "/{proxy+}", "path": "/orders/7", "httpMethod": "GET"},
    "an event of payload format 1.0": {"version": "1.0", "path": "/orders/7", "httpMethod": "GET"},
    "an event of payload format 2.0": {"version": "2.0", "rawPath": "/orders/7", "routeKey": "GET /{proxy+}"},
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
    for name, event in _EVENTS.items():
        try:
            got = answer(event)
        except KeyError as error:
            return f"For {name} it ends in KeyError {error}: that key is in the other shape only."
        if got != "/orders/7":
            return f"For {name} it returns {got!r}, where the path is '/orders/7'."
    return None


def only_rest(answer: Any) -> str | None:
    """02.2: what only a REST API can do."""
    return choices.fault(answer, right={"caching", "request validation", "AWS WAF"}, why=_WHY, things="the needs")


def paid_seconds(answer: Any) -> str | None:
    """02.3: how many seconds of the function are billed."""
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return f"A number of seconds is wanted; this is {answer!r}."
    if answer == 90:
        return "That is how long the client waited. The function works on when the gateway gives up."
    if answer == 40:
        return "That is one run; each request is a new one."
    if answer == 80:
        return "The client asks a second and a third time, after the first."
    return None if answer == 120 else f"Count the runs, and how long each takes; {answer:g} isn't it."


RULES = {"02.1": path, "02.2": only_rest, "02.3": paid_seconds}
