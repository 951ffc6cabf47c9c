"""What a run will make, call, take and cost, before anything is made; and the same counted afterwards."""

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from rehearsals import account, principal, root
from small_notebooks import write

from workbook import cli, forecast, lessons, meter, runs, usage
from workbook.emulator import Emulator
from workbook.errors import ParameterError, TargetError
from workbook.lab import open_lab
from workbook.records import Provenance
from workbook.runs.screen import Screen
from workbook.targets import Target

LESSONS = lessons.table()
AWS = Target("aws", None, "us-east-1", "123456789012", Provenance.MEASURED, cap_usd=5.0)
# Of what a rehearsal counts, so much may be above the table's counts: durations are this machine's and of this moment, and
# the workbook asks again as long as something isn't ready.
MARGIN = Decimal("0.8")


def _lesson(name: str) -> lessons.Lesson:
    return lessons.find(name)


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A table of one lesson, whose counts are round."""
    path = tmp_path / "usage.csv"
    columns = "lesson,mode,repeats,calls,resources," + ",".join(usage.BILLED) + ",counted_on,content"
    amounts = {
        "lambda_requests": "100",
        "lambda_gb_s_x86": "50",
        "s3_put_requests": "10",
        "provisioned_gb_s_x86": "750",
    }
    row = f"07_concurrency,default,20,200,2 AWS::Lambda::Function; 1 AWS::S3::Bucket,{','.join(amounts.get(x, '') for x in usage.BILLED)}"
    path.write_text(f"{columns}\n{row},2026-11-22,0\n{row.replace('default', 'quick')},2026-11-22,0\n")
    monkeypatch.setattr(forecast, "TABLE", path)
    forecast.table.cache_clear()
    yield
    forecast.table.cache_clear()


# the plan


def test_a_plan_that_was_worked_out_by_hand(counted):
    """Counts times prices; AWS provides slowly, so for two steps, and Lambda polls the queue for as long as the lesson takes."""
    (part,) = forecast.plan([_lesson("07_concurrency")], "us-east-1").parts
    polls = 20 * 15  # minutes, times what five pollers ask in one
    expected = {
        "lambda_requests": Decimal(100) * Decimal("0.0000002"),
        "lambda_gb_s_x86": Decimal(50) * Decimal("0.0000166667"),
        "s3_put_requests": Decimal(10) * Decimal("0.000005"),
        "provisioned_gb_s_x86": 2 * Decimal(750) * Decimal("0.0000041667"),
        "sqs_requests": polls * Decimal("0.0000004"),
    }
    assert sum(expected.values()) == part.bill.list_usd
    free = expected["lambda_requests"] + expected["lambda_gb_s_x86"] + expected["sqs_requests"]
    assert sum(expected.values()) - free == part.bill.charged_usd
    assert (200, 3, 1, True) == (part.calls, part.resources.total(), part.stacks, part.is_changed)


@pytest.mark.parametrize(("repeats", "factor"), [(40, 2), (20, 1), (5, 1), (None, 1)])
def test_more_repeats_scale_the_calls_and_not_what_is_deployed(counted, repeats: int | None, factor: int):
    """Twice the repeats are at most twice the calls; fewer lower nothing, as not everything is repeated."""
    (part,) = forecast.plan([_lesson("07_concurrency")], "us-east-1", repeats=repeats).parts
    assert (100 * factor, 10, 200 * factor) == (part.used["lambda_requests"], part.used["s3_put_requests"], part.calls)


def test_quick_takes_few_whatever_was_asked_for(counted):
    """The lessons cut their repeats themselves then."""
    (part,) = forecast.plan([_lesson("07_concurrency")], "us-east-1", quick=True, repeats=1000).parts
    assert 100 == part.used["lambda_requests"]


def test_a_plan_says_what_kind_of_figure_it_is():
    """Both sums, the resources by type, where the counts come from, and that no cap is a hard limit."""
    said = str(forecast.plan(LESSONS, "eu-west-1"))
    assert "in eu-west-1" in said
    assert re.search(r"To be made: .*\d+ AWS::Lambda::Function", said)
    for words in ("calls as counted on an emulator", "only the free plan", "credits", "AWS's bill comes a day later"):
        assert words in said
    assert re.search(r"\| together +\| +8 \|", said)  # stacks


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
@pytest.mark.parametrize("mode", ["default", "quick"])
def test_every_lesson_is_counted_in_both_modes(lesson: lessons.Lesson, mode: str):
    """A new lesson isn't run on AWS before it is known what it calls; if not: make usage."""
    assert (lesson.name, mode) in forecast.table()


@pytest.mark.parametrize("name", [lesson.name for lesson in LESSONS])
def test_the_resources_in_the_table_are_those_of_the_template(name: str, monkeypatch):
    """What SAM generates counts as well; a lesson may make some beside its stack. If not: make usage."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made = forecast.resources(forecast.template(name))
    assert not made - Counter(forecast.table()[name, "quick"].resources)
    assert "AWS::Serverless::Function" not in made


def test_the_page_has_the_costs_of_the_table():
    """What docs/aws.md says is what the table and the price book say; if not: make usage."""
    page = forecast.PAGE.read_text(encoding="utf-8")
    assert f"{forecast.BEGIN}\n\n{forecast.to_markdown()}\n\n{forecast.END}" in page


# the refusal


def test_a_plan_above_the_cap_is_refused_with_both_figures(counted):
    """And with what lowers it."""
    plan = forecast.plan([_lesson("07_concurrency")], "us-east-1")
    with pytest.raises(
        TargetError, match=r"cost about 0.0073 USD at list price, and WORKBOOK_MAX_USD is 0.001.*--only.*--quick"
    ):
        plan.agree(Target("aws", None, cap_usd=0.001))
    plan.agree(Target("aws", None, cap_usd=0.01))


def test_what_was_spent_already_counts_towards_the_cap(counted):
    """A run that goes on has no second cap."""
    plan = forecast.plan([_lesson("07_concurrency")], "us-east-1")
    already = meter.Spent(usage.bill({"lambda_requests": Decimal(50_000)}, "us-east-1"), {})
    with pytest.raises(TargetError, match=r"about 0.017 USD at list price \(0.0100 of it is spent already\)"):
        plan.agree(Target("aws", None, cap_usd=0.01), already=already)


def test_what_nobody_counted_is_refused_on_aws_and_let_through_on_a_rehearsal(tmp_path):
    """What it would cost isn't known; where nothing is billed, that is how it gets known."""
    plan = forecast.plan([lessons.read(write(tmp_path, "99_new", "1"))], "us-east-1")
    with pytest.raises(TargetError, match="Nobody has counted what 99_new calls"):
        plan.agree(AWS)
    plan.agree(Target("aws", "http://127.0.0.1:9", cap_usd=1.0))
    assert re.search(r"99_new +\| +0 \| +\? \| +\? \| +1 \| +not counted", str(plan))


def test_what_is_billed_for_being_there_needs_a_price(counted):
    """A key costs a dollar a month whether or not it is used; nothing that was counted would say so."""
    path = forecast.TABLE
    path.write_text(path.read_text().replace("1 AWS::S3::Bucket", "1 AWS::KMS::Key"))
    with pytest.raises(TargetError, match="no price of AWS::KMS::Key, for as long as it stands"):
        forecast.plan([_lesson("07_concurrency")], "us-east-1").agree(AWS)


def test_what_has_no_price_is_refused(counted, monkeypatch):
    """A plan that can't be priced is held against no cap."""
    monkeypatch.setitem(usage.BILLED, "lambda_requests", ("requests", "ACM", "public-certificate", None))
    with pytest.raises(TargetError, match="no price of ACM public-certificate"):
        forecast.plan([_lesson("07_concurrency")], "us-east-1").agree(AWS)


# the command


def test_the_plan_alone_asks_nobody(monkeypatch, capsys):
    """It needs a region for its prices, and neither credentials, nor account, nor cap, nor network."""
    for name in ("WORKBOOK_ACCOUNT", "WORKBOOK_MAX_USD", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert 0 == cli.main(["run", "--target", "aws", "--plan", "--quick", "--only", "00", "05", "--jobs", "1"])
    said = capsys.readouterr().out
    assert re.findall(r"^\| (\d\w+) ", said, re.MULTILINE) == ["00_start_here", "05_sync_vs_async"]
    assert "eu-west-1" in said


def test_without_a_region_there_are_no_prices(monkeypatch, capsys):
    """On AWS it has to be named; elsewhere nothing is billed, and one stands for all."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert 1 == cli.main(["run", "--target", "aws", "--plan"])
    assert "named without AWS_REGION" in capsys.readouterr().err
    assert 0 == cli.main(["run", "--plan", "--only", "00"])
    assert "The plan, on AWS in us-east-1" in capsys.readouterr().out


def test_repeats_on_the_command_line_scale_the_plan(monkeypatch, capsys):
    """A learner sees what more of them cost before they cost it."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    usual, more = runs.planned(only=("02",)), runs.planned(only=("02",), settings={"repeats": "720"})
    assert 10 * usual.parts[0].used["http_api_requests"] == more.parts[0].used["http_api_requests"]


# rehearsed


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, dict[str, str]]]:
    """An account on an emulator, and the variables of its learner."""
    with account(tmp_path_factory.mktemp("account")) as emulator:
        yield emulator, principal(emulator)


@pytest.fixture
def learner(rehearsed: tuple[Emulator, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, with this process as its learner."""
    emulator, variables = rehearsed
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return emulator


def _made(emulator: Emulator) -> list[str]:
    """Return what anybody has ever made in the account: stacks, the deleted ones too, buckets and functions."""
    owner = root(emulator)
    return [
        *(stack["StackName"] for stack in owner.client("cloudformation").list_stacks()["StackSummaries"]),
        *(bucket["Name"] for bucket in owner.client("s3").list_buckets()["Buckets"]),
        *(function["FunctionName"] for function in owner.client("lambda").list_functions()["Functions"]),
    ]


def test_above_the_cap_nothing_is_made(learner, tmp_path, monkeypatch):
    """The plan is shown, the run refused, and the account as it was; nor is there a run folder."""
    monkeypatch.setenv("WORKBOOK_MAX_USD", "0.00001")
    before, screen = _made(learner), io.StringIO()
    with pytest.raises(TargetError, match=r"WORKBOOK_MAX_USD is 1e-05"):
        runs.run(target="aws", only=("00",), quick=True, out=tmp_path / "out", screen=Screen(screen))
    assert before == _made(learner)
    assert "00_start_here" in screen.getvalue()
    assert not (tmp_path / "out").exists()


def test_a_lab_above_the_cap_makes_nothing(learner, tmp_path, monkeypatch, capsys):
    """In JupyterLab the plan of the one lesson is shown, and refused, when it is opened."""
    monkeypatch.setenv("WORKBOOK_RUN_FOLDER", str(tmp_path))
    monkeypatch.setenv("WORKBOOK_MAX_USD", "0.00001")
    before = _made(learner)
    with pytest.raises(TargetError, match="This would cost about"):
        open_lab("07_concurrency", target="aws")
    assert before == _made(learner)
    assert "The plan, on AWS in us-east-1" in capsys.readouterr().out


def test_a_lab_that_passes_the_cap_goes_no_further(learner, tmp_path, monkeypatch, capsys):
    """A cell run again and again: the cap holds in the middle, and what was made can still be taken away."""
    monkeypatch.setenv("WORKBOOK_RUN_FOLDER", str(tmp_path))
    monkeypatch.setenv("WORKBOOK_MAX_USD", "0.0001")
    lab = open_lab("00_start_here", target="aws")
    function = lab.deploy()["FunctionName"]

    def again_and_again() -> None:
        for number in range(10_000):
            lab.invoke(function, {}, experiment="wild", attempt=number)

    with pytest.raises(TargetError, match=r"This run has spent about 0.0001 USD .*: lambda Invoke was not sent"):
        again_and_again()
    lab.close()
    assert re.search(r"Spent about .* by what was called: \d+ of lambda", capsys.readouterr().out)
    assert not [name for name in _made(learner) if name.startswith(f"wb-{lab.run_id}") and "start-here-" in name]
    assert (
        0 < meter.spent(tmp_path).bill.list_usd < Decimal("0.0002")
    )  # less than was taken, now that the logs were read


def test_a_rehearsal_counts_what_the_plan_foresaw(learner, tmp_path):
    """The table is as new as the lesson: a fresh run uses no more than it foresees; if not: make usage."""
    screen = io.StringIO()
    report = runs.run(target="aws", only=("00", "04"), quick=True, out=tmp_path / "out", screen=Screen(screen))

    assert {"passed"} == {str(outcome.status) for outcome in report.outcomes}
    for one in forecast.count(report.folder):
        plan = forecast.plan([_lesson(one.lesson)], "us-east-1", quick=True)
        assert plan.parts[0].calls >= one.calls * MARGIN
        assert plan.bill.list_usd >= usage.bill(one.used, "us-east-1").list_usd * MARGIN
        assert {*one.used} <= {*plan.parts[0].used}
    lines = screen.getvalue()
    assert re.search(r"Spent about 0.000\d USD at list price .*AWS's bill comes later and decides\.", lines)
    facts = json.loads((report.folder / "run.json").read_text())["spent"]
    assert facts["called"]["lambda Invoke"] >= 4
    assert 0 < facts["after_free_usd"] < facts["list_usd"]
    assert "Spent about" in runs.spent(report.folder)


def test_a_run_elsewhere_is_not_taken_for_a_count(tmp_path):
    """What was run on another target wasn't metered."""
    (tmp_path / "run.json").write_text(json.dumps({"target": "embedded", "parameters": {}}))
    with pytest.raises(ParameterError, match="is a run on embedded"):
        forecast.count(tmp_path)
