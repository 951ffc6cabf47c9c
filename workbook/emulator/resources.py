"""The place where CloudFormation makes, updates and deletes a resource, for corrections of what a template's properties become."""

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]


def apply_properties(resource_type: str, put: Callable[[str, Properties, Properties], None]) -> None:
    """Have `put(physical_id, properties, properties_before)` follow whenever a resource of a type was made or updated.

    There were none before it was made. What it raises fails the resource; one that was just made is deleted again then.
    """
    handlers = provisioners._RESOURCE_HANDLERS[resource_type]
    stock_create, stock_update = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: Properties, stack_name: str) -> Any:
        made = stock_create(logical_id, properties, stack_name)
        try:
            put(made[0], properties, {})
        except Exception:
            handlers["delete"](made[0], properties)
            raise
        return made

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Any:
        updated = stock_update(physical_id, old, new, stack_name, logical_id=logical_id)
        put(updated[0], new, old)
        return updated

    handlers["create"], handlers["update"] = create, update


def after_deletion(resource_type: str, follow: Callable[[], None]) -> None:
    """Have `follow()` be called whenever a resource of a type was deleted."""
    handlers = provisioners._RESOURCE_HANDLERS[resource_type]
    stock_delete = handlers["delete"]

    def delete(*what: Any, **more: Any) -> Any:
        deleted = stock_delete(*what, **more)
        follow()
        return deleted

    handlers["delete"] = delete


def check(answer: tuple[int, dict[str, str], bytes]) -> None:
    """Fail the resource if the service refused a setting.

    Raises:
        ValueError: it did; the message is the service's.
    """
    status, _, body = answer
    if status >= 400:
        raise ValueError(body.decode())
