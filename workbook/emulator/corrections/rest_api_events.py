"""A function behind a REST API gets the request as its client sent it, and is told all that API Gateway knows of it.

Needed by 02_front_door, which compares the events of four doors. Plain MiniStack writes header names small, joins a header
that comes twice, keeps the first value of a repeated query parameter, and leaves out where the request came in and most of
who sent it. It gives the event a version, which only an HTTP API's has.

AWS: `headers` and `queryStringParameters` hold one value each, of several the last, and `multiValueHeaders` and
`multiValueQueryStringParameters` all; `requestContext.identity` names who signed.
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import os
from typing import Any

from ministack.core.responses import get_region, get_request_client_ip
from ministack.services import apigateway_v1, lambda_svc

from workbook.emulator import header_lines

_STAY_OUTSIDE = {"connection", "content-length"}  # they are about the connection, which ends at the gateway
_NOBODY = dict.fromkeys(
    (
        "accessKey",
        "accountId",
        "caller",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    )
)


def apply() -> None:
    """Keep each request's headers as they came, and replace what makes an event of a request."""
    header_lines.keep()
    stock_event = apigateway_v1._build_lambda_event_v1

    def event(api_id: str, stage_name: str, stage: dict[str, Any], *request: Any, **known: Any) -> dict[str, Any]:
        made = stock_event(api_id, stage_name, stage, *request, **known)
        del made["version"]
        domain = f"{api_id}.execute-api.{get_region()}.amazonaws.com"
        context = made["requestContext"]
        context["identity"] = _NOBODY | context["identity"] | {"sourceIp": get_request_client_ip()}
        context |= {
            "deploymentId": stage["deploymentId"],
            "domainName": domain,
            "domainPrefix": api_id,
            "extendedRequestId": base64.b64encode(os.urandom(11)).decode(),
        }
        values = forwarded(header_lines.lines(), host=domain, client_ip=context["identity"]["sourceIp"])
        parameters = made["multiValueQueryStringParameters"]
        return made | {
            "headers": last_of_each(values),
            "multiValueHeaders": values,
            "queryStringParameters": parameters and last_of_each(parameters),
        }

    apigateway_v1._build_lambda_event_v1 = event


def forwarded(received: list[tuple[str, str]], *, host: str, client_ip: str) -> dict[str, list[str]]:
    """Return the headers that a function sees, each with all its values: the client's, and those that API Gateway sets."""
    values: dict[str, list[str]] = {}
    for name, value in received:
        if name.lower() not in _STAY_OUTSIDE:
            values.setdefault(name, []).append(value)
    came_through = [value for name, value in received if name.lower() == "x-forwarded-for"]
    traced = [value for name, value in received if name.lower() == "x-amzn-trace-id"]
    set_here = {
        "Host": host,
        "X-Amzn-Trace-Id": traced[-1] if traced else lambda_svc._function_url_trace_root(),
        "X-Forwarded-For": ", ".join([*came_through, client_ip]),
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    replaced = {name.lower() for name in set_here}
    kept = {name: those for name, those in values.items() if name.lower() not in replaced}
    return kept | {name: [value] for name, value in set_here.items()}


def last_of_each(values: dict[str, list[str]]) -> dict[str, str]:
    """Return the last of each name's values."""
    return {name: those[-1] for name, those in values.items()}
