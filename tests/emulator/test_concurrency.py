"""How many calls run at once, which version they run, and what is counted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bursts import GATED, burst, call, under_way
from ministack.services import cloudwatch, lambda_svc
from trials import throttled
from waits import wait_until

from workbook.emulator import concurrency, server
from workbook.emulator.corrections import alias_weights, lambda_metrics, reserved_concurrency
from workbook.emulator.corrections.probes.asynchronous import received
from workbook.emulator.corrections.probes.concurrency import metric
from workbook.emulator.corrections.probes.made import ROLE, function, queue, stack
from workbook.targets import Target, connect

FUNCTION = {
    "Type": "AWS::Lambda::Function",
    "Properties": {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": ROLE,
        "Timeout": 30,
        "Code": {"ZipFile": GATED},
    },
}


@contextmanager
def gated(target: Target) -> Iterator[str]:
    """Create the gated function with a version 1 and an alias `live` of it, and yield its name."""
    with function(target, GATED, Publish=True, Timeout=30) as name:
        target.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        yield name


def publish(target: Target, name: str, description: str = "changed") -> str:
    """Publish another version of a function, and return its number."""
    service = target.client("lambda")
    service.update_function_configuration(FunctionName=name, Description=description)
    service.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
    return service.publish_version(FunctionName=name)["Version"]


def limits(target: Target) -> tuple[int, int]:
    """Return the account's limit of concurrency, and what of it is unreserved."""
    found = target.client("lambda").get_account_settings()["AccountLimit"]
    return found["ConcurrentExecutions"], found["UnreservedConcurrentExecutions"]


def update(target: Target, outputs: dict[str, str], template: dict[str, Any]) -> None:
    """Update a stack, and wait until that is complete."""
    service, name = target.client("cloudformation"), outputs["Stack"]
    service.update_stack(StackName=name, TemplateBody=json.dumps(template))
    service.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 0.1})


def test_one_environment_for_each_call_of_a_burst(ours: Target, tmp_path: Path) -> None:
    """Thirty calls at once are served by thirty environments, which serve the next thirty too."""
    with gated(ours) as name:
        first, _ = burst(ours, name, 30, tmp_path)
        second, _ = burst(ours, name, 30, tmp_path)
    environments = {answer["environment"] for answer in first}
    assert 30 == len(environments)
    assert environments == {answer["environment"] for answer in second}
    assert ({0}, {1}) == tuple({answer["calls_before"] for answer in answers} for answers in (first, second))


@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "live"])
def test_reserved_concurrency_limits_a_burst(ours: Target, tmp_path: Path, qualifier: str) -> None:
    """Of thirty calls at once exactly ten are served, by whatever name; the throttle is AWS's."""
    with gated(ours) as name:
        ours.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=10)
        served, throttles = burst(ours, name, 30, tmp_path, Qualifier=qualifier)
    assert (10, 20) == (len(served), len(throttles))
    [throttle] = {json.dumps({key: one[key] for key in one if key != "ResponseMetadata"}) for one in throttles}
    assert {
        "Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."},
        "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
        "Type": "User",
        "message": "Rate Exceeded.",
    } == json.loads(throttle)
    assert 429 == throttles[0]["ResponseMetadata"]["HTTPStatusCode"]


def test_versions_share_what_is_reserved(ours: Target, tmp_path: Path) -> None:
    """One call to an alias and one to $LATEST leave nothing of two for the version."""
    with gated(ours) as name:
        ours.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
        with under_way(ours, name, 1, tmp_path, Qualifier="live"), under_way(ours, name, 1, tmp_path):
            assert "throttle" in call(ours, name, Qualifier="1")
        assert "1" == call(ours, name, Qualifier="1")["ran"]


def test_at_least_100_stay_unreserved(ours: Target) -> None:
    """A function may reserve all but 100 of what is unreserved, once; the account's settings agree."""
    service = ours.client("lambda")
    limit, unreserved = limits(ours)
    with function(ours, GATED) as name:
        for _ in range(2):  # what a function has reserved already is its own to give
            service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=unreserved - 100)
            assert (limit, 100) == limits(ours)
        with pytest.raises(service.exceptions.InvalidParameterValueException, match=r"minimum value of \[100\]"):
            service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=unreserved - 99)
        assert (limit, 100) == limits(ours)
        service.delete_function_concurrency(FunctionName=name)
        assert (limit, unreserved) == limits(ours)


def test_reserved_by_a_template(ours: Target, tmp_path: Path) -> None:
    """A template's reservation holds, changes with the template, and goes when the template doesn't have it any more."""
    service = ours.client("lambda")

    def template(**properties: Any) -> dict[str, Any]:
        resource = FUNCTION | {"Properties": FUNCTION["Properties"] | properties}
        outputs = {"Name": {"Value": {"Ref": "Function"}}, "Stack": {"Value": {"Ref": "AWS::StackName"}}}
        return {"Resources": {"Function": resource}, "Outputs": outputs}

    with stack(ours, template(ReservedConcurrentExecutions=1)) as outputs:
        name = outputs["Name"]
        served, throttles = burst(ours, name, 2, tmp_path)
        assert (1, 1) == (len(served), len(throttles))
        for properties in ({"ReservedConcurrentExecutions": 3}, {}):
            update(ours, outputs, template(**properties))
            found = service.get_function_concurrency(FunctionName=name)
            found.pop("ResponseMetadata")
            assert properties == found
        service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
        update(
            ours, outputs, template(Description="changed")
        )  # a template that doesn't say keeps what somebody else set
        assert 2 == service.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"]


def test_a_template_that_reserves_too_much(ours: Target) -> None:
    """A stack that would leave too little unreserved is not created, and leaves no function."""
    formation, limit = ours.client("cloudformation"), limits(ours)[0]
    properties = FUNCTION["Properties"] | {"FunctionName": "greedy", "ReservedConcurrentExecutions": limit}
    template = {"Resources": {"Function": FUNCTION | {"Properties": properties}}}
    formation.create_stack(StackName="greedy", TemplateBody=json.dumps(template))
    try:
        wait_until(
            lambda: formation.describe_stacks(StackName="greedy")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
        )
        events = formation.describe_stack_events(StackName="greedy")["StackEvents"]
        assert any("below its minimum value of [100]" in event.get("ResourceStatusReason", "") for event in events)
        with pytest.raises(ours.client("lambda").exceptions.ResourceNotFoundException):
            ours.client("lambda").get_function(FunctionName="greedy")
    finally:
        formation.delete_stack(StackName="greedy")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """MiniStack's functions, none yet, in an account with a limit of 110 and nothing under way."""
    functions: dict[str, Any] = {}
    monkeypatch.setattr(lambda_svc, "_functions", functions)
    monkeypatch.setattr(lambda_svc, "_inflight", {})
    monkeypatch.setattr(lambda_svc, "_inflight_total", 0)
    monkeypatch.setattr(lambda_svc, "_ACCOUNT_CONCURRENCY_CAP", 110)
    return functions


def let_in(name: str, calls: int, *, account_id: str = "000000000000") -> list[str | None]:
    """Begin so many calls, and return whose limit stood in the way of each."""
    config = {"FunctionName": name, "FunctionArn": f"arn:aws:lambda:us-east-1:{account_id}:function:{name}"}
    return [reserved_concurrency.acquire({}, config)[1] for _ in range(calls)]


def test_what_is_reserved_is_kept_free(account: dict[str, Any]) -> None:
    """Functions that reserve nothing share what the others leave; one that reserves has its own, whatever they do."""
    account |= {"a": {"concurrency": 10}, "b": {}, "c": {}}
    assert [None] * 99 == let_in("b", 99)
    assert [None, "account"] == let_in("c", 2)
    assert [None] * 10 + ["function"] == let_in("a", 11)


def test_what_is_provisioned_is_taken_from_the_same(account: dict[str, Any]) -> None:
    """Provisioned environments take from their function's reservation, or from what is shared."""
    ten = {"live": {f"{which}ProvisionedConcurrentExecutions": 10 for which in ("Requested", "Allocated")}}
    account |= {"a": {"concurrency": 11, "provisioned_concurrency": ten}, "b": {"provisioned_concurrency": ten}}
    assert [None, "function"] == let_in("a", 2)
    assert 89 == concurrency.unreserved()
    assert [None] * 89 + ["account"] == let_in("b", 90)


def test_accounts_have_limits_of_their_own(account: dict[str, Any]) -> None:
    """What runs in another account takes nothing away."""
    let_in("b", 110, account_id="111111111111")
    account["b"] = {}
    assert [None] * 110 + ["account"] == let_in("b", 111)


def test_small_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the limit is below 100, all of it stays unreserved."""
    monkeypatch.setattr(lambda_svc, "_ACCOUNT_CONCURRENCY_CAP", 97)
    assert 97 == concurrency.minimum_unreserved()


def test_the_limit_of_the_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that reserve nothing share the account's limit, which throttles with a reason of its own."""
    stock = server.settings
    monkeypatch.setattr(server, "settings", lambda *what: stock(*what) | {"LAMBDA_ACCOUNT_CONCURRENCY": "3"})
    with server.start(log=tmp_path / "log") as running:
        small = connect("embedded", endpoint=running.endpoint)
        assert (3, 3) == limits(small)
        with gated(small) as one, gated(small) as other, under_way(small, other, 1, tmp_path):
            served, throttles = burst(small, one, 4, tmp_path)
    assert (2, 2) == (len(served), len(throttles))
    assert {("ConcurrentInvocationLimitExceeded", "Rate Exceeded.")} == {
        (throttle["Reason"], throttle["message"]) for throttle in throttles
    }


def test_throttled_events_wait_for_their_alias(ours: Target, tmp_path: Path) -> None:
    """Events to an alias of a function that may run one call at a time all run in the end, without a retry."""
    service, logs = ours.client("lambda"), ours.client("logs")
    with gated(ours) as name:
        group = f"/aws/lambda/{name}"
        logs.create_log_group(logGroupName=group)
        service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        service.put_function_event_invoke_config(FunctionName=name, Qualifier="live", MaximumRetryAttempts=0)
        with under_way(ours, name, 1, tmp_path):
            for _ in range(3):
                service.invoke(FunctionName=name, Qualifier="live", InvocationType="Event")
            wait_until(lambda: (metric(ours, "Throttles", FunctionName=name, Resource=f"{name}:live") or 0) >= 3)
        wait_until(lambda: metric(ours, "Invocations", FunctionName=name, Resource=f"{name}:live") == 3)


def weigh(target: Target, name: str, weight: float) -> None:
    """Give version 2 a share of the alias `live`."""
    routing = {"AdditionalVersionWeights": {publish(target, name): weight}}
    target.client("lambda").update_alias(FunctionName=name, Name="live", RoutingConfig=routing)


def test_an_alias_with_weights(ours: Target) -> None:
    """Calls go to both versions, under the alias's name, and the answer and the log stream say which one ran."""
    with gated(ours) as name:
        weigh(ours, name, 0.5)
        answers = [call(ours, name, Qualifier="live") for _ in range(40)]  # all to one: once in 2 ** 39
    assert {"1", "2"} == {answer["ran"] for answer in answers}
    for answer in answers:
        assert answer["ran"] == answer["version"]
        assert f"[{answer['ran']}]" in answer["environment"]
        assert answer["arn"].endswith(f":{name}:live")


def test_weights_hold_for_events_and_at_doors(ours: Target) -> None:
    """An event and a request to a function URL are routed too; an answer to an event names no version."""
    service = ours.client("lambda")
    with gated(ours) as name, queue(ours) as (records, arn):
        weigh(ours, name, 1.0)
        service.put_function_event_invoke_config(
            FunctionName=name, Qualifier="live", DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
        url = service.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="AWS_IAM")["FunctionUrl"]
        requested = json.loads(ours.send("GET", url).body)
        accepted = service.invoke(FunctionName=name, Qualifier="live", InvocationType="Event")
        record = json.loads(received(ours, records)["Body"])
        ran = {"FunctionName": name, "Resource": f"{name}:live", "ExecutedVersion": "2"}
        assert 2 == metric(ours, "Invocations", **ran)
    assert ("2", True) == (requested["version"], requested["arn"].endswith(f":{name}:live"))
    assert "ExecutedVersion" not in accepted
    assert ("2", "2") == (record["responseContext"]["executedVersion"], record["responsePayload"]["version"])


def test_weights_by_a_template(ours: Target) -> None:
    """A template's list of weights routes."""

    def template(*versions: str, **alias: Any) -> dict[str, Any]:
        described = FUNCTION | {"Properties": FUNCTION["Properties"] | {"Description": f"{len(versions)} versions"}}
        version = {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}}
        properties = {"FunctionName": {"Ref": "Function"}, "Name": "live", "FunctionVersion": number("One")} | alias
        return {
            "Resources": {
                "Function": described,
                "Alias": {"Type": "AWS::Lambda::Alias", "Properties": properties},
                **dict.fromkeys(versions, version),
            },
            "Outputs": {"Name": {"Value": {"Ref": "Function"}}, "Stack": {"Value": {"Ref": "AWS::StackName"}}},
        }

    def number(version: str) -> dict[str, list[str]]:
        return {"Fn::GetAtt": [version, "Version"]}

    routing = {"AdditionalVersionWeights": [{"FunctionVersion": number("Two"), "FunctionWeight": 1.0}]}
    with stack(ours, template("One")) as outputs:
        assert "1" == call(ours, outputs["Name"], Qualifier="live")["ran"]
        update(ours, outputs, template("One", "Two", RoutingConfig=routing))
        assert "2" == call(ours, outputs["Name"], Qualifier="live")["ran"]


def test_draws() -> None:
    """A weight of nothing is never drawn, one of everything always."""
    assert {"1"} == {alias_weights.draw("1", {"2": 0.0}) for _ in range(100)}
    assert {"2"} == {alias_weights.draw("1", {"2": 1.0}) for _ in range(100)}


def sums(target: Target, **dimensions: str) -> tuple[float | None, ...]:
    """Return how many invocations, errors and throttles were counted, and how many invocations have a duration."""
    counted = [metric(target, name, **dimensions) for name in ("Invocations", "Errors", "Throttles")]
    return (*counted, metric(target, "Duration", "SampleCount", **dimensions))


def test_what_is_counted(ours: Target, tmp_path: Path) -> None:
    """Calls, failures and throttles are counted once each, by function and by what was called; a throttle is no call."""
    before = metric(ours, "Invocations") or 0
    with gated(ours) as name:
        burst(ours, name, 3, tmp_path)
        ours.client("lambda").invoke(FunctionName=name, Qualifier="live", Payload=json.dumps({"fail": "as requested"}))
        ours.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        call(ours, name, Qualifier="1")
    assert (4, 1, 1, 4) == sums(ours, FunctionName=name)
    assert (3, 0, 0, 3) == sums(ours, FunctionName=name, Resource=name)
    assert (1, 1, 0, 1) == sums(ours, FunctionName=name, Resource=f"{name}:live", ExecutedVersion="1")
    assert (None, None, 1, None) == sums(ours, FunctionName=name, Resource=f"{name}:1")
    assert 3 == metric(ours, "ConcurrentExecutions", "Maximum", FunctionName=name)
    assert 1 == metric(ours, "ConcurrentExecutions", "Maximum", FunctionName=name, Resource=f"{name}:live")
    assert before + 4 == metric(ours, "Invocations")


def test_many_calls_take_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal values within a minute are one point, and as many as they were; time and another value begin a new one."""
    metrics, now = {}, [0.0]
    monkeypatch.setattr(cloudwatch, "_metrics", metrics)
    monkeypatch.setattr(lambda_metrics, "time", SimpleNamespace(time=lambda: now[0]))
    for now[0], errors in ((0.0, 0), (1.0, 0), (59.0, 0), (60.0, 0), (61.0, 1)):
        lambda_metrics._record({"FunctionName": "f"}, Errors=errors)
    [points] = metrics.values()
    assert [(59.0, 0, 3), (60.0, 0, 1), (61.0, 1, 1)] == [(p["Timestamp"], p["Value"], p["Count"]) for p in points]
    assert {"SampleCount": 5.0, "Sum": 1.0, "Average": 0.2, "Minimum": 0.0, "Maximum": 1.0} == cloudwatch._calc_stats(
        points
    )


def test_attempts_are_counted(ours: Target) -> None:
    """An event is counted when it is taken, and each attempt when it is made, as the error that it is."""
    service = ours.client("lambda")
    with gated(ours) as name:
        service.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
        service.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"fail": "as requested"}))
        wait_until(lambda: metric(ours, "Errors", FunctionName=name) == 2)
    assert (2, 2, 0, 2) == sums(ours, FunctionName=name)
    assert 1 == metric(ours, "AsyncEventsReceived", FunctionName=name)


@pytest.mark.parametrize("door", ["RestUrl", "HttpUrl", "FunctionUrl"])
def test_doors_are_counted(ours: Target, front_door: dict[str, str], door: str) -> None:
    """A request that reaches a function is counted as a call, and one that finds it throttled as a throttle."""
    name = front_door["FunctionName"]
    before = sums(ours, FunctionName=name)
    ours.send("GET", f"{front_door[door].rstrip('/')}/two/x")
    with throttled(ours, name):
        ours.send("GET", f"{front_door[door].rstrip('/')}/two/x")
    more = [now - (then or 0) for now, then in zip(sums(ours, FunctionName=name), before, strict=True)]
    assert [1, 0, 1, 1] == more


def test_mappings_are_counted(ours: Target) -> None:
    """A batch from a queue is counted, under the alias that its mapping names."""
    service = ours.client("lambda")
    with queue(ours) as (url, source), gated(ours) as name:
        mapping = service.create_event_source_mapping(FunctionName=f"{name}:live", EventSourceArn=source)["UUID"]
        ours.client("sqs").send_message(QueueUrl=url, MessageBody="work")
        wait_until(lambda: metric(ours, "Invocations", FunctionName=name, Resource=f"{name}:live") == 1)
        service.delete_event_source_mapping(UUID=mapping)
