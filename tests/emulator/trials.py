"""What the tests of environments share: one invocation, its answer, and waiting for what must come."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from workbook.emulator.environment import Environment, Outcome
from workbook.targets import Target

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"

MakeEnvironment = Callable[..., Environment]


def invoke(one: Environment, event: object = None, request_id: str = "r-1", **more: str) -> Outcome:
    return one.invoke(request_id, json.dumps(event).encode(), arn=ARN, **more)


def answer(outcome: Outcome) -> object:
    """Return the handler's answer, for an invocation that must have one."""
    assert "response" == outcome.kind, outcome
    return json.loads(outcome.payload)


def state(pid: int) -> str:
    """Return what a process does; one that nobody has fetched yet is as dead as one that is gone."""
    try:
        found = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD
    return psutil.STATUS_DEAD if found == psutil.STATUS_ZOMBIE else found


@contextmanager
def throttled(target: Target, function: str) -> Iterator[None]:
    """Have Lambda refuse to run a function meanwhile."""
    service = target.client("lambda")
    service.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        service.delete_function_concurrency(FunctionName=function)
