"""What AWS publishes about IAM, beside what a policy says; and what no emulator enforces, with the test that checks it instead."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cfnlint

# The service authorization reference, as the pinned cfn-lint carries it: actions, their resource types, and the ARNs of these.
_PUBLISHED = Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json"
# AWS asks for these though its own list lacks them: https://github.com/aws-amplify/amplify-cli/issues/12316
UNPUBLISHED = {"apigateway:TagResource": "apigateway:POST"}  # with what it goes together


class Unenforced(NamedTuple):
    """Something that AWS enforces and the emulator doesn't, and the name of the test that looks at it instead."""

    what: str
    on_aws: str
    checked_by: str


UNENFORCED = (
    Unenforced(
        "resource policies of functions",
        "a gateway invokes a function only if the function's policy lets that API in",
        "test_only_a_named_gateway_may_invoke_a_function",
    ),
    Unenforced(
        "function URLs without a signature",
        "a URL of type AWS_IAM refuses them",
        "test_a_function_url_asks_for_a_signature",
    ),
    Unenforced(
        "the role behind an event source mapping",
        "Lambda polls a queue in the function's role",
        "test_the_role_of_a_polled_queue_may_take_its_messages",
    ),
    Unenforced(
        "the role behind destinations and dead-letter queues",
        "Lambda sends in the function's role",
        "test_the_role_of_a_function_may_send_to_where_its_events_go",
    ),
    Unenforced(
        "the right to write logs",
        "a function without it runs, and leaves no log",
        "test_a_function_writes_its_own_log_and_makes_no_group",
    ),
    Unenforced(
        "who may take a role on",
        "Lambda, if the role's trust policy names it",
        "test_a_role_trusts_lambda_alone",
    ),
    Unenforced(
        "the transform of a template",
        "a change set of a SAM template takes the right to expand it",
        "test_a_learner_may_expand_each_template",
    ),
    Unenforced(
        "roles of state machines, rules, schedules and streams",
        "each acts in a role of its own",
        "test_every_resource_type_of_a_lesson_is_enforced",
    ),
)


# What no name and no tag can bound, for the page about AWS.
UNBOUNDED = (
    "A few rights can be bound neither to a name nor to a tag on AWS: to make an API, to add a stage to an HTTP API, to call an "
    "API that asks for a signature, and to give an API or an event source mapping the workbook's tag. So in an account with "
    "APIs of others a learner could call them, and change or delete one after giving it the tag."
)


def unenforced_table() -> str:
    """Return what the emulator doesn't enforce as a Markdown table, for the page about AWS."""
    rows = [f"| {row.what} | {row.on_aws} | `{row.checked_by}` |" for row in UNENFORCED]
    return "\n".join(["| not enforced by the emulator | on AWS | checked by |", "|---|---|---|", *rows])


class Grant(NamedTuple):
    """One action on one resource that a statement speaks of."""

    effect: str
    action: str
    resource: str
    conditions: Mapping[str, Any]


def grants(policy: Mapping[str, Any]) -> Iterator[Grant]:
    """Yield what a policy says, action by action and resource by resource."""
    for statement in policy["Statement"]:
        for action in _list(statement["Action"]):
            for resource in _list(statement["Resource"]):
                yield Grant(statement["Effect"], action, resource, statement.get("Condition", {}))


def allowed(policy: Mapping[str, Any]) -> set[str]:
    """Return the actions that a policy allows anywhere."""
    return {grant.action for grant in grants(policy) if grant.effect == "Allow"}


def without(policy: Mapping[str, Any], action: str) -> dict[str, Any]:
    """Return a policy in which no statement allows that action."""

    def rest(statement: Mapping[str, Any]) -> dict[str, Any]:
        return {**statement, "Action": [one for one in _list(statement["Action"]) if one != action]}

    statements = [one if one["Effect"] == "Deny" else rest(one) for one in policy["Statement"]]
    return {**policy, "Statement": [one for one in statements if one["Action"]]}


def is_published(action: str) -> bool:
    """Return whether AWS lists an action."""
    service, name = UNPUBLISHED.get(action, action).split(":")
    return name.lower() in _published().get(service, {}).get("Actions", {})


def resource_types(action: str) -> list[str]:
    """Return the names of the resource types that an action can be limited to; none: it is for everything or nothing."""
    service, name = UNPUBLISHED.get(action, action).split(":")
    return _published()[service]["Actions"][name.lower()].get("Resources", [])


def condition_keys(action: str) -> set[str]:
    """Return the condition keys of the resource types that an action can be limited to, such as "aws:ResourceTag/${TagKey}"."""
    kinds = _published()[action.split(":")[0]]["Resources"]
    return {key for kind in resource_types(action) for key in kinds[kind.lower()].get("ConditionKeys") or ()}


def fits(action: str, resource: str) -> bool:
    """Return whether a resource of a policy, with its wildcards, can be one of the types that an action is about."""
    service = action.split(":")[0]
    formats = [
        form
        for kind in resource_types(action)
        for form in _published()[service]["Resources"][kind.lower()]["ARNFormats"]
    ]
    samples = [resource.replace("*", "x"), resource.replace("*", "x/x")]
    return any(re.fullmatch(re.sub(r"\$\{\w+\}", "[^:]*", form), sample) for form in formats for sample in samples)


def covers(pattern: str, resource: str) -> bool:
    """Return whether a resource of a policy covers another, which may have wildcards of its own."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), resource) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def _published() -> dict[str, Any]:
    return json.loads(_PUBLISHED.read_text(encoding="utf-8"))
