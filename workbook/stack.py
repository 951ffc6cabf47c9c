"""Template + handler folders -> deployed stack -> outputs; and teardown from what was remembered.

Templates are plain SAM: `sam deploy` takes them as they are, and so does this module. It sends a copy in which each local
`CodeUri` has become an object in a bucket; the file on disk is never written.
"""

import json
import os
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from workbook import credentials, doors, removal
from workbook.errors import DeployError, ParameterError
from workbook.packaging import Package, check_runtime, zip_folder
from workbook.removal import Fate, State, describe, settled, until
from workbook.targets import Target
from workbook.templates import functions, read_template

RUN, OWNER, EXPIRES = "workbook:run", "workbook:owner", "workbook:expires"  # the tags by which things are found again

# In these states a stack can only be deleted, or mended by hand:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_TO_BE_DELETED = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"}
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
    bucket: str | None = None,
    bounded: bool = True,
    say: Callable[[str], None] = print,
) -> Stack:
    """Deploy a template under a stack name and return the stack; what is there already and unchanged stays as it is.

    `tags` are put on the stack, its resources and its bucket, and on each API by the template that is sent. The bucket is
    `bucket`, or else called after the stack and the account. `say` gets one line for each resource that is ready.
    `remember` gets an entry for `teardown` before each thing is made.

    On AWS its roles have the permissions boundary, unless it isn't `bounded`, and its APIs answer by then: see `doors.wait_until_open`.

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
            bucket = bucket or f"{name}-{target.account_id}"
            remember({"undo": "bucket", "name": bucket})
            _upload(target, bucket, packages.values(), tags)
            for logical_id, package in packages.items():
                body["Resources"][logical_id]["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": _key(package)}
        _bound(body, target.boundary_arn if bounded else None)
        _tag_apis(body, tags)
        remember({"undo": "stack", "name": name})
        change_set = _create_change_set(target, name, body, tags, parameters or {})
        changed = _is_change(cloudformation, change_set, name)
        if changed:
            _execute(cloudformation, change_set, name, say)
        else:
            cloudformation.delete_change_set(StackName=name, ChangeSetName=change_set["Id"])
            say(f"{name}: nothing has changed")
        resources = _resources(cloudformation, name)
        outputs = describe(cloudformation, name).get("Outputs", [])
        if changed and target.name == "aws":  # an emulator has what it says it has
            doors.wait_until_open(target, _apis(resources))
    except ClientError as error:
        explained = credentials.explain(error)
        raise DeployError(
            f"{error.operation_name} was refused for {name}: {error.response['Error'].get('Message', error)}",
            why=f"So {template.name} could not be deployed.",
            fix=explained.fix if explained else "Correct the template, or what the target allows, and deploy again.",
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
    `{"undo": "call", "service": ..., "operation": ..., "parameters": ...}`. What goes by itself at a later date is said.

    Raises:
        DeployError: something could not be removed; everything else was.
        TargetError: the target gives no answer.
    """
    removed, stayed = [], []
    for number, entry in reversed(list(enumerate(remembered))):
        if entry in remembered[number + 1 :]:  # it was noted again, and has had its turn
            continue
        for fate in _undo(target, entry):
            match fate.state:
                case State.REMOVED:
                    removed.append(fate.thing)
                    say(f"removed {fate.thing}")
                case State.PENDING:
                    say(str(fate))
                    if entry["undo"] == "stack":  # it goes only if it is asked to once more
                        stayed.append(str(fate))
                case State.LEFT:
                    stayed.append(str(fate))
    if stayed:
        raise DeployError(
            f"Could not be removed: {'; '.join(stayed)}",
            why="It stays on the target, and on AWS it may cost money.",
            fix="Put right what the reason names, then clean again.",
        )
    return removed


def _undo(target: Target, entry: dict[str, Any]) -> list[Fate]:
    """Remove what an entry names and return what became of it."""
    match entry["undo"]:
        case "stack":
            return removal.stack(target, entry["name"])
        case "bucket":
            return [removal.bucket(target, entry["name"])]
        case _:
            return [removal.call(target, entry["service"], entry["operation"], entry["parameters"])]


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
    """Put packages into a bucket of ours, which is made if need be. A package that is there already isn't sent again.

    Raises:
        DeployError: the bucket is in another region.
    """
    s3 = target.client("s3")
    # us-east-1 is the one region that may not be named: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": target.region}}
    try:
        s3.create_bucket(Bucket=bucket, **({} if target.region == "us-east-1" else elsewhere))
    except s3.exceptions.BucketAlreadyOwnedByYou as error:
        region = s3.head_bucket(Bucket=bucket)["BucketRegion"]
        if region != target.region:
            raise DeployError(
                f"The bucket {bucket} is in {region}, not in {target.region}.",
                why="Lambda takes code only from a bucket in its own region.",
                fix=f"Clean {region} first, or deploy there.",
            ) from error
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


def _tag_apis(template: dict[str, Any], tags: Mapping[str, str]) -> None:
    """Give each API of a template the tags, since it may not get the stack's, and could be neither found nor deleted by them.

    SAM writes those of an HTTP API into its OpenAPI body, beside which CloudFormation takes none, and hands them on to the stage
    of either kind: https://github.com/aws/serverless-application-model/issues/3615
    """
    for resource in template["Resources"].values():
        if resource["Type"] in {"AWS::Serverless::Api", "AWS::Serverless::HttpApi"}:
            properties = resource.setdefault("Properties", {})
            properties["Tags"] = {**properties.get("Tags", {}), **tags}
            if resource["Type"] == "AWS::Serverless::Api":
                properties["PropagateTags"] = True


def _create_change_set(
    target: Target, name: str, body: dict[str, Any], tags: dict[str, str], parameters: dict[str, str]
) -> dict[str, Any]:
    """Ask CloudFormation what the template would change."""
    cloudformation = target.client("cloudformation")
    stack = settled(cloudformation, name)
    if stack and stack["StackStatus"] in _TO_BE_DELETED:
        _make_room(target, name)
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


def _make_room(target: Target, name: str) -> None:
    """Remove a stack that can't be deployed to, so that another can have its name."""
    left = [str(fate) for fate in removal.stack(target, name) if fate.state in {State.LEFT, State.PENDING}]
    if left:
        raise DeployError(
            f"The stack {name} is in the way: {'; '.join(left)}.",
            why="A stack in that state can't be deployed to.",
            fix="Put right what the reason names, then clean, and deploy again.",
        )


def _is_change(cloudformation: Any, change_set: dict[str, Any], name: str) -> bool:
    """Return whether there is anything to do, once CloudFormation knows."""

    def answer() -> dict[str, Any] | None:
        described = cloudformation.describe_change_set(StackName=name, ChangeSetName=change_set["Id"])
        return described if described["Status"] in {"CREATE_COMPLETE", "FAILED"} else None

    described = until(answer, f"the change set of {name}")
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
    cloudformation.execute_change_set(StackName=name, ChangeSetName=change_set["Id"])
    reasons = []
    for event in _story(cloudformation, stack_id, known):
        status = event["ResourceStatus"]
        if not _is_about(event, stack_id) and not status.endswith("_IN_PROGRESS"):
            say(f"{event['LogicalResourceId']} ({event['ResourceType']}): {status.replace('_', ' ').lower()}")
            if status.endswith("_FAILED"):
                reasons.append(_reason(event))
    status = settled(cloudformation, stack_id)["StackStatus"]
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise _failed(name, reasons or _validation_errors(cloudformation, StackName=stack_id) or [status])


def _story(cloudformation: Any, stack_id: str, known: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the events of a stack that aren't known yet, as they come, up to the stack's own end.

    The stack's status is no sign of the end: at first it may still be the one that an earlier change left.
    """
    ended = False
    while not ended:
        news = until(lambda: _events(cloudformation, stack_id, known), f"news of the stack {stack_id}")
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
    denied = credentials.denied(reasons[0])
    return DeployError(
        f"{reasons[0].rstrip('.')}.",
        why=f"So the stack {name} could not be deployed, and what had been made was rolled back.",
        fix=denied.fix if denied else "Correct that resource in the template and deploy again.",
    )


def _resources(cloudformation: Any, name: str) -> list[dict[str, Any]]:
    """Return what CloudFormation says of each resource of a stack."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    return [resource for page in pages for resource in page["StackResourceSummaries"]]


def _apis(resources: list[dict[str, Any]]) -> dict[str, str]:
    """Return the id and the type of each API among a stack's resources."""
    kinds = {"AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi"}
    return {
        resource["PhysicalResourceId"]: resource["ResourceType"]
        for resource in resources
        if resource["ResourceType"] in kinds
    }


def _logs(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield an entry for the log group that each function makes for itself if the template declares none.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    for resource in resources:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            group = {"logGroupName": f"/aws/lambda/{resource['PhysicalResourceId']}"}
            yield {"undo": "call", "service": "logs", "operation": "delete_log_group", "parameters": group}
