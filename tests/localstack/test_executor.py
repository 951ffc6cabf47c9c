"""LocalStack's Lambda with the workbook's execution environments in the containers' place."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from workbook.emulator.corrections.probes.made import ROLE, function, zipped
from workbook.targets import Target

WHO = """
import os, time

def handler(event, context):
    time.sleep(event["wait_s"])
    return {"pid": os.getpid(), "stream": context.log_stream_name}
"""


def invoke(target: Target, name: str, wait_s: float) -> dict[str, Any]:
    payload = json.dumps({"wait_s": wait_s})
    return json.load(target.measured_client("lambda").invoke(FunctionName=name, Payload=payload)["Payload"])


def test_calls_at_once_have_environments_of_their_own(localstack: Target) -> None:
    """Three at once run in three processes, and the next call finds one of them."""
    with function(localstack, WHO) as name, ThreadPoolExecutor(3) as callers:
        crowd = list(callers.map(lambda _: invoke(localstack, name, 0.5), range(3)))
        later = invoke(localstack, name, 0)
    assert 3 == len({one["pid"] for one in crowd})
    assert later in crowd


def test_the_log_is_where_the_handler_is_told(localstack: Target) -> None:
    """The stream that a handler sees in its context is the one that LocalStack writes to."""
    logs = localstack.client("logs")
    with function(localstack, WHO) as name:
        group = f"/aws/lambda/{name}"
        logs.create_log_group(logGroupName=group)
        told = invoke(localstack, name, 0)["stream"]
        deadline, streams = time.monotonic() + 20, []
        while not streams and time.monotonic() < deadline:  # LocalStack writes when it has answered
            time.sleep(0.05)
            streams = [one["logStreamName"] for one in logs.describe_log_streams(logGroupName=group)["logStreams"]]
    assert [told] == streams


def test_what_cannot_be_run_says_so(localstack: Target) -> None:
    """A function with a layer fails when it is made, and not by a missing module when it is called."""
    service = localstack.client("lambda")
    layer = service.publish_layer_version(LayerName="probe", Content={"ZipFile": zipped("", "python/extra.py")})
    service.create_function(  # and not deleted: LocalStack doesn't delete what failed
        FunctionName="layered",
        Runtime="python3.13",
        Handler="app.handler",
        Role=ROLE,
        Code={"ZipFile": zipped(WHO)},
        Layers=[layer["LayerVersionArn"]],
    )
    with pytest.raises(WaiterError) as failure:
        service.get_waiter("function_active_v2").wait(FunctionName="layered", WaiterConfig={"Delay": 0.1})
    assert "layers or container images are not run here" in str(failure.value.last_response)
