"""A function keeps the dead-letter queue that its template gives it.

Needed by 05_sync_vs_async, whose template names one. Plain MiniStack takes it from CreateFunction, but not from a
template, so that what Lambda gives up on is gone.

AWS: `DeadLetterConfig` of `AWS::Lambda::Function` "specifies the queue or topic where Lambda sends asynchronous events".
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html
"""

from ministack.services import lambda_svc

from workbook.emulator import resources


def apply() -> None:
    """Add to how CloudFormation makes and updates `AWS::Lambda::Function`."""
    resources.apply_properties("AWS::Lambda::Function", _set)


def _set(function: str, properties: resources.Properties, _before: resources.Properties) -> None:
    """Give a function the queue of its properties; without one, it has none any more."""
    config = lambda_svc._functions[function]["config"]
    config.pop("DeadLetterConfig", None)
    if given := properties.get("DeadLetterConfig"):
        config["DeadLetterConfig"] = given
