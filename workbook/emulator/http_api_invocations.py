"""The place where an HTTP API invokes a function, for corrections that change the event or what comes of it."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway

Invoke = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
Change = Callable[[dict[str, Any], dict[str, Any], Invoke], Awaitable[dict[str, Any]]]

_integration: ContextVar[dict[str, Any] | None] = ContextVar("integration", default=None)


def surround(change: Change) -> None:
    """Have each invocation go through `change`, which gets the integration, the event, and how to go on with an event.

    An earlier change stands inside a later one. What is passed on and returned is what MiniStack's dispatcher returns.
    """
    stock_invoke, stock_run = apigateway._invoke_lambda_proxy, apigateway.run_reentrant

    async def invoke(integration: dict[str, Any], *args: Any, **more: Any) -> Any:
        token = _integration.set(integration)
        try:
            return await stock_invoke(integration, *args, **more)
        finally:
            _integration.reset(token)

    async def run(execute: Any, function: Any, *args: Any, **more: Any) -> Any:
        integration = _integration.get()
        if integration is None:  # an authorizer's function, or a WebSocket's
            return await stock_run(execute, function, *args, **more)
        [event] = args
        return await change(integration, event, lambda event: stock_run(execute, function, event, **more))

    apigateway._invoke_lambda_proxy, apigateway.run_reentrant = invoke, run
