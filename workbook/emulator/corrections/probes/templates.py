"""Probes of what a template's properties become."""

from workbook.emulator.corrections.probes.made import ROLE, stack
from workbook.targets import Target


def dead_letter_config(target: Target) -> bool:
    """Return whether a function has the dead-letter queue of its template."""
    queue = "arn:aws:sqs:us-east-1:000000000000:dead-letters"
    properties = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": ROLE,
        "Code": {"ZipFile": "def handler(event, context): pass"},
        "DeadLetterConfig": {"TargetArn": queue},
    }
    template = {
        "Resources": {"Function": {"Type": "AWS::Lambda::Function", "Properties": properties}},
        "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
    }
    with stack(target, template) as outputs:
        found = target.client("lambda").get_function_configuration(FunctionName=outputs["Name"])
    return found.get("DeadLetterConfig") == {"TargetArn": queue}
