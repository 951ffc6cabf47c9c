"""Finds everything of ours in an account and region by tag and by name, without any run folder, and removes it.

What carries the tag `workbook:run` is ours. Log groups, buckets, roles and functions are looked for by name as well, since
a thing that something else made has no tags. Of a name without tags only that is taken which begins like a run's of ours.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from workbook import removal, stack
from workbook.account import SWEEPER
from workbook.credentials import POLICY
from workbook.errors import TargetError
from workbook.removal import Fate, State
from workbook.stack import EXPIRES, OWNER, RUN
from workbook.targets import Target

_OURS = re.compile(r"(?:/aws/lambda/)?wb-(\d{8}-\d{6}-[0-9a-f]{4})-.+")  # a run id as `lab.new_run_id` makes it
_KEPT = timedelta(hours=24)  # for what has no tag that says more
_SWEEPER = Path(__file__).resolve().parent.parent / "infra" / "sweeper.yaml"
_ROUNDS = 3  # something that was made meanwhile is found by the next


@dataclass(frozen=True)
class Thing:
    """Something that may be ours, what it says of itself, and how it is removed."""

    name: str
    tags: Mapping[str, str]
    made_at: datetime | None
    remove: Callable[[], list[Fate]] = field(compare=False)

    @property
    def run(self) -> str | None:
        """The run that made it, by its tag or else by its name; None if it isn't ours."""
        named = _OURS.fullmatch(self.name)
        return self.tags.get(RUN) or (named[1] if named else None)

    @property
    def expires(self) -> datetime | None:
        """When it is past its time: by its tag, or else a day after it was made. None if neither is known."""
        try:
            return datetime.fromisoformat(self.tags[EXPIRES])
        except (KeyError, ValueError):
            return self.made_at + _KEPT if self.made_at else None


@dataclass(frozen=True)
class Swept:
    """What went, what goes by itself at a date, what is left with its reason, and the runs of which nothing was to go."""

    removed: list[str]
    pending: list[Fate]
    left: list[Fate]
    staying: list[str]

    def __str__(self) -> str:
        if self.left:
            return f"Left, and it may cost money: {'; '.join(map(str, self.left))}."
        if self.staying:
            return f"Nothing of what was to go is left. What stays, and may cost money: {'; '.join(self.staying)}."
        if self.pending:
            return "Nothing billable is left: what is pending costs nothing."
        return "Nothing billable is left."


def sweep(
    target: Target,
    *,
    run: str | None = None,
    everyone: bool = False,
    expired: bool = False,
    keep: Collection[str] = (),
    now: datetime | None = None,
    say: Callable[[str], None] = print,
) -> Swept:
    """Remove what is ours in this account and region, and return what became of it. Twice is fine.

    That is what the owner of these credentials made, or `everyone`; of one `run`, if it is named; or what is `expired` at
    the moment `now`, whoever made it. The runs to `keep` stay. A role belongs to no region, so it goes with its run
    wherever that was.

    Raises:
        TargetError: the credentials may not look for something, so what there is can't be said.
    """
    owner = None if everyone or expired else target.owner
    is_wanted = _Wanted(run, owner, (now or datetime.now(UTC)) if expired else None, frozenset(keep))
    fates: dict[str, Fate] = {}
    for _ in range(_ROUNDS):
        staying: dict[str, str] = {}
        wanted = _wanted(target, is_wanted, staying)
        found = [fate for thing in wanted for fate in _told(thing.remove(), say)]
        for fate in found:
            if fate.state is not State.ABSENT:
                fates[fate.thing] = fate
            elif fate.thing in fates and fates[fate.thing].state is State.LEFT:  # it has gone meanwhile
                del fates[fate.thing]
        if not any(fate.state is State.REMOVED for fate in found):
            break
    for fate in fates.values():
        if fate.state is State.PENDING:
            say(str(fate))
    return Swept(
        [fate.thing for fate in fates.values() if fate.state is State.REMOVED],
        *([fate for fate in fates.values() if fate.state is state] for state in (State.PENDING, State.LEFT)),
        [*staying.values()],
    )


def deploy_sweeper(target: Target, say: Callable[[str], None] = print) -> stack.Stack:
    """Deploy what sweeps this account and region every hour by itself, for a laptop that never comes back; return its stack.

    It is the account's owner who does that: its role may delete what lessons make, and has no boundary.

    Raises:
        DeployError: it could not be deployed.
    """
    tags = {"workbook:lesson": "sweeper", OWNER: target.owner}  # of no run, so no sweep takes it
    return stack.deploy(
        target,
        _SWEEPER,
        name=SWEEPER,
        tags=tags,
        remember=[].append,
        bucket=_sweepers_bucket(target),
        bounded=False,
        say=say,
    )


def remove_sweeper(target: Target, say: Callable[[str], None] = print) -> list[str]:
    """Take the sweeper away again, and return what was removed.

    Raises:
        DeployError: something of it could not be removed.
    """
    bucket = {"undo": "bucket", "name": _sweepers_bucket(target)}
    return stack.teardown(target, [bucket, {"undo": "stack", "name": SWEEPER}], say=say)


def _sweepers_bucket(target: Target) -> str:
    """Return the name of the sweeper's bucket. Each region that has a sweeper has one, and no two buckets have one name."""
    return f"{SWEEPER}-{target.account_id}-{target.region}"


def _told(fates: list[Fate], say: Callable[[str], None]) -> list[Fate]:
    """Return the fates, and tell of each thing that is gone."""
    for fate in fates:
        if fate.state is State.REMOVED:
            say(f"removed {fate.thing}")
    return fates


@dataclass(frozen=True)
class _Wanted:
    """Whose things are to go: of a run, of an owner, or what is expired at a moment."""

    run: str | None
    owner: str | None
    expired_at: datetime | None
    keep: frozenset[str]

    def __call__(self, thing: Thing) -> bool:
        if thing.run is None or thing.run in self.keep or self.run not in {None, thing.run}:
            return False
        if self.owner not in {None, thing.tags.get(OWNER, self.owner)}:
            return False
        return self.expired_at is None or (thing.expires is not None and thing.expires <= self.expired_at)


def _wanted(target: Target, is_wanted: Callable[[Thing], bool], staying: dict[str, str]) -> Iterator[Thing]:
    """Yield what is to go: stacks first, since most of the rest goes with them. The runs that stay are noted in words.

    A thing without tags follows the run that its name tells, which may be another's or be kept.
    """
    for find in (_stacks, _tagged, _functions, _log_groups, _buckets, _roles):
        for thing in list(_asked(target, find)):
            if is_wanted(thing) and (thing.tags.get(RUN) or thing.run not in staying):
                yield thing
            elif thing.run and thing.tags.get(RUN):
                until = f", until {thing.expires:%Y-%m-%d %H:%M} UTC" if thing.expires else ""
                staying[thing.run] = f"run {thing.run} of {thing.tags.get(OWNER, 'nobody known')}{until}"


def _asked(target: Target, find: Callable[[Target], Iterator[Thing]]) -> Iterator[Thing]:
    try:
        yield from find(target)
    except ClientError as error:
        raise TargetError(
            f"{error.operation_name} was refused: {error.response['Error'].get('Message', error)}",
            why="What the workbook may not look for it can't remove, and it can't say that nothing is left.",
            fix=f"Let these credentials do it, as {POLICY} do, and clean again.",
        ) from error


def _stacks(target: Target) -> Iterator[Thing]:
    for page in target.client("cloudformation").get_paginator("describe_stacks").paginate():
        for found in page["Stacks"]:
            name = found["StackName"]
            if "ParentId" not in found:
                remove = _removes(removal.stack, target, name)
                yield Thing(name, _as_dict(found.get("Tags", [])), found["CreationTime"], remove)


def _tagged(target: Target) -> Iterator[Thing]:
    """Yield what carries our tag, whatever it is. What was deleted may be told of for a while."""
    pages = target.client("resourcegroupstaggingapi").get_paginator("get_resources")
    for page in pages.paginate(TagFilters=[{"Key": RUN}]):
        for found in page["ResourceTagMappingList"]:
            arn = found["ResourceARN"]
            if ":cloudformation:" not in arn:
                yield Thing(arn, _as_dict(found["Tags"]), None, _removes(removal.by_arn, target, arn))


def _functions(target: Target) -> Iterator[Thing]:
    client = target.client("lambda")
    for page in client.get_paginator("list_functions").paginate():
        for found in page["Functions"]:
            name = found["FunctionName"]
            if name.startswith("wb-"):
                with _unless_gone():
                    tags = client.list_tags(Resource=found["FunctionArn"])["Tags"]
                    made_at = datetime.fromisoformat(found["LastModified"])
                    yield Thing(name, tags, made_at, _removes(removal.resource, target, "AWS::Lambda::Function", name))


def _log_groups(target: Target) -> Iterator[Thing]:
    logs = target.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/wb-"):
        for found in page["logGroups"]:
            name, arn = found["logGroupName"], found["arn"].removesuffix(":*")
            with _unless_gone():
                tags = logs.list_tags_for_resource(resourceArn=arn)["tags"]
                made_at = datetime.fromtimestamp(found["creationTime"] / 1000, UTC)
                yield Thing(name, tags, made_at, _removes(removal.resource, target, "AWS::Logs::LogGroup", name))


def _buckets(target: Target) -> Iterator[Thing]:
    s3 = target.client("s3")
    for page in s3.get_paginator("list_buckets").paginate(Prefix="wb-", BucketRegion=target.region):
        for found in page["Buckets"]:
            name = found["Name"]
            if name.startswith("wb-"):
                with _unless_gone():
                    tags = _bucket_tags(s3, name)
                    yield Thing(name, tags, found["CreationDate"], _removes(removal.bucket, target, name))


def _bucket_tags(s3: Any, name: str) -> dict[str, str]:
    try:
        return _as_dict(s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}


def _roles(target: Target) -> Iterator[Thing]:
    iam = target.client("iam")
    for page in iam.get_paginator("list_roles").paginate():
        for found in page["Roles"]:
            name = found["RoleName"]
            if name.startswith("wb-"):
                with _unless_gone():
                    tags = _as_dict(iam.list_role_tags(RoleName=name)["Tags"])
                    remove = _removes(removal.resource, target, "AWS::IAM::Role", name)
                    yield Thing(name, tags, found["CreateDate"], remove)


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Pass over what was listed, and has gone since."""
    try:
        yield
    except ClientError as error:
        if not removal.is_missing(error):
            raise


def _removes(remove: Callable[..., Fate | list[Fate]], *arguments: Any) -> Callable[[], list[Fate]]:
    """Return what removes a thing when it is called."""

    def now() -> list[Fate]:
        fates = remove(*arguments)
        return fates if isinstance(fates, list) else [fates]

    return now


def _as_dict(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
