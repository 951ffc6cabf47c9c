"""A function URL's event names the caller who signed, the cookies, and the invocation by the id that the function sees.

Needed by 02_front_door, which compares the events of four doors. Plain MiniStack leaves caller and cookies out, draws one
id for the request and another for the invocation, puts a space between the values of a repeated header, and gives the time
of this machine's zone as UTC.

AWS: `requestContext.authorizer` is "information about the caller identity, if the function URL uses the AWS_IAM auth type",
`cookies` "an array containing all cookies sent as part of the request", and `requestContext.requestId` "the ID of the
invocation request", by which the function's logs can be found. A repeated header is "value1,value2".
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import uuid
from datetime import UTC, datetime
from typing import Any

from ministack.services import apigateway, lambda_svc

from workbook.emulator import header_lines
from workbook.emulator.corrections.invoke_request_id import invocation_id


def apply() -> None:
    """Replace what makes an event of a function URL's request, and give request and invocation one id."""
    header_lines.keep()
    stock_handle, stock_event = lambda_svc.handle_function_url_request, lambda_svc._build_function_url_event

    async def handle(*request: Any, **known: Any) -> Any:
        invocation_id.set(str(uuid.uuid4()))  # the thread that invokes works in a copy of this context
        return await stock_handle(*request, **known)

    def event(
        url_id: str,
        account_id: str,
        region: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, list[str]],
        *,
        anonymous: bool,
        **known: Any,
    ) -> dict[str, Any]:
        request = method, path, headers, body, query_params
        made = stock_event(url_id, account_id, region, *request, anonymous=anonymous, **known)
        context = made["requestContext"]
        moment = datetime.fromtimestamp(context["timeEpoch"] / 1000, UTC)
        context["time"] = moment.strftime("%d/%b/%Y:%H:%M:%S +0000")
        if not anonymous:
            context["authorizer"] = {"iam": apigateway._iam_caller_identity_v2(headers, query_params)}
        if "cookie" in headers:
            made["cookies"] = headers["cookie"].split("; ")
        made["headers"] |= repeated(header_lines.lines())
        return made

    lambda_svc.handle_function_url_request, lambda_svc._build_function_url_event = handle, event


def repeated(lines: list[tuple[str, str]]) -> dict[str, str]:
    """Return the headers that came more than once, each with all its values. Cookies aren't among them."""
    values: dict[str, list[str]] = {}
    for name, value in lines:
        values.setdefault(name.lower(), []).append(value)
    return {name: ",".join(those) for name, those in values.items() if len(those) > 1 and name != "cookie"}
