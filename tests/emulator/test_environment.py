"""Execution environments: real processes under the real clients, through every way in which an invocation can end."""

import json
import os
import re
import threading
import time
from pathlib import Path

import psutil
import pytest
from trials import ARN, MakeEnvironment, answer, invoke, state
from waits import wait_until

from workbook.emulator import environment, process_group
from workbook.emulator.environment import InitFailed, Outcome
from workbook.errors import DeployError

# --- The invocation


def test_the_handler_gets_event_and_context(make_environment: MakeEnvironment, python_client: None):
    """A handler sees the event and AWS's context object, and its answer comes back."""
    one = make_environment(
        """
        import json

        def handler(event, context):
            left_ms = context.get_remaining_time_in_millis()
            return {
                "event": event,
                "request_id": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "function": [context.function_name, context.function_version, context.memory_limit_in_mb],
                "log": [context.log_group_name, context.log_stream_name],
                "time_left": 0 < left_ms <= 5000,
                "identity": context.identity.cognito_identity_id,
                "client": [context.client_context.custom, context.client_context.client.app_title],
            }
        """
    )
    one.start()

    outcome = invoke(
        one, {"ü": [1.5, None]}, client_context='{"custom": {"a": "1"}, "client": {"app_title": "shop"}, "env": {}}'
    )

    assert {
        "event": {"ü": [1.5, None]},
        "request_id": "r-1",
        "arn": ARN,
        "function": ["f", "$LATEST", "128"],
        "log": ["/aws/lambda/f", one.log_stream],
        "time_left": True,
        "identity": None,
        "client": [{"a": "1"}, "shop"],
    } == answer(outcome)
    assert "ü".encode() in outcome.payload


def test_the_log_stream_names_date_version_and_environment(make_environment: MakeEnvironment):
    """An environment's identity is a log stream in AWS's form, and no two are the same."""
    first, second = make_environment("", version="7"), make_environment("", version="7")

    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32}", first.log_stream)
    assert first.log_stream != second.log_stream


def test_the_environment_stays_warm(make_environment: MakeEnvironment, python_client: None):
    """What a handler keeps outside itself is there the next time, in the same process."""
    one = make_environment(
        """
        import os

        calls = 0

        def handler(event, context):
            global calls
            calls += 1
            return [os.getpid(), calls]
        """
    )
    one.start()

    first, second = answer(invoke(one)), answer(invoke(one))

    assert [first[0], first[1] + 1] == second
    assert one.alive


def test_one_invocation_at_a_time(make_environment: MakeEnvironment):
    """Callers that come together are served one after the other."""
    one = make_environment(
        """
        import threading, time

        busy = threading.Lock()

        def handler(event, context):
            alone = busy.acquire(blocking=False)
            time.sleep(0.02)
            busy.release()
            return alone
        """
    )
    one.start()
    outcomes: list[Outcome] = []

    callers = [threading.Thread(target=lambda: outcomes.append(invoke(one))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert [True] * 4 == [answer(outcome) for outcome in outcomes]


def test_the_trace_header_is_in_the_environment(make_environment: MakeEnvironment, python_client: None):
    """The tracing header is where AWS's SDKs look for it, and gone when the next invocation has none."""
    one = make_environment("import os\ndef handler(event, context): return os.environ.get('_X_AMZN_TRACE_ID')")
    one.start()

    assert ["Root=1-2-3", None] == [answer(invoke(one, trace_id="Root=1-2-3")), answer(invoke(one))]


@pytest.mark.parametrize("megabytes", [1, 5])
def test_large_payloads_pass(make_environment: MakeEnvironment, python_client: None, megabytes: int):
    """An event of megabytes arrives whole and comes back whole."""
    one = make_environment("def handler(event, context): return event")
    one.start()
    event = "x" * (megabytes << 20)

    assert event == answer(invoke(one, event))


def test_a_response_over_6_mb_is_an_error(make_environment: MakeEnvironment, python_client: None):
    """More than 6 MB is AWS's ResponseSizeTooLarge, and the function works on."""
    one = make_environment("def handler(event, context): return 'x' * event")
    one.start()

    outcome = invoke(one, 7 << 20)

    assert ("error", "Function.ResponseSizeTooLarge") == (outcome.kind, json.loads(outcome.payload)["errorType"])
    assert "x" == answer(invoke(one, 1))


def test_peak_memory_is_the_highest_so_far(make_environment: MakeEnvironment):
    """Max memory rises with what the handler holds, and doesn't fall when it lets go."""
    one = make_environment("def handler(event, context): return len(bytearray(event))")
    one.start()

    before, high, after = (invoke(one, size).max_memory_mb for size in (1, 100 << 20, 1))

    assert 5 < before < 100
    assert high >= 100
    assert after == high


@pytest.mark.parametrize(
    "act",
    [
        "held = bytearray(300 << 20); time.sleep(60)",  # found while it holds
        "bytearray(300 << 20)",  # found in the end, at the latest
        "subprocess.run([sys.executable, '-c', 'import time; x = bytearray(300 << 20); time.sleep(60)'])",
    ],
)
def test_too_much_memory_ends_the_process(make_environment: MakeEnvironment, process_groups: set[int], act: str):
    """Who goes beyond the memory size is killed, with AWS's error and its peak at the limit; the next call starts anew."""
    one = make_environment(
        f"""
        import os, subprocess, sys, time

        def handler(event, context):
            if event == "too much":
                print("so far")
                {act}
            return os.getpid()
        """,
        timeout_s=30,
    )
    one.start()
    first = answer(invoke(one))

    outcome = invoke(one, "too much")

    assert ("exit", "so far\n", 128, False, set()) == (
        outcome.kind,
        outcome.log,
        outcome.max_memory_mb,
        one.alive,
        process_groups,
    )
    assert {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": "RequestId: r-1 Error: Runtime exited with error: signal: killed",
    } == json.loads(outcome.payload)
    again = invoke(one)
    assert first != answer(again)
    assert again.max_memory_mb < 128


def test_too_much_memory_while_starting(make_environment: MakeEnvironment):
    """The limit holds in the init phase too, of which the log says how it ended."""
    one = make_environment("held = bytearray(300 << 20)\ndef handler(event, context): pass")

    with pytest.raises(InitFailed) as caught:
        one.start()

    assert ("error", "Runtime exited with error: signal: killed", 128) == (
        caught.value.status,
        caught.value.error["errorMessage"],
        caught.value.max_memory_mb,
    )
    assert caught.value.log.endswith("Phase: init\tStatus: error\tError Type: Runtime.OutOfMemory\n")


def test_a_larger_memory_size_holds_more(make_environment: MakeEnvironment):
    """What is too much for 128 MB is not for 512."""
    one = make_environment("def handler(event, context): return len(bytearray(300 << 20))", memory_mb=512)
    one.start()

    outcome = invoke(one)

    assert 300 << 20 == answer(outcome)
    assert 300 <= outcome.max_memory_mb < 512


# --- The log


def test_the_log_has_all_that_was_written(make_environment: MakeEnvironment, python_client: None):
    """Lines of every origin are there when the answer is, in order: prints, stderr, logging, child processes."""
    one = make_environment(
        """
        import logging, subprocess, sys

        print("while starting")

        def handler(event, context):
            print("one")
            print("two", file=sys.stderr)
            subprocess.run(["echo", "three"])
            logging.warning("four")
        """
    )

    init_log = one.start()
    lines = invoke(one).log.splitlines()

    assert "while starting\n" == init_log
    assert ["one", "two", "three"] == lines[:3]
    assert re.fullmatch(r"\[WARNING\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\tr-1\tfour", lines[3])


def test_a_silent_handler_has_an_empty_log(make_environment: MakeEnvironment, python_client: None):
    """A handler that writes nothing leaves nothing, and nobody waits for it."""
    one = make_environment("def handler(event, context): pass")

    assert ["", ""] == [one.start(), invoke(one).log]


def test_a_chatty_handler_is_never_blocked(make_environment: MakeEnvironment):
    """A log larger than any pipe is collected while the handler runs."""
    one = make_environment("def handler(event, context):\n for n in range(20000): print(n, 'x' * 100)")
    one.start()

    lines = invoke(one).log.splitlines()

    assert [f"{n} {'x' * 100}" for n in range(20000)] == lines


def test_a_flood_is_cut_to_its_end(make_environment: MakeEnvironment, monkeypatch: pytest.MonkeyPatch):
    """Of a log without measure the end is kept, and the cut is named."""
    monkeypatch.setattr(process_group, "OUTPUT_LIMIT_BYTES", 200_000)
    one = make_environment("def handler(event, context):\n for n in range(20000): print(n, 'x' * 100)")
    one.start()

    log = invoke(one).log

    assert len(log) < 300_000
    assert re.match(r"\[\d+ bytes of log left out here\]\n", log)
    assert log.endswith("x\n")


def test_handlers_that_close_their_output_go_on(make_environment: MakeEnvironment):
    """A handler without stdout and stderr still answers."""
    one = make_environment("import os\ndef handler(event, context): os.close(1); os.close(2); return 'quiet'")
    one.start()

    assert "quiet" == answer(invoke(one))


# --- Errors of the handler


def test_an_exception_is_reported_and_survived(make_environment: MakeEnvironment, python_client: None):
    """An exception has AWS's shape in the answer and in the log, and the next invocation is warm."""
    one = make_environment(
        """
        def refuse(event):
            raise ValueError("no " + event)

        def handler(event, context):
            return refuse(event) if event else "fine"
        """
    )
    one.start()
    file = one.spec.code_folder / "app.py"

    outcome = invoke(one, "thanks", request_id="r-2")

    assert "error" == outcome.kind
    assert {
        "errorMessage": "no thanks",
        "errorType": "ValueError",
        "requestId": "r-2",
        "stackTrace": [
            f'  File "{file}", line 6, in handler\n    return refuse(event) if event else "fine"\n',
            f'  File "{file}", line 3, in refuse\n    raise ValueError("no " + event)\n',
        ],
    } == json.loads(outcome.payload)
    record = [
        "[ERROR] ValueError: no thanks",
        "Traceback (most recent call last):",
        f'\xa0\xa0File "{file}", line 6, in handler',
        '\xa0\xa0\xa0\xa0return refuse(event) if event else "fine"',
        f'\xa0\xa0File "{file}", line 3, in refuse',
        '\xa0\xa0\xa0\xa0raise ValueError("no " + event)',
    ]
    assert "\r".join(record) + "\n" == outcome.log
    assert "fine" == answer(invoke(one))


def test_an_answer_that_is_not_json_is_an_error(make_environment: MakeEnvironment, python_client: None):
    """What can't be said in JSON is AWS's MarshalError."""
    one = make_environment("def handler(event, context): return {1, 2}")
    one.start()

    error = json.loads(invoke(one).payload)

    assert ("Runtime.MarshalError", "Unable to marshal response: Object of type set is not JSON serializable", []) == (
        error["errorType"],
        error["errorMessage"],
        error["stackTrace"],
    )


def test_decimals_become_numbers(make_environment: MakeEnvironment, python_client: None):
    """What DynamoDB returns can be answered as it is."""
    one = make_environment(
        "from decimal import Decimal\ndef handler(event, context): return [Decimal('2'), Decimal('1.5')]"
    )
    one.start()

    assert b"[2, 1.5]" == invoke(one).payload


# --- Timeouts, exits, resets


def test_a_timeout_ends_the_process(make_environment: MakeEnvironment, python_client: None, process_groups: set[int]):
    """An invocation over its time is cut off with AWS's message; what it wrote is kept."""
    one = make_environment("import time\ndef handler(event, context): print('so far'); time.sleep(60)", timeout_s=0.5)
    one.start()

    outcome = invoke(one)

    assert ("timeout", "so far\n", 500.0) == (outcome.kind, outcome.log, outcome.duration_ms)
    assert {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r-1 Error: Task timed out after 0.50 seconds",
    } == json.loads(outcome.payload)
    assert outcome.duration_ms >= 500
    assert outcome.max_memory_mb > 5
    assert (False, set()) == (one.alive, process_groups)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("sys.exit()", "Runtime exited without providing a reason"),
        ("os._exit(1)", "Runtime exited with error: exit status 1"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "Runtime exited with error: signal: killed"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_an_exit_is_an_exit_error(make_environment: MakeEnvironment, python_client: None, act: str, message: str):
    """A runtime that ends before it answers is AWS's ExitError, which says how it ended."""
    one = make_environment(f"import os, signal, sys\ndef handler(event, context): print('so far'); {act}")
    one.start()

    outcome = invoke(one)

    assert ("exit", "so far\n", False) == (outcome.kind, outcome.log, one.alive)
    assert {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: r-1 Error: {message}"} == json.loads(
        outcome.payload
    )


def test_a_reset_keeps_the_environment(make_environment: MakeEnvironment):
    """After an exit the next invocation runs the init phase in its own time, and finds the same temporary folder."""
    one = make_environment(
        """
        import os, tempfile, time

        print("starting")
        time.sleep(0.05)
        note = os.path.join(tempfile.gettempdir(), "note")

        def handler(event, context):
            if event == "exit":
                open(note, "w").close()
                os._exit(1)
            return os.path.exists(note)
        """
    )
    one.start()
    invoke(one, "exit")

    again = invoke(one)
    warm = invoke(one)

    assert [True, True] == [answer(again), answer(warm)]
    assert ["starting\n", ""] == [again.init_log, warm.init_log]
    assert again.duration_ms >= 50
    assert one.alive


def test_a_runtime_killed_from_outside_is_replaced(make_environment: MakeEnvironment, process_groups: set[int]):
    """A process that died between two invocations costs a new init phase, not an invocation."""
    one = make_environment("import os\ndef handler(event, context): return os.getpid()")
    one.start()
    first = answer(invoke(one))

    os.kill(first, 9)
    wait_until(lambda: not one.alive)
    second = invoke(one)

    assert {answer(second)} == process_groups
    assert first != answer(second)


# --- The init phase


def test_the_init_phase_is_timed(make_environment: MakeEnvironment):
    """The init time is that from the start of the process to its first request for an invocation."""
    one = make_environment("import time\ntime.sleep(0.2)\ndef handler(event, context): pass")
    started = time.perf_counter()
    one.start()

    assert 200 <= one.init_ms <= (time.perf_counter() - started) * 1000


@pytest.mark.parametrize(
    ("source", "error_type", "message"),
    [
        ("import nowhere", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'nowhere'"),
        ("def other(): pass", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def broken(", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': '(' was never closed"),
        ("print('first')\n1 / 0", "ZeroDivisionError", "division by zero"),
    ],
)
def test_an_init_error_is_reported(
    make_environment: MakeEnvironment,
    python_client: None,
    process_groups: set[int],
    source: str,
    error_type: str,
    message: str,
):
    """A handler that can't be loaded has AWS's error, in the exception, in the log, and in AWS's INIT_REPORT line."""
    one = make_environment(source)

    with pytest.raises(InitFailed) as caught:
        one.start()

    failure = caught.value
    assert ("error", error_type) == (failure.status, failure.error["errorType"])
    assert failure.error["errorMessage"].startswith(message)
    assert {"errorMessage", "errorType", "requestId", "stackTrace"} == failure.error.keys()
    assert f"[ERROR] {error_type}: {message}" in failure.log
    shown = error_type if error_type.startswith("Runtime.") else "Runtime.Unknown"
    assert (
        f"INIT_REPORT Init Duration: {failure.init_ms:.2f} ms\tPhase: init\tStatus: error\tError Type: {shown}"
        == (failure.log.splitlines()[-1])
    )
    assert failure.max_memory_mb > 0
    assert (False, set()) == (one.alive, process_groups)


def test_a_handler_without_a_dot_is_malformed(make_environment: MakeEnvironment, python_client: None):
    """A handler's name without its function is AWS's MalformedHandlerName."""
    with pytest.raises(InitFailed) as caught:
        make_environment("", handler="app").start()

    assert "Runtime.MalformedHandlerName" == caught.value.error["errorType"]
    assert "Bad handler 'app': not enough values to unpack (expected 2, got 1)" == caught.value.error["errorMessage"]


def test_an_exit_while_starting_is_an_exit_error(make_environment: MakeEnvironment, python_client: None):
    """A module that ends the process has AWS's ExitError, without a request to name."""
    with pytest.raises(InitFailed) as caught:
        make_environment("import sys\nsys.exit(3)").start()

    assert {
        "errorType": "Runtime.ExitError",
        "errorMessage": "Runtime exited with error: exit status 3",
    } == caught.value.error


def test_a_failed_init_phase_is_tried_again(make_environment: MakeEnvironment, python_client: None):
    """The first invocation after a failed init phase repeats it, and ends in its error if it fails again."""
    one = make_environment("import nowhere")
    with pytest.raises(InitFailed):
        one.start()

    outcome = invoke(one)

    assert ("exit", "") == (outcome.kind, outcome.log)
    assert "Runtime.ImportModuleError" == json.loads(outcome.payload)["errorType"]
    assert re.fullmatch(
        r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError",
        outcome.init_log.splitlines()[-1],
    )


def test_a_failed_init_phase_may_succeed_later(make_environment: MakeEnvironment):
    """What failed once and works the second time costs time, not the invocation."""
    one = make_environment(
        """
        import os, tempfile

        note = os.path.join(tempfile.gettempdir(), "note")
        if not os.path.exists(note):
            open(note, "w").close()
            os._exit(1)

        def handler(event, context):
            return "at last"
        """
    )
    with pytest.raises(InitFailed):
        one.start()

    assert "at last" == answer(invoke(one))


def test_an_exit_in_the_repeated_init_phase_names_the_request(make_environment: MakeEnvironment):
    """The ExitError of an init phase inside an invocation is that invocation's."""
    outcome = invoke(make_environment("import os\nos._exit(4)"))

    assert (
        "RequestId: r-1 Error: Runtime exited with error: exit status 4" == json.loads(outcome.payload)["errorMessage"]
    )


def test_a_long_init_phase_is_cut_off_twice(make_environment: MakeEnvironment, monkeypatch: pytest.MonkeyPatch):
    """Starting is limited to the init limit at first and to the function's timeout in the invocation."""
    monkeypatch.setattr(environment, "INIT_LIMIT_S", 0.2)
    one = make_environment("import time\ntime.sleep(60)", timeout_s=0.5)

    with pytest.raises(InitFailed) as caught:
        one.start()
    outcome = invoke(one)

    assert "timeout" == caught.value.status
    assert re.fullmatch(r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: timeout\n", caught.value.log)
    assert re.fullmatch(r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: invoke\tStatus: timeout\n", outcome.init_log)
    assert ("timeout", "RequestId: r-1 Error: Task timed out after 0.50 seconds") == (
        outcome.kind,
        json.loads(outcome.payload)["errorMessage"],
    )


def test_prepared_environments_may_start_longer(make_environment: MakeEnvironment, monkeypatch: pytest.MonkeyPatch):
    """The init limit of 10 s doesn't hold for provisioned concurrency."""
    monkeypatch.setattr(environment, "INIT_LIMIT_S", 0)
    one = make_environment("def handler(event, context): return 'ready'", initialization_type="provisioned-concurrency")

    one.start()

    assert "ready" == answer(invoke(one))


def test_an_unknown_runtime_has_no_stand_in(make_environment: MakeEnvironment):
    """A runtime that isn't Python or Node.js is refused in a sentence that names it."""
    with pytest.raises(DeployError, match=r"f names the runtime 'java21', which has no stand-in here\."):
        make_environment("", runtime="java21").start()


# --- Freezing and stopping


def test_a_background_thread_stands_still_between_invocations(make_environment: MakeEnvironment):
    """Nothing runs on after the answer: a thread left behind waits for the next invocation, and then goes on."""
    heart = make_environment(
        """
        import os, tempfile, threading, time

        def beat():
            while True:
                with open(os.path.join(tempfile.gettempdir(), "beats"), "ab", buffering=0) as file:
                    file.write(b".")
                time.sleep(0.001)

        def beats():
            return os.path.getsize(os.path.join(tempfile.gettempdir(), "beats"))

        def handler(event, context):
            if not event:
                threading.Thread(target=beat, daemon=True).start()
                return tempfile.gettempdir()
            while beats() <= event["more_than"]:
                time.sleep(0.001)
            return beats()
        """
    )
    clock = make_environment("import time\ndef handler(event, context): time.sleep(0.1)")
    heart.start()
    clock.start()

    beats = Path(answer(invoke(heart)), "beats")

    def stands_still() -> bool:
        before = beats.stat().st_size
        invoke(clock)
        return before == beats.stat().st_size

    wait_until(stands_still)  # on a busy machine the last beat may come a moment after the answer
    before = beats.stat().st_size

    assert answer(invoke(heart, {"more_than": before})) > before


def test_every_process_is_frozen_between_invocations(make_environment: MakeEnvironment, process_groups: set[int]):
    """The runtime and its children are stopped, from the end of the init phase on."""
    one = make_environment(
        """
        import os, subprocess

        def handler(event, context):
            return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]
        """
    )

    one.start()
    (runtime,) = process_groups
    wait_until(lambda: state(runtime) == psutil.STATUS_STOPPED)
    pids = answer(invoke(one))
    wait_until(lambda: {state(pid) for pid in pids} == {psutil.STATUS_STOPPED})

    assert runtime == pids[0]
    one.stop()
    wait_until(lambda: {state(pid) for pid in pids} == {psutil.STATUS_DEAD})


def test_children_die_with_the_runtime(make_environment: MakeEnvironment):
    """When the runtime exits, what it started ends too."""
    one = make_environment(
        """
        import os, subprocess

        def handler(event, context):
            print(subprocess.Popen(["sleep", "600"]).pid)
            os._exit(0)
        """
    )
    one.start()

    child = int(invoke(one).log)

    wait_until(lambda: state(child) == psutil.STATUS_DEAD)


def test_stop_ends_an_invocation_under_way(make_environment: MakeEnvironment, process_groups: set[int]):
    """Stopping is for good: what runs ends as an exit, and nothing starts any more."""
    one = make_environment(
        """
        import pathlib, tempfile, time

        def handler(event, context):
            pathlib.Path(tempfile.gettempdir(), "running").touch()
            time.sleep(60)
        """
    )
    one.start()
    outcomes: list[Outcome] = []
    caller = threading.Thread(target=lambda: outcomes.append(invoke(one)))
    caller.start()
    wait_until(lambda: list(one.spec.scratch.glob("*/running")))

    one.stop()
    caller.join()
    one.stop()

    assert ["exit"] == [outcome.kind for outcome in outcomes]
    assert (False, set()) == (one.alive, process_groups)
    with pytest.raises(RuntimeError, match="was stopped"):
        invoke(one)


def test_nothing_leaks(make_environment: MakeEnvironment):
    """Threads and descriptors are as many after environments have come, failed and gone as before."""
    make_environment("").stop()  # whatever is made once is made now
    this = psutil.Process()
    before = (this.num_fds(), this.num_threads())

    for source in (
        "def handler(event, context): return 1",
        "import os\ndef handler(*_): os._exit(1)",
        "import nowhere",
    ):
        one = make_environment(source)
        for _ in range(2):
            invoke(one)
        one.stop()

    assert before == (this.num_fds(), this.num_threads())


def test_a_start_that_is_impossible_leaks_nothing(make_environment: MakeEnvironment, process_groups: set[int]):
    """Where the code is gone there is no environment, and no descriptor of it."""
    make_environment("").stop()
    before = psutil.Process().num_fds()
    one = make_environment("", code_folder=Path("/nowhere"))

    with pytest.raises(FileNotFoundError):
        one.start()

    assert (before, set()) == (psutil.Process().num_fds(), process_groups)
