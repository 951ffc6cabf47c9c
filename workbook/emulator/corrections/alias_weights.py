"""An alias with weights sends each invocation to one of its two versions, by chance, and the answer says which one ran.

Needed by 06_power_tuning, which moves traffic to another memory size step by step. Plain MiniStack keeps the weights, and
sends everything to the alias's first version.

AWS: an alias points to up to two versions, the "routing weight" is the share of the second, and `ExecutedVersion` in the
answer, like the stream's name in the log, says which one ran:
https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html
The answer to an event or a dry run names no version, as LocalStack's tests recorded on AWS.
https://github.com/localstack/localstack/blob/01c81deecaa9371f81ad0a69c79d201a27d06b74/tests/aws/services/lambda_/test_lambda.snapshot.json
"""

import random
from contextvars import ContextVar
from typing import Any

from ministack.services import lambda_svc

from workbook.emulator.invocations import Execute, Function, keep_qualifiers, qualifier_of, surround

_ran: ContextVar[list[str] | None] = ContextVar("ran", default=None)  # the version that a call to Invoke came to


def apply() -> None:
    """Draw the version of each invocation, and let Invoke say which one it was."""
    stock_invoke = lambda_svc._invoke

    async def invoke(*call: Any, **more: Any) -> tuple[int, dict[str, str], bytes]:
        ran: list[str] = []
        _ran.set(ran)
        status, headers, body = await stock_invoke(*call, **more)
        if status in (202, 204):
            headers.pop("X-Amz-Executed-Version")
        elif ran:
            headers["X-Amz-Executed-Version"] = ran[0]
        return status, headers, body

    lambda_svc._invoke = invoke
    keep_qualifiers()
    surround(route)


def route(function: Function, event: Any, proceed: Execute) -> dict[str, Any]:
    """Run an invocation of an alias in the version that is drawn for it, under the alias's name."""
    config = function.get("config") or function
    base = lambda_svc._functions.get(config["FunctionName"]) or {}
    alias = (base.get("aliases") or {}).get(qualifier_of(config)) or {}
    if weights := (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
        drawn = draw(alias["FunctionVersion"], weights)
        if (ran := _ran.get()) is not None:
            ran.append(drawn)
        version, its_config = lambda_svc._effective_func_record_for_qualifier(base, drawn)
        function = version | {"config": its_config | {"FunctionArn": config["FunctionArn"]}}
        return proceed(function, event) | {"executed_version": drawn}
    return proceed(function, event)


def draw(first: str, weights: dict[str, float]) -> str:
    """Return a version: one of those with a weight, as often as its weight says, and otherwise the first."""
    [drawn] = random.choices([*weights, first], [*weights.values(), 1 - sum(weights.values())])
    return drawn
