"""The least policy of a learner, the boundary of a lesson's roles, and what no emulator enforces.

All lessons run as a principal that has only this policy, in the run that test_lessons_run looks at, too.
"""

import csv
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from authorisations import (
    UNBOUNDED,
    UNENFORCED,
    Grant,
    allowed,
    condition_keys,
    covers,
    fits,
    grants,
    is_published,
    resource_types,
    unenforced_table,
    without,
)
from expanded import ACCOUNT_ID, REGION, STACK, resources
from rehearsals import BOUNDARY, INFRA, LEARNER_POLICIES, Learner, principal

from workbook.templates import read_template

POLICY_FILES = [*LEARNER_POLICIES, BOUNDARY]
PERMISSIONS = INFRA.parent / "data" / "reference" / "cloudformation_permissions.csv"
TEMPLATES = sorted(INFRA.glob("[0-9]*.yaml"))  # those of lessons; the sweeper is the account owner's to deploy
LARGEST = 6144  # characters of a managed policy, white space left out: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
SEED, REMOVED = 1, 10
# What the policy allows and no emulated run of the lessons, with what is asked before it and a clean after it, shows, with the reason.
UNSEEN = {
    "cloudformation:DescribeEvents": "asked only when a deployment failed before it began",
    "cloudformation:DeleteChangeSet": "asked only when a deployment found nothing to change",
    "cloudformation:TagResource": "a change set with tags takes it on AWS; the emulator asks for CreateChangeSet alone",
    "freetier:GetAccountPlanState": "the emulator has no such service",
}
PROBE = "iam:GetAccountSummary"  # asked before a run, to see that the caller may do no more than lessons need
# What is allowed on all resources although AWS could limit it, with the reason.
UNLIMITED = {
    "cloudformation:DescribeStacks": "asked without a name, it tells of all stacks, and AWS allows that on all or not at all",
}
# What is changed or called although neither a name nor a tag of ours bounds it, as UNBOUNDED says.
BEYOND = {
    ("apigateway:POST", "arn:aws:apigateway:*::/apis"),
    ("apigateway:PUT", "arn:aws:apigateway:*::/apis"),
    ("apigateway:POST", "arn:aws:apigateway:*::/restapis"),
    ("apigateway:POST", "arn:aws:apigateway:*::/apis/*/stages"),
    ("apigateway:POST", "arn:aws:apigateway:*::/apis/*/stages/*"),
    ("apigateway:TagResource", "arn:aws:apigateway:*::/apis/*/stages"),
    ("apigateway:TagResource", "arn:aws:apigateway:*::/apis/*/stages/*"),
    ("apigateway:POST", "arn:aws:apigateway:*::/tags/arn*apis*"),
    ("apigateway:PUT", "arn:aws:apigateway:*::/tags/arn*apis*"),
    ("execute-api:Invoke", "arn:aws:execute-api:*:*:*"),
    ("lambda:TagResource", "arn:aws:lambda:*:*:event-source-mapping:*"),
    ("cloudformation:CreateChangeSet", "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31"),  # AWS's own
}
# Resources that AWS's list doesn't have, or not for that action, with the reason.
UNLISTED = {
    "arn:aws:cloudformation:*:aws:transform/Serverless-2016-10-31": "a transform is a resource by CloudFormation's own guide",
    "arn:aws:cloudformation:*:*:changeSet/workbook-*/*": "a call may name the change set alone, and AWS takes that for the resource",
    "arn:aws:apigateway:*::/tags/arn*apis*": "what tags an HTTP API: https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/997",
}
every_policy = pytest.mark.parametrize("path", POLICY_FILES, ids=lambda path: path.stem)
every_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _inline_policies(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for logical_id, role in _of_type(path, "AWS::IAM::Role").items():
        for policy in role.get("Policies", ()):
            yield logical_id, policy["PolicyDocument"]


def _of_type(path: Path, kind: str) -> dict[str, dict[str, Any]]:
    return {name: one["Properties"] for name, one in resources(path).items() if one["Type"] == kind}


# by the published lists


@every_policy
def test_a_policy_is_small_enough_to_be_a_managed_one(path: Path):
    """AWS takes the file as it is; if it grows too large, put what some lessons need into a further file."""
    assert len("".join(path.read_text(encoding="utf-8").split())) <= LARGEST


@every_policy
def test_each_action_of_a_policy_is_published(path: Path):
    """AWS knows the action, and no wildcard stands for more than was meant."""
    assert [] == [grant.action for grant in grants(_read(path)) if not is_published(grant.action)]


@every_policy
def test_each_resource_of_a_policy_fits_its_action(path: Path):
    """An action is limited to what it can be limited to; all resources only where AWS has no narrower form, or for a reason."""
    for grant in grants(_read(path)):
        if grant.effect == "Deny":
            continue
        if grant.resource == "*":
            assert not resource_types(grant.action) or grant.action in UNLIMITED, grant
        else:
            assert fits(grant.action, grant.resource) or grant.resource in UNLISTED, grant


def test_an_api_can_be_known_by_its_name_and_its_tags():
    """AWS knows the condition keys that stand for them; it would take an unknown one without a word, and never meet it."""
    policies = (*map(_read, LEARNER_POLICIES), _sweepers())
    given = [grant for policy in policies for grant in grants(policy) if grant.action.startswith("apigateway:")]
    used = {(grant.action, key) for grant in given for condition in grant.conditions.values() for key in condition}
    assert {"apigateway:Resource/ApiName", "aws:ResourceTag/workbook:run"} <= {key for _, key in used}
    for action, key in used:
        if not key.startswith("aws:RequestTag/"):  # which goes with the action, not with its resource
            assert re.sub("/workbook:run$", "/${TagKey}", key) in condition_keys(action), (action, key)


def _is_read(action: str) -> bool:
    return re.search(r":(Describe|Filter|Get|GET|List)", action) is not None


def _is_bounded(grant: Grant) -> bool:
    """Return whether a name of ours, or a tag of ours that is there already, bounds what a grant is about."""
    conditions = json.dumps(grant.conditions)
    return bool(re.search(r"[:/](wb|workbook)-", f"{grant.resource} {conditions}")) or bool(
        re.search(r'aws:ResourceTag/workbook:|ApiName": "wb-', conditions)
    )


def test_what_can_be_changed_is_ours():
    """Whatever is changed, deleted or called has a name or a tag of ours; what can't be bound like that is named."""
    given = [grant for policy in (*map(_read, POLICY_FILES), _sweepers()) for grant in grants(policy)]
    changing = [grant for grant in given if grant.effect == "Allow" and not _is_read(grant.action)]
    assert BEYOND == {(grant.action, grant.resource) for grant in changing if not _is_bounded(grant)}
    assert UNBOUNDED in (INFRA.parent / "docs" / "aws.md").read_text(encoding="utf-8")


def test_what_is_tagged_is_tagged_as_ours():
    """Nobody's API gets another tag, and the tag itself is never taken away."""
    tagging = [grant for path in LEARNER_POLICIES for grant in grants(_read(path)) if "/tags/" in grant.resource]
    assert {"apigateway:POST", "apigateway:PUT"} == {grant.action for grant in tagging}
    for grant in tagging:
        assert {"Null": {"aws:RequestTag/workbook:run": "false"}} == grant.conditions


def test_a_read_has_no_condition():
    """What is gone has no tag: a condition would turn the answer that it isn't there, which a deletion waits for, into a refusal."""
    policies = [*map(_read, LEARNER_POLICIES), _sweepers()]
    reads = [grant for policy in policies for grant in grants(policy) if _is_read(grant.action)]
    assert {"lambda:GetEventSourceMapping", "apigateway:GET", "iam:GetRole"} <= {grant.action for grant in reads}
    assert [] == [grant for grant in reads if grant.conditions]


def _sweepers() -> dict[str, Any]:
    ((_, policy),) = _inline_policies(INFRA / "sweeper.yaml")
    return policy


def test_the_sweeper_may_delete_whatever_a_lesson_makes():
    """CloudFormation deletes a stack's resources with the sweeper's rights, and takes a look at them for that."""
    kinds = {one["Type"] for path in TEMPLATES for one in resources(path).values()}
    with PERMISSIONS.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["step"] == "delete" and row["resource_type"] in kinds]
    assert kinds - {row["resource_type"] for row in rows} == set()
    may = list(grants(_sweepers()))
    names = {"region": REGION, "account": ACCOUNT_ID, "LogGroupName": f"/aws/lambda/{STACK}-thing"}
    for row in rows:
        resource = re.sub(r"{([\w.]+)}", lambda found: names.get(found[1], f"{STACK}-thing"), row["resource"])
        assert any(grant.action == row["action"] and covers(grant.resource, resource) for grant in may), row


@pytest.mark.parametrize("path", sorted(INFRA.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_action_of_a_role_is_published_and_fits(path: Path):
    """A slip in a role's policy shows here, and not as a function that fails on AWS alone."""
    for role, policy in _inline_policies(path):
        for statement in policy["Statement"]:
            found = list(grants({"Statement": [statement]}))
            assert [] == [grant.action for grant in found if not is_published(grant.action)], role
            fitting = [grant for grant in found if "*" == grant.resource or fits(grant.action, grant.resource)]
            assert {grant.action for grant in found} == {grant.action for grant in fitting}, role
            assert {grant.resource for grant in found} == {grant.resource for grant in fitting}, role


@every_template
def test_each_role_stays_within_the_boundary(path: Path):
    """Whatever a role's own policy allows beyond the boundary, AWS refuses."""
    limits = list(grants(_read(BOUNDARY)))
    for role, policy in _inline_policies(path):
        for grant in grants(policy):
            assert any(limit.action == grant.action and covers(limit.resource, grant.resource) for limit in limits), (
                role,
                grant,
            )


def test_the_boundary_lets_no_role_make_a_log_group():
    """A group that a function makes has no end and no tag, and it comes again after every clean."""
    assert "logs:CreateLogGroup" not in allowed(_read(BOUNDARY))


def test_a_role_is_made_only_with_the_boundary():
    """Otherwise a learner could make a role that may do more than the learner."""
    made = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:UpdateAssumeRolePolicy"}
    found = [grant for path in LEARNER_POLICIES for grant in grants(_read(path)) if grant.action in made]
    assert {"iam:CreateRole", "iam:PutRolePolicy"} == {grant.action for grant in found}
    for grant in found:
        assert {"ArnLike": {"iam:PermissionsBoundary": "arn:aws:iam::*:policy/workbook-boundary"}} == grant.conditions


def test_neither_the_boundary_nor_the_accounts_gateway_can_be_changed():
    """What belongs to the account is denied, whatever else the learner is allowed."""
    denied = {
        (grant.action, grant.resource)
        for path in LEARNER_POLICIES
        for grant in grants(_read(path))
        if grant.effect == "Deny"
    }
    account = "arn:aws:apigateway:*::/account"
    assert {("apigateway:PATCH", account), ("apigateway:PUT", account)} <= denied
    assert {("iam:DeleteRolePermissionsBoundary", "*"), ("iam:CreatePolicyVersion", "*")} <= denied


# what no emulator enforces


def test_what_is_not_enforced_names_its_test():
    """Each row of the table that the page about AWS shows is looked at by a test here."""
    assert [] == [row.checked_by for row in UNENFORCED if not callable(globals().get(row.checked_by))]


@every_template
def test_every_resource_type_of_a_lesson_is_enforced(path: Path):
    """A type that the table of permissions doesn't have would be made without asking anyone: a state machine's role, too."""
    with PERMISSIONS.open(encoding="utf-8", newline="") as file:
        known = {row["resource_type"] for row in csv.DictReader(file)}
    assert set() == {one["Type"] for one in resources(path).values()} - known


@every_template
def test_a_learner_may_expand_each_template(path: Path):
    """A transform is a resource of CloudFormation's own: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-macros.html"""
    transform = f"arn:aws:cloudformation:*:aws:transform/{read_template(path)['Transform'].removeprefix('AWS::')}"
    may = [(grant.action, grant.resource) for file in LEARNER_POLICIES for grant in grants(_read(file))]
    assert ("cloudformation:CreateChangeSet", transform) in may


@every_template
def test_only_a_named_gateway_may_invoke_a_function(path: Path):
    """A permission names API Gateway and one API, or anybody's API could come in."""
    apis = {f"{STACK}-{name}-1" for name, one in resources(path).items() if one["Type"].endswith("Api")}
    for name, permission in _of_type(path, "AWS::Lambda::Permission").items():
        assert "apigateway.amazonaws.com" == permission["Principal"], name
        source = re.fullmatch(rf"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:([^/]+)/\*/.+", permission["SourceArn"])
        assert source[1] in apis, name


@every_template
def test_a_function_url_asks_for_a_signature(path: Path):
    """No door is open."""
    assert {"AWS_IAM"} >= {url["AuthType"] for url in _of_type(path, "AWS::Lambda::Url").values()}


def _may(path: Path, function: str, action: str, resource: str) -> bool:
    """Return whether the role of a function, which is named as in an ARN, may do that."""
    functions = _of_type(path, "AWS::Lambda::Function").values()
    role = next(one["Role"] for one in functions if one["FunctionName"] == function.rpartition(":")[2])
    policies = [policy for name, policy in _inline_policies(path) if role.endswith(f"/{STACK}-{name}-1")]
    return any(
        grant.action == action and covers(grant.resource, resource) for policy in policies for grant in grants(policy)
    )


@every_template
def test_the_role_of_a_polled_queue_may_take_its_messages(path: Path):
    """Lambda polls in the function's role: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""
    for mapping in _of_type(path, "AWS::Lambda::EventSourceMapping").values():
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            assert _may(path, mapping["FunctionName"], action, mapping["EventSourceArn"]), action


@every_template
def test_the_role_of_a_function_may_send_to_where_its_events_go(path: Path):
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    for function in _of_type(path, "AWS::Lambda::Function").values():
        if "DeadLetterConfig" in function:
            queue = function["DeadLetterConfig"]["TargetArn"]
            assert _may(path, function["FunctionName"], "sqs:SendMessage", queue)
    for config in _of_type(path, "AWS::Lambda::EventInvokeConfig").values():
        for destination in config["DestinationConfig"].values():
            assert _may(path, config["FunctionName"], "sqs:SendMessage", destination["Destination"])


@every_template
def test_a_function_writes_its_own_log_and_makes_no_group(path: Path):
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html"""
    for function in _of_type(path, "AWS::Lambda::Function").values():
        name = function["FunctionName"]
        group = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/aws/lambda/{name}"
        assert name.startswith(f"{STACK}-")
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            assert _may(path, name, action, f"{group}:log-stream:2026/11/22/[$LATEST]0123")
            assert not _may(path, name, action, group.replace(STACK, "wb-2"))
        assert not _may(path, name, "logs:CreateLogGroup", group)


@every_template
def test_a_role_trusts_lambda_alone(path: Path):
    """Nobody else can take on what a lesson's role may do."""
    for role in _of_type(path, "AWS::IAM::Role").values():
        trusted = [statement["Principal"] for statement in role["AssumeRolePolicyDocument"]["Statement"]]
        assert [{"Service": "lambda.amazonaws.com"}] == trusted


@every_template
def test_an_api_is_called_after_its_stack(path: Path):
    """By that name it may be deleted, should it have lost its tags."""
    for name, one in resources(path).items():
        if one["Type"] in {"AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"}:
            assert STACK == one["Properties"]["Body"]["info"]["title"], name
            assert "Name" not in one["Properties"], name


# in the run of all lessons


def test_a_learner_is_refused_nothing(learner: Learner):
    """All lessons pass with the policy, which lacks the probe alone; test_lessons_run looks at the same run."""
    assert {"passed"} == {str(outcome.status) for outcome in learner.run.outcomes}
    assert {PROBE} == {line["action"] for line in learner.trail() if not line["allowed"]}


def test_an_action_is_in_the_trail_or_its_reason_is_given(learner: Learner):
    """What no lesson needs doesn't stand in the policy."""
    seen = {line["action"] for line in learner.trail()}
    assert set(UNSEEN) == allowed(learner.policy) - seen
    assert PROBE not in allowed(learner.policy)


def test_each_lesson_breaks_without_what_it_uses(learner: Learner, tmp_path: Path):
    """Ten actions, drawn with a seed: without each of them the cheapest lesson that used it fails for want of it."""
    used = learner.lessons_by_action()
    drawn = random.Random(SEED).sample(sorted(used), REMOVED)
    seconds = {outcome.name: outcome.seconds for outcome in learner.run.outcomes}

    def run_without(action: str) -> str:
        lesson = min(used[action], key=seconds.__getitem__)
        name = f"without-{action.replace(':', '-')}"
        shell = os.environ | principal(learner.emulator, without(learner.policy, action), name=name)
        out = tmp_path / name
        options = ["--target", "aws", "--quick", "--only", lesson, "--out", out]
        done = subprocess.run(
            [sys.executable, "-m", "workbook", "run", *options], env=shell, capture_output=True, check=False
        )
        refused = {line["action"] for line in learner.trail(name) if not line["allowed"]} - {PROBE}
        assert (1, {action}) == (done.returncode, refused), f"{lesson} without {action}"
        return (out / "run.json").read_text(encoding="utf-8")

    with ThreadPoolExecutor(2) as pool:
        for action, report in zip(drawn, pool.map(run_without, drawn), strict=True):
            assert re.search(f"AccessDenied|Access Denied|not authorized to perform: {action}", report), action


def test_the_page_about_aws_names_what_was_only_checked_in_the_files():
    """Who reads how the policies were proved reads what that proof can't show."""
    assert unenforced_table() in (INFRA.parent / "docs" / "aws.md").read_text(encoding="utf-8")
