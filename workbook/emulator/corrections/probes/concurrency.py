"""Probes of concurrency: who may run, where, and what is counted."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from workbook.emulator.corrections.probes.made import function
from workbook.targets import Target

_PATIENCE_S = 20
_HANDLER = """
import os

def handler(event, context):
    return {"version": context.function_version, "initialized": os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")}
"""


def reserved_concurrency(target: Target) -> bool:
    """Return whether a function that reserves no concurrency at all refuses calls to its versions too, in AWS's words."""
    service = target.measured_client("lambda")
    with function(target, _HANDLER, Publish=True) as name:
        service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        try:
            service.invoke(FunctionName=name, Qualifier="1")
        except service.exceptions.TooManyRequestsException as throttle:
            return throttle.response["Error"]["Message"] == "Rate Exceeded."
    return False


def provisioned_concurrency(target: Target) -> bool:
    """Return whether a call to a version runs in an environment that was provisioned for it."""
    service = target.client("lambda")
    with function(target, _HANDLER, Publish=True) as name:
        version = {"FunctionName": name, "Qualifier": "1"}
        service.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=1, **version)
        deadline, status = time.monotonic() + _PATIENCE_S, "IN_PROGRESS"
        while status == "IN_PROGRESS" and time.monotonic() < deadline:
            time.sleep(0.05)
            status = service.get_provisioned_concurrency_config(**version)["Status"]
        answer = json.load(service.invoke(**version)["Payload"])
    return status == "READY" and answer["initialized"] == "provisioned-concurrency"


def lambda_metrics(target: Target) -> bool:
    """Return whether a call that ran and one that was refused are counted as what they are, with their concurrency."""
    service = target.measured_client("lambda")
    with function(target, _HANDLER) as name:
        service.invoke(FunctionName=name)
        service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        with suppress(service.exceptions.TooManyRequestsException):
            service.invoke(FunctionName=name)
        counted = [metric(target, which, FunctionName=name) for which in ("Invocations", "Throttles")]
        concurrent = metric(target, "ConcurrentExecutions", "Maximum", FunctionName=name)
    return (*counted, concurrent) == (1, 1, 1)


def alias_weights(target: Target) -> bool:
    """Return whether an alias sends calls to the version with nine tenths of its weight, and says so each time.

    Of ten calls none comes there once in 10¹⁰ times.
    """
    service = target.client("lambda")
    with function(target, _HANDLER, Publish=True) as name:
        service.update_function_configuration(FunctionName=name, Description="another version")
        service.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
        second = service.publish_version(FunctionName=name)["Version"]
        routing = {"AdditionalVersionWeights": {second: 0.9}}
        service.create_alias(FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig=routing)
        answers = [service.invoke(FunctionName=name, Qualifier="live") for _ in range(10)]
        said = [answer["ExecutedVersion"] for answer in answers]
        ran = [json.load(answer["Payload"])["version"] for answer in answers]
    return said == ran and second in ran


def metric(target: Target, name: str, statistic: str = "Sum", **dimensions: str) -> float | None:
    """Return a metric of AWS/Lambda over the last hour. None if there is nothing of it."""
    now = datetime.now(UTC)
    found = target.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=[statistic],
    )
    values = [point[statistic] for point in found["Datapoints"]]
    combine = {"Sum": sum, "Maximum": max, "SampleCount": sum}[statistic]
    return combine(values) if values else None
