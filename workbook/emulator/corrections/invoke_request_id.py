"""Invoke answers with the request id that the function sees, also across the retries of an event.

Needed by 01_first_function, which finds an invocation's REPORT line by the id in the answer. Plain MiniStack draws one
id for the HTTP exchange, another for the invocation, and one more for each retry of an asynchronous one.

AWS: the request id is "generated per request. If the Lambda function retries a request, this ID does not change".
https://docs.aws.amazon.com/lambda/latest/operatorguide/log-structure.html
"""

from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.services import lambda_svc

invocation_id: ContextVar[str | None] = ContextVar("invocation_id", default=None)  # for the invocations of a thread


def apply() -> None:
    """Let the HTTP exchange's id, which the answer carries, be the id of the invocation that it asks for."""
    stock_dispatch, stock_id = app._dispatch_service_request, lambda_svc.new_uuid

    async def dispatch(method: str, path: str, headers: Any, body: bytes, query_params: Any, request_id: str) -> Any:
        if path.endswith("/invocations"):
            invocation_id.set(request_id)  # the thread that invokes, and retries, works in a copy of this context
        return await stock_dispatch(method, path, headers, body, query_params, request_id)

    app._dispatch_service_request = dispatch
    lambda_svc.new_uuid = lambda: invocation_id.get() or stock_id()
