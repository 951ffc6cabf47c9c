"""Whether an account is looked at before a lesson uses it, and what is said of it."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
import rehearsals
from botocore.exceptions import ClientError
from fake_aws import ACCOUNT_ID, FakeAws, Reply, fake_aws, json_body, json_error, query_error
from small_notebooks import write

from workbook import account, sweep
from workbook.account import Account, Plan
from workbook.emulator import Emulator
from workbook.errors import TargetError
from workbook.packaging import zip_folder
from workbook.runs import run
from workbook.runs.screen import Screen
from workbook.targets import Target, configured

DENIED = f"User: arn:aws:iam::{ACCOUNT_ID}:user/ada is not authorized to perform: iam:X because no identity-based policy allows the iam:X action"
HELLO = Path(__file__).resolve().parent.parent / "handlers" / "hello"
NO_POLICY = query_error("NoSuchEntity", "Policy is not there.", 404)
LEARNERS = {"iam": query_error("AccessDenied", DENIED)}


def settings(limit: int) -> Reply:
    """Return Lambda's answer to both questions: its limits, and that there are no functions."""
    limits = {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": limit - 2}
    return json_body(AccountLimit=limits, Functions=[])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """A listener in AWS's place, and a shell that agrees to use it."""
    for name in ("AWS_PROFILE", "WORKBOOK_SHARED_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    with fake_aws(LEARNERS) as fake:
        for name, value in fake.shell().items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that enforces IAM, in whose account the permissions boundary has been made."""
    with rehearsals.account(tmp_path_factory.mktemp("rehearsal")) as emulator:
        yield emulator


@pytest.fixture
def learner(rehearsal: Emulator, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Target:
    """The target aws as a principal who may do what a learner may, and nothing else."""
    monkeypatch.delenv("WORKBOOK_SHARED_ACCOUNT", raising=False)
    for name, value in rehearsals.principal(
        rehearsal, rehearsals.learner_policy(), name=request.node.name[:60].strip("[]")
    ).items():
        monkeypatch.setenv(name, value)
    return configured("aws")


# on an emulator that enforces IAM


def test_an_account_of_its_own_is_admitted(learner: Target):
    """All that is to be known is found out by a caller with few rights, and a rehearsal has no plan."""
    found = account.admit(learner)
    assert ((), True, False, 1000) == (found.foreign, found.has_boundary, found.is_broad, found.concurrency)
    assert ("unknown", ()) == (found.plan.kind, found.unknown)
    assert "plan unknown (a rehearsal has none)" in str(found)


def test_who_may_do_everything_is_told_that_it_is_too_much(rehearsal: Emulator, monkeypatch: pytest.MonkeyPatch):
    """An administrator is warned, and not refused."""
    for name, value in rehearsals.principal(rehearsal, name="administrator").items():
        monkeypatch.setenv(name, value)
    found = account.admit(configured("aws"))
    assert found.is_broad
    assert (
        "may do more than the lessons need; infra/learner-policy.json and infra/learner-policy-services.json are enough"
        in str(found)
    )


@pytest.fixture
def foreign(rehearsal: Emulator) -> Iterator[None]:
    """Functions of others, and one of a lesson's, in the account."""
    there = rehearsals.root(rehearsal).client("lambda")
    names = ["billing", "mailer", "thumbs", "voter", "wb-1-hello"]
    code = zip_folder(HELLO).content
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = (
        rehearsals.root(rehearsal)
        .client("iam")
        .create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    )
    for name in names:
        there.create_function(
            FunctionName=name, Role=role, Runtime="python3.13", Handler="app.handler", Code={"ZipFile": code}
        )
    yield
    for name in names:
        there.delete_function(FunctionName=name)


@pytest.mark.usefixtures("foreign")
def test_an_account_with_foreign_functions_is_refused_unless_that_is_allowed(
    learner: Target, monkeypatch: pytest.MonkeyPatch
):
    """It says how many there are, names a few, and why it matters; who answers for it goes on."""
    with pytest.raises(TargetError, match=r"holds 4 functions \(billing, mailer, thumbs, …\).* share 1000") as caught:
        account.admit(learner)
    assert "WORKBOOK_SHARED_ACCOUNT=1" in caught.value.fix
    monkeypatch.setenv("WORKBOOK_SHARED_ACCOUNT", "1")
    found = account.admit(learner)
    assert "shared with 4 functions" in str(found)
    assert 4 == found.to_facts()["foreign"]


def test_an_account_with_a_sweeper_is_its_own_still(
    rehearsal: Emulator, learner: Target, monkeypatch: pytest.MonkeyPatch
):
    """The sweeper's function is the one that no lesson made and that disturbs nobody."""
    with monkeypatch.context() as administrator:
        for name, value in rehearsals.principal(rehearsal, name="owner").items():
            administrator.setenv(name, value)
        owner = configured("aws")
        deployed = sweep.deploy_sweeper(owner, say=lambda line: None)
    try:
        names = [one["FunctionName"] for one in owner.client("lambda").list_functions()["Functions"]]
        assert [deployed.outputs["Sweeper"]] == names
        assert () == account.admit(learner).foreign
    finally:
        sweep.remove_sweeper(owner, say=lambda line: None)


# on a listener in AWS's place


def test_what_a_caller_may_not_read_is_unknown_and_not_passed_over(aws: FakeAws):
    """Somebody without any right learns which right each answer would have taken."""
    for service, action in (("lambda", "lambda:X"), ("apigateway", "apigateway:GET")):
        aws.says[service] = json_error("AccessDeniedException", DENIED.replace("iam:X", action))
    found = account.admit(configured("aws"))
    assert (None, None, None, None) == (found.concurrency, found.foreign, found.has_boundary, found.logging_role)
    assert [
        "concurrency: The caller may not do lambda:X.",
        "functions: The caller may not do lambda:X.",
        "permissions boundary: The caller may not do iam:X.",
        "API Gateway's logging role: The caller may not do apigateway:GET.",
    ] == [*found.unknown]
    assert all(what in str(found) for what in found.unknown)


def test_an_account_without_the_boundary_is_refused_with_the_command_that_makes_it(aws: FakeAws):
    """Without it no role could be made, so nothing is begun."""
    aws.says["iam"] = NO_POLICY
    with pytest.raises(TargetError, match=f"{ACCOUNT_ID} has no policy named workbook-boundary") as caught:
        account.admit(configured("aws"))
    command = (
        "aws iam create-policy --policy-name workbook-boundary --policy-document file://infra/permissions-boundary.json"
    )
    assert caught.value.fix.endswith(command)


def test_a_small_quota_is_read(aws: FakeAws):
    """New accounts start with few invocations at once."""
    aws.says["lambda"] = settings(10)
    found = account.examine(configured("aws"))
    assert (10, 8) == (found.concurrency, found.unreserved)
    assert "10 invocations at once, 8 of them unreserved" in str(found)


def test_credentials_that_expire_meanwhile_are_not_taken_for_a_missing_right(aws: FakeAws):
    """Then nothing is unknown: nothing goes on."""
    there = configured("aws")
    aws.says["lambda"] = json_error("ExpiredTokenException", "The security token included in the request is expired")
    with pytest.raises(TargetError, match="have expired"):
        account.examine(there)


def test_an_organisation_that_denies_an_answer_leaves_it_unknown(aws: FakeAws):
    """It is said that the organisation denies it."""
    there = configured("aws")
    said = "User: u is not authorized to perform: lambda:GetAccountSettings with an explicit deny in a service control policy"
    aws.says["lambda"] = json_error("AccessDeniedException", said)
    assert "The account's organisation doesn't allow lambda:GetAccountSettings." in str(account.examine(there))


def test_nothing_is_written(aws: FakeAws):
    """Every question only reads, API Gateway's logging role included."""
    account.examine(configured("aws"))
    rest = [request for service, _, request in aws.seen if service in {"lambda", "apigateway"}]
    assert {"GET"} == {request.split()[0] for request in rest}
    assert "GET /account" in rest


PLANS = {
    "free": ({"accountPlanType": "FREE", "accountPlanStatus": "ACTIVE", "accountPlanRemainingCredits": {"amount": 98.5, "unit": "USD"}, "accountPlanExpirationDate": 1798761600}, "free plan, 98.5 USD of credits left, until 2027-01-01: the one hard limit"),
    "paid": ({"accountPlanType": "PAID", "accountPlanStatus": "ACTIVE"}, "paid plan: a cap is only an estimate here; to learn, a new account on the free plan"),
    "expired": ({"accountPlanType": "FREE", "accountPlanStatus": "EXPIRED"}, "free plan, which has expired"),
}  # fmt: skip


def freetier(fake: FakeAws) -> object:
    return boto3.client("freetier", region_name="us-east-1", endpoint_url=fake.endpoint)


@pytest.mark.parametrize(("answer", "words"), PLANS.values(), ids=PLANS)
def test_the_plan_of_an_account_is_read_and_the_free_one_recommended(aws: FakeAws, answer: dict, words: str):
    """As the Free Tier API documents its answer."""
    aws.says["freetier"] = json_body(accountId=ACCOUNT_ID, **answer)
    assert words in str(account.read_plan(freetier(aws)))


def test_an_account_without_a_plan_is_not_taken_for_a_free_one(aws: FakeAws):
    """An older account has none."""
    aws.says["freetier"] = json_error("ResourceNotFoundException", "There is no plan.", 400)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        account.read_plan(freetier(aws))
    assert "take it for a paid one" in str(Plan("unknown", "not to be read"))


def test_a_region_without_a_service_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    """As boto3's own list has it; a region that is newer than the list is tried."""
    known = boto3.Session().get_available_regions
    monkeypatch.setattr(
        boto3.Session, "get_available_regions", lambda _, name: [] if name == "apigatewayv2" else known(name)
    )
    assert "The region eu-west-1 has no apigatewayv2." == account.missing_services("eu-west-1").what
    monkeypatch.undo()
    assert (None, None) == (account.missing_services("eu-west-1"), account.missing_services("eu-west-9"))


def test_kernels_know_what_their_run_found_out(monkeypatch: pytest.MonkeyPatch):
    """It is asked once in a run, and all of it comes through; another region's is not taken."""
    found = Account(
        "eu-west-1", Plan("FREE", "ACTIVE", 98.5, "2027-01-01"), 10, 8, ("mailer",), True, None, False, ("x",)
    )
    for name, value in found.to_environment().items():
        monkeypatch.setenv(name, value)
    assert found == account.known(Target("aws", None, "eu-west-1"))
    assert None is Account.from_environment("eu-west-2")


def test_what_a_run_keeps_names_neither_the_account_nor_anybody_in_it():
    """A run folder may be shown to others: an ARN and twelve digits are left out of whatever words AWS used."""
    unknown = (
        f"concurrency: User: {DENIED.split()[1]} may not do lambda:X on arn:aws:lambda:eu-west-1:{ACCOUNT_ID}:function:f.",
        f"plan: The account {ACCOUNT_ID} has none.",
    )
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/logs"
    found = Account("eu-west-1", Plan("PAID"), foreign=("mailer",), logging_role=role, unknown=unknown)
    facts = found.to_facts()
    said = json.dumps(facts)
    assert [] == [secret for secret in ("mailer", "arn:", ACCOUNT_ID, "role/logs", "user/ada") if secret in said]
    assert ["concurrency: User: … may not do lambda:X on ….", "plan: The account … has none."] == facts["unknown"]
    has = [replace(found, logging_role=said).to_facts()["has_logging_role"] for said in (role, "", None)]
    assert [True, False, None] == has


def test_an_emulators_own_account_is_not_asked():
    """There is nothing to be known of it."""
    assert None is account.known(Target("embedded", "http://127.0.0.1:9"))


# before a run


def test_a_run_is_refused_before_anything_is_begun(aws: FakeAws, tmp_path: Path):
    """No folder is made, and no notebook is run."""
    aws.says["iam"] = NO_POLICY
    write(tmp_path / "notebooks", "00_own", "print(1)")
    with pytest.raises(TargetError, match="no policy named workbook-boundary"):
        run(target="aws", notebooks=tmp_path / "notebooks", out=tmp_path / "run", screen=Screen(io.StringIO()))
    assert not (tmp_path / "run").exists()


def test_a_run_says_what_it_found_out_once_and_keeps_it(aws: FakeAws, tmp_path: Path):
    """run.json has it, the kernels are told, and a lesson that opens asks nothing again."""
    aws.says |= {"lambda": settings(10), "apigateway": json_body(cloudwatchRoleArn="arn:aws:iam::1:role/logs")}
    opening = (
        'from workbook import open_lab\nprint(open_lab("00_own", target=target, run_id=run_id).account.concurrency)'
    )
    write(tmp_path / "notebooks", "00_own", opening)
    screen = io.StringIO()
    report = run(target="aws", notebooks=tmp_path / "notebooks", out=tmp_path / "run", screen=Screen(screen))
    assert 0 == report.exit_status, report
    facts = json.loads((tmp_path / "run" / "run.json").read_text())["account"]
    assert (10, True) == (facts["concurrency"], facts["has_logging_role"])
    assert "10 invocations at once" in screen.getvalue()
    assert 1 == [request for _, _, request in aws.seen].count("GET /2016-08-19/account-settings")
