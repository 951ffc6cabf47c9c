"""A REST API has all of its template's OpenAPI body: any method, its own answers without a function, and binary types.

Needed by 02_front_door: SAM turns a function's `Api` event into such a body, and a `Cors` property into a method that
answers by itself. Plain MiniStack leaves out the operation for any method, and of an integration all but its type and
address, so that a preflight request gets no headers. It takes a binary type as it is written, and makes a new API of a
changed body.

AWS: `x-amazon-apigateway-any-method` "will catch any HTTP method that wasn't explicitly declared".
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-any-method.html
`Body` and `BinaryMediaTypes`, whose slashes are written as "~1", are properties that change without a replacement:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigateway-restapi.html
"""

from typing import Any

from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

_ANY = "x-amazon-apigateway-any-method"
_LIMIT_MS = 29_000  # an integration's, unless it has its own


def apply() -> None:
    """Replace how CloudFormation makes and updates `AWS::ApiGateway::RestApi`, and what it reads in an operation."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
    stock_create, stock_update = handlers["create"], handlers["update"]
    stock_import = apigateway_v1._import_operation

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        made = stock_create(logical_id, properties, stack_name)
        _set_binary_types(made[0], properties)
        return made

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str) -> Any:
        stays = new | {"Body": old.get("Body")}  # a changed one would have MiniStack make a new API
        updated = stock_update(physical_id, old, stays, stack_name, logical_id=logical_id)
        if new.get("Body") and new["Body"] != old.get("Body"):
            _import_again(physical_id, new["Body"])
        _set_binary_types(physical_id, new)
        return updated

    def import_operation(api_id: str, resource_id: str, method: str, operation: dict[str, Any], *security: Any) -> None:
        method = "ANY" if method == _ANY.upper() else method
        stock_import(api_id, resource_id, method, operation, *security)
        _complete(api_id, resource_id, method, operation)

    handlers["create"], handlers["update"] = create, update
    apigateway_v1._OPENAPI_HTTP_METHODS = apigateway_v1._OPENAPI_HTTP_METHODS | {_ANY}
    apigateway_v1._import_operation = import_operation


def binary_types(properties: dict[str, Any]) -> list[str]:
    """Return the media types that properties and body name as binary, each once."""
    given = properties.get("BinaryMediaTypes") or []
    in_body = (properties.get("Body") or {}).get("x-amazon-apigateway-binary-media-types") or []
    return list(dict.fromkeys([*(name.replace("~1", "/") for name in given), *in_body]))


def _set_binary_types(api_id: str, properties: dict[str, Any]) -> None:
    apigateway_v1._rest_apis[api_id]["binaryMediaTypes"] = binary_types(properties)


def _import_again(api_id: str, body: dict[str, Any]) -> None:
    """Give an API the methods of a definition in place of those it has. Its root resource stays, as its address does."""
    resources = apigateway_v1._resources[api_id]
    [root] = [resource for resource in resources.values() if resource["path"] == "/"]
    apigateway_v1._resources[api_id] = {root["id"]: root | {"resourceMethods": {}}}
    apigateway_v1._authorizers_v1[api_id] = {}
    schemes = apigateway_v1._import_security_schemes(api_id, body)
    for path, item in (body.get("paths") or {}).items():
        apigateway_v1._import_path_item(api_id, path, item, schemes, body.get("security"))


def _complete(api_id: str, resource_id: str, method: str, operation: dict[str, Any]) -> None:
    """Give a method the responses of its operation, and all that the operation says of the integration."""
    where = api_id, resource_id, method
    for status, response in (operation.get("responses") or {}).items():
        headers = {f"method.response.header.{name}": False for name in response.get("headers") or {}}
        apigateway_v1._put_method_response(*where, str(status), {"responseParameters": headers})
    given = operation.get("x-amazon-apigateway-integration")
    if not given:
        return
    limit_ms = int(given.get("timeoutInMillis", _LIMIT_MS))  # text, where a template's parameter gives it
    apigateway_v1._put_integration(*where, given | {"type": given["type"].upper(), "timeoutInMillis": limit_ms})
    for pattern, response in (given.get("responses") or {}).items():
        chosen_by = {"selectionPattern": "" if pattern == "default" else pattern}
        apigateway_v1._put_integration_response(*where, str(response["statusCode"]), response | chosen_by)
