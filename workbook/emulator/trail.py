"""The trail: a line for each action that IAM was asked about, as CloudTrail keeps one for an account.

    {"at": "2026-11-22T03:10:00.123456+00:00", "principal": "arn:aws:iam::123456789012:user/learner", "access_key": "AKIA…",
     "action": "lambda:CreateFunction", "resource": "arn:aws:lambda:…:function:wb-1-hello", "stack": "wb-1", "allowed": true}

Only an emulator that enforces IAM keeps one. The root of an account stands in it like everyone else. A request whose
credentials were refused has no principal, and what CloudFormation does for a stack names that stack. What MiniStack
doesn't tell its evaluator of a request, but AWS's policies may ask for, is added here.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import json
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import cloudformation, lambda_svc


@dataclass(frozen=True)
class Caller:
    """Who asked last in this request, and in which region. Work that a request leaves behind acts for the same one."""

    access_key: str
    region: str


caller: ContextVar[Caller | None] = ContextVar("workbook_caller", default=None)
stack: ContextVar[str | None] = ContextVar("workbook_stack", default=None)  # for which CloudFormation asks


def install(path: Path) -> None:
    """Keep the trail in a file from now on."""
    plain, lock = iam_evaluator.enforce, threading.Lock()

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        caller.set(Caller(access_key_id, region))
        if resource_arn == "*" and iam_action.startswith("cloudformation:"):
            resource_arn = _stack_of_change_set()
        context = _condition_keys(resource_arn) | (service_context or {})
        refused = plain(access_key_id, iam_action, service, region, resource_arn, context)
        line = {
            "at": datetime.now(UTC).isoformat(),
            "principal": _principal(access_key_id, refused),
            "access_key": access_key_id,
            "action": iam_action,
            "resource": resource_arn,
            "stack": stack.get(),
            "allowed": refused is None,
        }
        with lock, path.open("a", encoding="utf-8") as trail:
            trail.write(f"{json.dumps(line)}\n")
        return refused

    iam_evaluator.enforce = enforce


def _principal(access_key: str, refused: Any) -> str | None:
    if isinstance(refused, iam_evaluator.AuthError):
        return None
    found = iam_evaluator.resolve_principal(access_key or "", get_account_id())
    return getattr(found, "arn", None)


def _stack_of_change_set() -> str:
    """Return the stack whose change set a request names by its ARN, "*" if it names none: the action is on the stack.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
    """
    request = iam_evaluator._signed_request.get()
    names = parse_qs(request.body.decode()).get("ChangeSetName", ()) if request else ()
    found = [cloudformation._change_sets[name]["StackId"] for name in names if name in cloudformation._change_sets]
    return found[0] if found else "*"


def _condition_keys(resource: str) -> dict[str, Any]:
    """Return what AWS knows of a resource when it evaluates conditions, and MiniStack leaves out.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html#awslambda-policy-keys
    """
    _, is_mapping, mapping_id = resource.partition(":event-source-mapping:")
    mapping = lambda_svc._esms.get(mapping_id) if is_mapping else None
    return {"lambda:FunctionArn": mapping["FunctionArn"]} if mapping else {}
