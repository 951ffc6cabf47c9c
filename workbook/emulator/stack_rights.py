"""CloudFormation makes, changes and deletes resources with the rights of whoever asked for it; MiniStack asks nobody.

Which actions a step needs, and on what, stands in `data/reference/cloudformation_permissions.csv`, which is cut from AWS's
own resource schemas. What is refused fails the resource, with AWS's words. A resource of a nested stack isn't asked about.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
"""

import csv
import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id
from ministack.services import apigateway_v1, cloudformation, iam
from ministack.services.cloudformation import stacks
from ministack.services.cloudformation.provisioners import _tag_map

from workbook.emulator import trail
from workbook.emulator.corrections import http_api_body

TABLE = Path(__file__).resolve().parents[2] / "data" / "reference" / "cloudformation_permissions.csv"
Properties = Mapping[str, Any]


class Need(NamedTuple):
    """One action that a step of a resource type needs, on which resource, and for which of its properties (blank: always)."""

    action: str
    resource: str
    when: str


class Tags(NamedTuple):
    """The tags that a request for a resource gives, and those that count as the resource's."""

    of_request: Mapping[str, str]
    of_resource: Mapping[str, str]


def needs() -> dict[tuple[str, str], list[Need]]:
    """Return what each resource type needs at each step: "create", "read", "update" or "delete"."""
    table = defaultdict(list)
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            table[row["resource_type"], row["step"]].append(Need(row["action"], row["resource"], row["when"]))
    return dict(table)


def install() -> None:
    """Ask for the caller's rights before every step from now on."""
    table = needs()
    provision, update, delete = stacks._provision_resource, stacks._update_resource, stacks._delete_resource

    def require(
        steps: tuple[str, ...], kind: str, name: str, properties: Properties, stack: str, changed: Collection[str]
    ) -> None:
        token = trail.stack.set(stack)
        try:
            for need in itertools.chain.from_iterable(table.get((kind, step), ()) for step in steps):
                if not need.when or need.when in changed:
                    _ask(need, name, properties, _tags(stack, kind, properties))
        finally:
            trail.stack.reset(token)

    def provision_with_rights(kind: str, logical_id: str, properties: Properties, stack: str) -> Any:
        present = {*properties, *(["Tags"] if _tags(stack, kind, properties).of_request else [])}
        # CloudFormation reads what it made, for the attributes; what is refused then is undone. So it is asked before.
        require(("create", "read"), kind, f"{stack}-{logical_id}-*", properties, stack, present)
        made = provision(kind, logical_id, properties, stack)
        if kind == "AWS::IAM::Role" and "PermissionsBoundary" in properties:  # which MiniStack leaves out
            iam._roles[made[0]]["PermissionsBoundary"] = properties["PermissionsBoundary"]
        return made

    def update_with_rights(
        kind: str, physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any
    ) -> Any:
        if changed := {key for key in {*old, *new} if old.get(key) != new.get(key)}:
            require(("update",), kind, physical_id, new, stack, changed)
            require(("read",), kind, physical_id, new, stack, new)
        return update(kind, physical_id, old, new, stack, *rest)

    def delete_with_rights(kind: str, physical_id: str, properties: Properties, stack: str, *rest: Any) -> Any:
        require(("delete",), kind, physical_id, properties, stack, properties)
        return delete(kind, physical_id, properties, stack, *rest)

    stacks._provision_resource = provision_with_rights
    stacks._update_resource = update_with_rights
    stacks._delete_resource = delete_with_rights


def _ask(need: Need, name: str, properties: Properties, tags: Tags) -> None:
    """Raise what fails the resource if the caller may not do what is needed."""
    who = trail.caller.get()
    resource = _resource(need.resource, name, properties, who.region)
    service = need.action.partition(":")[0]
    context = dict(_condition_keys(need.action, properties, tags))
    refused = iam_evaluator.enforce(who.access_key, need.action, service, who.region, resource, context)
    if refused:
        explicit = getattr(refused, "decision", "") == "Deny"
        message = identity_denial_message(need.action, getattr(refused, "principal_arn", ""), resource, explicit)
        raise PermissionError(f'Resource handler returned message: "{message}" (HandlerErrorCode: AccessDenied)')


def _resource(pattern: str, name: str, properties: Properties, region: str) -> str:
    """Return the ARN of a pattern such as "arn:aws:sqs:{region}:{account}:{id}"; the id of what isn't there yet ends with *.

    >>> _resource("arn:aws:s3:::{Code.S3Bucket}/{Code.S3Key}", "", {"Code": {"S3Bucket": "b", "S3Key": "k"}}, "")
    'arn:aws:s3:::b/k'
    >>> _resource("{Role}", "", {"Role": "arn:aws:iam::1:role/r"}, "")
    'arn:aws:iam::1:role/r'
    """
    given = {"region": region, "account": get_account_id(), "id": name}

    def value(field: re.Match[str]) -> str:
        found: Any = {**properties, **given}
        for key in field[1].split("."):
            found = found.get(key, name)  # what has no name of its own gets one
        return str(found) if field[0] == pattern else _name(str(found))

    return re.sub(r"{([\w.]+)}", value, pattern)


def _name(value: str) -> str:
    """Return the name in a function's ARN or a queue's URL, and any other value as it is."""
    if value.startswith("arn:"):
        return value.split(":", 6)[-1]
    return value.rpartition("/")[2] if value.startswith("http") else value


def _tags(stack: str, kind: str, properties: Properties) -> Tags:
    """Return the tags of a resource: its own, and the stack's, which CloudFormation hands on.

    API Gateway's resources are reported not to get the stack's (https://github.com/aws/serverless-application-model/issues/1838),
    so none is taken for granted there. What an HTTP API is tagged with may stand in its OpenAPI body, and to what belongs to a
    REST API, that API's tags count as well:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-supported-resources.html
    """
    own = _tag_map(properties.get("Tags"))
    if not kind.startswith("AWS::ApiGateway"):
        handed_on = _tag_map(cloudformation._stacks.get(stack, {}).get("Tags"))
        return Tags(handed_on | own, handed_on | own)
    if kind == "AWS::ApiGatewayV2::Api":
        own |= http_api_body.tags(properties.get("Body") or {})
    parent = apigateway_v1._rest_apis.get(properties.get("RestApiId")) or {}
    return Tags(own, parent.get("tags", {}) | own)


def _condition_keys(action: str, properties: Properties, tags: Tags) -> Iterator[tuple[str, Any]]:
    """Yield the condition keys of a request that CloudFormation makes for a resource, with their values."""
    for key, value in tags.of_request.items():
        yield f"aws:RequestTag/{key}", value
    for key, value in tags.of_resource.items():
        yield f"aws:ResourceTag/{key}", value
    yield "aws:TagKeys", list(tags.of_request)
    match action:
        case "iam:PassRole":
            yield "iam:PassedToService", "lambda.amazonaws.com"
        case "lambda:AddPermission":
            yield "lambda:Principal", properties["Principal"]
        case _ if action.endswith("FunctionUrlConfig"):
            yield "lambda:FunctionUrlAuthType", properties["AuthType"]
    if action.startswith("iam:") and "PermissionsBoundary" in properties:
        yield "iam:PermissionsBoundary", properties["PermissionsBoundary"]
    if "EventSourceMapping" in action:
        name = _name(properties["FunctionName"])
        yield "lambda:FunctionArn", f"arn:aws:lambda:{trail.caller.get().region}:{get_account_id()}:function:{name}"
