"""Whether an account may be used for lessons, and what is to be known of it before: read, and never written.

Every question is one call that changes nothing. What the caller may not read is said to be unknown; it is no reason to stop.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self, TypeVar

import boto3
from botocore.exceptions import ClientError

from workbook.credentials import POLICY, DeniedError, explain
from workbook.errors import TargetError
from workbook.targets import BOUNDARY, Target

OURS = "wb-"  # how the names of all that lessons make begin
SWEEPER = "workbook-sweeper"  # the stack that an account's owner may deploy; no lesson's, so that no sweep takes it
_SWEEPERS_FUNCTION = f"{SWEEPER}-function"  # as infra/sweeper.yaml names it
SERVICES = ("apigateway", "apigatewayv2", "cloudformation", "lambda", "logs", "s3", "sns", "sqs", "sts")
_SHARED = "WORKBOOK_SHARED_ACCOUNT"
_ADMITTED = "WORKBOOK_ADMITTED"  # how a run hands its kernels what it found out, so that no lesson has to ask again
_PLAN_REGION = "us-east-1"  # the one in which the Free Tier API answers: https://docs.aws.amazon.com/general/latest/gr/billing.html
_NAMED = 3  # foreign functions that are named; the others are counted
_NAMES_ACCOUNT = re.compile(r"\barn:[^\s\"',]*[^\s\"',.]|(?<!\d)\d{12}(?!\d)")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Plan:
    """The plan that an account is on, FREE, PAID or "unknown", and for the free one what is left of it.

    https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_freetier_GetAccountPlanState.html
    """

    kind: str
    status: str | None = None  # NOT_STARTED, ACTIVE or EXPIRED; why, if it is unknown
    credits_left_usd: float | None = None
    ends: str | None = None  # the day, in UTC

    def __str__(self) -> str:
        left = f", {self.credits_left_usd:g} USD of credits left" if self.credits_left_usd is not None else ""
        ends = f", until {self.ends}" if self.ends else ""
        if self.kind == "FREE" and self.status != "EXPIRED":
            return f"free plan{left}{ends}: the one hard limit, as AWS charges nothing on it"
        if self.kind == "FREE":
            return f"free plan, which has expired{left}: AWS closes the account unless it is upgraded"
        if self.kind == "PAID":
            return "paid plan: a cap is only an estimate here; to learn, a new account on the free plan is the one hard limit"
        return f"plan unknown ({self.status}): take it for a paid one, where a cap is only an estimate"


@dataclass(frozen=True)
class Account:
    """What is to be known of an account before a lesson uses it. None stands for what couldn't be found out."""

    region: str
    plan: Plan
    concurrency: int | None = None  # invocations at once, of all functions together
    unreserved: int | None = None  # of those, what no function has reserved for itself
    foreign: tuple[str, ...] | None = None  # functions that neither a lesson nor the sweeper is
    has_boundary: bool | None = None
    logging_role: str | None = None  # of API Gateway, for the whole account and region; ours to read only; "": none
    is_broad: bool | None = None  # whether the caller may do more than lessons need
    unknown: tuple[str, ...] = ()  # what couldn't be found out, and why

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return what a learner should know before going on, a line for each."""
        lines = [f"Account: {self.plan}."]
        if self.concurrency is not None:
            lines.append(f"Account: {self.concurrency} invocations at once, {self.unreserved} of them unreserved.")
        if self.foreign:
            lines.append(f"Account: shared with {_list(self.foreign)}, as {_SHARED}=1 allows.")
        if self.is_broad:
            lines.append(f"Account: these credentials may do more than the lessons need; {POLICY} are enough.")
        return [*lines, *(f"Account: unknown: {what}" for what in self.unknown)]

    def to_facts(self) -> dict[str, Any]:
        """Return all of it as plain values, without what names the account or others' functions and roles."""
        facts = asdict(self)
        del facts["logging_role"]
        return facts | {
            "foreign": None if self.foreign is None else len(self.foreign),
            "has_logging_role": None if self.logging_role is None else bool(self.logging_role),
            "unknown": [_NAMES_ACCOUNT.sub("…", what) for what in self.unknown],
        }

    def to_environment(self) -> dict[str, str]:
        """Return the environment variable by which a kernel knows it too."""
        return {_ADMITTED: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, region: str) -> Self | None:
        """Return what the run that this process belongs to found out, or None if it asked for nothing in that region."""
        facts = json.loads(os.environ.get(_ADMITTED) or "null")
        if not facts or facts["region"] != region:
            return None
        foreign = None if facts["foreign"] is None else tuple(facts["foreign"])
        return cls(**facts | {"plan": Plan(**facts["plan"]), "foreign": foreign, "unknown": tuple(facts["unknown"])})


def known(target: Target) -> Account | None:
    """Return what there is to know of the target's account, asked once in a run; None for an emulator's own account.

    Raises:
        TargetError: as `admit` does.
    """
    if target.name != "aws":
        return None
    return Account.from_environment(target.region) or admit(target)


def admit(target: Target) -> Account:
    """Return what `examine` does if lessons may use the account.

    Raises:
        TargetError: foreign functions are there, the permissions boundary isn't, or the region lacks a service.
    """
    found = examine(target)
    for refusal in (missing_services(target.region), foreigners(found), unbounded(found, target)):
        if refusal:
            raise refusal
    return found


def examine(target: Target) -> Account:
    """Return what there is to know of a target's account and region, with six calls that change nothing.

    Raises:
        TargetError: nothing answers, or credentials have expired meanwhile.
    """
    unknown: list[str] = []

    def ask(what: str, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except (DeniedError, ClientError) as error:
            unknown.append(f"{what}: {_reason(error)}")
            return None

    limit = ask("concurrency", lambda: target.client("lambda").get_account_settings()["AccountLimit"]) or {}
    return Account(
        region=target.region,
        plan=_plan(target, ask),
        concurrency=limit.get("ConcurrentExecutions"),
        unreserved=limit.get("UnreservedConcurrentExecutions"),
        foreign=ask("functions", lambda: _foreign(target)),
        has_boundary=ask("permissions boundary", lambda: _has_boundary(target)),
        logging_role=ask(
            "API Gateway's logging role", lambda: target.client("apigateway").get_account().get("cloudwatchRoleArn", "")
        ),
        is_broad=_is_broad(target),
        unknown=tuple(unknown),
    )


def read_plan(freetier: Any) -> Plan:
    """Return the plan that the Free Tier API's client tells of.

    Raises:
        ClientError: it may not be read, or the account has none, as older ones and members of organisations.
    """
    said = freetier.get_account_plan_state()
    ends = said.get("accountPlanExpirationDate")
    return Plan(
        kind=said["accountPlanType"],
        status=said.get("accountPlanStatus"),
        credits_left_usd=said.get("accountPlanRemainingCredits", {}).get("amount"),
        ends=f"{ends:%Y-%m-%d}" if ends else None,
    )


def missing_services(region: str) -> TargetError | None:
    """Return the refusal of a region that lacks a service, as boto3's own list says, or None if it has all or isn't listed.

    A region that is newer than boto3 stands in none of its lists, and is tried.
    """
    session = boto3.Session()
    lacks = [service for service in SERVICES if region not in session.get_available_regions(service)]
    if not lacks or len(lacks) == len(SERVICES):
        return None
    return TargetError(
        f"The region {region} has no {', '.join(lacks)}.",
        why="Lessons need it.",
        fix="Name another region, such as AWS_REGION=eu-west-1.",
    )


def foreigners(found: Account) -> TargetError | None:
    """Return the refusal of an account in which others' functions run, or None if there are none or it is allowed."""
    if not found.foreign or os.environ.get(_SHARED) == "1":
        return None
    return TargetError(
        f"The account holds {_list(found.foreign)} that no lesson made.",
        why=f"A lesson's bursts take invocations away from them: all functions of an account share {found.concurrency or 'its limit'}.",
        fix=f"Use an account of its own for learning, or set {_SHARED}=1 if they may be disturbed.",
    )


def unbounded(found: Account, target: Target) -> TargetError | None:
    """Return the refusal of an account without the permissions boundary, or None if it is there or nobody could tell."""
    if found.has_boundary is not False:
        return None
    return TargetError(
        f"The account {target.account_id} has no policy named {BOUNDARY}.",
        why="It bounds what the roles of lessons' functions may ever do, and none is made without it.",
        fix="Have its owner make it once: aws iam create-policy "
        f"--policy-name {BOUNDARY} --policy-document file://infra/permissions-boundary.json",
    )


def _plan(target: Target, ask: Callable[[str, Callable[[], Plan]], Plan | None]) -> Plan:
    """Return the account's plan. Emulators know nothing of plans, so a rehearsal doesn't ask for it."""
    if target.endpoint is not None:
        return Plan("unknown", "a rehearsal has none")
    there = replace(target, region=_PLAN_REGION)
    try:
        return ask("plan", lambda: read_plan(there.client("freetier"))) or Plan("unknown", "not to be read")
    except TargetError:  # the API has an address of its own; whatever is wrong elsewhere, too, the next question tells
        return Plan("unknown", "its API gives no answer")


def _foreign(target: Target) -> tuple[str, ...]:
    pages: Iterable[Mapping[str, Any]] = target.client("lambda").get_paginator("list_functions").paginate()
    names = (function["FunctionName"] for page in pages for function in page["Functions"])
    return tuple(sorted(name for name in names if not name.startswith(OURS) and name != _SWEEPERS_FUNCTION))


def _has_boundary(target: Target) -> bool:
    iam = target.client("iam")
    try:
        iam.get_policy(PolicyArn=target.boundary_arn)
    except iam.exceptions.NoSuchEntityException:
        return False
    return True


def _is_broad(target: Target) -> bool | None:
    """Return whether the caller may do more than lessons need, as far as one harmless call tells.

    The call is iam:GetAccountSummary: it reads a few counts, costs nothing, and every administrator may make it, while
    infra/learner-policy.json does not allow it. To be allowed to simulate policies would itself be a right more than lessons
    need, and an assumed role's session doesn't name the role's path, which a simulation wants.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    try:
        target.client("iam").get_account_summary()
    except (DeniedError, ClientError) as error:
        return False if isinstance(explain(error), DeniedError) else None
    return True


def _reason(error: DeniedError | ClientError) -> str:
    explained = explain(error)
    return explained.what if explained else f"{str(error).rstrip('.')}."


def _list(names: tuple[str, ...]) -> str:
    """Return how many functions those are, and the names of a few."""
    shown = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    return f"{len(names)} function{'s' * (len(names) != 1)} ({shown})"
