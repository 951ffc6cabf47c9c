"""An emulator that enforces IAM: its trail, each request's own permission, and CloudFormation with its caller's rights."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rehearsals
from botocore.exceptions import ClientError
from waits import wait_until

from workbook.emulator import Emulator, start
from workbook.targets import Target, connect

ROLE = f"arn:aws:iam::{rehearsals.ACCOUNT_ID}:role/wb-role"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
QUEUE = {"Resources": {"Orders": {"Type": "AWS::SQS::Queue", "Properties": {}}}}
STACKS = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "arn:aws:cloudformation:*:*:stack/wb-*"}
As = Callable[..., Target]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that enforces IAM, with a role for functions."""
    with rehearsals.account(tmp_path_factory.mktemp("account")) as emulator:
        iam = rehearsals.root(emulator).client("iam")
        iam.create_role(RoleName="wb-role", AssumeRolePolicyDocument=json.dumps(TRUST))
        yield emulator


@pytest.fixture
def as_user(account: Emulator, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> As:
    """Make a user of this test with some statements, and return the target aws as that user."""

    def make(*statements: dict[str, Any]) -> Target:
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        for name, value in rehearsals.principal(account, policy, name=request.node.name[:60]).items():
            monkeypatch.setenv(name, value)
        return connect(
            "aws",
            endpoint=account.endpoint,
            region=rehearsals.REGION,
            account_id=rehearsals.ACCOUNT_ID,
            cap_usd=1,
        )

    return make


def _may(*actions: str, on: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, "Condition": condition}


def _trail(account: Emulator, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    user = f"arn:aws:iam::{rehearsals.ACCOUNT_ID}:user/{request.node.name[:60]}"
    lines = map(json.loads, account.trail.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["principal"] == user and line["action"] != "sts:GetCallerIdentity"]


def _code() -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as content:
        content.writestr("app.py", "def handler(event, context):\n    return 1\n")
    return package.getvalue()


def _function(name: str) -> dict[str, Any]:
    runs = {"Runtime": "python3.13", "Handler": "app.handler", "Code": {"ZipFile": _code()}}
    return {"FunctionName": name, "Role": ROLE, **runs}


def _deploy(target: Target, template: dict[str, Any], name: str) -> dict[str, Any]:
    """Deploy a stack and return it as it is when it has ended."""
    cloudformation = target.client("cloudformation")
    body, tags = json.dumps(template), [{"Key": "workbook:run", "Value": "1"}]
    cloudformation.create_stack(StackName=name, TemplateBody=body, Tags=tags, Capabilities=["CAPABILITY_IAM"])
    return _ended(target, name)


def _ended(target: Target, name: str) -> dict[str, Any]:
    def stack() -> dict[str, Any]:
        return target.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]

    wait_until(lambda: not stack()["StackStatus"].endswith("_IN_PROGRESS"))
    return stack()


def _reasons(target: Target, name: str, status: str) -> list[str]:
    events = target.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [
        event["ResourceStatusReason"]
        for event in events
        if event["ResourceStatus"] == status and "ResourceStatusReason" in event and event["LogicalResourceId"] != name
    ]


# the trail


def test_a_line_says_who_asked_for_what_and_whether_it_was_allowed(account, request, as_user: As):
    """What was allowed and what was refused stand side by side."""
    sqs = as_user(_may("sqs:ListQueues")).client("sqs")
    sqs.list_queues()
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.create_queue(QueueName="wb-q")
    listed, refused = _trail(account, request)
    assert ("sqs:ListQueues", "*", True) == (listed["action"], listed["resource"], listed["allowed"])
    queue = f"arn:aws:sqs:{rehearsals.REGION}:{rehearsals.ACCOUNT_ID}:wb-q"
    assert ("sqs:CreateQueue", queue, False) == (refused["action"], refused["resource"], refused["allowed"])
    assert listed["at"] < refused["at"]
    assert listed["access_key"].startswith("AKIA")


def test_an_emulator_that_enforces_nothing_keeps_no_trail(tmp_path: Path):
    """Nobody is asked there."""
    with start(log=tmp_path / "emulator.log") as emulator:
        connect("embedded", endpoint=emulator.endpoint).client("sqs").list_queues()
        assert not emulator.trail.exists()


# each request's own permission


def test_an_operation_of_lambda_asks_for_its_own_permission(account, request, as_user: As):
    """MiniStack takes these for others, or asks for nothing."""
    operations = {
        "get_account_settings": {},
        "delete_function_concurrency": {"FunctionName": "wb-f"},
        "get_provisioned_concurrency_config": {"FunctionName": "wb-f", "Qualifier": "1"},
        "update_event_source_mapping": {"UUID": "00000000-0000-0000-0000-000000000000"},
        "delete_function_url_config": {"FunctionName": "wb-f"},
        "invoke": {"FunctionName": "wb-f"},
    }
    functions = as_user(_may("sqs:ListQueues")).client("lambda")
    for operation, parameters in operations.items():
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(functions, operation)(**parameters)
    assert [
        "lambda:GetAccountSettings",
        "lambda:DeleteFunctionConcurrency",
        "lambda:GetProvisionedConcurrencyConfig",
        "lambda:UpdateEventSourceMapping",
        "lambda:DeleteFunctionUrlConfig",
        "lambda:InvokeFunction",
    ] == [line["action"] for line in _trail(account, request)]


def test_who_makes_a_function_hands_it_a_role(account, request, as_user: As):
    """Without iam:PassRole for that role, or for another service than Lambda, the function is refused."""
    create = _may("lambda:CreateFunction", on="arn:aws:lambda:*:*:function:wb-*")
    elsewhere = _may("iam:PassRole", on=ROLE, StringEquals={"iam:PassedToService": "ec2.amazonaws.com"})
    with pytest.raises(ClientError, match="AccessDenied"):
        as_user(create, elsewhere).client("lambda").create_function(**_function("wb-f"))
    assert [("lambda:CreateFunction", True), ("iam:PassRole", False)] == [
        (line["action"], line["allowed"]) for line in _trail(account, request)
    ]


def test_a_role_can_be_limited_to_those_with_a_boundary(as_user: As):
    """The condition is met by the boundary of the request, and later by that of the role."""
    boundary = f"arn:aws:iam::{rehearsals.ACCOUNT_ID}:policy/workbook-boundary"
    bounded = _may("iam:CreateRole", "iam:PutRolePolicy", ArnLike={"iam:PermissionsBoundary": boundary})
    iam = as_user(bounded).client("iam")
    role = {"RoleName": "wb-bounded", "AssumeRolePolicyDocument": json.dumps(TRUST)}
    policy = {"PolicyName": "p", "PolicyDocument": json.dumps(rehearsals.ANYTHING)}
    with pytest.raises(ClientError, match="AccessDenied"):
        iam.create_role(**role)
    iam.create_role(**role, PermissionsBoundary=boundary)
    iam.put_role_policy(RoleName="wb-bounded", **policy)
    with pytest.raises(ClientError, match="AccessDenied"):
        iam.put_role_policy(RoleName="wb-role", **policy)


def test_a_change_set_is_its_stacks(as_user: As):
    """Who may touch some stacks may touch their change sets, and no others."""
    queues = _may("sqs:*", on="arn:aws:sqs:*:*:wb-*")
    target = as_user(STACKS, queues)
    change = {"StackName": "wb-changed", "ChangeSetName": "c", "ChangeSetType": "CREATE"}
    made = target.client("cloudformation").create_change_set(**change, TemplateBody=json.dumps(QUEUE))
    target.client("cloudformation").execute_change_set(ChangeSetName=made["Id"])
    assert "CREATE_COMPLETE" == _ended(target, "wb-changed")["StackStatus"]


API = f"arn:aws:apigateway:{rehearsals.REGION}:"
FOREIGN = [
    ("apigateway", "update_account", {"patchOperations": []}),
    ("apigateway", "delete_rest_api", {"restApiId": "foreign"}),
    ("apigateway", "update_rest_api", {"restApiId": "foreign", "patchOperations": []}),
    ("apigateway", "put_rest_api", {"restApiId": "foreign", "body": b"{}"}),
    ("apigatewayv2", "update_api", {"ApiId": "foreign", "Name": "mine"}),
    ("apigateway", "tag_resource", {"resourceArn": f"{API}/domainnames/foreign", "tags": {"workbook:run": "1"}}),
    ("apigateway", "tag_resource", {"resourceArn": f"{API}/restapis/foreign", "tags": {"colour": "green"}}),
    ("apigateway", "untag_resource", {"resourceArn": f"{API}/restapis/foreign", "tagKeys": ["workbook:run"]}),
    ("iam", "delete_role_permissions_boundary", {"RoleName": "wb-role"}),
    ("iam", "create_role", {"RoleName": "wb-free", "AssumeRolePolicyDocument": json.dumps(TRUST)}),
    ("iam", "put_role_policy", {"RoleName": "wb-role", "PolicyName": "p", "PolicyDocument": "{}"}),
    ("iam", "create_user", {"UserName": "wb-me"}),
    ("lambda", "invoke", {"FunctionName": "foreign"}),
    ("lambda", "update_function_code", {"FunctionName": "foreign", "ZipFile": b""}),
    ("lambda", "create_function_url_config", {"FunctionName": "wb-f", "AuthType": "NONE"}),
    (
        "lambda",
        "add_permission",
        {"FunctionName": "wb-f", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"},
    ),
    ("s3", "delete_bucket", {"Bucket": "foreign"}),
    ("sqs", "send_message", {"QueueUrl": f"http://localhost/{rehearsals.ACCOUNT_ID}/foreign", "MessageBody": "x"}),
    ("dynamodb", "delete_table", {"TableName": "foreign"}),
    ("cloudformation", "delete_stack", {"StackName": "foreign"}),
    ("logs", "delete_log_group", {"logGroupName": "/aws/lambda/foreign"}),
    ("ec2", "create_nat_gateway", {"SubnetId": "subnet-1"}),
    ("rds", "create_db_instance", {"DBInstanceIdentifier": "wb-d", "DBInstanceClass": "c", "Engine": "postgres"}),
]


def test_a_learner_may_touch_nothing_foreign(as_user: As):
    """Neither what others made, nor the limits that were set, nor what no lesson needs."""
    target = as_user(*rehearsals.learner_policy()["Statement"])
    for service, operation, parameters in FOREIGN:
        with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
            getattr(target.client(service), operation)(**parameters)


# CloudFormation


def test_a_stack_is_made_with_its_callers_rights(account, request, as_user: As):
    """What CloudFormation needs stands in the trail under the caller's name, with the stack's, and with no right too many."""
    made = _may("sqs:CreateQueue", "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:TagQueue")
    assert "CREATE_COMPLETE" == _deploy(as_user(STACKS, made), QUEUE, "wb-made")["StackStatus"]
    of_stack = {line["action"] for line in _trail(account, request) if line["stack"] == "wb-made"}
    assert set(made["Action"]) == of_stack


def test_a_refused_resource_fails_its_stack_in_awss_words(as_user: As):
    """The reason names the caller, the action and the resource."""
    target = as_user(STACKS, _may("sqs:GetQueueUrl"))
    assert "ROLLBACK_COMPLETE" == _deploy(target, QUEUE, "wb-refused")["StackStatus"]
    (reason,) = _reasons(target, "wb-refused", "CREATE_FAILED")
    assert "is not authorized to perform: sqs:CreateQueue on resource: arn:aws:sqs:us-east-1:" in reason
    assert "AccessDenied" in reason


def test_what_may_not_be_deleted_stays(as_user: As):
    """A stack whose resource may not be deleted ends in DELETE_FAILED."""
    make = _may("sqs:CreateQueue", "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:TagQueue")
    target = as_user(STACKS, make)
    _deploy(target, QUEUE, "wb-stays")
    target.client("cloudformation").delete_stack(StackName="wb-stays")
    assert "DELETE_FAILED" == _ended(target, "wb-stays")["StackStatus"]
    assert "sqs:DeleteQueue" in _reasons(target, "wb-stays", "DELETE_FAILED")[0]


def test_a_change_takes_the_right_to_change(as_user: As):
    """An update asks for what it does, and not for what it leaves as it is."""
    make = _may("sqs:CreateQueue", "sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:TagQueue")
    target = as_user(STACKS, make)
    _deploy(target, QUEUE, "wb-kept")
    changed = {"Resources": {"Orders": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60}}}}
    target.client("cloudformation").update_stack(StackName="wb-kept", TemplateBody=json.dumps(changed))
    assert "UPDATE_ROLLBACK_COMPLETE" == _ended(target, "wb-kept")["StackStatus"]
    assert "sqs:SetQueueAttributes" in _reasons(target, "wb-kept", "UPDATE_FAILED")[0]


def test_conditions_meet_what_a_resource_says_of_itself(as_user: As):
    """A condition on the boundary of a role and one on the tags of a stack are met by the template, or not."""
    boundary = f"arn:aws:iam::{rehearsals.ACCOUNT_ID}:policy/workbook-boundary"
    bounded = _may("iam:CreateRole", ArnLike={"iam:PermissionsBoundary": boundary})
    tagged = _may("iam:TagRole", StringEquals={"aws:RequestTag/workbook:run": "1"})
    rest = _may("iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:DeleteRole")
    target = as_user(STACKS, bounded, tagged, rest)
    free = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
    assert "ROLLBACK_COMPLETE" == _deploy(target, {"Resources": {"Free": free}}, "wb-free")["StackStatus"]
    assert "iam:CreateRole" in _reasons(target, "wb-free", "CREATE_FAILED")[0]
    bound = {"Type": free["Type"], "Properties": {**free["Properties"], "PermissionsBoundary": boundary}}
    stack = _deploy(target, {"Resources": {"Bound": bound}}, "wb-bound")
    assert "CREATE_COMPLETE" == stack["StackStatus"]
    resources = target.client("cloudformation").list_stack_resources(StackName="wb-bound")["StackResourceSummaries"]
    role = target.client("iam").get_role(RoleName=resources[0]["PhysicalResourceId"])["Role"]
    assert boundary == role["PermissionsBoundary"]["PermissionsBoundaryArn"]


HTTP_API = {"openapi": "3.0.1", "info": {"title": "wb-api", "version": "1"}, "paths": {}}
REST_API = {"swagger": "2.0", "info": {"title": "wb-api", "version": "1"}, "paths": {}}
API_TAG = [{"Key": "workbook:run", "Value": "1"}]
GATEWAY = "arn:aws:apigateway:*::/"


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::ApiGatewayV2::Api", {"Body": HTTP_API}),
        ("AWS::ApiGateway::RestApi", {"Body": REST_API}),
        ("AWS::ApiGateway::RestApi", {"Body": REST_API | {"tags": [{"name": "workbook:run"}]}}),
    ],
    ids=["http", "rest", "rest-body"],
)
def test_an_api_is_not_tagged_by_its_stack(as_user: As, kind: str, properties: dict[str, Any]):
    """Whoever may delete only what is tagged can't delete an API that only its stack has the tag of."""
    make = _may("apigateway:POST", "apigateway:PUT", "apigateway:GET", on=f"{GATEWAY}*")
    delete = _may("apigateway:DELETE", on=f"{GATEWAY}*", Null={"aws:ResourceTag/workbook:run": "false"})
    target = as_user(STACKS, make, delete)
    name = f"wb-untagged-{'http' if 'V2' in kind else 'rest'}-{len(json.dumps(properties))}"
    _deploy(target, {"Resources": {"Api": {"Type": kind, "Properties": properties}}}, name)
    target.client("cloudformation").delete_stack(StackName=name)
    assert "DELETE_FAILED" == _ended(target, name)["StackStatus"]
    assert "apigateway:DELETE" in _reasons(target, name, "DELETE_FAILED")[0]


def test_an_api_is_tagged_by_its_template(as_user: As):
    """The tags of an HTTP API may stand in its body, and those of a REST API count for its deployments, too."""
    make = _may("apigateway:PUT", "apigateway:GET", on=f"{GATEWAY}*")
    ours = {"Null": {"aws:ResourceTag/workbook:run": "false"}}
    apis = _may("apigateway:POST", on=[f"{GATEWAY}apis", f"{GATEWAY}restapis"])
    tag = _may("apigateway:POST", on=f"{GATEWAY}tags/*", Null={"aws:RequestTag/workbook:run": "false"})
    target = as_user(STACKS, make, apis, tag, _may("apigateway:POST", "apigateway:DELETE", on=f"{GATEWAY}*", **ours))
    tagged = {"tags": [{"name": "workbook:run", "x-amazon-apigateway-tag-value": "1"}]}
    resources = {
        "Http": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": HTTP_API | tagged}},
        "Rest": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": REST_API, "Tags": API_TAG}},
        "Deployed": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Rest"}}},
    }
    assert "CREATE_COMPLETE" == _deploy(target, {"Resources": resources}, "wb-tagged-apis")["StackStatus"]
    target.client("cloudformation").delete_stack(StackName="wb-tagged-apis")
    with pytest.raises(ClientError, match="does not exist"):
        _ended(target, "wb-tagged-apis")


def test_root_may_deploy_whatever_it_likes(account: Emulator):
    """The account's own root is asked, and refused nothing."""
    assert "CREATE_COMPLETE" == _deploy(rehearsals.root(account), QUEUE, "wb-roots")["StackStatus"]
