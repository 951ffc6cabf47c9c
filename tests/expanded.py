"""The lessons' templates as CloudFormation gets to see them: SAM's transform applied, references filled in."""

import os
import re
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from rehearsals import ACCOUNT_ID, REGION
from samtranslator.translator.transform import transform

from workbook.templates import read_template

STACK = "wb-1"
_PSEUDO = {"AWS::StackName": STACK, "AWS::Region": REGION, "AWS::AccountId": ACCOUNT_ID, "AWS::Partition": "aws"}
_NAMED_BY = {"AWS::Lambda::Function": "FunctionName", "AWS::Logs::LogGroup": "LogGroupName"}
_ARNS = {
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{{}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT_ID}:role/{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{{}}",
}


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


@cache
def resources(path: Path) -> dict[str, dict[str, Any]]:
    """Return the resources of a template by logical id. What has no name of its own is called by stack and logical id."""
    template = read_template(path)
    for resource in template["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = {"Bucket": f"{STACK}-{ACCOUNT_ID}", "Key": "code.zip"}
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": REGION}):  # which decides the partition
        expanded = transform(template, {}, _NoManagedPolicies())
    named = expanded["Resources"]
    defaults = {name: str(one.get("Default", "")) for name, one in template.get("Parameters", {}).items()}

    def name(logical_id: str) -> str:
        given = named[logical_id]["Properties"].get(_NAMED_BY.get(named[logical_id]["Type"], ""))
        return fill(given) if given else f"{STACK}-{logical_id}-1"

    def arn(logical_id: str) -> str:
        _, service, kind = named[logical_id]["Type"].split("::")
        usual = f"arn:aws:{service.lower()}:{REGION}:{ACCOUNT_ID}:{kind.lower()}/{{}}"
        return _ARNS.get(named[logical_id]["Type"], usual).format(name(logical_id))

    def reference(to: str) -> str:
        return (_PSEUDO | defaults).get(to) or name(to)

    def fill(value: Any) -> Any:
        match value:
            case {"Ref": str(to)}:
                return reference(to)
            case {"Fn::GetAtt": [str(logical_id), "Arn"]}:
                return arn(logical_id)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([\w:]+)\}", lambda found: reference(found[1]), text)
            case {"Fn::Sub": [str(text), dict(given)]}:
                for key, one in given.items():
                    text = text.replace(f"${{{key}}}", fill(one))
                return fill({"Fn::Sub": text})
            case dict():
                return {key: fill(one) for key, one in value.items()}
            case list():
                return [fill(one) for one in value]
            case _:
                return value

    return {
        logical_id: {"Type": one["Type"], "Properties": fill(one.get("Properties", {}))}
        for logical_id, one in named.items()
    }
