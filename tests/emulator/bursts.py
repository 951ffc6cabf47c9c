"""Calls at once, to a function that ends when it is told to, so that how many run together is no matter of luck."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from waits import wait_until

from workbook.targets import Target

GATED = """
import os
import time
from pathlib import Path

CALLS = []

def handler(event, context):
    CALLS.append(event)
    if gate := event.get("gate"):
        Path(gate, context.aws_request_id).touch()
        while not os.path.exists(gate + "/open"):
            time.sleep(0.01)
    if "exit" in event:
        os._exit(event["exit"])
    if "fail" in event:
        raise ValueError(event["fail"])
    return {
        "pid": os.getpid(),
        "calls_before": len(CALLS) - 1,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "environment": context.log_stream_name,
        "initialization_type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
    }
"""


def call(target: Target, name: str, event: Any = None, **more: str) -> dict[str, Any]:
    """Invoke a function; return its answer with `ran`, the version that is said to have run, or its `throttle`."""
    service = target.measured_client("lambda")
    try:
        response = service.invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    except service.exceptions.TooManyRequestsException as error:
        return {"throttle": error.response}
    return json.load(response["Payload"]) | {"ran": response["ExecutedVersion"]}


@contextmanager
def under_way(target: Target, name: str, calls: int, folder: Path, **more: str) -> Iterator[list[Future]]:
    """Make calls that end with the block; it begins when each is at work or was throttled."""
    gate = folder / uuid4().hex
    gate.mkdir()
    with ThreadPoolExecutor(calls) as callers:
        try:
            made = [callers.submit(call, target, name, {"gate": str(gate)}, **more) for _ in range(calls)]
            wait_until(lambda: sum(one.done() for one in made) + len(list(gate.iterdir())) == calls)
            yield made
        finally:
            (gate / "open").touch()


def burst(target: Target, name: str, calls: int, folder: Path, **more: str) -> tuple[list[dict], list[dict]]:
    """Make calls that are at work all at once; return the answers of those that were served, and the throttles."""
    with under_way(target, name, calls, folder, **more) as made:
        pass
    answers = [one.result() for one in made]
    return [one for one in answers if "ran" in one], [one["throttle"] for one in answers if "throttle" in one]
