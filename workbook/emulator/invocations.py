"""The one place that every invocation passes, whatever called: for corrections that refuse, direct or count invocations."""

from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc

Function = dict[str, Any]  # a version's record, as MiniStack executes it
Execute = Callable[[Function, Any], dict[str, Any]]
Change = Callable[[Function, Any, Execute], dict[str, Any]]

_find = lambda_svc._effective_func_record_for_qualifier


def surround(change: Change) -> None:
    """Have each invocation go through `change`, which gets the function, the event, and how to go on.

    It runs in the function's account and region. An earlier change stands inside a later one. What is passed on and
    returned is what MiniStack's dispatcher returns.
    """
    proceed = lambda_svc._execute_function

    def execute(function: Function, event: Any) -> dict[str, Any]:
        config = function.get("config") or function
        if lambda_svc._function_config_scope_mismatch(config):
            return lambda_svc._run_with_function_config_scope(config, execute, function, event)
        return change(function, event, proceed)

    lambda_svc._execute_function = execute


def keep_qualifiers() -> None:
    """Let every door and event source invoke a version or alias under the ARN that names it, as Invoke does.

    MiniStack has them invoke what an alias points to, so that nobody can tell by which name it was called.
    """
    lambda_svc._effective_func_record_for_qualifier = _find_qualified


def qualifier_of(config: dict[str, Any]) -> str | None:
    """Return the version or alias that an invocation names, None where it names the function only."""
    return lambda_svc._lambda_function_name_and_qualifier_from_arn(config["FunctionArn"])[1]


def _find_qualified(function: Function | None, qualifier: str | None) -> tuple[Function | None, dict[str, Any] | None]:
    record, config = _find(function, qualifier)
    if record is None or not qualifier:
        return record, config
    config = config | {"FunctionArn": f"{function['config']['FunctionArn']}:{qualifier}"}
    return record | {"config": config}, config
