"""Reserved concurrency limits a function with all its versions, is kept free of other functions, and stands in templates.

Needed by 07_concurrency, which throttles a burst, and shows what a reservation takes from the others. Plain MiniStack limits
$LATEST only, keeps nothing free, ignores the property of a template, and lets one function reserve more than there is.

AWS: "When a function has reserved concurrency, no other function can use that concurrency", and it prevents the function
"from scaling beyond that limit"; what can be reserved is what is unreserved, minus 100.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
What is provisioned counts towards it, and when all of it is, that "has the effect of throttling the unpublished version":
https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
The throttle is the one that LocalStack's tests recorded on AWS. It comes without a Retry-After, which the API has a place for.
https://github.com/localstack/localstack/blob/01c81deecaa9371f81ad0a69c79d201a27d06b74/tests/aws/services/lambda_/test_lambda.snapshot.json
https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import json
from typing import Any

from ministack.services import lambda_svc

from workbook.emulator import concurrency, resources

Answer = tuple[int, dict[str, str], bytes]


def apply() -> None:
    """Replace how MiniStack lets an invocation in, and add to what sets and shows the limits."""
    stock_put, stock_settings = lambda_svc._put_function_concurrency, lambda_svc._get_account_settings

    def put(name: str, data: dict[str, Any]) -> Answer:
        return _refused(name, data["ReservedConcurrentExecutions"]) or stock_put(name, data)

    def settings() -> Answer:
        status, headers, body = stock_settings()
        found = json.loads(body)
        found["AccountLimit"]["UnreservedConcurrentExecutions"] = concurrency.unreserved()
        return status, headers, json.dumps(found).encode()

    lambda_svc._put_function_concurrency, lambda_svc._get_account_settings = put, settings
    lambda_svc._reserved_concurrency = _of_function
    lambda_svc._acquire_execution_slot = acquire
    lambda_svc._throttle_response = throttle
    resources.apply_properties("AWS::Lambda::Function", _set)


def acquire(_record: dict[str, Any], config: dict[str, Any]) -> tuple[str | None, str | None]:
    """Let an invocation in: return the key of its place, to be given back, and None. Or None, and whose limit is reached.

    An environment that was provisioned needs no place here: it is taken out of what there is for as long as it stands.
    """
    name, key = config["FunctionName"], lambda_svc._inflight_key(config)
    running = lambda_svc._inflight
    with lambda_svc._inflight_lock:
        functions = dict(lambda_svc._functions.items())
        own = concurrency.reserved(functions.get(name))
        if own is not None:
            if running.get(key, 0) >= own - concurrency.provisioned(functions[name], "Allocated"):
                return None, "function"
        else:
            place = key.removesuffix(name)
            unreserved = sum(
                count
                for other, count in running.items()
                if other.startswith(place) and concurrency.reserved(functions.get(other.removeprefix(place))) is None
            )
            if unreserved >= concurrency.unreserved("Allocated"):
                return None, "account"
        running[key] = running.get(key, 0) + 1
        lambda_svc._inflight_total += 1
    return key, None


def throttle(reason_code: str, **_words: Any) -> dict[str, Any]:
    """Return what the dispatcher returns for an invocation that may not run, with AWS's reason and words."""
    body = {"__type": "TooManyRequestsException", "Reason": reason_code, "Type": "User", "message": "Rate Exceeded."}
    return {"throttle": True, "error": True, "body": body, "log": ""}


def _of_function(_record: dict[str, Any], config: dict[str, Any]) -> int | None:
    """Return what the function reserves that a version belongs to."""
    return concurrency.reserved(lambda_svc._functions.get(config["FunctionName"]))


def _refused(name: str, wanted: int) -> Answer | None:
    """Return AWS's answer if a function may not reserve that much, None if it may."""
    minimum = concurrency.minimum_unreserved()
    if concurrency.unreserved(without=name) - wanted < minimum:
        return concurrency.refusal(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{minimum}]."
        )
    provisioned = concurrency.provisioned(lambda_svc._functions.get(name))
    if wanted < provisioned:  # that AWS refuses it is documented; its words are not
        return concurrency.refusal(
            f"ReservedConcurrentExecutions {wanted} should not be lower than the function's total provisioned "
            f"concurrency [{provisioned}]."
        )
    return None


def _set(function: str, properties: resources.Properties, before: resources.Properties) -> None:
    """Reserve for a function what its properties say. If they don't any more, it reserves nothing; else it keeps what it has."""
    wanted = properties.get("ReservedConcurrentExecutions")
    if wanted is not None:
        data = {"ReservedConcurrentExecutions": int(wanted)}
        resources.check(lambda_svc._put_function_concurrency(function, data))
    elif "ReservedConcurrentExecutions" in before:
        lambda_svc._delete_function_concurrency(function)
