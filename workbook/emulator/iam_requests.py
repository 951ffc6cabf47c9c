"""What a request asks of IAM, where MiniStack says too little to its evaluator: the action, the resource, condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import cloudformation, iam, lambda_svc

# Operations whose permission has another name: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
_RENAMED = {
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}

_HANDS_OVER_A_ROLE = {"lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"}


def name_actions_of_lambda() -> None:
    """Have each operation of Lambda ask for its own permission. MiniStack takes some for others, and some for none at all."""

    def action(method: str, path: str) -> str | None:
        operation = iam_actions._match_rest_action("lambda", method, path)
        return _RENAMED.get(operation, operation)

    iam_actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]
    iam_actions._lambda_action = action


def parameters(action: str) -> Mapping[str, Any]:
    """Return the fields of the request that is being answered, where they matter to its permission; of others, nothing."""
    request = iam_evaluator._signed_request.get()
    if request and action in _HANDS_OVER_A_ROLE:
        return json.loads(request.body)
    if request and action.startswith(("cloudformation:", "iam:")):
        return dict(parse_qsl(request.body.decode()))
    return {}


def resource(action: str, region: str, given: Mapping[str, Any]) -> str:
    """Return the ARN of what a request names in a way that MiniStack doesn't look for, "*" if it names nothing."""
    match action:
        case "lambda:CreateFunction" if "FunctionName" in given:
            return f"arn:aws:lambda:{region}:{get_account_id()}:function:{given['FunctionName']}"
        case _ if given.get("ChangeSetName", "") in cloudformation._change_sets:  # named by its ARN, without the stack
            return cloudformation._change_sets[given["ChangeSetName"]]["StackId"]
    return "*"


def condition_keys(action: str, resource: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return condition keys that AWS knows for a request, with their values."""
    _, _, name = resource.partition(":event-source-mapping:")
    if name and (mapping := lambda_svc._esms.get(name)):
        return {"lambda:FunctionArn": mapping["FunctionArn"]}
    _, _, name = resource.partition(":role/")
    if name and action.startswith("iam:"):
        boundary = given.get("PermissionsBoundary") or iam._roles.get(name, {}).get("PermissionsBoundary")
        return {"iam:PermissionsBoundary": boundary} if boundary else {}
    return {}


def passed_role(action: str, given: Mapping[str, Any]) -> str | None:
    """Return the role that a request hands to a function, which takes iam:PassRole, or None.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    return given.get("Role") if action in _HANDS_OVER_A_ROLE else None
