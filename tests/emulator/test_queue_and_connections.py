"""What lesson 07's stack relies on: a queue that is worked by few at a time, and a database that takes few connections."""

import json
from collections.abc import Iterator

import pytest
from stacks import deployed
from waits import wait_until

from workbook import database, plans
from workbook.calls import invoke
from workbook.records import Record
from workbook.targets import Target

LABELS = {"run_id": "r", "experiment": "e"}


@pytest.fixture(scope="module")
def outputs(ours: Target) -> Iterator[dict[str, str]]:
    """The outputs of lesson 07's stack."""
    yield from deployed(ours, "07_concurrency")


def worked(target: Target, function: str) -> list[dict]:
    """Return the lines that the function logged about the orders that it collected."""
    pages = target.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=f"/aws/lambda/{function}", filterPattern='"collected"')
    return [json.loads(event["message"]) for page in found for event in page["events"]]


def at_once(lines: list[dict]) -> int:
    """Return how many orders were under way at the same moment, at most."""
    return max(sum(other["began"] <= line["began"] < other["ended"] for other in lines) for line in lines)


def test_a_queue_is_worked_by_no_more_than_its_mapping_allows(ours: Target, outputs: dict[str, str]):
    """Maximum concurrency holds, and every message is worked. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""
    orders = [{"Id": str(number), "MessageBody": json.dumps({"work_ms": 200})} for number in range(8)]
    ours.client("sqs").send_message_batch(QueueUrl=outputs["OrdersUrl"], Entries=orders)
    wait_until(lambda: len(worked(ours, outputs["CheckoutWorker"])) == 8)
    assert 2 == at_once(worked(ours, outputs["CheckoutWorker"]))


def test_each_environment_holds_a_connection_until_there_are_none(ours: Target, outputs: dict[str, str]):
    """A burst of more environments than connections is refused in part, by the database and not by Lambda."""
    client = ours.client("lambda")
    with database.start(max_connections=2) as server:
        settings = {"FunctionName": outputs["Pooled"], "Environment": {"Variables": server.variables}}
        client.update_function_configuration(**settings)
        client.get_waiter("function_updated_v2").wait(FunctionName=outputs["Pooled"], WaiterConfig={"Delay": 0.05})

        def call(**labels: object) -> Record:
            return invoke(ours, outputs["Pooled"], {"work_ms": 1500}, **LABELS, **labels).record

        errors = [record.error_type for record in plans.burst(call, callers=4)]
        assert sorted(errors, key=str) == ["DatabaseError", "DatabaseError", None, None]
        assert database.Sessions(open=2, limit=2) == server.sessions()
