"""The runtime client for Node.js handlers, in environments of its own."""

import json
import re
from pathlib import Path

import pytest
from trials import ARN, MakeEnvironment, answer, invoke

from workbook.emulator.environment import InitFailed


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("app.mjs", "export const handler = async (event, context) => [event, context.awsRequestId];"),
        ("app.js", "exports.handler = async (event, context) => [event, context.awsRequestId];"),
        ("app.js", "exports.handler = (event, context, callback) => callback(null, [event, context.awsRequestId]);"),
        ("app.mjs", "export const handler = (event, context) => context.succeed([event, context.awsRequestId]);"),
        (
            "app.cjs",
            """
            exports.handler = (event, context, callback) => {
              setTimeout(() => callback(null, [event, context.awsRequestId]), 10);
            };
            """,
        ),
    ],
    ids=["module", "commonjs", "callback", "succeed", "later"],
)
def test_node_handlers_answer_in_every_style(make_environment: MakeEnvironment, file: str, source: str):
    """Modules and CommonJS, promises and callbacks: each gets event and context and has its answer returned."""
    one = make_environment(source, file=file)
    one.start()

    answers = [answer(invoke(one, {"n": n}, request_id=f"r-{n}")) for n in range(2)]

    assert [[{"n": 0}, "r-0"], [{"n": 1}, "r-1"]] == answers


def test_node_context_and_variables(make_environment: MakeEnvironment):
    """A Node handler's context has AWS's fields, and the tracing header is where its SDK looks for it."""
    one = make_environment(
        """
        export const handler = async (event, context) => [
          context.functionName, context.functionVersion, context.memoryLimitInMB, context.invokedFunctionArn,
          context.logStreamName, context.clientContext.custom, process.env._X_AMZN_TRACE_ID,
          context.getRemainingTimeInMillis() <= 5000, process.env.AWS_EXECUTION_ENV, process.cwd(),
        ];
        """,
        file="app.mjs",
    )
    one.start()

    outcome = invoke(one, trace_id="Root=1", client_context='{"custom": {"a": "1"}}')

    assert [
        "f",
        "$LATEST",
        "128",
        ARN,
        one.log_stream,
        {"a": "1"},
        "Root=1",
        True,
        "AWS_Lambda_nodejs22.x",
        str(one.spec.code_folder),
    ] == answer(outcome)


def test_node_console_has_lambdas_format(make_environment: MakeEnvironment):
    """A console line has time, request id and level, `undefined` for an id while starting; a record stays one line."""
    one = make_environment(
        """
        console.log("starting");
        export const handler = async () => { console.warn("two %s", "lines\\nlong"); return process.pid; };
        """,
        file="app.mjs",
    )

    init_log, log = one.start(), invoke(one).log

    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"{moment}\tundefined\tINFO\tstarting\n", init_log)
    assert re.fullmatch(rf"{moment}\tr-1\tWARN\ttwo lines\rlong\n", log)


@pytest.mark.parametrize(
    "source",
    [
        "export const handler = async () => { throw new TypeError('no'); };",
        "export const handler = () => { throw new TypeError('no'); };",
        "export const handler = (event, context, callback) => callback(new TypeError('no'));",
    ],
    ids=["rejected", "thrown", "called back"],
)
def test_node_errors_are_reported_and_survived(make_environment: MakeEnvironment, source: str):
    """An error has AWS's shape in the answer and in the log, and the environment stays."""
    one = make_environment(source, file="app.mjs")
    one.start()

    outcome = invoke(one)

    error = json.loads(outcome.payload)
    assert ("error", "TypeError", "no", "TypeError: no") == (
        outcome.kind,
        error["errorType"],
        error["errorMessage"],
        error["trace"][0],
    )
    assert "\tr-1\tERROR\tInvoke Error \t{" in outcome.log
    assert one.alive


@pytest.mark.parametrize("value", ["{ error }", "1n"], ids=["circle", "bigint"])
def test_a_node_error_that_json_cannot_say(make_environment: MakeEnvironment, value: str):
    """An error keeps its type, and the environment stays, though one of its properties can't be written to the log."""
    one = make_environment(
        f"""
        export const handler = async () => {{
          const error = new RangeError("no");
          error.config = {value};
          throw error;
        }};
        """,
        file="app.mjs",
    )
    one.start()

    outcome = invoke(one)

    error = json.loads(outcome.payload)
    assert ("error", "RangeError", "no") == (outcome.kind, error["errorType"], error["errorMessage"])
    assert error == json.loads(outcome.log.partition("\tr-1\tERROR\tInvoke Error \t")[2])
    assert one.alive


@pytest.mark.parametrize(
    ("file", "source", "error_type", "message"),
    [
        ("other.mjs", "", "Runtime.ImportModuleError", "Error: Cannot find module 'app'"),
        ("app.js", "require('nowhere');", "Runtime.ImportModuleError", "Error: Cannot find module 'nowhere'"),
        ("app.mjs", "export const other = 1;", "Runtime.HandlerNotFound", "app.handler is undefined or not exported"),
        ("app.mjs", "export const handler = 1;", "Runtime.HandlerNotFound", "app.handler is not a function"),
        ("app.mjs", "export const = 1;", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("app.mjs", "throw new RangeError('no');", "RangeError", "no"),
    ],
)
def test_node_init_errors(make_environment: MakeEnvironment, file: str, source: str, error_type: str, message: str):
    """A Node handler that can't be loaded has AWS's error."""
    with pytest.raises(InitFailed) as caught:
        make_environment(source, file=file, runtime="nodejs22.x").start()

    assert error_type == caught.value.error["errorType"]
    assert caught.value.error["errorMessage"].startswith(message)
    assert "\tundefined\tERROR\tUncaught Exception \t{" in caught.value.log


def test_node_rejections_that_nobody_handles_end_the_runtime(make_environment: MakeEnvironment):
    """A promise that fails unnoticed is AWS's UnhandledPromiseRejection, and the next invocation starts anew."""
    one = make_environment(
        """
        export const handler = async (event) => {
          if (event === "reject") {
            Promise.reject(new Error("unnoticed"));
            await new Promise((resolve) => setTimeout(resolve, 1000));
          }
          return "fine";
        };
        """,
        file="app.mjs",
    )
    one.start()

    outcome = invoke(one, "reject")

    error = json.loads(outcome.payload)
    assert ("error", "Runtime.UnhandledPromiseRejection", "Error: unnoticed") == (
        outcome.kind,
        error["errorType"],
        error["errorMessage"],
    )
    assert not one.alive
    assert "fine" == answer(invoke(one))


def test_a_late_node_exception_fails_the_next_invocation(make_environment: MakeEnvironment, tmp_path: Path):
    """What is thrown after the answer ends the runtime when it is thawed, and the invocation that thawed it fails."""
    one = make_environment(
        """
        import fs from "node:fs";
        let thrown = false;
        const throwLate = (flag) => {
          if (!fs.existsSync(flag)) return;
          thrown = true;
          throw new RangeError("late");
        };
        export const handler = async ({ flag, late }) => {
          if (flag) setInterval(throwLate, 1, flag);
          if (late && !thrown) await new Promise(() => {});  // thawed, but the exception is still to come
          return "fine";
        };
        """,
        file="app.mjs",
    )
    one.start()
    flag = tmp_path / "flag"

    before = answer(invoke(one, {"flag": str(flag)}))
    flag.touch()
    late = invoke(one, {"late": True}, request_id="r-2")
    after = answer(invoke(one, {}))

    assert ("fine", "fine") == (before, after)
    assert (late.kind, json.loads(late.payload)["errorType"]) in [
        ("exit", "Runtime.ExitError"),  # it was thrown before the runtime knew of the invocation
        ("error", "RangeError"),
    ]
    assert "ERROR\tUncaught Exception \t" in late.log


def test_node_exits_and_timeouts(make_environment: MakeEnvironment):
    """A Node process that exits, and one that takes too long, end as Python's do."""
    source = "export const handler = async (event) => event ? process.exit(event) : new Promise(setTimeout);"
    one = make_environment(
        source.replace("setTimeout", "() => setTimeout(() => {}, 60000)"), file="app.mjs", timeout_s=0.5
    )

    exited, timed_out = invoke(one, 3), invoke(one, 0)

    assert ["exit", "timeout"] == [exited.kind, timed_out.kind]
    assert (
        "RequestId: r-1 Error: Runtime exited with error: exit status 3" == json.loads(exited.payload)["errorMessage"]
    )
    assert "Sandbox.Timedout" == json.loads(timed_out.payload)["errorType"]


def test_a_node_handler_that_never_answers_answers_null(make_environment: MakeEnvironment):
    """A handler that neither returns a promise nor calls back ends when there is nothing left to do."""
    one = make_environment(
        "export const handler = () => { setTimeout(() => console.log('last'), 20); };", file="app.mjs"
    )
    one.start()

    outcome = invoke(one)

    assert answer(outcome) is None
    assert outcome.log.endswith("INFO\tlast\n")
