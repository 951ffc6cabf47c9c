"""SAM templates as data: short forms written out, and the local code folders that they name."""

from pathlib import Path
from typing import Any

import yaml

from workbook.errors import DeployError


def read_template(path: Path) -> dict[str, Any]:
    """Return a CloudFormation template, with short forms such as `!Sub` written out as `Fn::Sub`.

    Raises:
        DeployError: the file isn't there, isn't YAML, or has no resources.
    """
    try:
        template = yaml.load(path.read_text(encoding="utf-8"), Loader=_TemplateLoader)
    except OSError as error:
        raise DeployError(
            f"The template {path} can't be read: {error.strerror}.",
            why="It says what to deploy.",
            fix="Check the name; the templates are in infra/.",
        ) from error
    except yaml.MarkedYAMLError as error:
        raise DeployError(
            f"{path}:{error.problem_mark.line + 1}: {error.problem}.",
            why="The template is not YAML, so nothing can be deployed.",
            fix="Correct that line or the one above it.",
        ) from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise DeployError(
            f"The template {path} has no Resources.",
            why="Without resources there is nothing to deploy.",
            fix="A template is a mapping with a key Resources: see infra/00_start_here.yaml.",
        )
    return template


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the properties of each SAM function by logical id, with those from Globals that it doesn't set itself."""
    shared = template.get("Globals", {}).get("Function", {})
    return {
        logical_id: {**shared, **resource.get("Properties", {})}
        for logical_id, resource in template["Resources"].items()
        if resource.get("Type") == "AWS::Serverless::Function"
    }


class _TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's YAML: short forms become long ones, and a date stays the text that it is."""


def _long_form(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    """Return what a short form such as `!GetAtt Hello.Arn` stands for.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
    """
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_TemplateLoader.add_multi_constructor("!", _long_form)
_TemplateLoader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)
