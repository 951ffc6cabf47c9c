"""Functions run in environments of ours under MiniStack's pool: reused, alone while at work, replaced when they change."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from waits import wait_until

from workbook.emulator.corrections.probes.made import function, zipped
from workbook.emulator.environment import Outcome
from workbook.emulator.lineage import inbound_depth, with_lineage
from workbook.emulator.workers import readable
from workbook.targets import Target

HANDLER = """
import os
import time

CALLS = []

def handler(event, context):
    CALLS.append(event)
    print("at work")
    time.sleep(event.get("wait_s", 0))
    if "raise" in event:
        raise KeyError(event["raise"])
    return {
        "calls": len(CALLS),
        "pid": os.getpid(),
        "environment": context.log_stream_name,
        "colour": os.environ.get("COLOUR"),
        "memory_mb": context.memory_limit_in_mb,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }
"""
CALLER = """
import json
import boto3

def handler(event, context):
    answer = boto3.client("lambda").invoke(FunctionName=event["callee"], Payload=b"{}")
    return json.load(answer["Payload"])
"""
NODE = """
export const handler = async (event, context) => {
  if (event.raise) throw new RangeError(event.raise);
  return { name: context.functionName };
};
"""


def call(target: Target, name: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
    """Invoke a function and return its answer, with `FunctionError` and the log where there is one."""
    response = target.measured_client("lambda").invoke(
        FunctionName=name, Payload=json.dumps(event or {}), LogType="Tail"
    )
    answer = json.load(response["Payload"])
    return answer | {"error": response.get("FunctionError"), "log": base64.b64decode(response["LogResult"]).decode()}


def outcome(payload: bytes, kind: str = "response") -> Outcome:
    """Return how an invocation with this payload ended."""
    return Outcome(kind=kind, payload=payload, duration_ms=1.0, log="", max_memory_mb=None)


def test_calls_in_a_row_share_an_environment(ours: Target) -> None:
    """An environment is used again, after an exception too, and the exception reaches the caller with class and trace."""
    with function(ours, HANDLER) as name:
        first = call(ours, name)
        failed = call(ours, name, {"raise": "colour"})
        third = call(ours, name)
    assert (1, 3) == (first["calls"], third["calls"])
    assert first["environment"] == third["environment"]
    assert ("Unhandled", "KeyError", "'colour'") == (failed["error"], failed["errorType"], failed["errorMessage"])
    assert 'raise KeyError(event["raise"])' in failed["stackTrace"][-1]


def test_the_log_of_a_call(ours: Target) -> None:
    """The log that comes with the answer goes from START to REPORT, and only a cold start reports an init phase."""
    with function(ours, HANDLER) as name:
        cold, warm = call(ours, name)["log"].splitlines(), call(ours, name)["log"].splitlines()
    for log in (cold, warm):
        assert ["START", "at", "END", "REPORT"] == [line.split()[0] for line in log]
    assert "Init Duration" in cold[-1]
    assert "Init Duration" not in warm[-1]


def test_a_timeout(ours: Target) -> None:
    """After a timeout the same environment goes on, with nothing in memory: the next call runs its init phase again."""
    with function(ours, HANDLER, Timeout=1) as name:
        first = call(ours, name)
        late = call(ours, name, {"wait_s": 30})
        after = call(ours, name)
    assert ("Unhandled", "Sandbox.Timedout") == (late["error"], late["errorType"])
    assert late["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert late["log"].endswith("Status: timeout\n")
    assert (first["environment"], 1) == (after["environment"], after["calls"])
    assert "Init Duration" not in after["log"]


def test_too_much_memory(ours: Target) -> None:
    """Beyond its memory size a function is killed, REPORT says so with the whole size as the peak, and the next call is cold."""
    source = "def handler(event, context): return {'held': len(bytearray(event.get('mb', 0) << 20))}"
    with function(ours, source, MemorySize=256) as name:
        fine, over, after = (call(ours, name, event) for event in ({"mb": 100}, {"mb": 400}, {}))
    assert (None, 100 << 20) == (fine["error"], fine["held"])
    assert ("Unhandled", "Runtime.OutOfMemory") == (over["error"], over["errorType"])
    assert over["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert (
        "\tMemory Size: 256 MB\tMax Memory Used: 256 MB\tStatus: error\tError Type: Runtime.OutOfMemory\n"
        in over["log"]
    )
    assert (None, 0) == (after["error"], after["held"])
    assert peak_mb(after["log"]) < peak_mb(fine["log"]) < 256


def peak_mb(log: str) -> int:
    """Return what a log's REPORT line says of the memory that was used."""
    return int(log.rpartition("Max Memory Used: ")[2].split()[0])


def test_a_failed_init_phase(ours: Target) -> None:
    """A failed init phase is tried again by the call, and both tries are reported before START."""
    with function(ours, "import missing") as name:
        failed = call(ours, name)
    assert ("Unhandled", "Runtime.ImportModuleError") == (failed["error"], failed["errorType"])
    kinds = [
        line.split()[0] for line in failed["log"].splitlines() if line.startswith(("INIT", "START", "END", "REPORT"))
    ]
    assert ["INIT_REPORT", "INIT_REPORT", "START", "END", "REPORT"] == kinds
    assert failed["log"].endswith("Status: error\tError Type: Runtime.ImportModuleError\n")


def test_calls_at_once_have_environments_of_their_own(ours: Target) -> None:
    """An environment handles one call at a time: three at once need three."""
    with function(ours, HANDLER) as name, ThreadPoolExecutor(3) as callers:
        answers = list(callers.map(lambda _: call(ours, name, {"wait_s": 0.5}), range(3)))
    assert 3 == len({answer["environment"] for answer in answers})
    assert [1, 1, 1] == [answer["calls"] for answer in answers]


def test_an_event_is_handled_later(ours: Target) -> None:
    """An asynchronous call is accepted at once and carried out, and its log names the id of the answer."""
    logs = ours.client("logs")
    with function(ours, HANDLER) as name:
        group = f"/aws/lambda/{name}"
        logs.create_log_group(logGroupName=group)
        accepted = ours.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
        pattern = f'"REPORT RequestId: {accepted["ResponseMetadata"]["RequestId"]}"'
        assert 202 == accepted["StatusCode"]
        wait_until(lambda: logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"])


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        ({"Environment": {"Variables": {"COLOUR": "green"}}}, "colour", "green"),
        ({"MemorySize": 256}, "memory_mb", "256"),
    ],
)
def test_a_changed_setting_takes_a_new_environment(
    ours: Target, change: dict[str, Any], key: str, expected: str
) -> None:
    """A change of variables or memory is seen by the next call, which is cold, and the old environment is gone."""
    with function(ours, HANDLER) as name:
        before = call(ours, name)
        ours.client("lambda").update_function_configuration(FunctionName=name, **change)
        after = call(ours, name)
    assert expected == after[key]
    assert before["environment"] != after["environment"]
    assert not psutil.pid_exists(before["pid"])


def test_changed_code_takes_a_new_environment(ours: Target) -> None:
    """The next call after an update of the code runs the new code."""
    with function(ours, HANDLER) as name:
        before = call(ours, name)
        ours.client("lambda").update_function_code(
            FunctionName=name, ZipFile=zipped(HANDLER.replace('"pid"', '"number"'))
        )
        after = call(ours, name)
    assert "number" in after
    assert before["environment"] != after["environment"]


def test_a_deleted_function_leaves_no_environment(ours: Target) -> None:
    """Deleting a function ends its environments, frozen as they are."""
    with function(ours, HANDLER) as name:
        frozen = call(ours, name)["pid"]
    assert not psutil.pid_exists(frozen)


def test_a_call_under_way_is_finished_first(ours: Target) -> None:
    """A function that is deleted during a call answers it, and then its environment ends."""
    with ThreadPoolExecutor(1) as callers:
        with function(ours, HANDLER) as name:
            environment = psutil.Process(call(ours, name)["pid"])
            wait_until(lambda: environment.status() == psutil.STATUS_STOPPED)
            pending = callers.submit(call, ours, name, {"wait_s": 1})
            wait_until(lambda: environment.status() != psutil.STATUS_STOPPED)
        assert 2 == pending.result()["calls"]
    wait_until(lambda: not environment.is_running())


def test_a_layer(ours: Target) -> None:
    """What a layer has under python/ can be imported."""
    archive = zipped("COLOUR = 'blue'", "python/paint.py")
    layer = ours.client("lambda").publish_layer_version(LayerName="paint", Content={"ZipFile": archive})
    source = "import paint\ndef handler(event, context): return {'colour': paint.COLOUR}"
    with function(ours, source, Layers=[layer["LayerVersionArn"]]) as name:
        assert "blue" == call(ours, name)["colour"]


def test_node(ours: Target) -> None:
    """A Node function answers, and its exception reaches the caller with class and trace."""
    with function(ours, NODE, file="app.mjs", Runtime="nodejs22.x") as name:
        assert name == call(ours, name)["name"]
        failed = call(ours, name, {"raise": "too far"})
    assert ("Unhandled", "RangeError", "too far") == (failed["error"], failed["errorType"], failed["errorMessage"])
    assert failed["trace"][0] == "RangeError: too far"


def test_an_answer_that_is_not_json(ours: Target) -> None:
    """Bytes that aren't JSON are an error of the function's, which says what they are, and the next call goes on."""
    source = "import os\ndef handler(event, context): return b'abc' if event else {'pid': os.getpid()}"
    with function(ours, source) as name:
        before, failed, after = (call(ours, name, event) for event in ({}, {"x": 1}, {}))
    assert ("Unhandled", "Runtime.MarshalError") == (failed["error"], failed["errorType"])
    assert failed["errorMessage"].endswith("It begins with 'abc'.")
    assert before["pid"] == after["pid"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (rb'{"a": ["\ud800", "\udc00b"]}', {"a": ["\ufffd", "\ufffdb"]}),
        (rb'["\ud83d\ude00 \uD800", "\\ud800"]', ["\U0001f600 \ufffd", "\\ud800"]),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b"", None),
    ],
)
def test_what_utf_8_cannot_carry(payload: bytes, expected: object) -> None:
    """Half a surrogate pair becomes the replacement character, as key or value; a whole pair stays what it is."""
    given = outcome(payload)
    assert (given, expected) == readable(given)


@pytest.mark.parametrize("kind", ["response", "error"])
@pytest.mark.parametrize("payload", [b"abc", b"1POST /", b"[" * 100_000])
def test_what_cannot_be_read(kind: str, payload: bytes) -> None:
    """What isn't JSON, or deeper than it can be read, is a MarshalError, also where the runtime reports an error."""
    seen, answer = readable(outcome(payload, kind))
    assert ("error", "Runtime.MarshalError") == (seen.kind, answer["errorType"])
    assert answer == json.loads(seen.payload)


def test_half_a_surrogate_pair_of_node(ours: Target) -> None:
    """A JavaScript string that was cut within a character arrives with the replacement character, answer or error."""
    source = (
        r"export const handler = async (event) => { if (event.x) throw new Error('\ud800'); return { a: '\ud800' }; };"
    )
    with function(ours, source, file="app.mjs", Runtime="nodejs22.x") as name:
        answered, failed = call(ours, name), call(ours, name, {"x": 1})
    assert (None, "\ufffd") == (answered["error"], answered["a"])
    assert ("Unhandled", "\ufffd") == (failed["error"], failed["errorMessage"])


@pytest.mark.parametrize("runtime", ["ruby3.3", "java21"])
def test_a_runtime_without_a_stand_in(ours: Target, runtime: str) -> None:
    """A function that can't run here fails, and says what to do; it doesn't answer as if it had run."""
    with function(ours, "", Runtime=runtime) as name:
        failed = call(ours, name)
    assert ("Unhandled", "Runtime.InvalidRuntime") == (failed["error"], failed["errorType"])
    assert f"names the runtime '{runtime}'" in failed["errorMessage"]
    assert "Use python3.13 or nodejs22.x" in failed["errorMessage"]


def test_custom_runtimes_and_images_stay_ministacks(ours: Target) -> None:
    """MiniStack looks for the bootstrap of a custom runtime, and for Docker to run an image."""
    service = ours.measured_client("lambda")
    with function(ours, "", Runtime="provided.al2023") as name:
        custom = json.load(service.invoke(FunctionName=name)["Payload"])
    image = {"PackageType": "Image", "Code": {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/x:1"}}
    service.create_function(FunctionName="image", Role="arn:aws:iam::000000000000:role/r", **image)
    try:
        contained = json.load(service.invoke(FunctionName="image")["Payload"])
    finally:
        service.delete_function(FunctionName="image")
    assert "Runtime.InvalidEntrypoint" == custom["errorType"]
    assert contained["errorType"].startswith("Runtime.Docker")


def test_a_chain_of_calls_carries_its_depth(ours: Target) -> None:
    """A function that calls another by the SDK passes the depth of the chain on, in the trace header."""
    with function(ours, CALLER, Timeout=30) as caller, function(ours, HANDLER) as callee:
        answer = call(ours, caller, {"callee": callee})
    assert 2 == inbound_depth({"x-amzn-trace-id": answer["trace"]})


def test_an_endless_chain_is_cut(ours: Target) -> None:
    """A call out of a chain that went through too many functions is refused, as Lambda refuses a recursive loop."""
    service = ours.client("lambda")
    trace = with_lineage(None, "arn:aws:lambda:us-east-1:000000000000:function:f", 16)

    def send_trace(params: dict, **_: object) -> None:
        params["headers"]["X-Amzn-Trace-Id"] = trace

    service.meta.events.register("before-call.lambda", send_trace)
    try:
        with function(ours, HANDLER) as name, pytest.raises(service.exceptions.RecursiveInvocationException):
            service.invoke(FunctionName=name)
    finally:
        service.meta.events.unregister("before-call.lambda", send_trace)  # the client is the other tests', too
