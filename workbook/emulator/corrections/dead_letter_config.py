"""A function keeps the dead-letter queue that its template gives it.

Needed by 05_sync_vs_async, whose template names one. Plain MiniStack takes it from CreateFunction, but not from a
template, so that what Lambda gives up on is gone.

AWS: `DeadLetterConfig` of `AWS::Lambda::Function` "specifies the queue or topic where Lambda sends asynchronous events".
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html
"""

from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners


def apply() -> None:
    """Replace how CloudFormation makes and updates `AWS::Lambda::Function`."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    stock_create, stock_update = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        made = stock_create(logical_id, properties, stack_name)
        _set(made[0], properties)
        return made

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, logical_id: str) -> Any:
        updated = stock_update(physical_id, old, new, stack_name, logical_id=logical_id)
        _set(updated[0], new)
        return updated

    handlers["create"], handlers["update"] = create, update


def _set(function: str, properties: dict[str, Any]) -> None:
    """Give a function the queue of its properties; without one, it has none any more."""
    config = lambda_svc._functions[function]["config"]
    config.pop("DeadLetterConfig", None)
    if given := properties.get("DeadLetterConfig"):
        config["DeadLetterConfig"] = given
