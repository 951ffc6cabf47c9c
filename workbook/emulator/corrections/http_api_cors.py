"""An HTTP API has its template's CORS configuration, answers preflights by it, and ignores the function's own headers.

Needed by 02_front_door, which asks from a page that is listed and from one that isn't. Plain MiniStack keeps a template's
configuration under names that it doesn't read, so that it denies every page, and knows nothing of the one that SAM writes
into the OpenAPI body; it answers a page that isn't listed with 403, and lets a function's own headers through.

AWS: "If you configure CORS for an API, API Gateway automatically sends a response to preflight OPTIONS requests" and
"ignores CORS headers returned from your backend integration". "For the OPTIONS method, your request must contain an origin
header and an Access-Control-Request-Method header."
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
`x-amazon-apigateway-cors` is the configuration in an OpenAPI definition:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-cors-configuration.html
AWS names no status for a preflight: MiniStack's 204 stays. Nor is restored that a route for any method, $default too, lets
preflights run into its authorization.
"""

from typing import Any

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners


def apply() -> None:
    """Replace how CloudFormation makes and updates `AWS::ApiGatewayV2::Api`, and how an API answers preflights and others."""
    _apply_to_templates()
    stock_handle, stock_invoke = apigateway._handle_execute_in_scope, apigateway._invoke_lambda_proxy

    async def handle(api_id: str, stage: str, path: str, method: str, headers: dict[str, str], *more: Any) -> Any:
        cors = _configuration(api_id)
        if method == "OPTIONS" and cors:
            return 204, preflight(cors, headers), b""
        return await stock_handle(api_id, stage, path, method, headers, *more)

    async def invoke(integration: dict[str, Any], api_id: str, *args: Any, **more: Any) -> Any:
        status, headers, body = await stock_invoke(integration, api_id, *args, **more)
        if _configuration(api_id):
            headers = {name: value for name, value in headers.items() if not _is_cors(name)}
        return status, headers, body

    apigateway._handle_execute_in_scope, apigateway._invoke_lambda_proxy = handle, invoke


def preflight(cors: dict[str, Any], headers: dict[str, str]) -> dict[str, str]:
    """Return the headers that answer a preflight; to a page that isn't listed, and to what is no preflight, none."""
    if "access-control-request-method" not in headers:
        return {}
    allowed = apigateway._cors_response_headers(cors, headers.get("origin", ""))
    if not allowed:
        return {}
    answer = {
        "Access-Control-Allow-Methods": ",".join(cors.get("allowMethods", [])),
        "Access-Control-Allow-Headers": ",".join(cors.get("allowHeaders", [])),
        "Access-Control-Max-Age": str(cors.get("maxAge", "")),
    }
    return allowed | {name: value for name, value in answer.items() if value}


def of_template(properties: dict[str, Any]) -> dict[str, Any] | None:
    """Return the CORS configuration of an API's properties under the names that the service knows, or None for none."""
    found = properties.get("CorsConfiguration") or (properties.get("Body") or {}).get("x-amazon-apigateway-cors")
    return {name[0].lower() + name[1:]: value for name, value in found.items()} if found else None


def _apply_to_templates() -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    stock_create, stock_update = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        return stock_create(logical_id, _with_cors(properties), stack_name)

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str) -> Any:
        return stock_update(physical_id, _with_cors(old), _with_cors(new), stack_name, logical_id=logical_id)

    handlers["create"], handlers["update"] = create, update


def _with_cors(properties: dict[str, Any]) -> dict[str, Any]:
    cors = of_template(properties)
    return properties | {"CorsConfiguration": cors} if cors else properties


def _configuration(api_id: str) -> dict[str, Any] | None:
    return (apigateway._apis.get(api_id) or {}).get("corsConfiguration")


def _is_cors(header: str) -> bool:
    return header.lower().startswith("access-control-")
