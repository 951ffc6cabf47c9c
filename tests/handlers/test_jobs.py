"""The desk that takes jobs and the worker that does them, on the emulator's own tables."""

import importlib.util
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from workbook.emulator import Emulator
from workbook.emulator.corrections.probes.made import function, queue
from workbook.targets import Target

HANDLERS = Path(__file__).resolve().parents[2] / "handlers"
CONTEXT = SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1")
ORDER = {"customer": "ada", "amount_cents": 990}
KEY = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


@pytest.fixture
def jobs(emulator: Emulator, target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The client of DynamoDB, with two tables that the handlers' environment names."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint)
    for name, value in (("ACCESS_KEY_ID", "000000000000"), ("SECRET_ACCESS_KEY", "x"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    dynamodb = target.client("dynamodb")
    names = {table: f"{table}-{secrets.token_hex(4)}" for table in ("JOBS", "LEDGER")}
    for variable, name in names.items():
        monkeypatch.setenv(variable, name)
        dynamodb.create_table(TableName=name, **KEY)
    monkeypatch.setenv("WORK_S", "0")
    yield dynamodb
    for name in names.values():
        dynamodb.delete_table(TableName=name)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HANDLERS / name / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def owed_cents(worker: ModuleType, customer: str) -> int:
    found = worker.dynamodb.get_item(TableName=worker.os.environ["LEDGER"], Key={"id": {"S": customer}})
    return int(found["Item"]["owed_cents"]["N"])


def test_a_job_can_be_asked_about_from_the_first_moment(jobs, target: Target, monkeypatch: pytest.MonkeyPatch):
    """The desk answers 202 with an address, and the address answers at once; an unknown job is 404."""
    desk = load("job_desk")
    with function(target, "def handler(event, context): pass") as worker:
        monkeypatch.setenv("WORKER", worker)
        accepted = desk.handler({"routeKey": "POST /jobs", "headers": {}, "body": json.dumps(ORDER)}, CONTEXT)
    job = json.loads(accepted["body"])["job"]
    assert (202, f"/jobs/{job}") == (accepted["statusCode"], accepted["headers"]["location"])
    ask = {"routeKey": "GET /jobs/{job}", "pathParameters": {"job": job}}
    assert {"job": job, "state": "ACCEPTED"} == json.loads(desk.handler(ask, CONTEXT)["body"])
    assert 404 == desk.handler({**ask, "pathParameters": {"job": "none"}}, CONTEXT)["statusCode"]


def test_a_client_that_asks_twice_gets_one_job(jobs, target: Target, monkeypatch: pytest.MonkeyPatch):
    """With the same idempotency key the second request is the first one again: one job, and one event for the worker."""
    desk = load("job_desk")
    request = {"routeKey": "POST /jobs", "headers": {"idempotency-key": "k-1"}, "body": json.dumps(ORDER)}
    with queue(target) as (url, arn), function(target, "def handler(event, context): pass") as worker:
        monkeypatch.setenv("WORKER", worker)
        target.client("lambda").put_function_event_invoke_config(
            FunctionName=worker, DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
        first, second = (desk.handler(request, CONTEXT) for _ in range(2))
        receive = {"QueueUrl": url, "MaxNumberOfMessages": 10}
        assert 1 == len(target.client("sqs").receive_message(**receive, WaitTimeSeconds=10)["Messages"])
        assert "Messages" not in target.client("sqs").receive_message(**receive)
    assert first == second
    assert {"job": "k-1"} == json.loads(first["body"])


@pytest.mark.parametrize(("idempotent", "charges"), [("no", 2), ("yes", 1)])
def test_how_often_a_repeated_event_charges(jobs, monkeypatch: pytest.MonkeyPatch, idempotent: str, charges: int):
    """Run twice, the plain worker charges twice and the idempotent one once; either way the job is done."""
    monkeypatch.setenv("IDEMPOTENT", idempotent)
    worker = load("job_worker")
    answers = [worker.handler({"job": "j-1", **ORDER}, CONTEXT) for _ in range(2)]
    assert [0, 1] == [answer["calls_before"] for answer in answers]
    assert charges * 990 == owed_cents(worker, "ada")
    state = jobs.get_item(TableName=worker.os.environ["JOBS"], Key={"id": {"S": "j-1"}})["Item"]["state"]
    assert {"S": "DONE"} == state


@pytest.mark.parametrize(
    ("fault", "error", "is_charged"), [("before", ConnectionError, False), ("after", TimeoutError, True)]
)
def test_where_it_breaks(jobs, monkeypatch: pytest.MonkeyPatch, fault: str, error: type[Exception], is_charged: bool):
    """The switch decides whether the charge was made before the exception; the job isn't done."""
    monkeypatch.setenv("FAULT", fault)
    worker = load("job_worker")
    with pytest.raises(error):
        worker.handler({"job": "j-1", **ORDER}, CONTEXT)
    ledger = jobs.scan(TableName=worker.os.environ["LEDGER"])["Items"]
    assert is_charged == bool(ledger)


def test_another_failure_of_the_transaction_is_not_taken_for_a_receipt(jobs, monkeypatch: pytest.MonkeyPatch):
    """Only a receipt that is there excuses the charge; whatever else cancels the transaction is an error."""
    monkeypatch.setenv("IDEMPOTENT", "yes")
    worker = load("job_worker")
    jobs.put_item(TableName=worker.os.environ["LEDGER"], Item={"id": {"S": "ada"}, "owed_cents": {"S": "text"}})
    with pytest.raises(Exception, match=r"ValidationError|ValidationException|Transaction"):
        worker.handler({"job": "j-2", **ORDER}, CONTEXT)
