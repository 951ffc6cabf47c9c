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


ADA = {"authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:user/ada"}}}
BOB = {"authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:user/bob"}}}


def post(desk: ModuleType, order: dict, *, caller: dict = ADA, **headers: str) -> dict:
    return desk.handler(
        {"routeKey": "POST /jobs", "headers": headers, "body": json.dumps(order), "requestContext": caller}, CONTEXT
    )


def ask(desk: ModuleType, job: str) -> dict:
    return desk.handler({"routeKey": "GET /jobs/{job}", "pathParameters": {"job": job}}, CONTEXT)


class Worker:
    """Stands where the desk invokes its worker, notes what comes, and is away as often as it is told."""

    def __init__(self, away: int = 0) -> None:
        self.events: list[dict] = []
        self._away = away

    def invoke(self, *, FunctionName: str, InvocationType: str, Payload: str) -> None:  # noqa: N803, boto3's own names
        if self._away:
            self._away -= 1
            raise ConnectionError("Lambda does not answer")
        assert "Event" == InvocationType
        self.events.append(json.loads(Payload))


@pytest.fixture
def desk(jobs, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("WORKER", "worker")
    return load("job_desk")


def test_a_job_can_be_asked_about_from_the_first_moment(desk: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """The desk answers 202 with an address, and the address answers at once; an unknown job is 404."""
    monkeypatch.setattr(desk, "functions", worker := Worker())
    accepted = post(desk, ORDER)
    job = json.loads(accepted["body"])["job"]
    assert (202, f"/jobs/{job}") == (accepted["statusCode"], accepted["headers"]["location"])
    assert {"job": job, "state": "ACCEPTED"} == json.loads(ask(desk, job)["body"])
    assert 404 == ask(desk, "none")["statusCode"]
    assert [{**ORDER, "job": job}] == worker.events


def test_the_same_order_under_the_same_key_is_one_job(desk: ModuleType, jobs, monkeypatch: pytest.MonkeyPatch):
    """Once the worker has begun, a repeated order starts nothing; another caller's key is another one."""
    monkeypatch.setattr(desk, "functions", worker := Worker())
    first = post(desk, ORDER, **{"idempotency-key": "a b/c"})
    job = json.loads(first["body"])["job"]
    load("job_worker").set_state(job, "RUNNING")
    assert first == post(desk, dict(reversed(ORDER.items())), **{"idempotency-key": "a b/c"})
    assert job != json.loads(post(desk, ORDER, caller=BOB, **{"idempotency-key": "a b/c"})["body"])["job"]
    assert 2 == len(worker.events)


def test_a_key_for_another_order_is_refused(desk: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """What came first under a key stays; nothing is swallowed without a word."""
    monkeypatch.setattr(desk, "functions", worker := Worker())
    post(desk, ORDER, **{"idempotency-key": "k"})
    refused = post(desk, {**ORDER, "amount_cents": 1}, **{"idempotency-key": "k"})
    assert (422, 1) == (refused["statusCode"], len(worker.events))


def test_an_order_that_could_not_be_started_is_started_by_its_repetition(
    desk: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    """The desk breaks between writing and invoking; the same order under the same key goes on where it stopped."""
    monkeypatch.setattr(desk, "functions", worker := Worker(away=1))
    with pytest.raises(ConnectionError):
        post(desk, ORDER, **{"idempotency-key": "k"})
    assert 202 == post(desk, ORDER, **{"idempotency-key": "k"})["statusCode"]
    assert 1 == len(worker.events)


def test_a_client_can_not_choose_the_job_of_another(desk: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """An order that brings a job's id gets one of its own all the same."""
    monkeypatch.setattr(desk, "functions", worker := Worker())
    job = json.loads(post(desk, {**ORDER, "job": "somebody's"})["body"])["job"]
    assert [job] == [event["job"] for event in worker.events]


def test_a_job_that_is_done_stays_done(jobs):
    """A repeated event doesn't take the state back."""
    worker = load("job_worker")
    worker.set_state("j-1", "DONE")
    worker.set_state("j-1", "RUNNING")
    found = jobs.get_item(TableName=worker.os.environ["JOBS"], Key={"id": {"S": "j-1"}})
    assert {"S": "DONE"} == found["Item"]["state"]


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
