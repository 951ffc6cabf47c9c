"""What is taken away after runs, and what isn't."""

import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rehearsals
import small_notebooks

from workbook import emulator, stack
from workbook.emulator.control_groups import ControlGroups
from workbook.errors import TargetError
from workbook.lab import REGISTRY, pending
from workbook.records import append_line
from workbook.runs import RunFolder, Status, clean, run
from workbook.runs.screen import Screen
from workbook.targets import configured, connect


@pytest.fixture
def results(tmp_path, temporary):
    """A results folder with four runs, the last of them the newest."""
    results = tmp_path / "results"
    for seconds, name in enumerate(("a", "b", "c", "d")):
        opened = {"kind": "opened", "at": "2026-01-01T00:00:00+00:00", "target": "embedded"}
        append_line(results / name / "journal/01_first.jsonl", opened)
        os.utime(results / name, (seconds, seconds))
    return results


def test_clean_removes_all_but_the_newest_runs_and_nothing_else(results):
    """Old run folders are pruned by count; what isn't a run's stays."""
    (results / "photos").mkdir()
    said: list[str] = []

    assert clean(keep=2, results=results, say=said.append)

    assert {"photos", "c", "d"} == {path.name for path in results.iterdir()}
    assert [f"Removed {results / name}." for name in ("b", "a")] == said


def test_clean_leaves_a_run_alone_that_is_in_use(results):
    """Neither a run that goes on nor a sitting in JupyterLab loses its folder."""
    with RunFolder(results / "a"):
        assert not clean(results=results, say=lambda line: None)

    assert ["a"] == [path.name for path in results.iterdir()]


def test_clean_stops_the_shared_emulator_and_takes_its_traces_away(results, temporary):
    """The emulator that JupyterLab's kernels share ends, and so does what a dead emulator left."""
    stray = temporary / "workbook-emulator-dead"
    stray.mkdir()
    os.utime(stray, (0, 0))
    running = emulator.start(log=results / "emulator.log", registry=results / REGISTRY.name)
    try:
        assert clean(results=results, say=lambda line: None)
        assert not running.alive()
        assert ([], []) == (list(results.iterdir()), list(temporary.iterdir()))
    finally:
        running.stop()


def test_clean_removes_control_groups_of_dead_emulators(results):
    """A control group that neither an emulator nor its guard lived to remove goes; that of a running one stays."""
    dead, running = (f"workbook-emulator-test-{kind}-{os.getpid()}" for kind in ("dead", "running"))
    try:
        governors = [ControlGroups(name, lambda beginning: None) for name in (dead, running)]
    except OSError:
        pytest.skip("this process may not make control groups")
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", running]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            for governor in governors:
                governor.admit(process.pid, 1)
                os.utime(governor.groups[0], (0, 0))
            assert clean(results=results, say=lambda line: None)

            assert [0, 1] == [len(governor.groups) for governor in governors]
        finally:
            for governor in governors:
                governor.close()


def left_undone(journal: Path, endpoint: str) -> None:
    """Write the journal of a lesson that made a queue on a LocalStack and never took it away."""
    append_line(
        journal,
        {
            "kind": "opened",
            "at": "2026-01-01T00:00:00+00:00",
            "target": "localstack",
            "endpoint": endpoint,
            "account_id": "000000000000",
        },
    )
    call = {"undo": "call", "service": "sqs", "operation": "delete_queue"}
    queue = f"{endpoint}/000000000000/wb-1-queue"
    append_line(
        journal,
        {"kind": "undo", "of": "2026-01-01T00:00:00+00:00", "entry": {**call, "parameters": {"QueueUrl": queue}}},
    )


def test_clean_keeps_the_only_record_of_what_is_still_out_there(results):
    """A run that made something on a target that doesn't answer now isn't forgotten."""
    left_undone(results / "b/journal/02_queues.jsonl", "http://127.0.0.1:9")
    said: list[str] = []

    assert not clean(results=results, say=said.append)

    assert ["b"] == [path.name for path in results.iterdir()]
    assert "the only record of what its lessons made" in " ".join(said)


def test_clean_takes_away_what_a_lesson_left_on_a_target_that_lives_on(results, tmp_path):
    """Then the run may go, too."""
    with emulator.start(log=tmp_path / "log") as running:
        queues = connect("localstack", endpoint=running.endpoint).client("sqs")
        queues.create_queue(QueueName="wb-1-queue")
        left_undone(results / "b/journal/02_queues.jsonl", running.endpoint)

        assert clean(results=results, say=lambda line: None)

        assert [] == queues.list_queues().get("QueueUrls", [])
    assert [] == list(results.iterdir())


# on a real account, rehearsed


TEMPLATE = "Resources:\n  Line:\n    Type: AWS::SQS::Queue\n"


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """An account in which rights are enforced, and the variables with which a shell is one who may do everything there."""
    with rehearsals.account(tmp_path_factory.mktemp("account")) as running:
        yield rehearsals.principal(running)


@pytest.fixture
def there(account, monkeypatch):
    """That account, as the target aws."""
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    return configured("aws")


def forgotten(there, results, run_id):
    """Deploy a lesson's stack, as a kernel that was killed then: its journal says what there is to undo."""
    template = results.parent / "template.yaml"
    template.write_text(TEMPLATE)
    journal = results / run_id / "journal/01_first.jsonl"
    opened = {"kind": "opened", "at": "2026-01-01T00:00:00+00:00", "run_id": run_id, "target": "aws"}
    append_line(journal, {**opened, "region": there.region, "endpoint": there.endpoint, "account_id": there.account_id})

    def remember(entry):
        append_line(journal, {"kind": "undo", "of": opened["at"], "entry": entry})

    tags = stack.tags(there, run=run_id, lesson="01_first", now=datetime.now(UTC))
    stack.deploy(there, template, name=f"wb-{run_id}-01-first", tags=tags, remember=remember, say=lambda line: None)


def stacks(there):
    return [found["StackName"] for found in there.client("cloudformation").describe_stacks()["Stacks"]]


def test_clean_takes_away_what_a_killed_kernel_left_in_an_account(there, results):
    """With its run folder it is known by its journal; the second time there is nothing left to do."""
    forgotten(there, results, "killed")
    said = []

    assert clean(target="aws", results=results, say=said.append)

    assert ([], []) == (stacks(there), list(results.iterdir()))
    assert "removed stack wb-killed-01-first" in said
    assert "us-east-1, account 123456789012: Nothing billable is left." == said[-1]
    assert clean(target="aws", results=results, say=said.append)


def test_clean_takes_it_away_from_another_machine_too(there, results, tmp_path):
    """Without any run folder it is known by its tags."""
    forgotten(there, results, "elsewhere")
    assert clean(target="aws", results=tmp_path / "another machine's", say=lambda line: None)
    assert [] == stacks(there)
    assert clean(target="aws", results=results, say=lambda line: None)  # what is gone already is no error
    assert [] == list(results.iterdir())


def test_clean_leaves_what_a_run_in_use_made(there, results):
    """Neither its folder nor its stack goes, even if all others do."""
    forgotten(there, results, "busy")
    forgotten(there, results, "idle")
    with RunFolder(results / "busy"):
        assert not clean(target="aws", everyone=True, results=results, say=lambda line: None)
        assert ["wb-busy-01-first"] == stacks(there)
    assert clean(target="aws", results=results, say=lambda line: None)
    assert [] == stacks(there)


def test_clean_goes_to_the_region_where_a_run_was(there, results, monkeypatch):
    """What was made in one region isn't taken for gone because another one is named now."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    ireland = configured("aws")
    forgotten(ireland, results, "ireland")
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    assert clean(results=results, say=lambda line: None)

    assert [] == stacks(ireland)


def test_clean_of_what_is_expired_leaves_the_rest_and_all_folders(there, results, monkeypatch):
    """What is past its time goes; run folders are no expense."""
    forgotten(there, results, "today")
    monkeypatch.setenv("WORKBOOK_EXPIRES_H", "0.0000001")
    forgotten(there, results, "long-ago")
    before = set(results.iterdir())

    assert clean(target="aws", expired=True, results=results, say=lambda line: None)

    assert (["wb-today-01-first"], before) == (stacks(there), set(results.iterdir()))
    assert clean(target="aws", results=results, say=lambda line: None)


def test_clean_keeps_the_folder_of_what_can_not_go(there, results):
    """What is left is named, the only record of it stays, and the next time it goes."""
    forgotten(there, results, "stuck")
    template = results.parent / "network.yaml"
    template.write_text("Resources:\n  Net:\n    Type: AWS::EC2::VPC\n    Properties:\n      CidrBlock: 10.0.0.0/16\n")
    tags = stack.tags(there, run="stuck", lesson="01_first", now=datetime.now(UTC))
    quiet = {"remember": lambda entry: None, "say": lambda line: None}
    net = stack.deploy(there, template, name="wb-stuck-01-first", tags=tags, **quiet).resources["Net"]
    subnet = there.client("ec2").create_subnet(VpcId=net, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    said = []

    assert not clean(target="aws", results=results, say=said.append)

    assert ["stuck"] == [path.name for path in results.iterdir()]
    assert "Left, and it may cost money: stack wb-stuck-01-first" in said[-1]
    there.client("ec2").delete_subnet(SubnetId=subnet)
    assert clean(target="aws", results=results, say=lambda line: None)
    assert ([], []) == (stacks(there), list(results.iterdir()))


def test_clean_that_may_not_use_the_account_touches_nothing(results, monkeypatch):
    """Without consent neither the account nor a folder is looked at."""
    for name in ("WORKBOOK_ACCOUNT", "WORKBOOK_MAX_USD", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(TargetError, match="account"):
        clean(target="aws", results=results)
    assert 4 == len(list(results.iterdir()))


# what a run takes away by itself


MAKES_A_QUEUE = """\
from workbook import open_lab
lab = open_lab("01_makes", target=target, run_id=run_id)
sqs = lab.client("sqs")
url = f"{lab.target.endpoint}/{lab.target.account_id}/{lab.name('queue')}"
lab.undo_later("sqs", "delete_queue", QueueUrl=url)
_ = sqs.create_queue(QueueName=lab.name("queue"))
"""


def queues(there):
    return there.client("sqs").list_queues().get("QueueUrls", [])


def run_of(tmp_path, *cells, **how):
    """Run a notebook of these cells on the rehearsed account, and return what came of it."""
    small_notebooks.write(tmp_path / "notebooks", "01_makes", *cells)
    places = {"notebooks": tmp_path / "notebooks", "out": tmp_path / "run"}
    return run(target="aws", screen=Screen(io.StringIO()), **places, **how).outcomes[0]


def test_a_lesson_that_fails_on_aws_leaves_nothing_there(there, tmp_path):
    """Its last cell is never reached, so the run takes away what it made, and its journal knows."""
    outcome = run_of(tmp_path, MAKES_A_QUEUE, "1 / 0")
    assert (Status.FAILED, []) == (outcome.status, queues(there))
    assert "ZeroDivisionError" in outcome.error
    assert "still there" not in outcome.error
    assert [] == pending(tmp_path / "run/journal/01_makes.jsonl")


def test_a_lesson_whose_kernel_dies_on_aws_leaves_nothing_there(there, tmp_path):
    """A dead kernel can't clear up, and neither can one that hangs."""
    outcome = run_of(tmp_path, MAKES_A_QUEUE, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert (Status.FAILED, []) == (outcome.status, queues(there))


def test_what_can_not_be_taken_away_is_said_with_the_command_for_it(there, tmp_path):
    """What is still there stands in the run's table, in its report and in its exit status."""
    bad = 'lab.undo_later("sqs", "delete_message", QueueUrl=url, ReceiptHandle="of no message")'
    outcome = run_of(tmp_path, MAKES_A_QUEUE, bad)
    assert Status.FAILED is outcome.status
    assert "What it made is still there" in outcome.error
    assert outcome.error.endswith("make clean TARGET=aws")
    assert [] == queues(there)  # the rest went
