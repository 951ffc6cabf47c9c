"""The rules of the exercises in `05_sync_vs_async`."""

import json
import math
from numbers import Real
from typing import Any

_EVENT = {"job": "j-1", "customer": "ada", "amount_cents": 990}
_RECORD = {
    "version": "1.0",
    "timestamp": "2026-11-21T10:00:00.000Z",
    "requestContext": {"requestId": "r-1", "condition": "RetriesExhausted", "approximateInvokeCount": 3},
    "requestPayload": _EVENT,
    "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    "responsePayload": {"errorMessage": "the bank does not answer", "errorType": "ConnectionError"},
}
_ATTRIBUTES = {"ErrorCode": {"StringValue": "200", "DataType": "Number"}}
_LETTERS = {
    "a dead letter": {"Body": json.dumps(_EVENT), "MessageAttributes": _ATTRIBUTES},
    "a destination's record": {"Body": json.dumps(_RECORD)},
}


def backoff(answer: Any) -> str | None:
    """05.1: a function that returns how long to wait after an attempt."""
    if not callable(answer):
        return f"The answer is a function of attempt; this is {answer!r}."
    for attempt, wanted_s in ((0, 0.1), (1, 0.2), (4, 1.6), (5, 2.0), (10, 2.0)):
        got = answer(attempt)
        if got is None:
            return "It returned None: did it print, where it should return?"
        if isinstance(got, bool) or not isinstance(got, Real):
            return f"After attempt {attempt} it returns {got!r}; a number of seconds is wanted."
        if math.isclose(got, 1000 * wanted_s):
            return f"After attempt {attempt} it waits {got:g} s: that would be right in milliseconds."
        if math.isclose(got, 0.1 * 2**attempt) and wanted_s == 2.0:
            return f"After attempt {attempt} it waits {got:g} s: the waits have to stop growing at two seconds."
        if not math.isclose(got, wanted_s):
            return f"After attempt {attempt} it waits {got:g} s; without jitter it should be {wanted_s:g}."
    return None


def charges(answer: Any) -> str | None:
    """05.2: how many times a customer is charged."""
    if isinstance(answer, bool) or not isinstance(answer, Real):
        return f"A number is wanted; this is {answer!r}."
    if answer == 2:
        return "That is the first run and its retry. The replay is a run too, and the handler isn't idempotent."
    if answer == 4:
        return "That would be right for two retries, Lambda's default; here there is one."
    return None if answer == 3 else f"Count the runs that get as far as the charge; {answer:g} isn't it."


def original_event(answer: Any) -> str | None:
    """05.3: a function that finds the event in a dead letter and in a destination's record."""
    if not callable(answer):
        return f"The answer is a function of a message; this is {answer!r}."
    for name, letter in _LETTERS.items():
        try:
            got = answer(letter)
        except (KeyError, TypeError) as error:
            return f"For {name} it ends in {type(error).__name__}: {error}. Its body has no such place."
        if got == letter["Body"]:
            return f"For {name} it returns text; the event is a dict, so parse it."
        if got != _EVENT:
            return f"For {name} it returns {got!r}, which isn't the event {_EVENT!r}."
    return None


RULES = {"05.1": backoff, "05.2": charges, "05.3": original_event}
