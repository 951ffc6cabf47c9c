"""An asynchronous event is retried, throttled and given up on as AWS does it, and its end is told to whom it concerns."""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from ministack.services import lambda_svc
from waits import wait_until

from workbook.emulator import asynchronous
from workbook.emulator.asynchronous import Attempts, Ended
from workbook.emulator.corrections import async_destinations, dead_letters
from workbook.emulator.corrections.probes.asynchronous import received
from workbook.emulator.corrections.probes.made import function, queue, stack, zipped
from workbook.targets import Target

ACCOUNT = "000000000000"
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
WORKER = """
import os
import time

def handler(event, context):
    time.sleep(event.get("wait_s", 0))
    if event.get("fail") and not os.environ.get("MENDED"):
        raise ValueError(event["fail"])
    return {"did": event, "request_id": context.aws_request_id, "arn": context.invoked_function_arn}
"""
OK, ERROR = {"body": "done"}, {"body": {"errorMessage": "no"}, "error": True}
THROTTLE = {"body": {"message": "Rate Exceeded"}, "error": True, "throttle": True}


class Clock:
    """A clock that only sleeping moves, and that calls back after each sleep."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept_s.append(seconds)
        self.then()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asynchronous, "time", clock)
    return clock


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """MiniStack's functions: one, with two versions."""
    versions = {number: {"config": config(number)} for number in ("1", "2")}
    found = {"f": {"config": config("$LATEST"), "versions": versions, "aliases": {"live": {"FunctionVersion": "1"}}}}
    monkeypatch.setattr(lambda_svc, "_functions", found)
    return found


def config(version: str) -> dict[str, Any]:
    return {"FunctionName": "f", "FunctionArn": ARN, "Version": version}


def attempts(
    monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any], qualifier: str = ""
) -> tuple[Ended | None, list[str]]:
    """Run an event that gets these answers one after the other, and return its end and the versions that were run."""
    left, ran = iter(answers), []

    def execute(record: dict[str, Any], event: Any) -> dict[str, Any]:
        ran.append(record["config"]["Version"])
        return next(left)

    monkeypatch.setattr(lambda_svc, "_execute_function", execute)
    return Attempts(config("$LATEST") | {"FunctionArn": ARN + qualifier}, {}, "r-1").run(), ran


def settle(target: Target, name: str, *, qualifier: str | None = None, **settings: Any) -> None:
    """Put settings for asynchronous invocation; `OnSuccess` and `OnFailure` are ARNs."""
    destinations = {way: {"Destination": settings.pop(way)} for way in ("OnSuccess", "OnFailure") if way in settings}
    qualified = {"Qualifier": qualifier} if qualifier else {}
    # Shorter ages than AWS takes are sent without boto3's check.
    service = target.client("lambda", parameter_validation=False)
    service.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destinations, **qualified, **settings)


def send(target: Target, name: str, event: Any, **more: str) -> str:
    """Invoke a function asynchronously and return the request id."""
    answer = target.client("lambda").invoke(
        FunctionName=name, InvocationType="Event", Payload=json.dumps(event), **more
    )
    assert 202 == answer["StatusCode"]
    return answer["ResponseMetadata"]["RequestId"]


def record(target: Target, url: str) -> dict[str, Any]:
    """Return the invocation record that a queue gets."""
    message = received(target, url)
    assert message is not None
    return json.loads(message["Body"])


def reports(target: Target, name: str) -> list[str]:
    """Return the request ids of a function's invocations so far."""
    logs = target.client("logs")
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="REPORT")
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"].split()[2] for event in found["events"]]


@contextmanager
def worker(target: Target, dead_letters_arn: str) -> Iterator[str]:
    """Create the worker with a dead-letter queue or topic, and yield its name."""
    with function(target, WORKER, Timeout=10, DeadLetterConfig={"TargetArn": dead_letters_arn}) as name:
        yield name


@contextmanager
def topic(target: Target, subscriber_arn: str) -> Iterator[str]:
    """Create a topic whose messages a queue gets as they are, and yield its ARN."""
    service = target.client("sns")
    arn = service.create_topic(Name="outcomes")["TopicArn"]
    service.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=subscriber_arn, Attributes={"RawMessageDelivery": "true"})
    try:
        yield arn
    finally:
        service.delete_topic(TopicArn=arn)


def test_waits_between_attempts(clock: Clock, functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing event is run three times, with a wait of MiniStack's minute and one of two between the attempts."""
    ended, _ = attempts(monkeypatch, ERROR, ERROR, ERROR)
    assert ("RetriesExhausted", 3, f"{ARN}:$LATEST") == (ended.condition, ended.invocations, ended.function)
    assert [1, 2] == clock.slept_s


def test_throttles_count_for_nothing(clock: Clock, functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttled attempts are neither retries nor invocations."""
    ended, _ = attempts(monkeypatch, THROTTLE, ERROR, THROTTLE, THROTTLE, ERROR, THROTTLE, OK)
    assert ("Success", 3) == (ended.condition, ended.invocations)


def test_how_long_a_throttled_event_waits(
    clock: Clock, functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried after a moment, then after twice as long each time up to a limit, and given up on after six hours."""
    ended, ran = attempts(monkeypatch, *[THROTTLE] * 10_000)
    assert ("EventAgeExceeded", 0) == (ended.condition, ended.invocations)
    assert pytest.approx([1 / 60, 2 / 60, 4 / 60]) == clock.slept_s[:3]
    assert 5 == max(clock.slept_s)
    assert 6 * 3600 - 5 < clock.now_s <= 6 * 3600
    assert len(ran) < 5_000


def test_an_event_that_would_be_too_old_is_given_up_at_once(
    clock: Clock, functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No attempt is waited for that would come too late."""
    functions["f"]["event_invoke_configs"] = {"$LATEST": {"MaximumEventAgeInSeconds": 2}}
    ended, _ = attempts(monkeypatch, ERROR, ERROR)
    assert ("EventAgeExceeded", 2) == (ended.condition, ended.invocations)
    assert [1] == clock.slept_s


@pytest.mark.parametrize("again", [False, True])
def test_a_deleted_function_ends_its_events(
    again: bool, clock: Clock, functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a function that is deleted is over, also if there is another one of the same name by then."""
    clock.then = lambda: functions.update(f=dict(functions["f"])) if again else functions.clear()
    ended, ran = attempts(monkeypatch, ERROR, OK)
    assert ended is None
    assert 1 == len(ran)


def test_a_deleted_alias_ends_its_events(
    clock: Clock, functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for an alias that is deleted is over."""
    clock.then = functions["f"]["aliases"].clear
    ended, ran = attempts(monkeypatch, ERROR, OK, qualifier=":live")
    assert ended is None
    assert ["1"] == ran


def test_a_retry_follows_the_alias(clock: Clock, functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias that points elsewhere by then decides what a retry runs, and the record names both."""
    clock.then = lambda: functions["f"]["aliases"].update(live={"FunctionVersion": "2"})
    ended, ran = attempts(monkeypatch, ERROR, OK, qualifier=":live")
    assert ["1", "2"] == ran
    assert (f"{ARN}:live", "2") == (ended.function, ended.version)


def test_the_record_of_a_success(ours: Target) -> None:
    """It has every field that AWS's has, with what was sent, what came back, and the id that the caller and the function saw."""
    with queue(ours) as (url, arn), function(ours, WORKER) as name:
        settle(ours, name, OnSuccess=arn)
        request_id = send(ours, name, {"order": 7})
        found = record(ours, url)
    assert found.pop("timestamp").endswith("Z")
    function_arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    expected = {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{function_arn}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"order": 7},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"did": {"order": 7}, "request_id": request_id, "arn": function_arn},
    }
    assert expected == found


def test_how_often_a_failing_event_was_invoked(ours: Target) -> None:
    """The record of a failure counts the first attempt and the retries that the settings allow."""

    def count(retries: int) -> tuple[str, int, dict[str, Any]]:
        with queue(ours) as (url, arn), function(ours, WORKER) as name:
            settle(ours, name, OnFailure=arn, MaximumRetryAttempts=retries)
            send(ours, name, {"fail": "no"})
            found = record(ours, url)
            assert found["requestContext"]["approximateInvokeCount"] == len(reports(ours, name))
        assert "ValueError" == found["responsePayload"]["errorType"]
        context = found["requestContext"]
        return context["condition"], context["approximateInvokeCount"], found["responseContext"]

    response = {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    with ThreadPoolExecutor(3) as callers:
        counts = list(callers.map(count, range(3)))
    assert [("RetriesExhausted", invocations, response) for invocations in (1, 2, 3)] == counts


def test_settings_of_an_alias_and_of_a_version(ours: Target) -> None:
    """An alias, a version and the unpublished function each have settings of their own."""
    service = ours.client("lambda")
    with queue(ours) as (aliased, one), queue(ours) as (numbered, two), function(ours, WORKER) as name:
        service.publish_version(FunctionName=name)
        service.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        settle(ours, name, qualifier="live", OnSuccess=one)
        settle(ours, name, qualifier="1", OnSuccess=two)
        for qualifier in ("$LATEST", "live", "1"):
            send(ours, name, {"to": qualifier}, Qualifier=qualifier)
        for url, qualifier in ((aliased, "live"), (numbered, "1")):
            found = record(ours, url)
            assert {"to": qualifier} == found["requestPayload"]
            assert found["requestContext"]["functionArn"].endswith(f":{name}:{qualifier}")
            assert "1" == found["responseContext"]["executedVersion"]
            assert received(ours, url, wait_s=0) is None


def test_settings_without_a_qualifier_are_those_of_latest(ours: Target) -> None:
    """A later put replaces an earlier one, however the unpublished function is named."""
    service = ours.client("lambda")
    with function(ours, WORKER) as name:
        settle(ours, name, qualifier="$LATEST", MaximumRetryAttempts=0)
        settle(ours, name, MaximumRetryAttempts=1)
        found = service.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
        assert 1 == found["MaximumRetryAttempts"]
        assert found["FunctionArn"].endswith(f":{name}:$LATEST")
        assert 1 == len(service.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"])
        service.delete_function_event_invoke_config(FunctionName=name)
        with pytest.raises(service.exceptions.ResourceNotFoundException):
            service.get_function_event_invoke_config(FunctionName=name)


def test_a_topic_as_destination(ours: Target) -> None:
    """A topic's subscribers get the record as their message."""
    with queue(ours) as (url, arn), topic(ours, arn) as topic_arn, function(ours, WORKER) as name:
        settle(ours, name, OnSuccess=topic_arn)
        send(ours, name, {"order": 7})
        assert {"order": 7} == record(ours, url)["requestPayload"]


def test_a_function_as_destination(ours: Target) -> None:
    """A function gets the record as its event, in an invocation with an id of its own, which has destinations too."""
    with queue(ours) as (url, arn), function(ours, WORKER) as second, function(ours, WORKER) as first:
        settle(ours, second, OnSuccess=arn)
        settle(ours, first, OnSuccess=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{second}")
        request_id = send(ours, first, {"order": 7})
        found = record(ours, url)
    assert {"order": 7} == found["requestPayload"]["requestPayload"]
    assert request_id == found["requestPayload"]["requestContext"]["requestId"]
    assert request_id != found["requestContext"]["requestId"]


def test_a_function_that_is_its_own_destination_is_stopped(ours: Target) -> None:
    """Lambda notices the circle, as it does when functions invoke each other."""
    with queue(ours) as (url, arn), function(ours, "def handler(event, context): pass") as name:
        settle(ours, name, OnSuccess=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}")
        send(ours, name, {})
        wait_until(lambda: len(reports(ours, name)) == lambda_svc.MAX_INVOKE_DEPTH)
        settle(ours, name, OnSuccess=arn)
        send(ours, name, {"last": True})
        assert {"last": True} == record(ours, url)["requestPayload"]
        assert lambda_svc.MAX_INVOKE_DEPTH + 1 == len(reports(ours, name))


def test_an_event_bus_as_destination(ours: Target) -> None:
    """A bus gets the record as the detail of an event of Lambda's, which rules can tell by its result."""
    events = ours.client("events")
    with queue(ours) as (url, arn), function(ours, WORKER) as name:
        bus = events.create_event_bus(Name=name)["EventBusArn"]
        pattern = {"source": ["lambda"], "detail-type": ["Lambda Function Invocation Result - Failure"]}
        events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "queue", "Arn": arn}])
        settle(ours, name, OnSuccess=bus, OnFailure=bus, MaximumRetryAttempts=0)
        for fail in ("", "no"):
            send(ours, name, {"fail": fail})
        event = record(ours, url)
        events.remove_targets(Rule=name, EventBusName=name, Ids=["queue"])
        events.delete_rule(Name=name, EventBusName=name)
        events.delete_event_bus(Name=name)
    assert {"fail": "no"} == event["detail"]["requestPayload"]
    assert [bus, f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}:$LATEST"] == event["resources"]


def test_a_dead_letter_and_a_record(ours: Target) -> None:
    """A function with a dead-letter queue and a destination for failures has both, also for its versions."""
    with queue(ours) as (letters, one), queue(ours) as (failures, two), worker(ours, one) as name:
        ours.client("lambda").publish_version(FunctionName=name)
        settle(ours, name, qualifier="1", OnFailure=two, MaximumRetryAttempts=0)
        request_id = send(ours, name, {"fail": "no"}, Qualifier="1")
        letter, found = received(ours, letters), record(ours, failures)
    assert {"fail": "no"} == json.loads(letter["Body"]) == found["requestPayload"]
    assert hashlib.md5(letter["Body"].encode()).hexdigest() == letter["MD5OfBody"]
    expected = {
        "RequestID": {"DataType": "String", "StringValue": request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": "no"},
    }
    assert expected == letter["MessageAttributes"]
    assert md5_of(expected) == letter["MD5OfMessageAttributes"]


def md5_of(attributes: dict[str, dict[str, str]]) -> str:
    """Return the digest of message attributes.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    digest = hashlib.md5()
    for name in sorted(attributes):
        attribute = attributes[name]
        for part, mark in ((name, b""), (attribute["DataType"], b"\x01"), (attribute["StringValue"], b"")):
            digest.update(struct.pack("!I", len(part.encode())) + part.encode() + mark)
    return digest.hexdigest()


def test_a_dead_letter_topic(ours: Target) -> None:
    """A topic gets the event with the same attributes, and one kilobyte of a long message."""
    message = "ä" * 1000
    with queue(ours) as (url, arn), topic(ours, arn) as topic_arn, worker(ours, topic_arn) as name:
        settle(ours, name, MaximumRetryAttempts=0)
        send(ours, name, {"fail": message})
        letter = received(ours, url)
    assert {"fail": message} == json.loads(letter["Body"])
    assert "ä" * 512 == letter["MessageAttributes"]["ErrorMessage"]["StringValue"]


def test_a_destination_that_is_gone_takes_nothing_from_the_other(ours: Target) -> None:
    """A record that can't be delivered doesn't keep the dead letter from its queue."""
    with queue(ours) as (letters, one), worker(ours, one) as name:
        with queue(ours) as (_, two):
            settle(ours, name, OnFailure=two, MaximumRetryAttempts=0)
        send(ours, name, {"fail": "no"})
        assert received(ours, letters)


def test_events_beyond_the_reserved_concurrency_wait(ours: Target) -> None:
    """Each of several events at once runs, once, though only one may run at a time and none may be retried."""
    with queue(ours) as (url, arn), function(ours, WORKER) as name:
        ours.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        settle(ours, name, OnSuccess=arn, OnFailure=arn, MaximumRetryAttempts=0)
        for order in range(5):
            send(ours, name, {"order": order, "wait_s": 0.1})
        found = [record(ours, url) for _ in range(5)]
    assert list(range(5)) == sorted(one["requestPayload"]["order"] for one in found)
    assert {("Success", 1)} == {
        (one["requestContext"]["condition"], one["requestContext"]["approximateInvokeCount"]) for one in found
    }


def test_a_reserved_concurrency_of_zero(ours: Target) -> None:
    """Nothing is tried, and queue and destination have the event at once, without an answer that there never was."""
    with queue(ours) as (letters, one), queue(ours) as (failures, two), worker(ours, one) as name:
        service = ours.client("lambda")
        service.publish_version(FunctionName=name)
        service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        settle(ours, name, qualifier="1", OnFailure=two)
        send(ours, name, {"order": 7}, Qualifier="1")
        found, letter = record(ours, failures), received(ours, letters)
        assert [] == reports(ours, name)
    context = found["requestContext"]
    assert ("ZeroReservedConcurrency", 0) == (context["condition"], context["approximateInvokeCount"])
    assert {"version", "timestamp", "requestContext", "requestPayload"} == set(found)
    assert {"RequestID", "ErrorMessage"} == set(letter["MessageAttributes"])


def test_an_event_that_grew_too_old(ours: Target) -> None:
    """An event that was throttled until it was too old is given up on, and the record has the throttle's status."""
    with queue(ours) as (letters, one), queue(ours) as (failures, two), worker(ours, one) as name:
        ours.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        settle(ours, name, OnFailure=two, MaximumEventAgeInSeconds=1)
        for order in range(2):
            send(ours, name, {"order": order, "wait_s": 3})
        found, letter = record(ours, failures), received(ours, letters)
    assert "EventAgeExceeded" == found["requestContext"]["condition"]
    assert {"statusCode": 429} == found["responseContext"]
    assert "responsePayload" not in found
    assert "429" == letter["MessageAttributes"]["ErrorCode"]["StringValue"]


@pytest.mark.parametrize("mend", ["code", "variable"])
def test_a_retry_runs_the_mended_function(mend: str, ours: Target) -> None:
    """A function that is mended after the first attempt succeeds in the second, under the same request id."""
    service = ours.client("lambda")
    with queue(ours) as (url, arn), function(ours, WORKER) as name:
        settle(ours, name, OnSuccess=arn, OnFailure=arn)
        request_id = send(ours, name, {"fail": "at first"})
        wait_until(lambda: reports(ours, name))
        if mend == "code":
            mended = "def handler(event, context): return {'request_id': context.aws_request_id}"
            service.update_function_code(FunctionName=name, ZipFile=zipped(mended))
        else:
            service.update_function_configuration(FunctionName=name, Environment={"Variables": {"MENDED": "yes"}})
        found = record(ours, url)
    assert ("Success", 2) == (
        found["requestContext"]["condition"],
        found["requestContext"]["approximateInvokeCount"],
    )
    assert request_id == found["responsePayload"]["request_id"]


def test_an_event_of_another_service_keeps_one_id(ours: Target) -> None:
    """An event that no call to Invoke brought has a request id too, the same in each attempt."""
    s3 = ours.client("s3")
    with queue(ours) as (url, arn), function(ours, "def handler(event, context): raise ValueError") as name:
        settle(ours, name, OnFailure=arn, MaximumRetryAttempts=1)
        s3.create_bucket(Bucket=name)
        rule = {
            "LambdaFunctionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}",
            "Events": ["s3:ObjectCreated:*"],
        }
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
        )
        s3.put_object(Bucket=name, Key="letter")
        found = record(ours, url)
        ids = reports(ours, name)
        s3.delete_object(Bucket=name, Key="letter")
        s3.delete_bucket(Bucket=name)
    assert [found["requestContext"]["requestId"]] * 2 == ids


def test_an_error_without_a_message() -> None:
    """An empty message is no attribute, since a queue takes none without a value; an error of any shape has none."""
    for body in ({"errorMessage": ""}, {}, ["what", "else"], None):
        given = dead_letters.attributes(ended(answer={"body": body, "error": True}))
        assert {"RequestID", "ErrorCode"} == set(given)


def test_the_record_of_an_answer_that_is_nothing() -> None:
    """A handler that returns nothing has null as its answer, and not no answer."""
    assert async_destinations.record(ended(answer={"body": None}))["responsePayload"] is None


def ended(**changes: Any) -> Ended:
    return Ended(
        **{
            "request_id": "r-1",
            "function": f"{ARN}:$LATEST",
            "event": {},
            "condition": "Success",
            "invocations": 1,
            "version": "$LATEST",
            "answer": None,
            "destinations": {},
            "dead_letters": None,
        }
        | changes
    )


def test_a_template_takes_the_queue_away_again(ours: Target) -> None:
    """What a template no longer says of dead letters, the function no longer has."""
    properties = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/r",
        "Code": {"ZipFile": WORKER},
    }
    template = {
        "Resources": {"Function": {"Type": "AWS::Lambda::Function", "Properties": properties}},
        "Outputs": {"Name": {"Value": {"Ref": "Function"}}, "Stack": {"Value": {"Ref": "AWS::StackName"}}},
    }
    with_queue = json.loads(json.dumps(template))
    queue_arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"
    with_queue["Resources"]["Function"]["Properties"]["DeadLetterConfig"] = {"TargetArn": queue_arn}
    service = ours.client("cloudformation")
    with stack(ours, with_queue) as outputs:
        name = outputs["Name"]
        assert {"TargetArn": queue_arn} == configuration(ours, name)["DeadLetterConfig"]
        service.update_stack(StackName=outputs["Stack"], TemplateBody=json.dumps(template))
        service.get_waiter("stack_update_complete").wait(StackName=outputs["Stack"], WaiterConfig={"Delay": 0.1})
        assert "DeadLetterConfig" not in configuration(ours, name)


def configuration(target: Target, name: str) -> dict[str, Any]:
    return target.client("lambda").get_function_configuration(FunctionName=name)
