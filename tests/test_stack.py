"""A template becomes a stack, and goes again."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rehearsals
from botocore.exceptions import ClientError

from workbook import removal, stack
from workbook.errors import DeployError, ParameterError, TargetError
from workbook.targets import Target, configured

FUNCTION = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Colour:
    Type: String
    Default: green
Resources:
  Paint:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: paint/
      Handler: app.handler
      Runtime: python3.13
      Environment:
        Variables:
          COLOUR: !Ref Colour
Outputs:
  Paint:
    Value: !Ref Paint
"""
CODE = 'import os\n\ndef handler(event, context):\n    return "one " + os.environ["COLOUR"]\n'
QUEUE = "Resources:\n  Line:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: {}\n"
ROLE = (
    "Resources:\n"
    "  Own:\n    Type: AWS::IAM::Role\n    Properties:\n"
    "      AssumeRolePolicyDocument:\n"
    "        Statement: {Effect: Deny, Principal: '*', Action: 'sts:AssumeRole'}\n"
)
APIS = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Http:
    Type: AWS::Serverless::HttpApi
    Properties: {Tags: {colour: green}, DefinitionBody: {openapi: 3.0.1, info: {title: h, version: "1"}, paths: {}}}
  Rest:
    Type: AWS::Serverless::Api
    Properties:
      Tags: {colour: green}
      StageName: prod
      OpenApiVersion: "2.0"
      DefinitionBody: {swagger: "2.0", info: {title: r, version: "1"}, paths: {}}
"""
BROKEN_QUEUE = QUEUE.format(99999999)  # AWS allows 12 hours at most


@dataclass
class Desk:
    """Where one test deploys from: a folder with a template and a handler, and what was said and remembered."""

    target: Target
    folder: Path
    name: str
    remembered: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def deploy(self, template: str, **options: Any) -> stack.Stack:
        path = self.write("template.yaml", template)
        own = {"tags": {"workbook:run": self.name}, "remember": self.remembered.append, "say": self.said.append}
        return stack.deploy(self.target, path, name=self.name, **{**own, **options})

    def teardown(self) -> list[str]:
        return stack.teardown(self.target, self.remembered, say=self.said.append)

    def run(self, function: str) -> Any:
        return json.load(self.target.client("lambda").invoke(FunctionName=function)["Payload"])

    def stacks(self) -> list[str]:
        return stack.leftovers(self.target, self.name)

    def buckets(self) -> list[str]:
        names = [bucket["Name"] for bucket in self.target.client("s3").list_buckets()["Buckets"]]
        return [name for name in names if name.startswith(self.name)]


@pytest.fixture
def desk(target: Target, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    name = f"wb-{re.sub('[^a-z0-9]+', '-', request.node.name.lower())}"[:50].rstrip("-")
    desk = Desk(target, tmp_path, name)
    desk.write("paint/app.py", CODE)
    try:
        yield desk
    finally:
        desk.teardown()


# deploying


def test_a_deployed_function_answers(desk: Desk):
    """A template with a folder of code becomes a function, whose name the outputs tell."""
    deployed = desk.deploy(FUNCTION)
    assert "one green" == desk.run(deployed.outputs["Paint"])
    assert deployed.outputs["Paint"] == deployed.resources["Paint"]
    assert (desk.name, True) == (deployed.name, deployed.changed)


def test_a_bucket_in_another_region_is_refused_by_name(desk: Desk):
    """Lambda would not take the code from there."""
    bucket = f"{desk.name}-{desk.target.account_id}"
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    replace(desk.target, region="eu-west-1").client("s3").create_bucket(Bucket=bucket, **elsewhere)
    with pytest.raises(DeployError, match=f"{bucket} is in eu-west-1, not in us-east-1"):
        desk.deploy(FUNCTION)
    assert [] == desk.stacks()


def test_each_resource_is_told_of(desk: Desk):
    """While it works, one line a resource says what is there."""
    desk.deploy(FUNCTION)
    assert ["Paint (AWS::Lambda::Function): create complete"] == [line for line in desk.said if "Paint (" in line]
    assert not any("IN_PROGRESS" in line for line in desk.said)


def test_a_parameter_reaches_the_template(desk: Desk):
    """What is passed in takes the place of a parameter's default."""
    deployed = desk.deploy(FUNCTION, parameters={"Colour": "blue"})
    assert "one blue" == desk.run(deployed.outputs["Paint"])


def test_the_files_stay_as_they_are(desk: Desk):
    """Deploying changes neither the template nor the handler's folder."""
    desk.deploy(FUNCTION)
    assert {"template.yaml": FUNCTION, "paint/app.py": CODE} == {
        str(path.relative_to(desk.folder)): path.read_text() for path in desk.folder.rglob("*") if path.is_file()
    }


def test_unchanged_code_is_not_deployed_again(desk: Desk):
    """The same template and the same code are a no-op that leaves no change set behind."""
    first = desk.deploy(FUNCTION)
    configuration = desk.target.client("lambda").get_function_configuration(FunctionName=first.outputs["Paint"])
    s3, mark = desk.target.client("s3"), {"mark": "kept"}
    (bucket,) = desk.buckets()
    artifact = {"Bucket": bucket, "Key": s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]}
    s3.put_object(**artifact, Metadata=mark)
    (desk.folder / "paint" / "app.py").touch()
    second = desk.deploy(FUNCTION)

    assert (False, first.outputs, first.resources) == (second.changed, second.outputs, second.resources)
    again = desk.target.client("lambda").get_function_configuration(FunctionName=first.outputs["Paint"])
    assert configuration["RevisionId"] == again["RevisionId"]
    assert mark == s3.head_object(**artifact)["Metadata"]  # an object that is sent again loses it
    sets = desk.target.client("cloudformation").list_change_sets(StackName=desk.name)["Summaries"]
    assert "FAILED" not in [change_set["Status"] for change_set in sets]
    assert f"{desk.name}: nothing has changed" == desk.said[-1]


def test_changed_code_replaces_the_old(desk: Desk):
    """New code under the same template is found, and runs at the next call."""
    name = desk.deploy(FUNCTION).outputs["Paint"]
    desk.write("paint/app.py", CODE.replace("one", "two"))
    deployed = desk.deploy(FUNCTION)
    assert (True, name, "two green") == (deployed.changed, deployed.outputs["Paint"], desk.run(name))


def test_a_change_set_is_named_with_its_stack(desk: Desk):
    """A right on a stack is then asked for under its name, whether the change is made or found to be none."""
    calls: list[tuple[str, str]] = []
    events = desk.target.client("cloudformation").meta.events

    def note(params: dict[str, str], model: Any, **_: Any) -> None:
        if model.name.endswith("ChangeSet"):
            calls.append((model.name, params["StackName"]))

    events.register("provide-client-params.cloudformation", note, unique_id="note")
    try:
        desk.deploy(QUEUE.format(30))
        desk.deploy(QUEUE.format(30))
    finally:
        events.unregister("provide-client-params.cloudformation", unique_id="note")
    asked = {"CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet"}
    assert {(operation, desk.name) for operation in asked} == set(calls)


def test_everything_carries_the_tags(desk: Desk):
    """Stack, function and bucket can be found by their run, whatever becomes of our memory."""
    function = desk.deploy(FUNCTION).outputs["Paint"]
    tags = desk.target.client("lambda").get_function(FunctionName=function)["Tags"]
    bucket = desk.target.client("s3").get_bucket_tagging(Bucket=desk.buckets()[0])["TagSet"]
    assert desk.name == tags["workbook:run"]
    assert [{"Key": "workbook:run", "Value": desk.name}] == bucket
    assert [desk.name] == stack.leftovers(desk.target, desk.name)
    assert [] == stack.leftovers(desk.target, "another-run")


def test_every_api_and_stage_carries_the_tags(desk: Desk):
    """They may not get a stack's tags, so they have them of their own, beside those that the template gives."""
    made = desk.deploy(APIS).resources
    cloudformation, name = desk.target.client("cloudformation"), {"StackName": desk.name}
    sent = cloudformation.get_template(**name, TemplateStage="Processed")["TemplateBody"]["Resources"]
    own = {"colour": "green", "workbook:run": desk.name}
    by_sam = {"httpapi:createdBy": "SAM"} | own
    tagged = {one["Type"]: one["Properties"] for one in sent.values()}
    for kind in ("AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage"):
        assert own == {tag["Key"]: tag["Value"] for tag in tagged[kind]["Tags"]}
    assert by_sam == tagged["AWS::ApiGatewayV2::Stage"]["Tags"]
    assert "Tags" not in tagged["AWS::ApiGatewayV2::Api"]  # CloudFormation refuses them beside a body
    assert by_sam.items() <= desk.target.client("apigatewayv2").get_api(ApiId=made["Http"])["Tags"].items()


def test_a_template_without_code_needs_no_bucket(desk: Desk):
    """What isn't needed isn't made."""
    desk.deploy(QUEUE.format(30))
    assert ([desk.name], []) == (desk.stacks(), desk.buckets())


# failing


def test_a_failing_resource_gives_its_own_reason(desk: Desk):
    """The error names the resource and says why, and what was rolled back goes with the teardown."""
    with pytest.raises(DeployError, match=r"Line: .*VisibilityTimeout.* Correct that resource") as caught:
        desk.deploy(BROKEN_QUEUE)
    assert f"the stack {desk.name} could not be deployed" in caught.value.why
    assert [f"stack {desk.name}"] == desk.teardown()
    assert [] == desk.stacks()


def test_a_failed_creation_can_be_repaired(desk: Desk):
    """After a failed first deployment the corrected template deploys under the same name, as a stack made anew."""
    with pytest.raises(DeployError):
        desk.deploy(BROKEN_QUEUE)
    cloudformation = desk.target.client("cloudformation")
    failed = cloudformation.describe_stacks(StackName=desk.name)["Stacks"][0]
    assert desk.deploy(QUEUE.format(30)).changed
    assert failed["StackId"] != cloudformation.describe_stacks(StackName=desk.name)["Stacks"][0]["StackId"]


def test_a_failed_update_keeps_what_was(desk: Desk):
    """A stack that can't be updated goes back to what it was, and can be updated afterwards."""
    url = desk.deploy(QUEUE.format(30)).resources["Line"]
    with pytest.raises(DeployError, match="Line: "):
        desk.deploy(BROKEN_QUEUE)
    sqs = desk.target.client("sqs")
    timeout = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert {"VisibilityTimeout": "30"} == timeout["Attributes"]
    assert desk.deploy(QUEUE.format(40)).changed


def test_what_validation_finds_is_told(desk: Desk):
    """Where a stack's own reason only points elsewhere, the error says what was found there."""
    taken = f"{desk.name}-taken"
    desk.target.client("s3").create_bucket(Bucket=taken)
    desk.remembered.append({"undo": "bucket", "name": taken})
    template = f"Resources:\n  Store:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: {taken}\n"
    with pytest.raises(DeployError, match=r"Store: .*already exists"):
        desk.deploy(template)


def test_a_refused_template_gives_the_services_words(desk: Desk):
    """What CloudFormation refuses at once is an error of the template, not a traceback."""
    template = "Parameters:\n  Size:\n    Type: Number\n" + QUEUE.format("!Ref Size")
    with pytest.raises(DeployError, match=r"CreateChangeSet was refused for .*Size.* Correct the template"):
        desk.deploy(template)


def _remove_code(desk: Desk) -> None:
    (desk.folder / "paint" / "app.py").unlink()


FAULTS: dict[str, tuple[str, Callable[[Desk], object], str]] = {
    "not YAML": ("Resources: [", lambda desk: None, r"template\.yaml:\d+: "),
    "no resources": ("Outputs: {}", lambda desk: None, "has no Resources"),
    "no code": (FUNCTION, _remove_code, "paint is empty"),
    "no folder": (FUNCTION.replace("paint/", "nowhere/"), lambda desk: None, "nowhere is not there"),
    "no runtime": (FUNCTION.replace("      Runtime: python3.13\n", ""), lambda desk: None, "names the runtime None"),
    "code of yesterday": (FUNCTION, lambda desk: desk.write("paint/app.py", "import imp"), "app.py:1: imports imp"),
}


@pytest.mark.parametrize(("template", "spoil", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_before_anything_is_made(
    desk: Desk, template: str, spoil: Callable[[Desk], object], words: str
):
    """What can be seen in the files is said in three parts, and nothing has to be undone."""
    spoil(desk)
    with pytest.raises(DeployError, match=words) as caught:
        desk.deploy(template)
    assert caught.value.why
    assert caught.value.fix
    assert ([], [], []) == (desk.remembered, desk.stacks(), desk.buckets())


@pytest.mark.parametrize("name", ["", "Wb-1", "1-wb", "wb_1", "w" * 51])
def test_a_name_has_to_suit_a_bucket(desk: Desk, name: str):
    """A stack's name also names its bucket, so it is looked at first."""
    desk.name = name
    with pytest.raises(DeployError, match=r"can't be used\. .* at most 50"):
        desk.deploy(FUNCTION)
    assert [] == desk.remembered


def test_waiting_has_an_end(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """A stack that never comes to an end is given up, and can be taken away."""
    monkeypatch.setattr(removal, "DEADLINE_S", 0.05)
    handle = (
        "Resources:\n"
        "  Handle:\n    Type: AWS::CloudFormation::WaitConditionHandle\n"
        "  Never:\n    Type: AWS::CloudFormation::WaitCondition\n"
        "    Properties:\n      Handle: !Ref Handle\n      Timeout: 1\n"
    )
    with pytest.raises(DeployError, match=r"Waited 0\.05 s for news of the stack"):
        desk.deploy(handle)
    monkeypatch.undo()


# taking away


def test_teardown_takes_everything_away(desk: Desk):
    """Stack, bucket and what is in it go, and the answer says so."""
    desk.deploy(FUNCTION)
    bucket = desk.buckets()[0]
    assert [f"stack {desk.name}", f"bucket {bucket}"] == desk.teardown()
    assert ([], []) == (desk.stacks(), desk.buckets())


def test_teardown_may_be_repeated(desk: Desk):
    """A second teardown finds nothing to do, and is no error."""
    desk.deploy(FUNCTION)
    desk.teardown()
    assert [] == desk.teardown()


def test_what_is_remembered_survives_as_json(desk: Desk):
    """Memory is written to a file by whoever deploys: another process can take everything away from it."""
    desk.deploy(FUNCTION)
    assert json.loads(json.dumps(desk.remembered)) == desk.remembered


def test_a_thing_is_remembered_before_it_is_made(desk: Desk):
    """Whoever is killed at any moment has already written down what to take away."""
    moments = []

    def remember(entry: dict[str, Any]) -> None:
        desk.remembered.append(entry)
        moments.append((entry["undo"], len(desk.buckets()), len(desk.stacks())))

    desk.deploy(FUNCTION, remember=remember)
    assert [("bucket", 0, 0), ("stack", 1, 0)] == moments[:2]


def test_a_log_that_a_function_made_itself_goes_too(desk: Desk):
    """A log group that no template declares would stay for ever, so the teardown looks for it."""
    function = desk.deploy(FUNCTION).outputs["Paint"]
    desk.run(function)
    logs, prefix = desk.target.client("logs"), {"logGroupNamePrefix": f"/aws/lambda/{function}"}
    assert 1 == len(logs.describe_log_groups(**prefix)["logGroups"])
    assert f"log group /aws/lambda/{function}" in desk.teardown()
    assert [] == logs.describe_log_groups(**prefix)["logGroups"]


def test_what_a_lesson_made_by_hand_goes_newest_first(desk: Desk):
    """Calls that were noted are made in reverse order, and what is gone already is passed over."""
    topic = desk.target.client("sns").create_topic(Name=f"{desk.name}-topic")["TopicArn"]
    queue = desk.target.client("sqs").create_queue(QueueName=f"{desk.name}-queue")["QueueUrl"]
    desk.remembered += [
        _call("sns", "delete_topic", TopicArn=topic),
        _call("sqs", "delete_queue", QueueUrl=queue),
        _call("lambda", "delete_function", FunctionName="never-made"),
        _call("iam", "delete_role", RoleName="never-made"),
        _call("dynamodb", "delete_table", TableName="never-made"),
        _call("logs", "delete_log_group", logGroupName="never-made"),
        {"undo": "bucket", "name": "never-made"},
        {"undo": "stack", "name": "never-made"},
    ]
    assert [f"queue {queue}", f"topic {topic}"] == desk.teardown()
    assert [f"removed queue {queue}", f"removed topic {topic}"] == desk.said


def test_what_stays_is_reported_and_stops_nothing(desk: Desk):
    """One thing that can't be removed doesn't keep the others, and the error names it with the reason."""
    iam = desk.target.client("iam")
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
    nothing = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    iam.create_role(RoleName=desk.name, AssumeRolePolicyDocument=_policy(nobody))
    iam.put_role_policy(RoleName=desk.name, PolicyName="p", PolicyDocument=_policy(nothing))
    queue = desk.target.client("sqs").create_queue(QueueName=desk.name)["QueueUrl"]
    remembered = [_call("sqs", "delete_queue", QueueUrl=queue), _call("iam", "delete_role", RoleName=desk.name)]
    with pytest.raises(DeployError, match=rf"role {desk.name}: .*DeleteConflict.* clean again"):
        stack.teardown(desk.target, remembered, say=desk.said.append)
    assert [f"removed queue {queue}"] == desk.said
    iam.delete_role_policy(RoleName=desk.name, PolicyName="p")
    assert [f"role {desk.name}"] == stack.teardown(desk.target, remembered, say=desk.said.append)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName=desk.name)


def test_a_stack_that_cannot_go_is_reported(desk: Desk):
    """What was put into a network by hand keeps it, and its stack; the error says so, and the next teardown succeeds."""
    template = "Resources:\n  Net:\n    Type: AWS::EC2::VPC\n    Properties:\n      CidrBlock: 10.0.0.0/16\n"
    network = desk.deploy(template).resources["Net"]
    ec2 = desk.target.client("ec2")
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    with pytest.raises(DeployError, match=rf"stack {desk.name}: it could not be deleted: Net: .*DependencyViolation"):
        desk.teardown()
    ec2.delete_subnet(SubnetId=subnet)
    assert network != desk.deploy(template).resources["Net"]  # what is left of a stack goes before it is made anew
    assert [f"stack {desk.name}"] == desk.teardown()


def _policy(statement: dict[str, str]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _call(service: str, operation: str, **parameters: str) -> dict[str, Any]:
    return {"undo": "call", "service": service, "operation": operation, "parameters": parameters}


def test_a_lost_target_ends_the_teardown(target: Target):
    """If nobody answers, that is said once, and not for each thing."""
    nobody = Target("embedded", "http://127.0.0.1:9")
    with pytest.raises(TargetError, match="gave no answer"):
        stack.teardown(nobody, [{"undo": "stack", "name": "x"}, {"undo": "stack", "name": "y"}])


# whose it is


NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def test_tags_say_whose_it_is_and_until_when(target: Target, monkeypatch: pytest.MonkeyPatch):
    """Run, lesson, owner and the moment from which on it may go: a day later, unless another number of hours is asked for."""
    monkeypatch.delenv("WORKBOOK_EXPIRES_H", raising=False)
    tags = stack.tags(target, run="r1", lesson="00_start_here", now=NOW)
    assert {
        "workbook:run": "r1",
        "workbook:lesson": "00_start_here",
        "workbook:owner": "learner",
        "workbook:expires": "2026-11-23T10:00:00Z",
    } == tags
    monkeypatch.setenv("WORKBOOK_EXPIRES_H", "1.5")
    assert "2026-11-22T11:30:00Z" == stack.tags(target, run="r1", lesson="x", now=NOW)["workbook:expires"]


@pytest.mark.parametrize("hours", ["", "0", "-1", "nan", "1e3", "8785", "soon"])
def test_an_expiry_is_a_number_of_hours(target: Target, monkeypatch: pytest.MonkeyPatch, hours: str):
    """What is no such number is said before anything is made."""
    monkeypatch.setenv("WORKBOOK_EXPIRES_H", hours)
    with pytest.raises(ParameterError, match=r"is not a number of hours\. .* such as 24"):
        stack.tags(target, run="r1", lesson="x", now=NOW)


def test_a_role_on_aws_has_the_boundary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """There every role is limited by it, one that SAM makes too; neither an emulator's is, nor the template on disk changed."""
    template = FUNCTION.replace("Resources:\n", ROLE)
    with rehearsals.account(tmp_path) as emulator:
        for name, value in rehearsals.principal(emulator).items():
            monkeypatch.setenv(name, value)
        root = rehearsals.root(emulator)
        bounds = {}
        for place in (configured("aws"), root):
            desk = Desk(place, tmp_path, f"wb-bound-{place.name}")
            desk.write("paint/app.py", CODE)
            desk.deploy(template)
            made = {"StackName": desk.name, "TemplateStage": "Original"}
            sent = place.client("cloudformation").get_template(**made)["TemplateBody"]["Resources"]
            bounds[place.name] = [sent[name]["Properties"].get("PermissionsBoundary") for name in ("Own", "Paint")]
            assert template == (tmp_path / "template.yaml").read_text()
    arn = f"arn:aws:iam::{rehearsals.ACCOUNT_ID}:policy/workbook-boundary"
    assert {"aws": [arn, arn], "embedded": [None, None]} == bounds
