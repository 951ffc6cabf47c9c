"""One call, one record."""

import socket
import threading
import time
from dataclasses import replace

import pytest

from workbook.calls import invoke, report, request, with_reports
from workbook.emulator.corrections.probes.made import function
from workbook.errors import TargetError
from workbook.records import Provenance
from workbook.targets import Target, connect

COLD = (
    "START RequestId: a Version: $LATEST\n"
    "REPORT not the platform's\n"
    "END RequestId: a\n"
    "REPORT RequestId: a\tDuration: 1.20 ms\tBilled Duration: 96 ms\tMemory Size: 128 MB\tMax Memory Used: 39 MB\t"
    "Init Duration: 94.11 ms\t\n"
)
LABELS = {"run_id": "r1", "experiment": "test"}


def test_a_report_line_becomes_numbers():
    """Each field of a REPORT line is found, and Duration is not taken for one of its two namesakes."""
    expected = {"duration_ms": 1.2, "billed_ms": 96.0, "memory_mb": 128, "max_memory_mb": 39, "init_ms": 94.11}
    assert expected == report(COLD)


def test_what_a_report_does_not_say_is_missing():
    """A warm call has no Init Duration, and no log at all has nothing."""
    assert report(COLD.replace("Init Duration: 94.11 ms\t", ""))["init_ms"] is None
    assert {None} == set(report("").values())


@pytest.fixture(scope="module")
def functions(outputs_01: dict[str, str]) -> dict[str, str]:
    return outputs_01


def test_the_first_call_is_cold_and_the_next_is_warm(target: Target, functions: dict[str, str]):
    """A record says which call waited for an init phase, on which environment, under which interpreter."""
    first = invoke(target, functions["Anatomy"], {}, **LABELS, attempt=1).record
    then = invoke(target, functions["Anatomy"], {}, **LABELS, attempt=2).record
    assert ["cold", "warm"] == [first.temperature, then.temperature]
    assert first.init_ms > 0
    assert then.init_ms is None
    assert first.environment == then.environment
    assert first.runtime.startswith("python3.")
    assert Provenance.EMULATED == first.provenance
    assert (128, 200, 2) == (first.memory_mb, first.status, then.attempt)


def test_three_clocks_contain_each_other(target: Target, functions: dict[str, str]):
    """What the caller waits holds the init phase and the handler; what is billed holds both, rounded up."""
    record = invoke(target, functions["Endings"], {"ending": "answers"}, **LABELS).record
    assert record.client_ms > record.init_ms + record.duration_ms
    assert record.billed_ms >= record.init_ms + record.duration_ms


def test_what_a_handler_prints_is_not_taken_for_the_platform(target: Target):
    """Only Lambda's own lines say whether a call was cold, whatever a function writes into its log."""
    code = "def handler(event, context):\n    print('Init Duration: 3 ms')\n    print('REPORT Init Duration: 3 ms')"
    with function(target, code) as name:
        seen = [invoke(target, name, {}, **LABELS).record.temperature for _ in range(2)]
    assert ["cold", "warm"] == seen


def test_a_function_error_is_a_result(target: Target, functions: dict[str, str]):
    """An exception in a handler comes back as a call with its class, and the HTTP status of the invocation."""
    call = invoke(target, functions["Endings"], {"ending": "raises"}, **LABELS)
    assert ("ZeroDivisionError", 200) == (call.record.error_type, call.record.status)
    assert "division by zero" == call.answer["errorMessage"]


def test_a_throttle_is_a_result_and_is_not_retried(target: Target, functions: dict[str, str]):
    """A function that may not run answers 429 at once, as a record."""
    client = target.client("lambda")
    client.put_function_concurrency(FunctionName=functions["HelloNode"], ReservedConcurrentExecutions=0)
    try:
        record = invoke(target, functions["HelloNode"], {}, **LABELS).record
    finally:
        client.delete_function_concurrency(FunctionName=functions["HelloNode"])
    assert (429, "TooManyRequestsException") == (record.status, record.error_type)
    assert record.temperature is None


def test_an_event_is_taken_and_not_waited_for(target: Target, functions: dict[str, str]):
    """An asynchronous call is over with 202: no answer, no log, no temperature, and no error, whatever the function does."""
    call = invoke(target, functions["Endings"], {"ending": "raises"}, **LABELS, invocation_type="Event")
    assert (202, None, "") == (call.record.status, call.answer, call.log)
    assert {None} == {call.record.temperature, call.record.duration_ms, call.record.error_type}


def test_a_node_function_answers_like_a_python_function(target: Target, functions: dict[str, str]):
    """The record keeps the Node that really ran."""
    assert invoke(target, functions["HelloNode"], {"name": "Ada"}, **LABELS).record.runtime.startswith("nodejs")


def test_the_request_id_is_the_same_everywhere(target: Target, functions: dict[str, str]):
    """Client, handler and REPORT line speak of one request id, so that they can be joined."""
    call = invoke(target, functions["Anatomy"], {}, **LABELS)
    assert call.record.request_id == call.answer["context"]["aws_request_id"]
    assert f"REPORT RequestId: {call.record.request_id}\t" in call.log


def test_an_answer_through_an_api_is_a_record(target: Target, outputs_00: dict[str, str]):
    """A signed request reaches the function, and the record says through which door."""
    url = target.url(outputs_00["ApiUrl"]) + "?name=Ada"
    call = request(target, "GET", url, function=outputs_00["FunctionName"], via="http_api", **LABELS)
    assert (200, "http_api") == (call.record.status, call.record.via)
    assert "Ada" in call.answer["greeting"]
    assert call.record.environment is not None
    assert call.record.duration_ms is None


def test_a_refused_request_is_a_record_too(target: Target, outputs_00: dict[str, str]):
    """An unknown route comes back with its status and the gateway's error type."""
    url = target.url(outputs_00["ApiUrl"]) + "/nowhere"
    record = request(target, "GET", url, function="none", via="http_api", **LABELS).record
    assert 404 == record.status
    assert record.error_type


def test_a_call_through_an_api_meets_its_report_by_request_id(target: Target, outputs_00: dict[str, str]):
    """What the gateway didn't carry back is found in the log, and each call gets its own line."""
    url, name = target.url(outputs_00["ApiUrl"]), outputs_00["FunctionName"]
    target.client("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": {"NEW": "1"}})
    target.client("lambda").get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    records = [
        request(target, "GET", url, function=name, via="http_api", **LABELS, attempt=attempt).record
        for attempt in (1, 2)
    ]
    assert [None, None] == [record.duration_ms for record in records]
    joined = with_reports(target, records)
    assert ["cold", "warm"] == [record.temperature for record in joined]
    assert joined[0].init_ms > 0
    assert joined[0].client_ms > joined[0].init_ms + joined[0].duration_ms
    assert [record.request_id for record in records] == [record.request_id for record in joined]


def test_a_report_that_never_comes_stays_missing(target: Target, outputs_00: dict[str, str]):
    """After the deadline a record is given back as it was, and nothing is invented for it."""
    url, name = target.url(outputs_00["ApiUrl"]), outputs_00["FunctionName"]
    record = request(target, "GET", url, function=name, via="http_api", **LABELS).record
    lost = replace(record, request_id="no such id")
    assert [lost] == with_reports(target, [lost], timeout_s=0)


def test_the_client_s_clock_leaves_out_what_boto3_does_before(target: Target, functions: dict[str, str]):
    """Whatever is done with a call before it goes out is not in client_ms."""
    delay_s, client = 0.3, target.measured_client("lambda")
    client.meta.events.register("provide-client-params.lambda.Invoke", lambda **_: time.sleep(delay_s), "slow")
    try:
        begun = time.perf_counter()
        record = invoke(target, functions["Endings"], {"ending": "answers"}, **LABELS).record
        whole_ms = (time.perf_counter() - begun) * 1000
    finally:
        client.meta.events.unregister("provide-client-params.lambda.Invoke", unique_id="slow")
    assert whole_ms - record.client_ms >= delay_s * 1000


def test_an_answer_that_breaks_off_is_told_in_one_sentence():
    """Half an answer is none: who was cut off in the middle of it hears that from the target, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_by_half() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")

        thread = threading.Thread(target=answer_by_half)
        thread.start()
        broken = connect("embedded", endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(TargetError, match="The target embedded gave no answer"):
            invoke(broken, "any", {}, **LABELS)
        thread.join()
