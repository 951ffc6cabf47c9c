"""Takes one thing away, whatever state it is in, and says what became of it.

A thing is known by CloudFormation's name for its type, by its ARN, or as a call to be made. What AWS keeps for a while, as
a key in its waiting time, is pending: it costs nothing and goes by itself. What can't be removed is left, with the reason.

A right that depends on a tag, a function or a boundary isn't there for what is gone, as that has none: AWS refuses before it
looks. So a refusal is followed by a question that any learner may ask: whether the thing is there at all.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from workbook.credentials import DeniedError, explain
from workbook.errors import DeployError
from workbook.targets import Target

Answer = TypeVar("Answer")

DEADLINE_S = 600  # many times what CloudFormation takes for a function with an API
_KEY_WAIT_DAYS = 7  # the shortest: https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
_RELEASE_S = 300  # for the network interfaces of a function that is gone
# Lambda may take so long to release them: https://repost.aws/knowledge-center/lambda-eni-find-delete
_RELEASE_LIMIT = timedelta(minutes=20)
_MISSING = re.compile("NotFound|NoSuch|NonExistent|DoesNotExist")  # each service has its own word for it


class State(StrEnum):
    """What became of a thing that was to be removed."""

    REMOVED = "removed"
    ABSENT = "absent"
    PENDING = "pending"
    LEFT = "left"


@dataclass(frozen=True)
class Fate:
    """What became of one thing: until when it is pending, or why it is left."""

    thing: str
    state: State
    until: datetime | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.state is State.PENDING:
            reason = f": {self.reason}" if self.reason else ""
            return f"{self.thing}, pending until {self.until:%Y-%m-%d %H:%M} UTC{reason}"
        return f"{self.thing}: {self.reason}" if self.reason else self.thing


def stack(target: Target, name: str) -> list[Fate]:
    """Remove a stack in any state, and return what became of it, and of what a forced deletion left.

    Buckets in it are emptied. If it can't be deleted it is tried again, as what held it may have gone by then; then what it
    can't delete is removed by hand, and the stack by force. It stays, as the record of what is left, if that fails.

    Raises:
        DeployError: nothing more was heard of it for ten minutes.
    """
    cloudformation, thing = target.client("cloudformation"), f"stack {name}"
    found = settled(cloudformation, name)
    if found is None:
        return [Fate(thing, State.ABSENT)]
    stack_id = found["StackId"]
    for part in _parts(cloudformation, stack_id):
        if part["ResourceType"] == "AWS::S3::Bucket" and "PhysicalResourceId" in part:
            _empty(target.client("s3"), part["PhysicalResourceId"])
    stuck: list[dict[str, Any]] = []
    for _ in range(2):
        if held := _held(target, stuck):
            return [Fate(thing, State.PENDING, datetime.now(UTC) + _RELEASE_LIMIT, held)]
        if _is_deleted(cloudformation, stack_id):
            return [Fate(thing, State.REMOVED)]
        stuck = [part for part in _parts(cloudformation, stack_id) if part["ResourceStatus"] == "DELETE_FAILED"]
    return _by_force(target, stack_id, thing, stuck)


def resource(target: Target, kind: str, identifier: str) -> Fate:
    """Remove what CloudFormation knows by a type such as "AWS::SQS::Queue" and a physical id."""
    known = _KINDS.get(kind)
    if known is None:
        return Fate(f"{kind} {identifier}", State.LEFT, reason="the workbook doesn't know how to remove that")
    return _fate(
        f"{known.words} {identifier}",
        lambda thing: known.remove(target, thing, identifier),
        known.see and (lambda: known.see(target, identifier)),
    )


def by_arn(target: Target, arn: str) -> Fate:
    """Remove what has that ARN."""
    for kind, known in _KINDS.items():
        if found := re.fullmatch(known.arn, arn):
            return resource(target, kind, found[1])
    return Fate(arn, State.LEFT, reason="the workbook doesn't know how to remove that")


def bucket(target: Target, name: str) -> Fate:
    """Remove a bucket with all versions of its objects, and what was uploaded of others."""
    return resource(target, "AWS::S3::Bucket", name)


def call(target: Target, service: str, operation: str, parameters: dict[str, Any]) -> Fate:
    """Make a call that removes something. That of a key or a secret takes the shortest way there is."""
    kind = operation.partition("_")[2].replace("_", " ")
    match service, operation:
        case "kms", "schedule_key_deletion":
            return resource(target, "AWS::KMS::Key", parameters["KeyId"])
        case "secretsmanager", "delete_secret":
            return resource(target, "AWS::SecretsManager::Secret", parameters["SecretId"])

    def make(thing: str) -> Fate:
        getattr(target.client(service), operation)(**parameters)
        return Fate(thing, State.REMOVED)

    is_of_role = service == "iam" and "RoleName" in parameters
    see = (lambda: _see_role(target, parameters["RoleName"])) if is_of_role else None
    return _fate(f"{kind} {' '.join(str(value) for value in parameters.values())}", make, see)


def is_missing(error: ClientError) -> bool:
    """Return whether AWS says that there is no such thing."""
    return _MISSING.search(error.response["Error"]["Code"]) is not None


def settled(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return a stack once nothing is going on in it any more, or None if there is none (left)."""
    until(lambda: not _is_moving(describe(cloudformation, name)), f"the stack {name}")
    return describe(cloudformation, name)


def describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return a stack by name or id, or None if there is none."""
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise


def until(ask: Callable[[], Answer | None], what: str, *, deadline_s: float | None = None) -> Answer:
    """Ask, less and less often, until there is an answer, and return it.

    Raises:
        DeployError: there was none within `deadline_s`, ten minutes by default.
    """
    limit_s = DEADLINE_S if deadline_s is None else deadline_s
    deadline, pause_s = time.monotonic() + limit_s, 0.01
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise DeployError(
                f"Waited {limit_s:g} s for {what}.",
                why="What follows needs it.",
                fix="Look at its events in CloudFormation; clean, then try again.",
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 2)
    return answer


# a stack


def _is_moving(found: dict[str, Any] | None) -> bool:
    """Return whether a stack is being changed. In REVIEW_IN_PROGRESS it only waits for its first change set."""
    status = found["StackStatus"] if found else ""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def _parts(cloudformation: Any, stack_id: str) -> list[dict[str, Any]]:
    """Return what CloudFormation says of each resource of a stack, by its id also of one that is gone."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return [part for page in pages for part in page["StackResourceSummaries"]]


def _is_deleted(cloudformation: Any, stack_id: str, **options: str) -> bool:
    """Delete a stack, wait for the end, and return whether it is gone.

    Its status is no sign that the deletion failed: it may still be the one in which an earlier deletion did. So that is told
    by the newest event alone, in which what is new and what it says are one answer.
    """
    known, _ = _last_event(cloudformation, stack_id)
    cloudformation.delete_stack(StackName=stack_id, **options)

    def ended() -> str | None:
        found = describe(cloudformation, stack_id)
        if found is None or found["StackStatus"] == "DELETE_COMPLETE":
            return "DELETE_COMPLETE"
        newest, status = _last_event(cloudformation, stack_id)
        return status if newest != known and status in {"DELETE_COMPLETE", "DELETE_FAILED"} else None

    return until(ended, f"the end of the stack {stack_id}") == "DELETE_COMPLETE"


def _last_event(cloudformation: Any, stack_id: str) -> tuple[str, str]:
    """Return the id and the status of the newest event that tells of the stack itself; both empty if there is none."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    own = (event for page in pages for event in page["StackEvents"] if event.get("PhysicalResourceId") == stack_id)
    return next(((event["EventId"], event["ResourceStatus"]) for event in own), ("", ""))


def _by_force(target: Target, stack_id: str, thing: str, stuck: list[dict[str, Any]]) -> list[Fate]:
    """Remove by hand what keeps a stack, then the stack by force, and return what became of all."""
    cloudformation = target.client("cloudformation")
    reasons = "; ".join(_reasons(cloudformation, stack_id)) or "DELETE_FAILED"
    failed = Fate(thing, State.LEFT, reason=f"it could not be deleted: {reasons}")
    by_hand = [_part(target, part) for part in stuck]
    if any(fate.state is State.LEFT for fate in by_hand):
        return [failed, *(fate for fate in by_hand if fate.state is not State.LEFT)]
    if not _is_deleted(cloudformation, stack_id, DeletionMode="FORCE_DELETE_STACK"):
        return [failed, *by_hand]
    over = [part for part in _parts(cloudformation, stack_id) if part["ResourceStatus"] != "DELETE_COMPLETE"]
    seen = {fate.thing for fate in by_hand}
    later = [_part(target, part) for part in over]
    return [Fate(thing, State.REMOVED), *by_hand, *(fate for fate in later if fate.thing not in seen)]


def _part(target: Target, part: dict[str, Any]) -> Fate:
    """Remove one resource of a stack; one that was never made has no id."""
    identifier = part.get("PhysicalResourceId")
    if not identifier:
        return Fate(part["LogicalResourceId"], State.ABSENT)
    return resource(target, part["ResourceType"], identifier)


def _reasons(cloudformation: Any, stack_id: str) -> list[str]:
    """Return why each resource could not be deleted, by the newest event about it."""
    reasons: dict[str, str] = {}
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            if event["ResourceStatus"] == "DELETE_FAILED" and event.get("PhysicalResourceId") != stack_id:
                reasons.setdefault(event["LogicalResourceId"], event.get("ResourceStatusReason", "DELETE_FAILED"))
    return [f"{name}: {reason.rstrip('.')}" for name, reason in reasons.items()]


def _held(target: Target, stuck: list[dict[str, Any]]) -> str:
    """Return which network interfaces of Lambda's still hold a stack's network, or nothing once it has released them."""
    names = {"AWS::EC2::SecurityGroup": "group-id", "AWS::EC2::Subnet": "subnet-id", "AWS::EC2::VPC": "vpc-id"}
    places = [
        (names[part["ResourceType"]], part["PhysicalResourceId"]) for part in stuck if part["ResourceType"] in names
    ]

    def interfaces() -> list[str]:
        ec2 = target.client("ec2")
        of_lambda = {"Name": "interface-type", "Values": ["lambda"]}
        found = (
            interface
            for name, value in places
            for interface in ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}, of_lambda])[
                "NetworkInterfaces"
            ]
        )
        return sorted({interface["NetworkInterfaceId"] for interface in found})

    if places and interfaces():
        try:
            until(lambda: not interfaces(), "Lambda's network interfaces", deadline_s=_RELEASE_S)
        except DeployError:
            return f"Lambda hasn't released {', '.join(interfaces())}, which costs nothing; clean again then"
    return ""


# other things


@dataclass(frozen=True)
class _Kind:
    """How to call and to remove what has a type; the ARN's group is what CloudFormation calls its physical id.

    `see` reads it by a right without conditions, and raises if it isn't there; only what a condition guards needs that.
    """

    words: str
    arn: str
    remove: Callable[[Target, str, str], Fate]
    see: Callable[[Target, str], Any] | None = None


def _fate(thing: str, remove: Callable[[str], Fate], see: Callable[[], Any] | None) -> Fate:
    """Return what became of a thing, whatever AWS says."""
    try:
        return remove(thing)
    except (DeniedError, ClientError) as error:
        if isinstance(error, ClientError) and is_missing(error):
            return Fate(thing, State.ABSENT)
        if see and isinstance(explain(error), DeniedError) and _is_gone(see):
            return Fate(thing, State.ABSENT)
        return Fate(thing, State.LEFT, reason=str(error))


def _is_gone(see: Callable[[], Any]) -> bool:
    """Return whether AWS says that a thing isn't there. Who may not see it doesn't know that."""
    try:
        see()
    except DeniedError:
        return False
    except ClientError as error:
        return is_missing(error)
    return False


def _by(service: str, operation: str, parameter: str) -> Callable[[Target, str, str], Fate]:
    """Return what removes a thing by one call."""

    def remove(target: Target, thing: str, identifier: str) -> Fate:
        getattr(target.client(service), operation)(**{parameter: identifier})
        return Fate(thing, State.REMOVED)

    return remove


def _seen_by(service: str, operation: str, parameter: str) -> Callable[[Target, str], Any]:
    """Return what reads a thing by one call."""
    return lambda target, identifier: getattr(target.client(service), operation)(**{parameter: identifier})


_see_role = _seen_by("iam", "get_role", "RoleName")


def _queue(target: Target, thing: str, identifier: str) -> Fate:
    sqs = target.client("sqs")
    url = identifier if "://" in identifier else sqs.get_queue_url(QueueName=identifier)["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)
    return Fate(thing, State.REMOVED)


def _role(target: Target, thing: str, name: str) -> Fate:
    """Remove a role and what is attached to it: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html"""
    iam = target.client("iam")
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name):
        for policy in page["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=name):
        for policy in page["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)
    return Fate(thing, State.REMOVED)


def _key(target: Target, thing: str, key_id: str) -> Fate:
    """Schedule a key's deletion for the first day that AWS allows. A key in its waiting time isn't billed."""
    kms = target.client("kms")
    found = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    latest = datetime.now(UTC) + timedelta(days=_KEY_WAIT_DAYS, minutes=1)
    if found["KeyState"] == "PendingDeletion" and found["DeletionDate"] > latest:
        kms.cancel_key_deletion(KeyId=key_id)
        found = {}
    if found.get("KeyState") != "PendingDeletion":
        found = kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=_KEY_WAIT_DAYS)
    return Fate(thing, State.PENDING, found["DeletionDate"].astimezone(UTC))


def _secret(target: Target, thing: str, secret_id: str) -> Fate:
    """Remove a secret at once, also one in its waiting time; where that is refused, it is pending until its date."""
    secrets = target.client("secretsmanager")
    try:
        secrets.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)
    except ClientError:
        if until_date := secrets.describe_secret(SecretId=secret_id).get("DeletedDate"):
            return Fate(thing, State.PENDING, until_date.astimezone(UTC))
        raise
    return Fate(thing, State.REMOVED)


def _bucket(target: Target, thing: str, name: str) -> Fate:
    s3 = target.client("s3")

    def is_gone() -> bool:
        _empty(s3, name)
        try:
            s3.delete_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketNotEmpty":  # somebody was still writing
                raise
            return False
        return True

    until(is_gone, f"an empty bucket {name}")
    return Fate(thing, State.REMOVED)


def _empty(s3: Any, name: str) -> None:
    """Take everything out of a bucket: every version, every delete marker, and uploads that were never finished."""
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed]
            if objects:  # a page holds as many as one call takes, a thousand
                said = s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
                for error in said.get("Errors", [])[:1]:
                    raise ClientError({"Error": error}, "DeleteObjects")
        for upload in _uploads(s3, name):
            s3.abort_multipart_upload(Bucket=name, **upload)
    except s3.exceptions.NoSuchBucket:
        return


def _uploads(s3: Any, name: str) -> Iterator[dict[str, str]]:
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        for upload in page.get("Uploads", []):
            yield {"Key": upload["Key"], "UploadId": upload["UploadId"]}


_KINDS = {
    "AWS::Lambda::Function": _Kind(
        "function", "arn:[^:]+:lambda:[^:]+:[^:]+:function:([^:]+)", _by("lambda", "delete_function", "FunctionName")
    ),
    "AWS::Lambda::EventSourceMapping": _Kind(
        "event source mapping",
        "arn:[^:]+:lambda:[^:]+:[^:]+:event-source-mapping:(.+)",
        _by("lambda", "delete_event_source_mapping", "UUID"),
        _seen_by("lambda", "get_event_source_mapping", "UUID"),
    ),
    "AWS::Logs::LogGroup": _Kind(
        "log group",
        r"arn:[^:]+:logs:[^:]+:[^:]+:log-group:([^:]+)(?::\*)?",
        _by("logs", "delete_log_group", "logGroupName"),
    ),
    "AWS::S3::Bucket": _Kind("bucket", "arn:[^:]+:s3:::([^/]+)", _bucket),
    "AWS::IAM::Role": _Kind("role", "arn:[^:]+:iam::[^:]+:role/(?:.*/)?([^/]+)", _role, _see_role),
    "AWS::SQS::Queue": _Kind("queue", "arn:[^:]+:sqs:[^:]+:[^:]+:(.+)", _queue),
    "AWS::SNS::Topic": _Kind("topic", "(arn:[^:]+:sns:[^:]+:[^:]+:[^:]+)", _by("sns", "delete_topic", "TopicArn")),
    "AWS::DynamoDB::Table": _Kind(
        "table", "arn:[^:]+:dynamodb:[^:]+:[^:]+:table/([^/]+)", _by("dynamodb", "delete_table", "TableName")
    ),
    # A stage has an ARN and tags of its own, and goes with its API.
    "AWS::ApiGatewayV2::Api": _Kind(
        "HTTP API",
        "arn:[^:]+:apigateway:[^:]+::/apis/([^/]+)(?:/.*)?",
        _by("apigatewayv2", "delete_api", "ApiId"),
        _seen_by("apigatewayv2", "get_api", "ApiId"),
    ),
    "AWS::ApiGateway::RestApi": _Kind(
        "REST API",
        "arn:[^:]+:apigateway:[^:]+::/restapis/([^/]+)(?:/.*)?",
        _by("apigateway", "delete_rest_api", "restApiId"),
        _seen_by("apigateway", "get_rest_api", "restApiId"),
    ),
    "AWS::KMS::Key": _Kind("key", "arn:[^:]+:kms:[^:]+:[^:]+:key/(.+)", _key),
    "AWS::SecretsManager::Secret": _Kind("secret", "(arn:[^:]+:secretsmanager:[^:]+:[^:]+:secret:.+)", _secret),
}
