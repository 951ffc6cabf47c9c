"""What is ours in an account is found by tag and by name, and goes, without any run folder."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rehearsals
from waits import wait_until

from workbook import stack
from workbook.emulator import Emulator
from workbook.errors import TargetError
from workbook.packaging import zip_folder
from workbook.sweep import Swept, deploy_sweeper, remove_sweeper, sweep
from workbook.targets import Target, configured

HELLO = Path(__file__).resolve().parent.parent / "handlers" / "hello"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
RUN = "20261122-100000-abcd"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
TEMPLATE = """
Resources:
  Line:
    Type: AWS::SQS::Queue
  Store:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub ${AWS::StackName}-store
      VersioningConfiguration:
        Status: Enabled
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An account in which rights are enforced."""
    with rehearsals.account(tmp_path_factory.mktemp("account")) as running:
        yield running


@pytest.fixture(scope="module")
def environments(emulator: Emulator) -> dict[str, dict[str, str]]:
    """Two learners of that account, who may do everything."""
    return {name: rehearsals.principal(emulator, name=name) for name in ("alice", "bob")}


def signed_in(name: str, environments: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Target:
    for key, value in environments[name].items():
        monkeypatch.setenv(key, value)
    return configured("aws")


@pytest.fixture
def alice(environments: dict, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """Alice's account, which is empty again after the test."""
    there = signed_in("alice", environments, monkeypatch)
    yield there
    sweep(there, everyone=True, say=lambda line: None)


def tags(target: Target, run: str = RUN, now: datetime = NOW) -> dict[str, str]:
    return stack.tags(target, run=run, lesson="lesson", now=now)


def deploy(target: Target, folder: Path, *, run: str = RUN, now: datetime = NOW) -> stack.Stack:
    """Deploy a queue and a bucket, and forget about it."""
    path = folder / "template.yaml"
    path.write_text(TEMPLATE)
    quiet: dict[str, Any] = {"remember": lambda entry: None, "say": lambda line: None}
    return stack.deploy(target, path, name=f"wb-{run}-lesson", tags=tags(target, run, now), **quiet)


def quietly(target: Target, **options: Any) -> Swept:
    return sweep(target, say=lambda line: None, **options)


def names(swept: Swept) -> set[str]:
    return {thing.partition(" ")[0] for thing in swept.removed}


def stacks(target: Target) -> list[str]:
    return sorted(found["StackName"] for found in target.client("cloudformation").describe_stacks()["Stacks"])


def test_a_stack_goes_with_what_is_in_its_bucket(alice: Target, tmp_path: Path):
    """Versions, delete markers and unfinished uploads go too; the second time there is nothing to do."""
    store, s3 = deploy(alice, tmp_path).resources["Store"], alice.client("s3")
    for body in (b"one", b"two"):
        s3.put_object(Bucket=store, Key="key", Body=body)
    s3.delete_object(Bucket=store, Key="key")
    s3.create_multipart_upload(Bucket=store, Key="half")
    said: list[str] = []
    assert [f"stack wb-{RUN}-lesson"] == sweep(alice, say=said.append).removed
    assert [f"removed stack wb-{RUN}-lesson"] == said
    assert [] == s3.list_buckets()["Buckets"]
    assert ("Nothing billable is left.", []) == (str(quietly(alice)), quietly(alice).removed)


def test_things_without_a_stack_go_by_tag_and_by_name(alice: Target):
    """A role, a function, a log group, a bucket, queues, tables, topics and secrets are found where no stack tells of them."""
    own = tags(alice)
    name, listed = f"wb-{RUN}-thing", stack.tag_list(own)
    iam = alice.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=listed)
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(rehearsals.ANYTHING))
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    alice.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}", tags=own)
    alice.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}-of-its-own")
    alice.client("s3").create_bucket(Bucket=name)
    alice.client("sqs").create_queue(QueueName=name, tags=own)
    alice.client("sns").create_topic(Name=name, Tags=listed)
    alice.client("secretsmanager").create_secret(Name=name, SecretString="x", Tags=listed)
    alice.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        Tags=listed,
    )
    assert {"role", "log", "bucket", "queue", "topic", "table"} <= names(swept := quietly(alice))
    assert "Nothing billable is left." == str(swept)
    assert [] == quietly(alice).removed


def test_a_key_is_pending_until_its_date(alice: Target):
    """AWS keeps a key for a week at least; it is said until when, and again the next time."""
    kms, own = alice.client("kms"), tags(alice, "with-keys")  # a run of its own, as they outlast the test
    made = [kms.create_key(Tags=[{"TagKey": k, "TagValue": v} for k, v in own.items()]) for _ in range(2)]
    ids = [key["KeyMetadata"]["KeyId"] for key in made]
    kms.schedule_key_deletion(KeyId=ids[1], PendingWindowInDays=30)
    limit = datetime.now(UTC) + timedelta(days=7, minutes=1)
    said: list[str] = []
    for _ in range(2):
        swept = sweep(alice, say=said.append)
        assert ({f"key {key}" for key in ids}, []) == ({fate.thing for fate in swept.pending}, swept.left)
        assert all(fate.until <= limit for fate in swept.pending)
        assert "Nothing billable is left: what is pending costs nothing." == str(swept)
    assert f"key {ids[0]}, pending until {swept.pending[0].until:%Y-%m-%d}" in " ".join(said)


def test_others_things_stay_unless_everyone_is_asked_for(
    alice: Target, environments: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Who cleans up takes their own things; one more word takes all."""
    bob = signed_in("bob", environments, monkeypatch)
    deploy(bob, tmp_path, run="20261122-100000-b0b0")
    bob.client("logs").create_log_group(logGroupName="/aws/lambda/wb-20261122-100000-b0b0-own")
    deploy(alice, tmp_path)
    swept = quietly(alice)
    assert [f"stack wb-{RUN}-lesson"] == swept.removed
    assert "What stays, and may cost money: run 20261122-100000-b0b0 of bob, until" in str(swept)
    assert ["wb-20261122-100000-b0b0-lesson"] == stacks(alice)
    assert {"stack", "log"} == names(quietly(alice, everyone=True))
    assert [] == stacks(alice)


def test_only_what_is_past_its_time_is_expired(
    alice: Target, environments: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What is expired goes, whoever made it; what isn't stays."""
    bob = signed_in("bob", environments, monkeypatch)
    deploy(bob, tmp_path, run="of-yesterday", now=NOW - timedelta(hours=24))
    deploy(alice, tmp_path, run="of-today", now=NOW - timedelta(hours=23))
    alice.client("logs").create_log_group(logGroupName=f"/aws/lambda/wb-{RUN}-untagged")
    assert ["stack wb-of-yesterday-lesson"] == quietly(alice, expired=True, now=NOW).removed
    assert ["wb-of-today-lesson"] == stacks(alice)
    later = datetime.now(UTC) + timedelta(hours=25)
    assert {"stack", "log"} == names(quietly(alice, expired=True, now=later))


def test_one_run_may_be_named_and_others_kept(alice: Target, tmp_path: Path):
    """A run under way on this machine stays, and so does all of it that has no tag."""
    for run in (RUN, "20261122-100000-beef"):
        deploy(alice, tmp_path, run=run)
        alice.client("logs").create_log_group(logGroupName=f"/aws/lambda/wb-{run}-untagged")
    assert [] == quietly(alice, run=RUN, keep={RUN}).removed
    assert {"stack", "log"} == names(quietly(alice, keep={RUN}))
    assert [f"wb-{RUN}-lesson"] == stacks(alice)
    assert {"stack", "log"} == names(quietly(alice, run=RUN))


def test_what_only_looks_like_ours_is_not_touched(alice: Target):
    """A name that begins like ours, without a tag and without a run's id, may be anybody's."""
    logs, s3 = alice.client("logs"), alice.client("s3")
    logs.create_log_group(logGroupName="/aws/lambda/wb-orders")
    s3.create_bucket(Bucket="wb-films")
    try:
        assert [] == quietly(alice, everyone=True).removed
        assert ["wb-films"] == [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        assert logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/wb-orders")["logGroups"]
    finally:
        logs.delete_log_group(logGroupName="/aws/lambda/wb-orders")
        s3.delete_bucket(Bucket="wb-films")


def test_what_can_not_go_is_left_and_named(alice: Target, tmp_path: Path):
    """The last line says what may still cost money, and the sweep can be repeated."""
    path = tmp_path / "template.yaml"
    path.write_text("Resources:\n  Net:\n    Type: AWS::EC2::VPC\n    Properties:\n      CidrBlock: 10.0.0.0/16\n")
    made = stack.deploy(
        alice, path, name="wb-net", tags=tags(alice), remember=lambda entry: None, say=lambda line: None
    )
    ec2 = alice.client("ec2")
    subnet = ec2.create_subnet(VpcId=made.resources["Net"], CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    swept = quietly(alice)
    assert str(swept).startswith("Left, and it may cost money: stack wb-net: it could not be deleted: Net: ")
    ec2.delete_subnet(SubnetId=subnet)
    assert ["stack wb-net"] == quietly(alice).removed


def test_a_role_that_keeps_its_stack_is_removed_by_hand(alice: Target, tmp_path: Path):
    """What was attached to a role keeps it from CloudFormation; it goes all the same, and its stack by force."""
    path = tmp_path / "template.yaml"
    path.write_text(
        json.dumps(
            {
                "Resources": {
                    "Who": {
                        "Type": "AWS::IAM::Role",
                        "Properties": {"AssumeRolePolicyDocument": json.loads(TRUST)},
                    }
                }
            }
        )
    )
    own = {"tags": tags(alice), "remember": lambda entry: None, "say": lambda line: None}
    iam = alice.client("iam")
    who = stack.deploy(alice, path, name="wb-forced", **own).resources["Who"]
    iam.put_role_policy(RoleName=who, PolicyName="p", PolicyDocument=json.dumps(rehearsals.ANYTHING))
    assert "stack wb-forced" in quietly(alice).removed
    assert who not in [role["RoleName"] for role in iam.list_roles()["Roles"]]


GONE = {
    "lambda": ("ListTags", "delete_function", {"FunctionName": f"wb-{RUN}-thing"}),
    "logs": ("ListTagsForResource", "delete_log_group", {"logGroupName": f"/aws/lambda/wb-{RUN}-thing"}),
    "s3": ("GetBucketTagging", "delete_bucket", {"Bucket": f"wb-{RUN}-thing"}),
    "iam": ("ListRoleTags", "delete_role", {"RoleName": f"wb-{RUN}-thing"}),
}


@pytest.mark.parametrize("service", GONE)
def test_what_goes_between_two_looks_is_passed_over(alice: Target, service: str):
    """Somebody else cleans up, too: what was listed is gone when its tags are asked for. All else goes."""
    operation, delete, which = GONE[service]
    name, client = f"wb-{RUN}-thing", alice.client(service)
    role = alice.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    alice.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}")
    alice.client("s3").create_bucket(Bucket=name)
    code = {"ZipFile": zip_folder(HELLO).content}
    alice.client("lambda").create_function(
        FunctionName=name, Role=role, Runtime="python3.13", Handler="app.handler", Code=code
    )
    event, taken = f"provide-client-params.{client.meta.service_model.service_id.hyphenize()}.{operation}", []

    def take(**_: Any) -> None:
        if not taken:
            taken.append(getattr(client, delete)(**which))

    client.meta.events.register(event, take)
    try:
        swept = quietly(alice)
    finally:
        client.meta.events.unregister(event, take)
    kinds = {"lambda": "function", "logs": "log", "s3": "bucket", "iam": "role"}
    assert (1, []) == (len(taken), swept.left)
    assert set(kinds.values()) - {kinds[service]} == names(swept)


def test_a_sweep_that_may_not_look_says_so(emulator: Emulator, monkeypatch: pytest.MonkeyPatch):
    """Who may not list can't say that nothing is left."""
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    for key, value in rehearsals.principal(emulator, nothing, name="carol").items():
        monkeypatch.setenv(key, value)
    with pytest.raises(TargetError, match=r"DescribeStacks was refused.* nothing is left"):
        quietly(configured("aws"))


LOOKS = [
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ListStackResources",
    "iam:ListRoleTags",
    "iam:ListRoles",
    "lambda:ListFunctions",
    "lambda:ListTags",
    "logs:DescribeLogGroups",
    "logs:ListTagsForResource",
    "s3:GetBucketTagging",
    "s3:ListAllMyBuckets",
    "tag:GetResources",
]
TAKES = [
    "cloudformation:DeleteStack",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "logs:DeleteLogGroup",
    "s3:AbortMultipartUpload",
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "sqs:DeleteQueue",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
]


def test_a_sweep_needs_no_more_rights_than_these(
    alice: Target, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Somebody who may do nothing else takes away a stack, a bucket of versions, a role, a queue and a log group."""
    deploy(alice, tmp_path)
    name, own = f"wb-{RUN}-thing", tags(alice)
    iam, s3 = alice.client("iam"), alice.client("s3")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST, Tags=stack.tag_list(own))
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(rehearsals.ANYTHING))
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    alice.client("logs").create_log_group(logGroupName=f"/aws/lambda/{name}", tags=own)
    alice.client("sqs").create_queue(QueueName=name, tags=own)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="key", Body=b"")
    s3.create_multipart_upload(Bucket=name, Key="half")
    policy = {"Effect": "Allow", "Action": LOOKS + TAKES, "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [policy]}
    for key, value in rehearsals.principal(emulator, document, name="dora").items():
        monkeypatch.setenv(key, value)
    swept = quietly(configured("aws"), run=RUN, everyone=True)
    assert ({"stack", "bucket", "role", "queue", "log"}, []) == (names(swept), swept.left)


def test_each_region_has_a_sweeper_of_its_own(alice: Target):
    """Lambda takes code from a bucket in its region, and who removes one sweeper leaves the other its bucket."""
    here, there = (replace(alice, region=region) for region in ("us-east-1", "ap-southeast-2"))
    for target in (here, there):
        assert deploy_sweeper(target, say=lambda line: None).changed
    try:
        own = [f"workbook-sweeper-{alice.account_id}-{target.region}" for target in (there, here)]
        assert own == [bucket["Name"] for bucket in here.client("s3").list_buckets()["Buckets"]]
        assert own[0] == there.client("s3").list_buckets(BucketRegion=there.region)["Buckets"][0]["Name"]
        assert {f"bucket {own[1]}", "stack workbook-sweeper"} == set(remove_sweeper(here, say=lambda line: None))
        assert own[:1] == [bucket["Name"] for bucket in here.client("s3").list_buckets()["Buckets"]]
        assert ([], ["workbook-sweeper"]) == (stacks(here), stacks(there))
    finally:
        for target in (here, there):
            remove_sweeper(target, say=lambda line: None)


def test_a_stack_of_a_killed_kernel_goes(alice: Target):
    """A stack that only waits for its first change set, as whoever made it was killed, goes too."""
    cloudformation = alice.client("cloudformation")
    cloudformation.create_change_set(
        StackName="wb-review",
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=TEMPLATE,
        Tags=stack.tag_list(tags(alice)),
    )
    wait_until(lambda: stacks(alice) == ["wb-review"])
    assert ["stack wb-review"] == quietly(alice).removed
