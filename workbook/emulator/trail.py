"""The trail: a line for each action that IAM was asked about, as CloudTrail keeps one for an account.

    {"at": "2026-11-22T03:10:00.123456+00:00", "principal": "arn:aws:iam::123456789012:user/learner", "access_key": "AKIA…",
     "action": "lambda:CreateFunction", "resource": "arn:aws:lambda:…:function:wb-1-hello", "stack": "wb-1", "allowed": true}

Only an emulator that enforces IAM keeps one. The root of an account stands in it like everyone else. A request whose
credentials were refused has no principal, and what CloudFormation does for a stack names that stack.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import json
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id

from workbook.emulator import iam_requests


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

    def ask(access_key: str, action: str, service: str, region: str, resource: str, context: dict[str, Any]) -> Any:
        refused = plain(access_key, action, service, region, resource, context)
        line = {
            "at": datetime.now(UTC).isoformat(),
            "principal": _principal(access_key, refused),
            "access_key": access_key,
            "action": action,
            "resource": resource,
            "stack": stack.get(),
            "allowed": refused is None,
        }
        with lock, path.open("a", encoding="utf-8") as trail:
            trail.write(f"{json.dumps(line)}\n")
        return refused

    def enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        caller.set(Caller(access_key_id, region))
        given = iam_requests.parameters(iam_action) if stack.get() is None else {}
        if resource_arn == "*":
            resource_arn = iam_requests.resource(iam_action, region, given)
        context = iam_requests.condition_keys(iam_action, resource_arn, given) | (service_context or {})
        refused = ask(access_key_id, iam_action, service, region, resource_arn, context)
        if refused is None and (role := iam_requests.passed_role(iam_action, given)):
            to_lambda = {"iam:PassedToService": "lambda.amazonaws.com"}
            return ask(access_key_id, "iam:PassRole", "iam", region, role, to_lambda)
        return refused

    iam_evaluator.enforce = enforce
    iam_requests.name_actions_of_lambda()


def _principal(access_key: str, refused: Any) -> str | None:
    if isinstance(refused, iam_evaluator.AuthError):
        return None
    found = iam_evaluator.resolve_principal(access_key or "", get_account_id())
    return getattr(found, "arn", None)
