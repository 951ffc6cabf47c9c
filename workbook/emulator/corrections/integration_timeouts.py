"""A client gets its answer when an integration's time is up, while the function behind it runs on.

Needed by 02_front_door, whose function takes longer than both gateways wait. Plain MiniStack waits as long as the function does.

AWS: an HTTP API waits 30 seconds at most, or `TimeoutInMillis`:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
A REST API waits 29 seconds, or `timeoutInMillis`, and then answers by its gateway response INTEGRATION_TIMEOUT, 504:
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
What an HTTP API answers then, only a support article says: 504, by the limit of REST APIs. Those who show the answer that
they got from an HTTP API, or who had to raise its limit, got 503 with the message below, so that is what it is here.
https://repost.aws/knowledge-center/api-gateway-504-errors
https://github.com/cortexlabs/cortex/issues/1225
https://github.com/serverless/serverless/issues/11222
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

from ministack.services import apigateway, apigateway_v1

HTTP_API_MS, REST_API_MS = 30_000, 29_000

_running: set[asyncio.Task[Any]] = set()  # those that nobody waits for any more would be collected otherwise


def apply() -> None:
    """Replace what calls an integration's backend, in both kinds of API."""
    _limit(apigateway, "_invoke_lambda_proxy", HTTP_API_MS, _http_api_timeout)
    _limit(apigateway, "_invoke_http_proxy", HTTP_API_MS, _http_api_timeout)
    _limit(apigateway_v1, "_invoke_lambda_proxy_v1", REST_API_MS, _rest_api_timeout)
    _limit(apigateway_v1, "_invoke_lambda_custom_v1", REST_API_MS, _rest_api_timeout)
    _limit(apigateway_v1, "_invoke_http_proxy_v1", REST_API_MS, _rest_api_timeout)


async def within(limit_ms: float, work: Coroutine[Any, Any, Any], timed_out: Callable[[], Any]) -> Any:
    """Return what the work returns, or, after that many milliseconds, what `timed_out` returns; the work goes on then."""
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    done, _ = await asyncio.wait({task}, timeout=limit_ms / 1000)
    return task.result() if done else timed_out()


def _limit(service: ModuleType, name: str, default_ms: int, timed_out: Callable[[], Any]) -> None:
    stock = getattr(service, name)

    async def invoke(integration: dict[str, Any], *args: Any, **more: Any) -> Any:
        limit_ms = float(integration.get("timeoutInMillis") or default_ms)
        return await within(limit_ms, stock(integration, *args, **more), timed_out)

    setattr(service, name, invoke)


def _http_api_timeout() -> Any:
    return 503, {"Content-Type": "application/json"}, b'{"message":"Service Unavailable"}'


def _rest_api_timeout() -> Any:
    return apigateway_v1._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
