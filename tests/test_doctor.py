"""Whether the doctor tells a machine that is ready from one that isn't."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from fake_aws import ACCOUNT_ID, FakeAws, Reply, fake_aws, identity, json_body, query_error
from fake_localstack import INFO, fake_localstack

from workbook import doctor
from workbook.emulator import clean_room


def lane(name: str) -> doctor.Lane:
    """Return one lane of an examination."""
    return next(one for one in doctor.examine() if one.name == name)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A copy of what the doctor reads of the repository."""
    for file in ("requirements.txt", "constraints.txt"):
        shutil.copy(doctor.ROOT / file, tmp_path / file)
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    return tmp_path


def test_a_machine_on_which_the_tests_run_is_ready():
    """No lane fails where everything is installed, and every lane says what it saw."""
    examination = doctor.examine()

    assert [] == [one for one in examination if one.state == "fail"]
    assert all(one.detail for one in examination)


def test_every_lane_that_is_not_ok_says_what_to_do(elsewhere):
    """On a bare interpreter, without packages and without Node, each failure comes with its fix."""
    repository = Path(doctor.__file__).resolve().parent.parent
    bare = subprocess.run(
        [sys._base_executable, "-S", "-m", "workbook", "doctor"],
        cwd=repository,
        env={"PATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=False,
    )

    lines = bare.stdout.splitlines()
    assert 1 == bare.returncode, bare.stderr
    assert any(line.startswith("fail  packages") and "papermill" in line for line in lines)
    assert any(line.startswith("fail  Node") for line in lines)
    for number, line in enumerate(lines):
        if line.startswith(("warn", "fail")):
            assert lines[number + 1].lstrip().startswith("→ "), line


def test_an_older_python_hears_which_one_is_needed(monkeypatch):
    """An interpreter that can't run the workbook is told so by name."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))

    assert "fail" == lane("Python").state
    assert "Install Python 3.11 or newer" in lane("Python").fix


def test_another_version_than_the_pinned_one_is_a_warning(elsewhere):
    """A package that drifted is named with both versions."""
    path = elsewhere / "constraints.txt"
    path.write_text(path.read_text().replace("papermill==2.7.0", "papermill==2.6.0"))

    assert ("warn", "papermill is 2.7.0 instead of 2.6.0") == (lane("packages").state, lane("packages").detail)


def test_a_missing_package_is_a_failure_unless_it_is_for_other_systems(elsewhere):
    """A requirement under a condition may be missing."""
    path = elsewhere / "requirements.txt"
    path.write_text(f'{path.read_text()}\nno-such-thing==1.0\nnor-this==1.0; sys_platform == "beos"\n')

    assert ("fail", "missing: no-such-thing") == (lane("packages").state, lane("packages").detail)


def test_a_results_folder_that_can_not_be_written_is_a_failure(elsewhere):
    """A file in its place, for example."""
    (elsewhere / "data").write_text("in the way")

    assert "fail" == lane("disk").state
    assert "--out" in lane("disk").fix


def test_the_doctor_finds_the_node_that_handlers_run_under():
    """It looks where the clean room looks, and asks for the same version."""
    found = Path(lane("Node").detail.partition(" at ")[2])

    assert clean_room.node().samefile(found)


def test_a_folder_of_a_dead_emulator_is_found(tmp_path, monkeypatch):
    """A folder that no running emulator uses is a leftover, and the fix names the command that removes it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = lane("leftovers")
    (tmp_path / "workbook-emulator-dead").mkdir()

    assert ("ok", "warn", "make clean") == (before.state, lane("leftovers").state, lane("leftovers").fix)


@pytest.mark.parametrize(
    ("licensed", "words"), [(False, "which took no token"), (True, "with the licence of its token")]
)
def test_a_localstack_that_answers_says_its_version_and_whether_it_has_a_token(licensed, words, monkeypatch):
    """It is asked only by whoever wants to use it."""
    with fake_localstack() as fake:
        fake.says["/_localstack/info"] = (200, json.dumps(INFO | {"is_license_activated": licensed}))
        monkeypatch.setenv("WORKBOOK_ENDPOINT", fake.endpoint)
        *others, last = doctor.examine("localstack")

    assert ("ok", f"4.14.0 at {fake.endpoint}, {words}") == (last.state, last.detail)
    assert [one.name for one in others] == [one.name for one in doctor.examine()]


@pytest.mark.parametrize(("token", "words"), [("", "is not set; images after 4.14.0 need it"), ("t", "is set")])
def test_a_localstack_that_does_not_answer_is_a_failure_with_the_command_that_starts_one(token, words, monkeypatch):
    """The token is named, as it is what a newer image ends without, but never shown."""
    monkeypatch.setenv("WORKBOOK_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("LOCALSTACK_AUTH_TOKEN", token)
    *_, last = doctor.examine("localstack")

    assert "fail" == last.state
    assert f"LOCALSTACK_AUTH_TOKEN {words}." in last.detail
    assert "docker compose up --detach --wait" in last.fix


def test_a_notebook_shows_the_lanes_as_a_table():
    """Text from the machine can't become markup."""
    examination = doctor.Examination((doctor.Lane("disk", "fail", "<full>", "make clean"),))

    shown = examination._repr_html_()

    assert "&lt;full&gt;" in shown
    assert "<td style='text-align:left'>make clean</td>" in shown


# the target aws


BOUNDARY = Reply(  # IAM's answer to both questions: that the policy is there, and a summary of nothing
    200,
    "<X><GetPolicyResult><Policy/></GetPolicyResult><GetAccountSummaryResult><SummaryMap/></GetAccountSummaryResult></X>",
)
LIMITS = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}
OWN_LANES = [
    "consent",
    "credentials",
    "account",
    "clock",
    "region",
    "plan",
    "quotas",
    "boundary",
    "functions",
    "rights",
]


@pytest.fixture
def aws(monkeypatch):
    """A listener in AWS's place, of a new account that belongs to a learner alone."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "WORKBOOK_SHARED_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    says = {"iam": BOUNDARY, "lambda": json_body(AccountLimit=LIMITS, Functions=[]), "apigateway": json_body()}
    with fake_aws(says) as fake:
        for name, value in fake.shell().items():
            monkeypatch.setenv(name, value)
        yield fake


def aws_lanes() -> dict[str, doctor.Lane]:
    """Return the lanes that only the target aws has; they come after all others."""
    lanes = [*doctor.examine("aws")]
    first = next(number for number, one in enumerate(lanes) if one.name == "consent")
    return {one.name: one for one in lanes[first:]}


def test_an_account_is_examined_lane_by_lane(aws: FakeAws):
    """Who calls, whose account it is, the clock, the region, the plan, quotas, the boundary and others' functions."""
    lanes = aws_lanes()

    assert OWN_LANES == [*lanes]
    assert [] == [one for one in lanes.values() if one.state == "fail"]
    assert ("ok", "of ada") == (lanes["credentials"].state, lanes["credentials"].detail)
    assert ("ok", ACCOUNT_ID) == (lanes["account"].state, lanes["account"].detail)
    assert "10 invocations at once" in lanes["quotas"].detail
    assert "Service Quotas" in lanes["quotas"].fix
    assert ("warn", "docs/aws.md") == (lanes["rights"].state, lanes["plan"].fix.split()[1])
    assert all(one.fix for one in lanes.values() if one.state != "ok")


def test_the_doctor_changes_nothing_in_an_account(aws: FakeAws):
    """It reads, and there is no call that writes."""
    doctor.examine("aws")

    assert {"POST /"} == {request for service, _, request in aws.seen if service in {"sts", "iam"}}
    assert {"GET"} == {request.split()[0] for service, _, request in aws.seen if service in {"lambda", "apigateway"}}


def test_without_consent_the_doctor_says_what_is_missing_and_goes_on(aws: FakeAws, monkeypatch):
    """To look is no use of the account."""
    monkeypatch.delenv("WORKBOOK_ACCOUNT")
    monkeypatch.setenv("WORKBOOK_MAX_USD", "")
    lanes = aws_lanes()

    assert ("fail", "not given, for want of WORKBOOK_ACCOUNT, WORKBOOK_MAX_USD") == (
        lanes["consent"].state,
        lanes["consent"].detail,
    )
    assert OWN_LANES == [*lanes]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKBOOK_MAX_USD", "abc"),
        ("WORKBOOK_MAX_USD", "0"),
        ("WORKBOOK_MAX_USD", "-1"),
        ("WORKBOOK_ACCOUNT", "1234-5678-9012"),
    ],
)
def test_consent_that_a_run_would_refuse_is_a_failure(aws: FakeAws, monkeypatch, name: str, value: str):
    """What is no amount, or no account, is said before a run says it."""
    monkeypatch.setenv(name, value)
    lane = aws_lanes()["consent"]
    assert ("fail", True) == (lane.state, value in lane.detail)


def test_a_right_that_is_missing_is_a_failure(aws: FakeAws):
    """Who has one of the two policies hears of the other before the first deployment does."""
    aws.says["apigateway"] = query_error(
        "AccessDeniedException", "User: x is not authorized to perform: apigateway:GET"
    )
    lane = aws_lanes()["rights"]
    assert ("fail", True) == (lane.state, "apigateway:GET" in lane.detail)
    assert "infra/learner-policy-services.json" in lane.fix


def test_without_a_region_nothing_is_asked(aws: FakeAws, monkeypatch):
    """It is the one thing that has to be named, as no region is taken for granted."""
    monkeypatch.delenv("AWS_REGION")

    assert ["consent", "credentials"] == [*aws_lanes()]
    assert [] == aws.seen


SICK = {
    "expired": ("sts", query_error("ExpiredToken", "It is expired."), {}, "credentials", "have expired", "aws sso login"),
    "root": ("sts", identity(f"arn:aws:iam::{ACCOUNT_ID}:root"), {}, "account", "root user", "learner-policy"),
    "another account": ("sts", identity("arn:aws:iam::999999999999:user/ada"), {}, "account", f"999999999999, not to {ACCOUNT_ID}", "name the other one"),
    "no boundary": ("iam", query_error("NoSuchEntity", "None.", 404), {}, "boundary", "no policy named workbook-boundary", "aws iam create-policy"),
    "shared": ("lambda", json_body(AccountLimit=LIMITS, Functions=[{"FunctionName": "mailer"}]), {}, "functions", "1 function (mailer)", "WORKBOOK_SHARED_ACCOUNT=1"),
    "no region": ("sts", identity(), {"AWS_REGION": "mars-1"}, "credentials", "'mars-1' is none of AWS's regions", "AWS_REGION=eu-west-1"),
    "endpoint": ("sts", identity(), {"AWS_ENDPOINT_URL": "http://192.0.2.1"}, "credentials", "can't be the target aws", "AWS_ENDPOINT_URL"),
}  # fmt: skip


@pytest.mark.parametrize(("service", "reply", "shell", "name", "detail", "fix"), SICK.values(), ids=SICK)
def test_what_a_run_would_be_refused_for_is_a_failure_with_its_fix(
    aws: FakeAws, service, reply, shell, name, detail, fix, monkeypatch
):
    """The doctor finds out before a run does."""
    aws.says[service] = reply
    for variable, value in shell.items():
        monkeypatch.setenv(variable, value)
    found = aws_lanes()[name]

    assert "fail" == found.state
    assert detail in found.detail
    assert fix in found.fix


def test_a_region_without_prices_is_a_warning(aws: FakeAws, monkeypatch):
    """Nothing could be estimated there."""
    monkeypatch.setenv("AWS_REGION", "ap-south-2")

    region = aws_lanes()["region"]

    missing = "ap-south-2, but: The price book has no Lambda duration-x86 in ap-south-2."
    assert ("warn", missing) == (region.state, region.detail)


def test_a_clock_that_is_off_is_a_warning_before_it_is_a_refusal(aws: FakeAws):
    """AWS still takes a signature that is two minutes old."""
    aws.ahead_s = 120
    clock = aws_lanes()["clock"]

    assert "warn" == clock.state
    assert "(2.0 min) behind AWS's" in clock.detail
    assert "Set the clock" in clock.fix


def test_without_boto3_the_doctor_says_so(elsewhere):
    """On a bare interpreter the lanes before it still speak."""
    repository = Path(doctor.__file__).resolve().parent.parent
    bare = subprocess.run(
        [sys._base_executable, "-S", "-m", "workbook", "doctor", "--target", "aws"],
        cwd=repository,
        env={"PATH": str(elsewhere), "AWS_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == bare.returncode, bare.stderr
    assert "fail  credentials  AWS can't be asked: No module named 'boto3'" in bare.stdout
    assert "Traceback" not in bare.stderr
