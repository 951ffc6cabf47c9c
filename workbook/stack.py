"""Template + handler folders -> deployed stack -> outputs; and teardown from what was remembered.

Templates are plain SAM: `sam deploy` takes them as they are, and so does this module. It sends a copy in which each local
`CodeUri` has become an object in a bucket; the file on disk is never written.
"""

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from workbook.errors import DeployError, ParameterError
from workbook.packaging import Package, check_runtime, zip_folder
from workbook.targets import Target
from workbook.templates import functions, read_template

Answer = TypeVar("Answer")
RUN, OWNER, EXPIRES = "workbook:run", "workbook:owner", "workbook:expires"  # the tags by which things are found again

_DEADLINE_S = 600  # many times what CloudFormation takes for a function with an API
_NAME = re.compile("[a-z][a-z0-9-]{0,49}")  # what a bucket's 63 characters leave beside a hyphen and the account
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its outputs, and the physical name of each resource by its logical one."""

    name: str
    outputs: dict[str, str]
    resources: dict[str, str]
    changed: bool


def deploy(
    target: Target,
    template: Path,
    *,
    name: str,
    tags: dict[str, str],
    remember: Callable[[dict[str, Any]], None],
    parameters: dict[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> Stack:
    """Deploy a template under a stack name and return the stack; what is there already and unchanged stays as it is.

    `tags` are put on the stack, its resources and its bucket. `say` gets one line for each resource that is ready.
    `remember` gets an entry for `teardown` before each thing is made.

    Raises:
        DeployError: the template, a handler folder or a resource failed; the message names it and gives its own reason.
            Resources that had been made are rolled back, and what is left is remembered.
    """
    if not _NAME.fullmatch(name):
        raise DeployError(
            f"The stack name {name!r} can't be used.",
            why="It also names a bucket: lower-case letters, digits and hyphens, at most 50, beginning with a letter.",
            fix="Choose another name.",
        )
    body = read_template(template)
    packages = _packages(body, template.parent)
    cloudformation = target.client("cloudformation")
    try:
        if packages:
            bucket = f"{name}-{target.account_id}"
            remember({"undo": "bucket", "name": bucket})
            _upload(target, bucket, packages.values(), tags)
            for logical_id, package in packages.items():
                body["Resources"][logical_id]["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": _key(package)}
        _bound(body, target.boundary_arn)
        remember({"undo": "stack", "name": name})
        change_set = _create_change_set(cloudformation, name, body, tags, parameters or {})
        changed = _is_change(cloudformation, change_set, name)
        if changed:
            _execute(cloudformation, change_set, name, say)
        else:
            cloudformation.delete_change_set(ChangeSetName=change_set["Id"])
            say(f"{name}: nothing has changed")
        resources = _resources(cloudformation, name)
        outputs = _describe(cloudformation, name).get("Outputs", [])
    except ClientError as error:
        raise DeployError(
            f"{error.operation_name} was refused for {name}: {error.response['Error'].get('Message', error)}",
            why=f"So {template.name} could not be deployed.",
            fix="Correct the template, or what the target allows, and deploy again.",
        ) from error
    # The stack stands after the logs once more, and so goes before them: a last line can't make a log anew.
    for entry in (*_logs(resources), {"undo": "stack", "name": name}):
        remember(entry)
    return Stack(
        name=name,
        outputs={output["OutputKey"]: output["OutputValue"] for output in outputs},
        resources={resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
        changed=changed,
    )


def teardown(target: Target, remembered: list[dict[str, Any]], say: Callable[[str], None] = print) -> list[str]:
    """Remove what was remembered, newest first, and return what was removed. What is gone already is no error.

    An entry is `{"undo": "stack", "name": ...}`, `{"undo": "bucket", "name": ...}` (with its objects), or a boto3 call:
    `{"undo": "call", "service": ..., "operation": ..., "parameters": ...}`.

    Raises:
        DeployError: something could not be removed; everything else was.
        TargetError: the target gives no answer.
    """
    removed, stayed = [], []
    for entry in reversed(remembered):
        thing = _thing(entry)
        try:
            if _undo(target, entry):
                removed.append(thing)
                say(f"removed {thing}")
        except (ClientError, DeployError) as error:
            stayed.append(error.what if isinstance(error, DeployError) else f"{thing}: {error}")
    if stayed:
        raise DeployError(
            f"Could not be removed: {'; '.join(stayed)}",
            why="It stays on the target, and on AWS it may cost money.",
            fix="Put right what the reason names, then clean again.",
        )
    return removed


def leftovers(target: Target, run_id: str) -> list[str]:
    """Return the names of the stacks that carry a run's tag, `workbook:run`, whatever was remembered of them."""
    pages = target.client("cloudformation").get_paginator("describe_stacks").paginate()
    tag = {"Key": RUN, "Value": run_id}
    return [stack["StackName"] for page in pages for stack in page["Stacks"] if tag in stack.get("Tags", [])]


def tags(target: Target, *, run: str, lesson: str, now: datetime) -> dict[str, str]:
    """Return the tags of all that a lesson makes: whose it is, and until when it is wanted.

    That is 24 hours from `now` on, or WORKBOOK_EXPIRES_H hours.

    Raises:
        ParameterError: WORKBOOK_EXPIRES_H is not a number of hours above zero, up to a year.
    """
    hours = os.environ.get("WORKBOOK_EXPIRES_H", "24")
    if not (re.fullmatch(r"\d{1,4}(\.\d+)?", hours) and 0 < float(hours) <= 8784):
        raise ParameterError(
            f"WORKBOOK_EXPIRES_H={hours!r} is not a number of hours.",
            why="It says from when on what a run made may be swept away.",
            fix="Give hours above zero and up to a year, such as 24.",
        )
    expires = now.astimezone(UTC) + timedelta(hours=float(hours))
    return {RUN: run, "workbook:lesson": lesson, OWNER: target.owner, EXPIRES: f"{expires:%Y-%m-%dT%H:%M:%SZ}"}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as most services take them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# the artifacts


def _packages(template: dict[str, Any], folder: Path) -> dict[str, Package]:
    """Return the package of each function whose code is a local folder, by logical id. Makes nothing on the target."""
    packages = {}
    for logical_id, properties in functions(template).items():
        code = properties.get("CodeUri")
        if isinstance(code, str) and "://" not in code:
            packages[logical_id] = zip_folder(folder / code)
            check_runtime(folder / code, properties.get("Runtime"))
    return packages


def _key(package: Package) -> str:
    return f"{package.sha256}.zip"


def _upload(target: Target, bucket: str, packages: Iterable[Package], tags: dict[str, str]) -> None:
    """Put packages into a bucket of ours, which is made if need be. A package that is there already isn't sent again."""
    s3 = target.client("s3")
    # us-east-1 is the one region that may not be named: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": target.region}}
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, **({} if target.region == "us-east-1" else elsewhere))
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_list(tags)})
    there = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
    for package in packages:
        if _key(package) not in there:
            s3.put_object(Bucket=bucket, Key=_key(package), Body=package.content)


# the stack


def _bound(template: dict[str, Any], boundary_arn: str | None) -> None:
    """Give each role of a template, and each that SAM would make for a function, the boundary that limits what it may allow."""
    for resource in template["Resources"].values():
        if boundary_arn and resource["Type"] in {"AWS::IAM::Role", "AWS::Serverless::Function"}:
            resource.setdefault("Properties", {})["PermissionsBoundary"] = boundary_arn


def _create_change_set(
    cloudformation: Any, name: str, body: dict[str, Any], tags: dict[str, str], parameters: dict[str, str]
) -> dict[str, Any]:
    """Ask CloudFormation what the template would change."""
    stack = _settled(cloudformation, name)
    # In these states a stack can only be deleted: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
    if stack and stack["StackStatus"] in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}:
        _delete_stack(cloudformation, name)
        stack = None
    is_new = stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS"
    return cloudformation.create_change_set(
        StackName=name,
        ChangeSetName=f"workbook-{uuid.uuid4()}",
        ChangeSetType="CREATE" if is_new else "UPDATE",
        TemplateBody=json.dumps(body),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],  # for roles, and for SAM's transform
        Tags=tag_list(tags),
    )


def _is_change(cloudformation: Any, change_set: dict[str, Any], name: str) -> bool:
    """Return whether there is anything to do, once CloudFormation knows."""

    def answer() -> dict[str, Any] | None:
        described = cloudformation.describe_change_set(ChangeSetName=change_set["Id"])
        return described if described["Status"] in {"CREATE_COMPLETE", "FAILED"} else None

    described = _until(answer, f"the change set of {name}")
    if described["Status"] == "CREATE_COMPLETE":
        return True
    if any(text in described["StatusReason"] for text in _NO_CHANGES):
        return False
    reasons = _validation_errors(cloudformation, ChangeSetName=change_set["Id"])
    raise _failed(name, reasons or [described["StatusReason"]])


def _execute(cloudformation: Any, change_set: dict[str, Any], name: str, say: Callable[[str], None]) -> None:
    """Make the change, tell of each resource that is done, and return when the stack is as it should be."""
    stack_id = change_set["StackId"]
    known = {event["EventId"] for event in _events(cloudformation, stack_id)}
    cloudformation.execute_change_set(ChangeSetName=change_set["Id"])
    reasons = []
    for event in _story(cloudformation, stack_id, known):
        status = event["ResourceStatus"]
        if not _is_about(event, stack_id) and not status.endswith("_IN_PROGRESS"):
            say(f"{event['LogicalResourceId']} ({event['ResourceType']}): {status.replace('_', ' ').lower()}")
            if status.endswith("_FAILED"):
                reasons.append(_reason(event))
    status = _settled(cloudformation, stack_id)["StackStatus"]
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise _failed(name, reasons or _validation_errors(cloudformation, StackName=stack_id) or [status])


def _story(cloudformation: Any, stack_id: str, known: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stack that aren't known yet, as they come, up to the stack's own end.

    The stack's status is no sign of the end: at first it may still be the one that an earlier change left.
    """
    ended = False
    while not ended:
        news = _until(lambda: _events(cloudformation, stack_id, known), f"news of the stack {stack_id}")
        known.update(event["EventId"] for event in news)
        own = [event["ResourceStatus"] for event in news if _is_about(event, stack_id)]
        ended = not all(status.endswith("_IN_PROGRESS") for status in own)
        yield from news


def _is_about(event: dict[str, Any], stack_id: str) -> bool:
    """Return whether an event tells of the stack itself, and not of a resource in it."""
    return event.get("PhysicalResourceId") == stack_id


def _reason(event: dict[str, Any]) -> str:
    return f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}"


def _events(cloudformation: Any, stack_id: str, known: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return a stack's events, oldest first, without the known ones."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    return [event for page in pages for event in page["StackEvents"] if event["EventId"] not in known][::-1]


def _validation_errors(cloudformation: Any, **of: str) -> list[str]:
    """Return what CloudFormation found before it made anything, where it says only "use DescribeEvents" elsewhere.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html
    """
    try:
        events = cloudformation.describe_events(**of, Filters={"FailedEvents": True})["OperationEvents"]
    except ClientError:  # an emulator may not have it; the plain reason stands then
        return []
    return [
        f"{event['LogicalResourceId']}: {event['ValidationStatusReason']}"
        for event in events
        if event.get("EventType") == "VALIDATION_ERROR"
    ]


def _failed(name: str, reasons: list[str]) -> DeployError:
    return DeployError(
        f"{reasons[0].rstrip('.')}.",
        why=f"So the stack {name} could not be deployed, and what had been made was rolled back.",
        fix="Correct that resource in the template and deploy again.",
    )


def _describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return a stack by name or id, or None if there is none."""
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise


def _settled(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return a stack once nothing is going on in it any more, or None if there is none (left)."""
    _until(lambda: not _is_moving(_describe(cloudformation, name)), f"the stack {name}")
    return _describe(cloudformation, name)


def _is_moving(stack: dict[str, Any] | None) -> bool:
    """Return whether a stack is being changed. In REVIEW_IN_PROGRESS it only waits for its first change set."""
    status = stack["StackStatus"] if stack else ""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def _resources(cloudformation: Any, name: str) -> list[dict[str, Any]]:
    """Return what CloudFormation says of each resource of a stack."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    return [resource for page in pages for resource in page["StackResourceSummaries"]]


def _logs(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield an entry for the log group that each function makes for itself if the template declares none.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    for resource in resources:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            group = {"logGroupName": f"/aws/lambda/{resource['PhysicalResourceId']}"}
            yield {"undo": "call", "service": "logs", "operation": "delete_log_group", "parameters": group}


# undoing


def _thing(entry: dict[str, Any]) -> str:
    """Return the words for what an entry removes, such as "stack wb-1" or "log group /aws/lambda/f"."""
    if entry["undo"] != "call":
        return f"{entry['undo']} {entry['name']}"
    kind = entry["operation"].partition("_")[2].replace("_", " ")
    return f"{kind} {' '.join(str(value) for value in entry['parameters'].values())}"


def _undo(target: Target, entry: dict[str, Any]) -> bool:
    """Remove what an entry names and return whether it was there."""
    match entry["undo"]:
        case "stack":
            return _delete_stack(target.client("cloudformation"), entry["name"])
        case "bucket":
            return _delete_bucket(target.client("s3"), entry["name"])
        case _:
            return _call(target.client(entry["service"]), entry["operation"], entry["parameters"])


def _delete_stack(cloudformation: Any, name: str) -> bool:
    stack = _settled(cloudformation, name)
    if stack is None:
        return False
    stack_id = stack["StackId"]
    known = {event["EventId"] for event in _events(cloudformation, stack_id)}
    cloudformation.delete_stack(StackName=name)
    if _until(lambda: _deletion(cloudformation, stack_id), f"the end of the stack {name}") == "DELETE_FAILED":
        news = _events(cloudformation, stack_id, known)
        failed = [
            event for event in news if event["ResourceStatus"] == "DELETE_FAILED" and not _is_about(event, stack_id)
        ]
        raise DeployError(
            f"The stack {name} could not be deleted: {'; '.join(map(_reason, failed)) or 'DELETE_FAILED'}.",
            why="A stack in that state can't be deployed to.",
            fix="Put right what the reason names, then clean again.",
        )
    return True


def _deletion(cloudformation: Any, stack_id: str) -> str | None:
    """Return how a deletion ended, or None if it hasn't yet. By its id a stack is found when it is gone, too."""
    status = _describe(cloudformation, stack_id)["StackStatus"]
    return status if status in {"DELETE_COMPLETE", "DELETE_FAILED"} else None


def _delete_bucket(s3: Any, bucket: str) -> bool:
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])
        s3.delete_bucket(Bucket=bucket)
    except s3.exceptions.NoSuchBucket:
        return False
    return True


def _call(client: Any, operation: str, parameters: dict[str, Any]) -> bool:
    try:
        getattr(client, operation)(**parameters)
    except ClientError as error:
        if _is_missing(error):
            return False
        raise
    return True


def _is_missing(error: ClientError) -> bool:
    """Return whether AWS says that the thing isn't there; each service has its own word for it."""
    return bool(re.search("NotFound|NoSuch|NonExistent|DoesNotExist", error.response["Error"]["Code"]))


# waiting


def _until(ask: Callable[[], Answer | None], what: str) -> Answer:
    """Ask, less and less often, until there is an answer, and return it."""
    deadline, pause_s = time.monotonic() + _DEADLINE_S, 0.01
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise DeployError(
                f"Waited {_DEADLINE_S} s for {what}.",
                why="What follows needs it.",
                fix="Look at its events in CloudFormation; clean, then try again.",
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 2)
    return answer
