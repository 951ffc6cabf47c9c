"""A REST API takes a function's answer in one shape only, and says of everything else that an internal error happened.

Needed by 02_front_door, which sends misshapen answers through four doors. Plain MiniStack makes an answer of whatever it
gets, and tells the caller why a function failed or was throttled.

AWS: "If the Lambda API rejects the invocation request, API Gateway returns a 500 error code. If the function runs but
returns an error, or returns a response in the wrong format, API Gateway returns a 502"; the body says nothing more than
"Internal server error".
https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html
The format, and, as LocalStack's tests found out on AWS, that no key has to be there, and no other may be:
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
https://github.com/localstack/localstack/blob/0ae53b67250fe7928bbb93be5adbe3848e4d32cd/tests/aws/services/apigateway/test_apigateway_lambda.py
Of several types in an `Accept` header the first alone decides whether the client gets bytes:
https://docs.aws.amazon.com/apigateway/latest/developerguide/lambda-proxy-binary-media.html
"""

import json
from typing import Any

from ministack.services import apigateway_v1

_KEYS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}


def apply() -> None:
    """Replace what makes an answer of an invocation's result, and how a media type is compared with the binary ones."""
    stock_matches = apigateway_v1._media_type_matches

    def matches(media_types: str | None, binary_types: list[str] | None) -> bool:
        return stock_matches((media_types or "").partition(",")[0], binary_types)

    apigateway_v1._lambda_proxy_response = lambda result: (answer(result), None)
    apigateway_v1._media_type_matches = matches


def answer(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the client gets for an invocation's result, in the shape that a function's answer has."""
    if result.get("throttle"):
        return _internal_error(500)
    given = result.get("body")
    if result.get("error") or not is_well_shaped(given):
        return _internal_error(502)
    return given | {"statusCode": int(given.get("statusCode") or 200), "body": given.get("body") or ""}


def is_well_shaped(given: Any) -> bool:
    """Return whether a function's answer has the one shape that a REST API takes."""
    return (
        isinstance(given, dict)
        and given.keys() <= _KEYS
        and isinstance(given.get("body"), str | None)
        and all(isinstance(given.get(key), dict | None) for key in ("headers", "multiValueHeaders"))
        and str(given.get("statusCode") or 200).isdecimal()
    )


def _internal_error(status: int) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"x-amzn-ErrorType": "InternalServerErrorException"},
        "body": json.dumps({"message": "Internal server error"}),
    }
