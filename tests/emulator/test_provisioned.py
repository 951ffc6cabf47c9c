"""Provisioned concurrency: environments that are ready before a call comes, as many as were asked for, for as long."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from bursts import GATED, burst, call, under_way
from trials import state
from waits import wait_until

from workbook.calls import invoke
from workbook.emulator.corrections.probes.concurrency import metric
from workbook.emulator.corrections.probes.made import ROLE, function, stack
from workbook.targets import Target

CONFIG = "ProvisionedConcurrencyConfig"
FLAKY = """
import pathlib
flag = pathlib.Path({flag!r})
if not flag.exists():
    flag.touch()
    raise RuntimeError("not yet")
"""


@contextmanager
def published(target: Target, source: str = GATED) -> Iterator[str]:
    """Create a function with a version 1 and an alias `live` of it, and yield its name."""
    with function(target, source, Publish=True, Timeout=30) as name:
        target.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        yield name


def provide(target: Target, name: str, wanted: int, qualifier: str = "live", *, until: str = "READY") -> dict[str, Any]:
    """Ask for environments, wait until their allocation ended, and return what the configuration says then."""
    asked = target.client("lambda").put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=wanted
    )
    assert ("IN_PROGRESS", wanted) == (asked["Status"], asked["RequestedProvisionedConcurrentExecutions"])
    wait_until(lambda: config(target, name, qualifier)["Status"] != "IN_PROGRESS")
    found = config(target, name, qualifier)
    assert until == found["Status"]
    return found


def config(target: Target, name: str, qualifier: str = "live") -> dict[str, Any]:
    return target.client("lambda").get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)


def numbers(found: dict[str, Any]) -> tuple[int, ...]:
    """Return what is requested, allocated and available."""
    return tuple(found[f"{which}ProvisionedConcurrentExecutions"] for which in ("Requested", "Allocated", "Available"))


def kinds(answers: list[dict[str, Any]]) -> list[str]:
    """Return how the environments of calls were initialised, in alphabetical order."""
    return sorted(answer["initialization_type"] for answer in answers)


def test_environments_are_ready_before_the_calls(ours: Target, tmp_path: Path) -> None:
    """Calls at once have the provisioned environments first; one beyond them runs on demand, cold and then warm."""
    expected = ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]
    with published(ours) as name:
        assert (2, 2, 2) == numbers(provide(ours, name, 2))
        first, _ = burst(ours, name, 3, tmp_path, Qualifier="live")
        second, _ = burst(ours, name, 3, tmp_path, Qualifier="live")
        others = call(ours, name), call(ours, name, Qualifier="1")
        on = {"FunctionName": name, "Resource": f"{name}:live"}
        spilled = metric(ours, "ProvisionedConcurrencySpilloverInvocations", **on)
        assert (4, 2) == (metric(ours, "ProvisionedConcurrencyInvocations", **on), spilled)
        assert 1.0 == metric(ours, "ProvisionedConcurrencyUtilization", "Maximum", **on)
        assert 3 == metric(ours, "ConcurrentExecutions", "Maximum", **on)
    assert expected == kinds(first) == kinds(second)
    assert {answer["pid"] for answer in first} == {answer["pid"] for answer in second}
    assert {0} == {answer["calls_before"] for answer in first}
    assert ["on-demand"] * 2 == kinds(list(others))  # called by other names


def test_the_record_of_a_call(ours: Target) -> None:
    """The first call's REPORT has the Init Duration that nobody waited for, the second's hasn't; both are provisioned."""
    with published(ours) as name:
        provide(ours, name, 1)
        labels = {"run_id": "r", "experiment": "e"}
        first, second = (invoke(ours, f"{name}:live", {}, **labels).record for _ in range(2))
    assert ["provisioned"] * 2 == [first.temperature, second.temperature]
    assert (True, None) == (first.init_ms is not None, second.init_ms)
    assert first.billed_ms >= first.init_ms


def test_sizes(ours: Target, tmp_path: Path) -> None:
    """More are started, and too many really end; a call under way is finished first."""
    with published(ours) as name:
        provide(ours, name, 1)
        [[alone], _] = burst(ours, name, 1, tmp_path, Qualifier="live")
        assert (3, 3, 3) == numbers(provide(ours, name, 3))
        three, _ = burst(ours, name, 3, tmp_path, Qualifier="live")
        pids = {answer["pid"] for answer in three}
        assert alone["pid"] in pids
        with under_way(ours, name, 1, tmp_path, Qualifier="live") as made:
            assert (1, 1, 1) == numbers(provide(ours, name, 1))
        assert [made[0].result()["pid"]] == [pid for pid in pids if state(pid) != psutil.STATUS_DEAD]


@pytest.mark.parametrize("end", ["config", "alias", "function"])
def test_environments_end_with_what_they_are_for(ours: Target, end: str) -> None:
    """No process is left when the configuration, the alias or the function is deleted."""
    service = ours.client("lambda")
    with published(ours) as name:
        provide(ours, name, 1)
        pid = call(ours, name, Qualifier="live")["pid"]
        if end == "config":
            service.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
            with pytest.raises(service.exceptions.ProvisionedConcurrencyConfigNotFoundException):
                config(ours, name)
        elif end == "alias":
            service.delete_alias(FunctionName=name, Name="live")
            assert (
                [] == service.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
            )
        if end != "function":
            assert psutil.STATUS_DEAD == state(pid)
    assert psutil.STATUS_DEAD == state(pid)


def test_the_list(ours: Target) -> None:
    """What is provisioned for a version and for an alias of another stands in one list."""
    service = ours.client("lambda")
    with published(ours) as name:
        service.update_function_configuration(FunctionName=name, Description="changed")
        service.publish_version(FunctionName=name)
        provide(ours, name, 1)
        provide(ours, name, 2, "2")
        found = service.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
        arn = service.get_function_configuration(FunctionName=name)["FunctionArn"]
    assert {f"{arn}:live": (1, 1, 1), f"{arn}:2": (2, 2, 2)} == {one["FunctionArn"]: numbers(one) for one in found}


@pytest.mark.parametrize("death", ["killed while it waits", "ends in a call"])
def test_a_dead_environment_is_replaced(ours: Target, death: str) -> None:
    """When a process ends, another environment takes its place, provisioned like the first."""
    with published(ours) as name:
        provide(ours, name, 1)
        before = call(ours, name, Qualifier="live")
        if death == "ends in a call":
            ours.client("lambda").invoke(FunctionName=name, Qualifier="live", Payload=json.dumps({"exit": 3}))
        else:
            os.kill(before["pid"], signal.SIGKILL)
        wait_until(lambda: state(before["pid"]) == psutil.STATUS_DEAD)
        answers = [before]

        def is_replaced() -> bool:
            answers.append(call(ours, name, Qualifier="live"))  # an error, or on demand, until the new one is ready
            return "provisioned-concurrency" == answers[-1].get("initialization_type")

        wait_until(is_replaced)
        after = answers[-1]
        assert (1, 1, 1) == numbers(config(ours, name))
    assert "provisioned-concurrency" == before["initialization_type"]
    assert before["environment"] != after["environment"]
    assert 0 == after["calls_before"]


def test_an_init_phase_that_fails(ours: Target) -> None:
    """The configuration says FAILED and why, and the log has the init phase's error."""
    with published(ours, "raise RuntimeError('never')") as name:
        found = provide(ours, name, 2, until="FAILED")
        logs = ours.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="INIT_REPORT")
    assert ((2, 0, 0), "FUNCTION_ERROR_INIT_FAILURE") == (numbers(found), found["StatusReason"])
    assert "Phase: init\tStatus: error\tError Type: Runtime.Unknown" in logs["events"][0]["message"]


def test_an_init_phase_that_fails_once(ours: Target, tmp_path: Path) -> None:
    """An environment that didn't come up is replaced by one that does."""
    with published(ours, FLAKY.format(flag=str(tmp_path / "flag")) + GATED) as name:
        assert (1, 1, 1) == numbers(provide(ours, name, 1))


def test_it_counts_towards_what_is_reserved(ours: Target) -> None:
    """No more can be provisioned than is reserved, nor less reserved than provisioned; all provisioned throttles $LATEST."""
    service = ours.client("lambda")
    refused = pytest.raises(service.exceptions.InvalidParameterValueException)
    with published(ours) as name:
        service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
        with refused as error:
            provide(ours, name, 2)
        assert error.match("should not be greater than the reservedConcurrentExecution for function")
        provide(ours, name, 1)
        with refused:
            service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        assert "throttle" in call(ours, name)
        assert ["provisioned-concurrency"] == kinds([call(ours, name, Qualifier="live")])


def test_it_is_taken_from_what_is_unreserved(ours: Target) -> None:
    """The account's settings have less to share, and 100 stay unreserved."""
    service = ours.client("lambda")
    unreserved = service.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    with published(ours) as name:
        provide(ours, name, 1)
        left = service.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
        with pytest.raises(service.exceptions.InvalidParameterValueException, match=r"minimum value of \[100\]"):
            provide(ours, name, unreserved - 99)
    assert unreserved - 1 == left


def test_what_cannot_be_provisioned(ours: Target) -> None:
    """Not $LATEST, by whatever name, nor one version under two names."""
    service = ours.client("lambda")
    unpublished = pytest.raises(
        service.exceptions.InvalidParameterValueException, match="unpublished function versions"
    )
    with published(ours) as name:
        service.create_alias(FunctionName=name, Name="next", FunctionVersion="$LATEST")
        for qualifier in ("$LATEST", "next"):
            with unpublished:
                provide(ours, name, 1, qualifier)
        provide(ours, name, 1)
        with pytest.raises(service.exceptions.ResourceConflictException, match="pointed by"):
            provide(ours, name, 1, "1")


def test_an_alias_that_moves(ours: Target) -> None:
    """The environments are those of the version that an alias points to, after it moved too."""
    service = ours.client("lambda")
    with published(ours) as name:
        provide(ours, name, 1)
        before = call(ours, name, Qualifier="live")
        service.update_function_configuration(FunctionName=name, Description="changed")
        service.publish_version(FunctionName=name)
        service.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
        wait_until(lambda: config(ours, name)["Status"] == "READY")
        after = call(ours, name, Qualifier="live")
    assert psutil.STATUS_DEAD == state(before["pid"])
    assert ("2", "provisioned-concurrency") == (after["version"], after["initialization_type"])


def test_by_a_sam_template(ours: Target) -> None:
    """A stack is complete when its alias's environments are ready, and none is left when it is gone."""
    properties = {"InlineCode": GATED, "Handler": "index.handler", "Runtime": "python3.13", "Role": ROLE}
    properties |= {"AutoPublishAlias": "live", CONFIG: {"ProvisionedConcurrentExecutions": 2}}
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"Function": {"Type": "AWS::Serverless::Function", "Properties": properties}},
        "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
    }
    with stack(ours, template) as outputs:
        assert ("READY", (2, 2, 2)) == (config(ours, outputs["Name"])["Status"], numbers(config(ours, outputs["Name"])))
        answer = call(ours, outputs["Name"], Qualifier="live")
    assert "provisioned-concurrency" == answer["initialization_type"]
    wait_until(lambda: state(answer["pid"]) == psutil.STATUS_DEAD)


def version_template(source: str) -> dict[str, Any]:
    """Return a template of a function with a version for which one environment is provisioned."""
    made = {"Runtime": "python3.13", "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": source}}
    version = {"FunctionName": {"Ref": "Function"}, CONFIG: {"ProvisionedConcurrentExecutions": 1}}
    return {
        "Resources": {
            "Function": {"Type": "AWS::Lambda::Function", "Properties": made},
            "Version": {"Type": "AWS::Lambda::Version", "Properties": version},
        },
        "Outputs": {"Name": {"Value": {"Ref": "Function"}}},
    }


def test_a_version_by_a_template(ours: Target) -> None:
    """A version's property provisions for the version."""
    with stack(ours, version_template(GATED)) as outputs:
        answer = call(ours, outputs["Name"], Qualifier="1")
    assert "provisioned-concurrency" == answer["initialization_type"]
    wait_until(lambda: state(answer["pid"]) == psutil.STATUS_DEAD)


def test_a_template_whose_init_phase_fails(ours: Target) -> None:
    """A stack isn't created if what it provisions doesn't come up, and it says why."""
    formation = ours.client("cloudformation")
    formation.create_stack(StackName="broken", TemplateBody=json.dumps(version_template("raise RuntimeError('never')")))
    try:
        wait_until(
            lambda: formation.describe_stacks(StackName="broken")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
        )
        events = formation.describe_stack_events(StackName="broken")["StackEvents"]
    finally:
        formation.delete_stack(StackName="broken")
    assert any("FUNCTION_ERROR_INIT_FAILURE" in event.get("ResourceStatusReason", "") for event in events)
