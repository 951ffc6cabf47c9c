"""What no template and no policy of the workbook's may hold, as it would cost, stay, or stand open behind a learner's back."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from workbook.templates import functions, read_template

INFRA = Path(__file__).resolve().parent.parent / "infra"
TEMPLATES = sorted(INFRA.glob("*.yaml"))
POLICIES = sorted(INFRA.glob("*.json"))
# Billed by the hour whether anybody uses them or not, or set for everybody in the account
NEVER = (
    "AWS::EC2::*", "AWS::RDS::*", "AWS::DocDB::*", "AWS::Neptune::*", "AWS::ElastiCache::*", "AWS::OpenSearchService::*",
    "AWS::Redshift*::*", "AWS::MSK::*", "AWS::WAF*::*", "AWS::ElasticLoadBalancing*::*", "AWS::ApiGateway::Account",
)  # fmt: skip
NEVER_ALLOWED = (
    "ec2:CreateNatGateway", "ec2:CreateVpc", "ec2:RunInstances", "rds:CreateDBInstance", "rds:CreateDBCluster",
    "wafv2:CreateWebACL", "kinesis:CreateStream", "elasticache:CreateCacheCluster", "iam:CreateUser",
    "iam:CreateAccessKey", "iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:AttachRolePolicy",
    "iam:DeleteRolePermissionsBoundary", "organizations:LeaveOrganization",
)  # fmt: skip
MAKES_GROUPS = "logs:CreateLogGroup"
WRITES = ("s3:PutObject", "s3:CopyObject")
ACCOUNT_OF_GATEWAY = "arn:aws:apigateway:eu-west-1::/account"


def surprises(template: dict[str, Any]) -> list[str]:
    """Return a sentence for each thing in a template that would surprise a learner."""
    resources = template["Resources"]
    found = [f"{name} is a {r['Type']}" for name, r in resources.items() if any(_is(r["Type"], kind) for kind in NEVER)]
    for name, resource in resources.items():
        found += [f"{name} {what}" for what in _surprises_of(resource["Type"], resource.get("Properties", {}))]
    for name, properties in _functions(template).items():
        found += [f"{name} {what}" for what in _surprises_of_function(name, properties, resources)]
    return found


def _surprises_of(kind: str, properties: dict[str, Any]) -> Iterator[str]:
    """Yield what surprises in one resource, whatever is around it."""
    text = json.dumps(properties)
    if any(f'"{switch}": true' in text.lower() for switch in ("cacheclusterenabled", "cachingenabled")):
        yield "has a gateway cache"
    if properties.get("VpcConfig"):
        yield "is in a VPC"
    if kind == "AWS::Kinesis::Stream" and properties.get("StreamModeDetails", {}).get("StreamMode") != "ON_DEMAND":
        yield "is a provisioned stream"
    kinds = (properties.get("FunctionUrlConfig", {}), properties if kind == "AWS::Lambda::Url" else {})
    if (
        any(one and one.get("AuthType") != "AWS_IAM" for one in kinds)
        or properties.get("FunctionUrlAuthType") == "NONE"
    ):
        yield "has a function URL without a lock"
    if kind in {"AWS::Serverless::Api", "AWS::ApiGateway::Stage"} and not any(
        (one.get("ResourcePath"), one.get("HttpMethod")) == ("/*", "*") and _is_throttled(one)
        for one in properties.get("MethodSettings", [])
    ):
        yield "has a stage that isn't throttled"
    if kind in {"AWS::Serverless::HttpApi", "AWS::ApiGatewayV2::Stage"} and not _is_throttled(
        properties.get("DefaultRouteSettings", {})
    ):
        yield "has a stage that isn't throttled"
    if kind == "AWS::Logs::LogGroup" and "RetentionInDays" not in properties:
        yield "is a log for ever"


def _surprises_of_function(name: str, properties: dict[str, Any], resources: dict[str, Any]) -> Iterator[str]:
    """Yield what surprises in a function beside its own resource: its log, its role, its doors and its buckets."""
    groups = {name for name, resource in resources.items() if resource["Type"] == "AWS::Logs::LogGroup"}
    named = [resources[group]["Properties"].get("LogGroupName") for group in groups]
    own = properties.get("LoggingConfig", {}).get("LogGroup", {})
    if {"Fn::Sub": f"/aws/lambda/${{{name}}}"} not in named and not (
        isinstance(own, dict) and own.get("Ref") in groups
    ):
        yield "has no log group of the template"
    role = resources.get(properties.get("Role", {}).get("Fn::GetAtt", [""])[0])
    if role is None:
        yield "has no role of the template, so SAM makes one that may make log groups"
        return
    statements = [
        *_statements(role["Properties"].get("Policies", [])),
        *_statements([{"PolicyDocument": one} for one in properties.get("Policies", []) if "Statement" in one]),
    ]
    if role["Properties"].get("ManagedPolicyArns"):
        yield "has a role with a policy of AWS's, such as the basic one, which may make log groups"
    if any(_allows(statement, MAKES_GROUPS) for statement in statements):
        yield "may make log groups"
    events = list(properties.get("Events", {}).values())
    for event in events:
        of = {"Api": "RestApiId", "HttpApi": "ApiId"}.get(event["Type"])
        if of and of not in event.get("Properties", {}):
            yield "has an API that SAM makes, without a lock or a limit"
    sources = {_reference(event["Properties"]["Bucket"]) for event in events if event["Type"] == "S3"}
    sources |= {bucket for bucket, resource in resources.items() if _notifies(resource, name)}
    written = [one for one in statements if any(_allows(one, action) for action in WRITES)]
    for bucket in sources:
        if any(
            f'"{bucket}"' in json.dumps(one) or f"${{{bucket}" in json.dumps(one) or _resources(one) == ["*"]
            for one in written
        ):
            yield f"writes into {bucket}, which invokes it"


def _functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    plain = {
        n: r.get("Properties", {}) for n, r in template["Resources"].items() if r["Type"] == "AWS::Lambda::Function"
    }
    return functions(template) | plain


def _notifies(resource: dict[str, Any], function: str) -> bool:
    return resource["Type"] == "AWS::S3::Bucket" and f'"{function}"' in json.dumps(
        resource.get("Properties", {}).get("NotificationConfiguration", {})
    )


def _reference(value: Any) -> str:
    return value["Ref"] if isinstance(value, dict) and "Ref" in value else str(value)


def _is_throttled(settings: dict[str, Any]) -> bool:
    return all(isinstance(settings.get(f"Throttling{kind}Limit"), int) for kind in ("Rate", "Burst"))


def _statements(policies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def _allows(statement: dict[str, Any], action: str) -> bool:
    """Return whether a statement allows an action on anything; whatever NotAction leaves is allowed."""
    if statement["Effect"] != "Allow":
        return False
    patterns = statement.get("Action", statement.get("NotAction"))
    hit = any(_is(action.lower(), one.lower()) for one in ([patterns] if isinstance(patterns, str) else patterns))
    return hit if "Action" in statement else not hit


def _resources(statement: dict[str, Any]) -> list[Any]:
    of = statement.get("Resource", [])
    return of if isinstance(of, list) else [of]


def _is(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern)


def excesses(policy: dict[str, Any]) -> list[str]:
    """Return a sentence for each thing that a learner's policy or the boundary of a role may not allow."""
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
    found = [f"{action} is allowed" for action in NEVER_ALLOWED if any(_allows(one, action) for one in allowed)]
    found += ["what isn't named is allowed" for one in allowed if "NotAction" in one or "NotResource" in one]
    for one in allowed:
        writes = any(_allows(one, f"apigateway:{verb}") for verb in ("PATCH", "PUT", "POST", "DELETE"))
        if writes and any(_is(ACCOUNT_OF_GATEWAY, str(pattern)) for pattern in _resources(one)):
            found.append("API Gateway's settings for the whole account may be written")
        if _allows(one, "iam:CreateRole") and "workbook-boundary" not in json.dumps(one.get("Condition", {})):
            found.append("roles without a boundary may be made")
        if _allows(one, "iam:PassRole") and "iam:PassedToService" not in json.dumps(one.get("Condition", {})):
            found.append("roles may be passed to any service")
    return found


# the workbook's own


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_template_surprises(path: Path):
    """Nothing in it is billed by the hour, stands open, makes what nobody deletes, or feeds itself."""
    assert [] == surprises(read_template(path))


def test_all_templates_together_have_one_key_at_most():
    """A key of one's own is billed by the month, also in its waiting time."""
    types = [resource["Type"] for path in TEMPLATES for resource in read_template(path)["Resources"].values()]
    assert types.count("AWS::KMS::Key") + types.count("AWS::KMS::ReplicaKey") <= 1


def test_no_policy_allows_what_no_lesson_may_do():
    """Neither a learner nor a function may make what is never made by default, or step over the boundary."""
    assert {} == {
        path.name: excess for path in POLICIES if (excess := excesses(json.loads(path.read_text(encoding="utf-8"))))
    }


def test_the_boundary_lets_no_function_make_log_groups():
    """A group that a function makes has no tag and no end, and comes back when it is deleted."""
    for path in INFRA.glob("permissions-boundary.json"):
        statements = json.loads(path.read_text(encoding="utf-8"))["Statement"]
        assert not any(_allows(one, action) for one in statements for action in (MAKES_GROUPS, "iam:CreateRole"))


# the rules themselves

TRUST_LOG = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "x"}


def small(
    resource: dict[str, Any] | None = None, *, statement: dict[str, Any] = TRUST_LOG, **function: Any
) -> dict[str, Any]:
    """Return a template of one function that surprises nobody, beside another resource."""
    role = {"Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [statement]}}]}
    fine = {
        "F": {"Type": "AWS::Serverless::Function", "Properties": {"Role": {"Fn::GetAtt": ["R", "Arn"]}, **function}},
        "R": {"Type": "AWS::IAM::Role", "Properties": role},
        "L": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupName": {"Fn::Sub": "/aws/lambda/${F}"}, "RetentionInDays": 7},
        },
    }
    return {"Resources": fine | ({"X": resource} if resource else {})}


def typed(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def puts(resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:Put*", "Resource": resource}


LIMITS = {"ThrottlingRateLimit": 2, "ThrottlingBurstLimit": 2}
S3_EVENT = {"New": {"Type": "S3", "Properties": {"Bucket": {"Ref": "X"}, "Events": "s3:ObjectCreated:*"}}}
BUCKET = typed("AWS::S3::Bucket")
NOTIFYING = typed(
    "AWS::S3::Bucket", NotificationConfiguration={"LambdaConfigurations": [{"Function": {"Fn::GetAtt": ["F", "Arn"]}}]}
)
BAD = {
    "nat": (small(typed("AWS::EC2::NatGateway")), "X is a AWS::EC2::NatGateway"),
    "database": (small(typed("AWS::RDS::DBInstance")), "X is a AWS::RDS::DBInstance"),
    "waf": (small(typed("AWS::WAFv2::WebACL")), "X is a AWS::WAFv2::WebACL"),
    "logging role": (small(typed("AWS::ApiGateway::Account")), "X is a AWS::ApiGateway::Account"),
    "vpc": (small(VpcConfig={"SubnetIds": ["s"]}), "F is in a VPC"),
    "stream": (small(typed("AWS::Kinesis::Stream", ShardCount=1)), "X is a provisioned stream"),
    "cache": (small(typed("AWS::Serverless::Api", CacheClusterEnabled=True, MethodSettings=[{"ResourcePath": "/*", "HttpMethod": "*", **LIMITS}])), "X has a gateway cache"),
    "open url": (small(FunctionUrlConfig={"AuthType": "NONE"}), "F has a function URL without a lock"),
    "other open url": (small(typed("AWS::Lambda::Url", AuthType="NONE")), "X has a function URL without a lock"),
    "rest stage": (small(typed("AWS::Serverless::Api", MethodSettings=[{"ResourcePath": "/x", "HttpMethod": "*", **LIMITS}])), "X has a stage that isn't throttled"),
    "http stage": (small(typed("AWS::Serverless::HttpApi", DefaultRouteSettings={"ThrottlingRateLimit": 2})), "X has a stage that isn't throttled"),
    "implicit api": (small(Events={"Get": {"Type": "HttpApi", "Properties": {"Path": "/"}}}), "F has an API that SAM makes, without a lock or a limit"),
    "endless log": (small(typed("AWS::Logs::LogGroup")), "X is a log for ever"),
    "no log": ({"Resources": {name: one for name, one in small()["Resources"].items() if name != "L"}}, "F has no log group of the template"),
    "no role": (small(Role={}), "F has no role of the template, so SAM makes one that may make log groups"),
    "makes groups": (small(statement={"Effect": "Allow", "Action": "logs:*", "Resource": "*"}), "F may make log groups"),
    "all but": (small(statement={"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}), "F may make log groups"),
    "circle": (small(BUCKET, Events=S3_EVENT, statement=puts({"Fn::Sub": "${X.Arn}/*"})), "F writes into X, which invokes it"),
    "circle by notification": (small(NOTIFYING, statement=puts({"Fn::GetAtt": ["X", "Arn"]})), "F writes into X, which invokes it"),
    "circle by star": (small(NOTIFYING, statement=puts("*")), "F writes into X, which invokes it"),
}  # fmt: skip
GOOD = {
    "nothing": small(),
    "stream on demand": small(typed("AWS::Kinesis::Stream", StreamModeDetails={"StreamMode": "ON_DEMAND"})),
    "rest stage": small(typed("AWS::Serverless::Api", MethodSettings=[{"ResourcePath": "/*", "HttpMethod": "*", **LIMITS}])),
    "http stage": small(typed("AWS::Serverless::HttpApi", DefaultRouteSettings=LIMITS)),
    "two buckets": small(BUCKET, Events=S3_EVENT, statement=puts({"Fn::Sub": "${Y.Arn}/*"})),
}  # fmt: skip


@pytest.mark.parametrize(("template", "said"), BAD.values(), ids=BAD)
def test_a_surprise_is_found(template: dict[str, Any], said: str):
    """Each rule can be broken, and says by what."""
    assert [said] == surprises(template)


@pytest.mark.parametrize("template", GOOD.values(), ids=GOOD)
def test_what_is_fine_is_let_alone(template: dict[str, Any]):
    """What stands beside it, and surprises nobody, is allowed."""
    assert [] == surprises(template)


EXCESSIVE = [
    ({"Action": "ec2:CreateVpc"}, "ec2:CreateVpc is allowed"),
    ({"Action": "apigateway:*", "Resource": "arn:aws:apigateway:*::/*"}, "API Gateway's settings for the whole account may be written"),
    ({"Action": "iam:CreateRole"}, "roles without a boundary may be made"),
    ({"Action": ["iam:PassRole"]}, "roles may be passed to any service"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "said"), EXCESSIVE, ids=lambda value: value if isinstance(value, str) else "")
def test_an_excess_is_found(statement: dict[str, Any], said: str):
    """A policy that allows too much is told by what."""
    assert [said] == excesses({"Statement": [{"Effect": "Allow", "Resource": "*", **statement}]})
    assert [] == excesses({"Statement": [{"Effect": "Deny", "Resource": "*", **statement}]})
