"""Probes of function URLs: what functions see of a request, and what is made of their answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from workbook.emulator.corrections.probes.made import function
from workbook.targets import Target

_ECHO = """
import json
def handler(event, context):
    return {"event": event, "request_id": context.aws_request_id}
"""
_MISSHAPEN = """
def handler(event, context):
    if event["rawPath"] == "/failure":
        raise ValueError("no such order")
"""


@contextmanager
def function_url(target: Target, source: str) -> Iterator[str]:
    """Create a function with a URL that asks for a signature, yield the URL without its last slash, and delete both."""
    service = target.client("lambda")
    with function(target, source) as name:
        url = service.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
        try:
            yield url.rstrip("/")
        finally:
            service.delete_function_url_config(FunctionName=name)


def function_url_events(target: Target) -> bool:
    """Return whether an event names the caller's account and the cookies, and has the id that the function sees."""
    with function_url(target, _ECHO) as url:
        seen = json.loads(target.send("GET", f"{url}/orders", headers={"Cookie": "a=1; b=2"}).body)
    context = seen["event"]["requestContext"]
    caller = context.get("authorizer", {}).get("iam", {}).get("accountId")
    return (caller, seen["event"].get("cookies"), context["requestId"]) == (
        target.account_id,
        ["a=1", "b=2"],
        seen["request_id"],
    )


def function_url_answers(target: Target) -> bool:
    """Return whether a function that returns null is answered with null, and of a failing one nothing is told."""
    with function_url(target, _MISSHAPEN) as url:
        answers = [target.send("GET", f"{url}/{path}") for path in ("nothing", "failure")]
    return [(answer.status, answer.body) for answer in answers] == [(200, b"null"), (502, b"Internal Server Error")]
