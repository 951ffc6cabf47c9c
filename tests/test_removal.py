"""A thing goes whatever state it is in, or it is said until when, or why not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import rehearsals
from fake_aws import Reply, json_error, query_error
from served import served

from workbook import removal, stack
from workbook.errors import DeployError
from workbook.removal import State
from workbook.targets import Target, configured

STACK_ID = "arn:aws:cloudformation:us-east-1:000000000000:stack/wb-1/0"
UUID = "14e0db71-5d35-4eb5-b481-8945cf9d10c2"
STATES = [
    "CREATE_COMPLETE",
    "CREATE_FAILED",
    "DELETE_FAILED",
    "REVIEW_IN_PROGRESS",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_FAILED",
]


@dataclass
class Cloud:
    """What answers as CloudFormation, EC2 and IAM do of one stack, in states that no emulator gets into."""

    endpoint: str
    status: str = "CREATE_COMPLETE"
    ends: list[str] = field(default_factory=lambda: ["DELETE_COMPLETE"])  # of one deletion after the other
    parts: list[tuple[str, str]] = field(default_factory=list)  # type and id of what keeps the stack
    interfaces: list[list[str]] = field(default_factory=list)  # Lambda's, each time that somebody asks
    lags: int = 0  # how often the stack is still told of as it was, while its events go on
    asked: list[str] = field(default_factory=list)
    deletions: int = 0
    before: str = ""  # the last deletion

    def answer(self, query: dict[str, str]) -> str:
        action = query["Action"]
        self.asked.append(" ".join(filter(None, [action, query.get("DeletionMode") or query.get("RoleName")])))
        if action == "DeleteStack":
            self.before = self.status
            self.status, self.deletions = self.ends.pop(0), self.deletions + 1
        return f"<{action}Response><{action}Result>{self.said(action)}</{action}Result></{action}Response>"

    def said(self, action: str) -> str:
        stuck = "DELETE_SKIPPED" if self.status == "DELETE_COMPLETE" else self.status
        own = (
            f"<StackId>{STACK_ID}</StackId><StackName>wb-1</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
        )
        match action:
            case "DescribeStacks":
                status = self.before if self.lags and self.deletions else self.status
                return f"<Stacks><member>{own}<StackStatus>{status}</StackStatus></member></Stacks>"
            case "ListStackResources":
                listed = (
                    f"<member><LogicalResourceId>Part</LogicalResourceId><PhysicalResourceId>{one}</PhysicalResourceId>"
                    f"<ResourceType>{kind}</ResourceType><ResourceStatus>{stuck}</ResourceStatus></member>"
                    for kind, one in self.parts
                )
                return f"<StackResourceSummaries>{''.join(listed)}</StackResourceSummaries>"
            case "DescribeStackEvents":
                is_moving = self.lags and self.deletions
                self.lags -= bool(is_moving)
                number = f"{self.deletions}-{self.lags}" if is_moving else str(self.deletions)
                event = f"<EventId>{number}</EventId><PhysicalResourceId>{STACK_ID}</PhysicalResourceId>"
                status = f"<ResourceStatus>{'DELETE_IN_PROGRESS' if is_moving else self.status}</ResourceStatus>"
                return f"<StackEvents><member>{event}{status}</member></StackEvents>"
            case "ListAttachedRolePolicies":
                return "<AttachedPolicies/>"
            case "ListRolePolicies":
                return "<PolicyNames/>"
        return ""

    def ec2(self) -> str:
        now = self.interfaces.pop(0) if len(self.interfaces) > 1 else self.interfaces[0]
        listed = "".join(f"<item><networkInterfaceId>{one}</networkInterfaceId></item>" for one in now)
        return f"<R><networkInterfaceSet>{listed}</networkInterfaceSet></R>"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            query = {name: values[0] for name, values in parse_qs(body).items()}
            is_ec2 = query["Action"] == "DescribeNetworkInterfaces"
            said = (there.ec2() if is_ec2 else there.answer(query)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None: ...

    with served(Handler) as endpoint:
        there = Cloud(endpoint)
        yield there


def remove(cloud: Cloud) -> list[removal.Fate]:
    return removal.stack(Target("embedded", cloud.endpoint), "wb-1")


def deletions(cloud: Cloud) -> list[str]:
    return [said for said in cloud.asked if said.startswith("Delete")]


@pytest.mark.parametrize("status", STATES)
def test_a_stack_goes_from_any_state(cloud: Cloud, status: str):
    """Whatever went wrong with it before, a stack at rest is deleted."""
    cloud.status = status
    assert [("stack wb-1", State.REMOVED)] == [(fate.thing, fate.state) for fate in remove(cloud)]
    assert ["DeleteStack"] == deletions(cloud)


def test_a_deletion_that_failed_is_tried_again(cloud: Cloud):
    """What kept it may be gone by then."""
    cloud.ends = ["DELETE_FAILED", "DELETE_COMPLETE"]
    assert [State.REMOVED] == [fate.state for fate in remove(cloud)]
    assert ["DeleteStack", "DeleteStack"] == deletions(cloud)


def test_how_an_earlier_deletion_ended_is_not_taken_for_the_end_of_this_one(cloud: Cloud):
    """A stack may still be told of as it was when its events already say that it is going."""
    cloud.status, cloud.lags = "DELETE_FAILED", 2
    assert [State.REMOVED] == [fate.state for fate in remove(cloud)]
    assert ["DeleteStack"] == deletions(cloud)


def test_what_a_forced_deletion_leaves_is_listed_and_removed(cloud: Cloud):
    """What keeps a stack is removed by hand, then the stack by force, and both are told of."""
    cloud.ends, cloud.parts = ["DELETE_FAILED", "DELETE_FAILED", "DELETE_COMPLETE"], [("AWS::IAM::Role", "wb-1-role")]
    assert ["stack wb-1", "role wb-1-role"] == [fate.thing for fate in remove(cloud) if fate.state is State.REMOVED]
    said = deletions(cloud)
    assert ["DeleteStack", "DeleteStack", "DeleteRole wb-1-role", "DeleteStack FORCE_DELETE_STACK"] == said[:4]


def test_a_stack_stays_as_the_record_of_what_can_not_be_removed(cloud: Cloud):
    """By force it would go, and nobody would know of what it left."""
    cloud.ends, cloud.parts = ["DELETE_FAILED", "DELETE_FAILED"], [("AWS::EC2::Instance", "i-1")]
    (fate,) = remove(cloud)
    assert (State.LEFT, "DELETE_FAILED") == (fate.state, cloud.status)
    assert "it could not be deleted" in str(fate)


def test_a_network_interface_is_waited_for(cloud: Cloud):
    """Lambda takes a while to release what held a function to a network; then the stack goes."""
    cloud.ends, cloud.parts = ["DELETE_FAILED", "DELETE_COMPLETE"], [("AWS::EC2::SecurityGroup", "sg-1")]
    cloud.interfaces = [["eni-1"], ["eni-1"], []]
    assert [State.REMOVED] == [fate.state for fate in remove(cloud)]


def test_a_network_interface_that_is_not_released_is_pending(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    """It is said by when it will be, the stack isn't forced, and a teardown that remembers it goes on remembering."""
    monkeypatch.setattr(removal, "_RELEASE_S", 0.05)
    cloud.ends, cloud.parts = ["DELETE_FAILED", "DELETE_FAILED"], [("AWS::EC2::SecurityGroup", "sg-1")]
    cloud.interfaces = [["eni-1"]]
    (fate,) = remove(cloud)
    assert (State.PENDING, True) == (fate.state, fate.until > datetime.now(UTC))
    assert "hasn't released eni-1" in str(fate)
    target = Target("embedded", cloud.endpoint)
    with pytest.raises(DeployError, match=r"hasn't released eni-1"):
        stack.teardown(target, [{"undo": "stack", "name": "wb-1"}], say=lambda line: None)
    assert ["DeleteStack", "DeleteStack"] == deletions(cloud)


def test_a_secret_in_its_waiting_time_goes_at_once(target: Target):
    """Neither a new secret nor one that waits is kept."""
    secrets = target.client("secretsmanager")
    made = secrets.create_secret(Name="wb-1-secret", SecretString="x")["ARN"]
    secrets.delete_secret(SecretId=made, RecoveryWindowInDays=30)
    assert [State.REMOVED, State.ABSENT] == [removal.by_arn(target, made).state for _ in range(2)]


def test_a_secret_that_may_not_go_at_once_is_pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who may not delete it is told when it will go by itself, and that it stays if it won't."""
    may = {"Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": "*"}
    with rehearsals.account(tmp_path) as emulator:
        secrets = rehearsals.root(emulator).client("secretsmanager")
        kept, waiting = (secrets.create_secret(Name=name, SecretString="x")["ARN"] for name in ("kept", "waiting"))
        secrets.delete_secret(SecretId=waiting, RecoveryWindowInDays=7)
        policy = {"Version": "2012-10-17", "Statement": [may]}
        for name, value in rehearsals.principal(emulator, policy).items():
            monkeypatch.setenv(name, value)
        fates = [removal.by_arn(configured("aws"), arn) for arn in (kept, waiting)]
    assert [State.LEFT, State.PENDING] == [fate.state for fate in fates]
    assert "AccessDenied" in str(fates[0])
    assert f"pending until {datetime.now(UTC) + timedelta(days=7):%Y-%m-%d}" in str(fates[1])


def test_a_noted_call_for_a_key_takes_the_shortest_wait(target: Target):
    """A teardown says until when a key is pending, and is done with it."""
    kms, said = target.client("kms"), []
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    parameters = {"KeyId": key, "PendingWindowInDays": 30}
    entry = {"undo": "call", "service": "kms", "operation": "schedule_key_deletion", "parameters": parameters}
    assert [] == stack.teardown(target, [entry], say=said.append)
    date = kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"]
    assert date < datetime.now(UTC) + timedelta(days=7, minutes=1)
    assert [f"key {key}, pending until {date.astimezone(UTC):%Y-%m-%d %H:%M} UTC"] == said


def test_a_bucket_of_many_versions_goes(target: Target):
    """More than one page of versions, and an upload that was never finished."""
    s3 = target.client("s3")
    s3.create_bucket(Bucket="wb-many")
    s3.put_bucket_versioning(Bucket="wb-many", VersioningConfiguration={"Status": "Enabled"})
    for number in range(1005):
        s3.put_object(Bucket="wb-many", Key=f"key-{number % 10}", Body=b"")
    s3.delete_object(Bucket="wb-many", Key="key-0")
    s3.create_multipart_upload(Bucket="wb-many", Key="half")
    assert [State.REMOVED, State.ABSENT] == [removal.bucket(target, "wb-many").state for _ in range(2)]


@pytest.mark.parametrize(
    "arn", ["arn:aws:ec2:us-east-1:1:instance/i-1", "arn:aws:lambda:us-east-1:1:layer:one:2", "arn:aws:s3:::b/key"]
)
def test_what_is_of_no_known_kind_is_left_and_named(target: Target, arn: str):
    """It is never passed over in silence."""
    fate = removal.by_arn(target, arn)
    assert (arn, State.LEFT) == (fate.thing, fate.state)
    assert "doesn't know how to remove" in str(fate)


@pytest.mark.parametrize(
    ("arn", "thing"),
    [
        ("arn:aws:lambda:us-east-1:1:function:f", "function f"),
        ("arn:aws:logs:us-east-1:1:log-group:/aws/lambda/f:*", "log group /aws/lambda/f"),
        ("arn:aws:apigateway:us-east-1::/apis/ab12/stages/$default", "HTTP API ab12"),
        ("arn:aws:apigateway:us-east-1::/restapis/ab12/stages/prod", "REST API ab12"),
        ("arn:aws:iam::1:role/path/r", "role r"),
        ("arn:aws:sqs:us-east-1:1:q", "queue q"),
        ("arn:aws:dynamodb:us-east-1:1:table/t", "table t"),
        ("arn:aws:s3:::never-made", "bucket never-made"),
        (f"arn:aws:lambda:us-east-1:1:event-source-mapping:{UUID}", f"event source mapping {UUID}"),
    ],
)
def test_what_an_arn_names_is_gone_or_goes(target: Target, arn: str, thing: str):
    """What the tagging service still tells of after its deletion is no error."""
    fate = removal.by_arn(target, arn)
    assert (thing, State.ABSENT) == (fate.thing, fate.state), fate


@dataclass
class Guard:
    """What refuses every deletion as AWS does without the condition of a right, and tells whoever reads what it is told to."""

    endpoint: str
    reads: str = "gone"

    def answer(self, method: str, body: str) -> Reply:
        error = query_error if "Action=" in body else json_error
        if method == "DELETE" or "Action=Delete" in body or self.reads == "hidden":
            return error("AccessDenied", "User: u is not authorized to perform: x:Y because no policy allows it")
        if self.reads == "gone":
            return error("NoSuchEntity" if error is query_error else "NotFoundException", "It isn't there.", 404)
        return Reply(200, "{}" if error is json_error else "<GetRoleResponse><GetRoleResult/></GetRoleResponse>")


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-to-be-seen")
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            reply = there.answer(self.command, body)
            self.send_response(reply.status)
            if reply.kind:
                self.send_header("x-amzn-ErrorType", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body.encode())

        do_GET = do_DELETE = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with served(Handler) as endpoint:
        there = Guard(endpoint)
        yield there


GUARDED = [
    ("AWS::ApiGatewayV2::Api", "ab12"),
    ("AWS::ApiGateway::RestApi", "ab12"),
    ("AWS::Lambda::EventSourceMapping", UUID),
]
READS = pytest.mark.parametrize(
    ("reads", "state"), [("gone", State.ABSENT), ("there", State.LEFT), ("hidden", State.LEFT)]
)


@READS
@pytest.mark.parametrize(("kind", "identifier"), GUARDED)
def test_a_refusal_is_no_sign_that_a_thing_is_there(guard: Guard, reads: str, state: State, kind: str, identifier: str):
    """AWS refuses before it looks where a right asks for a tag that what is gone hasn't got; what is there is left, with the reason."""
    guard.reads = reads
    fate = removal.resource(Target("aws", guard.endpoint), kind, identifier)
    assert (state, state is State.LEFT) == (fate.state, "AccessDenied" in fate.reason), fate


@READS
def test_a_noted_call_about_a_role_that_is_gone_is_done(guard: Guard, reads: str, state: State):
    """A role that is gone has no boundary, by which alone its policies may be deleted."""
    guard.reads = reads
    parameters = {"RoleName": "wb-1-role", "PolicyName": "its-log"}
    fate = removal.call(Target("aws", guard.endpoint), "iam", "delete_role_policy", parameters)
    assert (state, "role policy wb-1-role its-log") == (fate.state, fate.thing)


def test_what_an_organisation_refuses_is_left(guard: Guard, monkeypatch: pytest.MonkeyPatch):
    """It is said in one sentence, and the rest of a clean goes on."""
    said = "User: u is not authorized to perform: x:Y with an explicit deny in a service control policy"
    monkeypatch.setattr(Guard, "answer", lambda *_: json_error("AccessDeniedException", said))
    fate = removal.resource(Target("aws", guard.endpoint), *GUARDED[0])
    assert (State.LEFT, True) == (fate.state, "organisation doesn't allow x:Y" in fate.reason)
