"""An HTTP API reads a function's answer by the payload format, and tells nothing of a function that has none.

Needed by 02_front_door, whose function also answers badly, fails, and is throttled. Plain MiniStack reads every answer by
the rules of no format, makes up 200 for what is none, and passes on the error of a function that failed or was throttled.

AWS: in format 2.0 an answer without a status code is 200, `application/json`, and its body is the answer.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
In 1.0 API Gateway "doesn't make assumptions of the response and returns a 500 error".
https://repost.aws/knowledge-center/api-gateway-status-codes-http-api
An answer that has one, but no content type, is `text/plain; charset=utf-8` in either format, as AWS's own tests recorded:
https://github.com/aws/aws-lambda-dotnet/blob/25f15fced20c12e0b3af755dc18fb694dfffea43/Tools/LambdaTestTool-v2/tests/Amazon.Lambda.TestTool.UnitTests/Snapshots/V2_DefaultsToTextPlainContentType.json
Values that both `headers` and `multiValueHeaders` of 1.0 have are merged as REST APIs, whose format it is, merge them:
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
A function that fails, or whose answer isn't of the format, is {"message":"Internal Server Error"}.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
What a throttled function is, Lambda's page tells in the words of REST APIs only, as 500. A load test that went beyond the
quota got 503 from an HTTP API, so that is what it is here.
https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
https://kkloudtarus.net/en/blog/serverless-load-test-k6
"""

import base64
import json
from typing import Any

from workbook.emulator.http_api_invocations import Invoke, surround

_Scalar = str | int | float | bool


def apply() -> None:
    """Put the answer of the gateway in the place of what came of an invocation."""

    async def change(integration: dict[str, Any], event: dict[str, Any], invoke: Invoke) -> dict[str, Any]:
        return {"body": answer(str(integration["payloadFormatVersion"]), await invoke(event))}

    surround(change)


def answer(version: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return the answer that clients get, in the shape of a function's, for what MiniStack's dispatcher returned."""
    if result.get("throttle"):
        return _refusal(503, "Service Unavailable")
    if result.get("error"):
        return _refusal(500, "Internal Server Error")
    value = result["body"]
    if isinstance(value, dict) and "statusCode" in value:
        return _read(version, value) if _is_well_formed(version, value) else _refusal(500, "Internal Server Error")
    if version == "1.0":
        return _refusal(500, "Internal Server Error")
    body = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}


def _refusal(status: int, message: str) -> dict[str, Any]:
    body = json.dumps({"message": message}, separators=(",", ":"))
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": body}


def _read(version: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return what the format knows of an answer: of repeated headers only 1.0, of cookies only 2.0."""
    headers = {name.lower(): [_text(one)] for name, one in (value.get("headers") or {}).items()}
    if version == "1.0":
        for name, values in (value.get("multiValueHeaders") or {}).items():
            more = [_text(one) for one in values]
            headers[name.lower()] = [one for one in headers.get(name.lower(), []) if one not in more] + more
    headers.setdefault("content-type", ["text/plain; charset=utf-8"])
    return {
        "statusCode": int(value["statusCode"]),
        "headers": headers,
        "cookies": (value.get("cookies") or []) if version == "2.0" else [],
        "body": value.get("body") or "",
        "isBase64Encoded": bool(value.get("isBase64Encoded")),
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_well_formed(version: str, value: dict[str, Any]) -> bool:
    status, body = value["statusCode"], value.get("body")
    headers, repeated = value.get("headers") or {}, value.get("multiValueHeaders") or {}
    cookies = value.get("cookies") or []
    return (
        str(status).isdecimal()
        and 200 <= int(status) <= 599  # HTTP's final ones
        and (body is None or isinstance(body, str))
        and not (value.get("isBase64Encoded") and body and not _is_base64(body))
        and isinstance(headers, dict)
        and all(isinstance(one, _Scalar) for one in headers.values())
        and (version != "1.0" or (isinstance(repeated, dict) and all(map(_is_list, repeated.values()))))
        and (version != "2.0" or _is_list(cookies))
    )


def _is_list(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(one, _Scalar) for one in values)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text)
    except ValueError:  # its length is wrong, or it isn't ASCII
        return False
    return True
