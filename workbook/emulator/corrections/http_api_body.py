"""An HTTP API gets the routes, integrations and IAM authorization of the OpenAPI body in its template.

Needed by 00_start_here: SAM turns a function's `HttpApi` event into such a body. Plain MiniStack ignores the body, so that
the API answers every request with 404.

AWS: `Body` is the API's OpenAPI definition; changing it needs no replacement, so that the API keeps its address.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigatewayv2-api.html
A route asks for an IAM signature when a security scheme of its operation says so:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html
MiniStack asks only that a signature is there; it doesn't verify it, nor the caller's permission.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

_METHODS = {method: method.upper() for method in ("get", "put", "post", "delete", "options", "head", "patch")} | {
    "x-amazon-apigateway-any-method": "ANY"
}


@dataclass(frozen=True)
class Route:
    """What an operation of an OpenAPI definition says about one route."""

    key: str  # "GET /hello" or "$default"
    integration: dict[str, Any]
    signed: bool


def apply() -> None:
    """Replace how CloudFormation makes and updates `AWS::ApiGatewayV2::Api`."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    stock_create, stock_update = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        made = stock_create(logical_id, _with_name(properties), stack_name)
        _import(made[0], properties)
        return made

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str) -> Any:
        updated = stock_update(physical_id, _with_name(old), _with_name(new), stack_name, logical_id=logical_id)
        _import(updated[0], new)
        return updated

    handlers["create"], handlers["update"] = create, update


def routes(body: dict[str, Any]) -> Iterator[Route]:
    """Yield the routes of an OpenAPI definition."""
    schemes = (body.get("components") or {}).get("securitySchemes") or {}
    signing = {name for name, scheme in schemes.items() if scheme.get("x-amazon-apigateway-authtype") == "awsSigv4"}
    for path, operations in (body.get("paths") or {}).items():
        for method, operation in operations.items():
            if method in _METHODS:
                yield Route(
                    key="$default" if path.strip("/") == "$default" else f"{_METHODS[method]} {path}",
                    integration=operation.get("x-amazon-apigateway-integration") or {},
                    signed=any(signing.intersection(names) for names in operation.get("security") or []),
                )


def tags(body: dict[str, Any]) -> dict[str, str]:
    """Return the tags that an OpenAPI definition gives its API.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-openapi-extensions-x-amazon-apigateway-tag-value.html
    """
    return {tag["name"]: str(tag.get("x-amazon-apigateway-tag-value", "")) for tag in body.get("tags") or ()}


def _with_name(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties with the definition's title as the name, where they have none of their own."""
    title = ((properties.get("Body") or {}).get("info") or {}).get("title")
    return {"Name": title} | properties if title else properties


def _import(api_id: str, properties: dict[str, Any]) -> None:
    """Give the API the tags of its definition, and its routes in place of those it has. Without a definition it keeps its own."""
    body = properties.get("Body")
    if not body:
        return
    apigateway._apis[api_id]["tags"] |= tags(body)
    apigateway._routes[api_id], apigateway._integrations[api_id] = {}, {}
    for route in routes(body):
        given = route.integration
        integration = {
            "integrationType": given.get("type", "").upper(),
            "integrationUri": given.get("uri", ""),
            "integrationMethod": given.get("httpMethod", "POST"),
            "payloadFormatVersion": given.get("payloadFormatVersion", "2.0"),
            "timeoutInMillis": given.get("timeoutInMillis", 30_000),
        }
        _, _, made = apigateway._create_integration(api_id, integration)
        apigateway._create_route(
            api_id,
            {
                "routeKey": route.key,
                "target": f"integrations/{json.loads(made)['integrationId']}",
                "authorizationType": "AWS_IAM" if route.signed else "NONE",
            },
        )
