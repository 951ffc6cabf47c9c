"""How an account's concurrency is divided among its functions, in the account and region of the thread.

A function that reserves concurrency has it to itself. One that doesn't has what is provisioned for it to itself, and shares
the rest with the others. https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
"""

from typing import Any

from ministack.services import lambda_svc

# Functions may reserve "as long as you leave at least 100 simultaneous executions unreserved":
# https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html
_MINIMUM_UNRESERVED = 100

Function = dict[str, Any]  # MiniStack's record of a function


def limit() -> int:
    """Return how many invocations may run at once, all functions together. On AWS it is 1,000 if nobody asked for more."""
    return lambda_svc._ACCOUNT_CONCURRENCY_CAP


def minimum_unreserved() -> int:
    """Return how much has to stay unreserved: 100, or everything where the limit is lower.

    That small accounts are told their own limit as the minimum, AWS's messages to their owners show:
    https://docs.gruntwork.io/discussions/knowledge-base/215
    """
    return min(_MINIMUM_UNRESERVED, limit())


def reserved(function: Function | None) -> int | None:
    """Return what a function reserves, for all its versions and aliases together; None if it reserves nothing."""
    return (function or {}).get("concurrency")


def provisioned(function: Function | None, which: str = "Requested") -> int:
    """Return what is provisioned for a function's versions and aliases: Requested, Allocated or Available."""
    configs = (function or {}).get("provisioned_concurrency") or {}
    return sum(config[f"{which}ProvisionedConcurrentExecutions"] for config in configs.values())


def unreserved(which: str = "Requested", *, without: str | None = None) -> int:
    """Return what is left to share, one function's share put back if it is named."""
    taken = 0
    for name, function in lambda_svc._functions.items():
        if name != without:
            own = reserved(function)
            taken += provisioned(function, which) if own is None else own
    return limit() - taken


def refusal(message: str) -> tuple[int, dict[str, str], bytes]:
    """Return AWS's answer to a setting that doesn't fit."""
    return lambda_svc.error_response_json("InvalidParameterValueException", message, 400)
