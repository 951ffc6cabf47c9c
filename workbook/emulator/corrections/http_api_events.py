"""A function behind an HTTP API gets its event in the integration's payload format, 1.0 or 2.0, with every field.

Needed by 02_front_door, which lays the events of four doors side by side. Plain MiniStack sends format 2.0 whatever the
integration says, leaves cookies among the headers and stage variables out, and adds no header of the gateway's.

AWS: "The payload format version specifies the format of the event that API Gateway sends to a Lambda integration", with an
example of each. In 2.0, repeated headers and query keys "are combined with commas", and cookies have a field of their own.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
Headers that the gateway adds, and the stage at the head of the path unless it is $default, are those of Lambda's example:
https://github.com/awsdocs/aws-lambda-developer-guide/blob/main/sample-apps/nodejs-apig/event-v2.json
Where the example of 1.0 differs from the event that AWS recorded for its own tests, the record holds: names of headers as
they were sent, of a repeated query key the last value, the route as `resourceId`. `path` alone stays percent-encoded.
https://github.com/aws/aws-lambda-dotnet/blob/11723b03a7a4933f0b357e7525b90bd979b08592/Tools/LambdaTestTool-v2/tests/Amazon.Lambda.TestTool.UnitTests/Snapshots/V1_SimpleGetRequestHttpV1.json
https://github.com/aws/aws-lambda-dotnet/blob/33db274f0fb16ee9ae50897481e87b110ecf1114/Tools/LambdaTestTool-v2/tests/Amazon.Lambda.TestTool.IntegrationTests/Snapshots/V1_UnicodeCharactersInPathHttpV1.json
`authorizer` is there in 1.0 for JWT and Lambda authorizers only.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote

from ministack.core.responses import get_region, get_request_client_ip
from ministack.services import apigateway, lambda_svc

from workbook.emulator import header_lines
from workbook.emulator.http_api_invocations import Invoke, surround

# The gateway spells these itself, whatever the client wrote.
_ITS_OWN = (
    "Content-Length",
    "Host",
    "User-Agent",
    "X-Amzn-Trace-Id",
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
)


@dataclass(frozen=True)
class Gateway:
    """What the gateway knows of a request, and MiniStack's event doesn't say."""

    headers: dict[str, list[str]]  # each line's value, with those that the gateway adds
    source_ip: str
    domain: str
    stage_variables: dict[str, str]


def apply() -> None:
    """Put an event in the integration's format in the place of MiniStack's, just before the function is invoked."""
    header_lines.keep()

    async def change(integration: dict[str, Any], event: dict[str, Any], invoke: Invoke) -> dict[str, Any]:
        in_format = format_1_0 if str(integration["payloadFormatVersion"]) == "1.0" else format_2_0
        return await invoke(in_format(event, _gateway(event)))

    surround(change)


def format_2_0(event: dict[str, Any], gateway: Gateway) -> dict[str, Any]:
    """Return the event of format 2.0, in which what there is nothing of has no key."""
    context = event["requestContext"]
    path = _path(event)
    known = {
        "domainName": gateway.domain,
        "domainPrefix": context["apiId"],
        "http": context["http"] | {"path": path, "sourceIp": gateway.source_ip},
        "time": _time(context),
    }
    headers = {name.lower(): values for name, values in gateway.headers.items()}
    cookies = [cookie.strip() for line in headers.pop("cookie", []) for cookie in line.split(";")]
    made = {
        "version": "2.0",
        "routeKey": event["routeKey"],
        "rawPath": path,
        "rawQueryString": event["rawQueryString"],
        "cookies": cookies or None,
        "headers": {name: ",".join(values) for name, values in sorted(headers.items())},
        "queryStringParameters": event.get("queryStringParameters"),
        "requestContext": dict(sorted((context | known).items())),
        "body": event.get("body"),
        "pathParameters": event["pathParameters"],
        "isBase64Encoded": event["isBase64Encoded"],
        "stageVariables": gateway.stage_variables or None,
    }
    return {name: value for name, value in made.items() if value is not None}


def format_1_0(event: dict[str, Any], gateway: Gateway) -> dict[str, Any]:
    """Return the event of format 1.0, in which what there is nothing of is null."""
    context = event["requestContext"]
    path, resource, method = _path(event), event["routeKey"].partition(" ")[2] or "$default", context["http"]["method"]
    query = parse_qs(event["rawQueryString"], keep_blank_values=True)
    return {
        "version": "1.0",
        "resource": resource,
        "path": quote(path, safe="/!$&'()*+,;=:@"),
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in gateway.headers.items()},
        "multiValueHeaders": gateway.headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "accountId": context["accountId"],
            "apiId": context["apiId"],
            **_authorizer(context.get("authorizer", {})),
            "domainName": gateway.domain,
            "domainPrefix": context["apiId"],
            "extendedRequestId": context["requestId"],
            "httpMethod": method,
            "identity": _identity(context, gateway),
            "path": path,
            "protocol": context["http"]["protocol"],
            "requestId": context["requestId"],
            "requestTime": _time(context),
            "requestTimeEpoch": context["timeEpoch"],
            "resourceId": event["routeKey"],
            "resourcePath": resource,
            "stage": context["stage"],
        },
        "pathParameters": event["pathParameters"],
        "stageVariables": gateway.stage_variables or None,
        "body": event.get("body"),
        "isBase64Encoded": event["isBase64Encoded"],
    }


def headers_of(received: list[tuple[str, str]], *, host: str, source_ip: str, has_body: bool) -> dict[str, list[str]]:
    """Return the headers that a function sees, each with its lines' values: what came, and what the gateway adds."""
    spelt = {name.lower(): name for name, _ in reversed(received)} | {name.lower(): name for name in _ITS_OWN}
    came: dict[str, list[str]] = {}
    for name, value in received:
        came.setdefault(name.lower(), []).append(value)
    came.pop("connection", None)  # it is about the way to the gateway
    added = {
        "host": [host],
        "x-amzn-trace-id": came.get("x-amzn-trace-id", [lambda_svc._function_url_trace_root()]),
        "x-forwarded-for": [", ".join([*came.get("x-forwarded-for", []), source_ip])],
        "x-forwarded-port": ["443"],
        "x-forwarded-proto": ["https"],
    }
    if not has_body:
        added["content-length"] = ["0"]
    return dict(sorted((spelt[name], values) for name, values in (came | added).items()))


def _gateway(event: dict[str, Any]) -> Gateway:
    api_id, stage = event["requestContext"]["apiId"], event["requestContext"]["stage"]
    source_ip = get_request_client_ip()
    domain = f"{api_id}.execute-api.{get_region()}.amazonaws.com"
    headers = headers_of(header_lines.lines(), host=domain, source_ip=source_ip, has_body="body" in event)
    return Gateway(headers, source_ip, domain, apigateway._get_stage_variables(api_id, stage))


def _path(event: dict[str, Any]) -> str:
    stage = event["requestContext"]["stage"]
    return event["rawPath"] if stage == "$default" else f"/{stage}{event['rawPath']}"


def _time(context: dict[str, Any]) -> str:
    return datetime.fromtimestamp(context["timeEpoch"] / 1000, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def _authorizer(authorizer: dict[str, Any]) -> dict[str, Any]:
    """Return the field of format 1.0 that says what a JWT or Lambda authorizer found out, if there is one."""
    if "jwt" in authorizer:
        return {"authorizer": authorizer["jwt"]}
    if "lambda" in authorizer:
        return {"authorizer": {"claims": None, "scopes": None} | authorizer["lambda"]}
    return {}


def _identity(context: dict[str, Any], gateway: Gateway) -> dict[str, Any]:
    """Return who calls: all null but the address and the agent, unless the request is signed and the route asks for that."""
    caller = context.get("authorizer", {}).get("iam", {})
    cognito = caller.get("cognitoIdentity", {})
    return {
        "accessKey": caller.get("accessKey"),
        "accountId": caller.get("accountId"),
        "caller": caller.get("callerId"),
        "cognitoAuthenticationProvider": None,
        "cognitoAuthenticationType": None,
        "cognitoIdentityId": cognito.get("identityId"),
        "cognitoIdentityPoolId": cognito.get("identityPoolId"),
        "principalOrgId": caller.get("principalOrgId"),
        "sourceIp": gateway.source_ip,
        "user": caller.get("userId"),
        "userAgent": context["http"]["userAgent"],
        "userArn": caller.get("userArn"),
    }
