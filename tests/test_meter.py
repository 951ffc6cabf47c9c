"""The meter: what is counted of each call, what stands meanwhile, and the cap."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from stacks import INFRA
from waits import wait_until

from workbook import calls, usage
from workbook.errors import TargetError
from workbook.meter import FOLDER, Meter, called, metered, spent, used
from workbook.records import read_lines
from workbook.targets import Target, connect
from workbook.usage import Shape

HELLO = "00_start_here"


@pytest.fixture
def meters(target: Target, tmp_path: Path) -> Callable[..., Target]:
    """Return what puts a meter on the emulator, which counts into this test's folder."""

    def put(cap_usd: float | None = None, lesson: str = HELLO) -> Target:
        return metered(replace(target, cap_usd=cap_usd), tmp_path, lesson, INFRA / f"{lesson}.yaml")

    return put


def _d(**amounts: str) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in amounts.items()}


def test_an_invocation_is_counted_as_its_report_has_it(meters, outputs_00, tmp_path):
    """One request, and the billed duration times the memory that the REPORT line names."""
    call = calls.invoke(meters(), outputs_00["FunctionName"], {}, run_id="r", experiment="e")
    amounts = used(tmp_path, HELLO)
    assert 1 == amounts["lambda_requests"]
    assert Decimal(str(call.record.billed_ms)) / 1000 * 128 / 1024 == amounts["lambda_gb_s_x86"]
    assert {"lambda Invoke": 1} == called(tmp_path, HELLO)


def test_a_request_to_an_api_is_counted_as_one_and_as_an_invocation(meters, outputs_00, tmp_path):
    """The gateway bills it, and so does Lambda; while its log isn't read, it took as long as its caller waited."""
    answer = meters().send("GET", outputs_00["ApiUrl"])
    amounts = used(tmp_path, HELLO)
    assert (1, 1) == (amounts["http_api_requests"], amounts["lambda_requests"])
    assert amounts["lambda_gb_s_x86"] >= Decimal(int(answer.took_ms)) / 1000 * 128 / 1024
    assert Decimal(len(answer.body)) / 1024**3 == amounts["out_gb"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ab12.execute-api.us-east-1.amazonaws.com/prod/x", {"rest_api_requests"}),
        ("http://127.0.0.1:4566/_aws/execute-api/ab12/prod/x", {"rest_api_requests"}),
        ("https://ab12.execute-api.us-east-1.amazonaws.com/one/x", {"http_api_requests"}),
        ("https://ab12.lambda-url.us-east-1.on.aws/", set()),
    ],
)
def test_the_door_decides_what_a_request_is_billed_as(tmp_path, url: str, expected: set[str]):
    """A REST API is told by its stage; a function URL costs nothing beside its function."""
    meter = Meter(tmp_path / FOLDER / "l.jsonl", region="us-east-1", shape=Shape.of(INFRA / "02_front_door.yaml"))
    meter.ask("http", "GET", {"url": url, "size_bytes": 0})
    assert expected == {name for name in used(tmp_path, "l") if name.endswith("_api_requests")}


def test_a_large_answer_counts_in_steps_of_512_kb(tmp_path):
    """An HTTP API meters each started 512 KB as a request."""
    meter = Meter(tmp_path / FOLDER / "l.jsonl", region="us-east-1")
    ticket = meter.ask("http", "GET", {"url": "https://a.execute-api.us-east-1.amazonaws.com/", "size_bytes": 0})
    ticket.answered(200, 512 * 1024 + 1)
    assert 2 == used(tmp_path, "l")["http_api_requests"]


def test_a_throttled_call_invoked_nothing(tmp_path):
    """What was taken to be an invocation is taken back."""
    meter = Meter(tmp_path / FOLDER / "l.jsonl", region="us-east-1")
    meter.ask("lambda", "Invoke", {"FunctionName": "f"}).answered(429, 0)
    assert {"lambda_requests": 0, "log_gb": 0} == {name: int(x) for name, x in used(tmp_path, "l").items()}


def test_a_call_is_written_down_before_it_goes(tmp_path):
    """A kernel that is killed in the middle of a call has counted it; nobody answers at this address."""
    nobody = connect("embedded", endpoint="http://127.0.0.1:9")
    with pytest.raises(TargetError, match="gave no answer"):
        metered(nobody, tmp_path, "l", Path("none")).measured_client("lambda").invoke(FunctionName="f")
    assert ["opened", "lambda Invoke"] == [line["call"] for line in read_lines(tmp_path / FOLDER / "l.jsonl")]


def test_what_logs_say_replaces_what_was_estimated(meters, outputs_00, tmp_path):
    """An event is taken for three attempts of full length, until the log tells of the one that there was."""
    target, function = meters(), outputs_00["FunctionName"]
    before = _reports(target, function)
    target.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b"{}")
    assert 3 == used(tmp_path, HELLO)["lambda_requests"]
    assert Decimal(3 * 3 * 128) / 1024 == used(tmp_path, HELLO)["lambda_gb_s_x86"]  # three times the timeout of 3 s

    wait_until(lambda: _reports(target, function) > before)
    target.meter.read_reports(target)

    amounts = used(tmp_path, HELLO)
    assert before + 1 == amounts["lambda_requests"]
    assert 0 < amounts["lambda_gb_s_x86"] < Decimal(3 * 128) / 1024
    assert 0 < amounts["log_gb"] < Decimal(2 * (before + 1)) / 1024**2


def test_logs_that_have_not_arrived_lower_no_estimate(meters, outputs_00, tmp_path):
    """A function whose log is somewhere else may have been invoked all the same."""
    target = meters()
    target.meter.ask("lambda", "Invoke", {"FunctionName": "elsewhere"}).answered(200, 0)
    estimate = used(tmp_path, HELLO)
    target.meter.read_reports(target)
    assert estimate == {name: x for name, x in used(tmp_path, HELLO).items() if x and name in estimate}


def _reports(target: Target, function: str) -> int:
    events = target.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    return sum(event["message"].startswith("REPORT") for event in events)


# what stands


def _stood(tmp_path: Path, *lines: dict[str, object]) -> dict[str, Decimal]:
    file = tmp_path / FOLDER / "l.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps({"call": "c", "used": {}, **line}) + "\n" for line in lines))
    return used(tmp_path, "l")


def _at(seconds: float) -> str:
    return (datetime(2026, 11, 22, 10, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


READY = {"at": _at(0), "stands": "wb-1-07-checkout", "per_s": {"provisioned_gb_s_x86": "2.5"}, "step_s": 300}


@pytest.mark.parametrize(("end_s", "expected"), [(1, 750), (300, 750), (301, 1500)])
def test_provisioned_environments_are_billed_in_steps_of_five_minutes(tmp_path, end_s: int, expected: int):
    """Five of half a gigabyte: 2.5 GB times 300 s for each step that was begun."""
    amounts = _stood(tmp_path, READY, {"at": _at(end_s), "ends": "wb-1-07-checkout"})
    assert {"provisioned_gb_s_x86": expected} == amounts


def test_a_deleted_stack_takes_along_what_stood_in_it(tmp_path):
    """Its functions are gone, and so are their environments."""
    assert {"provisioned_gb_s_x86": 750} == _stood(tmp_path, READY, {"at": _at(60), "ends": "wb-1-07"})


def test_what_was_cleaned_after_a_killed_kernel_stands_no_longer(tmp_path):
    """The meter of that kernel saw no deletion; the journal tells of it."""
    journal = tmp_path / "journal" / "l.jsonl"
    journal.parent.mkdir()
    journal.write_text(json.dumps({"kind": "undone", "at": _at(400), "of": "x", "removed": []}) + "\n")
    assert {"provisioned_gb_s_x86": 1500} == _stood(tmp_path, READY)


def test_what_nobody_took_away_goes_on_costing(tmp_path):
    """A mapping that was left behind polls on: what it has cost is counted until now."""
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    polls = {"at": an_hour_ago, "stands": "wb-1-07", "per_s": {"sqs_requests": "0.25"}, "step_s": 1}
    assert 900 <= _stood(tmp_path, polls)["sqs_requests"] < 1000


# the cap


def test_the_call_after_the_one_that_passes_the_cap_is_refused(meters, outputs_00, tmp_path):
    """A loop gone wild ends by itself, with both figures; what takes things away is let through."""
    target, function = meters(cap_usd=0.0000005), outputs_00["FunctionName"]
    before = _reports(target, function)

    def call_for_ever() -> None:
        for _ in range(100):
            target.client("lambda").invoke(FunctionName=function, Payload=b"{}")

    with pytest.raises(
        TargetError, match=r"has spent about <?0.0001 USD .* WORKBOOK_MAX_USD is 5e-07: lambda Invoke was not"
    ):
        call_for_ever()

    counted = called(tmp_path, HELLO)["lambda Invoke"]
    assert 1 <= counted < 4
    assert counted == _reports(target, function) - before
    target.client("logs").delete_log_stream(
        logGroupName=f"/aws/lambda/{function}", logStreamName=_any_stream(target, function)
    )


def _any_stream(target: Target, function: str) -> str:
    return target.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{function}")["logStreams"][0][
        "logStreamName"
    ]


def test_who_cleans_up_may_look_beyond_the_cap(meters):
    """Listing a bucket is billed, and emptying one takes a list."""
    buckets = meters(cap_usd=0).client("s3")
    with pytest.raises(buckets.exceptions.NoSuchBucket):
        buckets.list_objects_v2(Bucket="wb-never")
    with pytest.raises(buckets.exceptions.NoSuchBucket):
        buckets.delete_bucket(Bucket="wb-never")


@pytest.mark.parametrize("create", ["create_bucket", "put_object"])
def test_nothing_is_made_beyond_the_cap(meters, create: str):
    """What is made may cost for as long as it stands, and isn't."""
    parameters = {"Bucket": "wb-never", **({"Key": "k", "Body": b"x"} if create == "put_object" else {})}
    with pytest.raises(TargetError, match="was not sent"):
        getattr(meters(cap_usd=0).client("s3"), create)(**parameters)


def test_the_cap_is_the_whole_runs(meters, outputs_00):
    """What another lesson's kernel has spent counts as well."""
    meters(lesson="01_first_function").client("lambda").invoke(FunctionName=outputs_00["FunctionName"], Payload=b"{}")
    with pytest.raises(TargetError, match="was not sent"):
        meters(cap_usd=0.0000001).client("lambda").invoke(FunctionName=outputs_00["FunctionName"], Payload=b"{}")


# what was spent


def test_what_was_spent_says_by_what(meters, outputs_00, tmp_path):
    """The sum, what is free, how often which service was called, and who decides."""
    target = meters()
    target.client("lambda").invoke(FunctionName=outputs_00["FunctionName"], Payload=b"{}")
    target.send("GET", outputs_00["ApiUrl"])
    said = str(spent(tmp_path))
    assert re.match(r"Spent about <?0.0001 USD at list price \(<0.0001 after what is free each month\)", said)
    assert "by what was called: 1 of lambda, 1 of http. AWS's bill comes later and decides." in said


def test_of_a_folder_without_counts_nothing_is_said(tmp_path):
    """A run on an emulator costs nothing, and has no bill."""
    assert spent(tmp_path) is None


def test_a_service_that_nobody_thought_of_is_named(meters, tmp_path):
    """It is counted under its own name, for which there is no price."""
    meters().client("kms").list_keys()
    assert ("kms ListKeys",) == spent(tmp_path).bill.unpriced


def test_amounts_below_a_hundredth_of_a_cent_are_no_zero():
    """Four decimals, and a sign for less."""
    assert ["0.0000", "<0.0001", "0.0123", "1,234.5000"] == [
        usage.usd(Decimal(amount)) for amount in ("0", "0.00001", "0.01234", "1234.5")
    ]
