"""A function URL answers with whatever JSON a function returns, and doesn't tell a caller why a function failed.

Needed by 02_front_door, which sends misshapen answers through four doors. Plain MiniStack answers with nothing where a
function returns null, with an error of its own where the body is no text, and with the traceback where a function failed.

AWS: "If your function returns valid JSON and doesn't return a `statusCode`", the status is 200, the content type
application/json, and the body "the function response".
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
Function errors are among the "5XX series codes". Which one it is, and with which words, LocalStack's tests found out on AWS.
What becomes of a body that is no text, no page says: here it counts as a failed function.
https://docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html
https://github.com/localstack/localstack/blob/0033f3ceb06af82f43d4f3ebf901147fca8c94ba/tests/aws/services/lambda_/test_lambda.py
"""

from contextvars import ContextVar
from typing import Any

from ministack.services import lambda_svc

_is_function_url: ContextVar[bool] = ContextVar("is_function_url", default=False)


def apply() -> None:
    """Let a function URL have an invocation's result as it is, of which MiniStack makes one answer for all doors."""
    stock_handle = lambda_svc.handle_function_url_request
    stock_convert = lambda_svc.lambda_execute_result_to_api_proxy_response
    stock_respond = lambda_svc._function_url_proxy_response

    async def handle(*request: Any, **known: Any) -> Any:
        _is_function_url.set(True)
        return await stock_handle(*request, **known)

    def convert(result: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
        return (result, None) if _is_function_url.get() else stock_convert(result)

    def respond(result: dict[str, Any], cors_headers: dict[str, str]) -> tuple[int, dict[str, Any], bytes]:
        answer, _ = stock_convert(result)
        if not result.get("throttle") and (result.get("error") or not is_well_shaped(answer)):
            return 502, {"Content-Type": "application/json", **cors_headers}, b"Internal Server Error"
        if result.get("body") is None:
            answer = {"statusCode": 200, "body": "null"}
        return stock_respond(answer, cors_headers)

    lambda_svc.handle_function_url_request = handle
    lambda_svc.lambda_execute_result_to_api_proxy_response = convert
    lambda_svc._function_url_proxy_response = respond


def is_well_shaped(answer: dict[str, Any]) -> bool:
    """Return whether an answer with a status code can be one over HTTP."""
    return (
        isinstance(answer.get("body"), str | None)
        and isinstance(answer.get("headers"), dict | None)
        and str(answer["statusCode"]).isdecimal()
    )
