"""The handlers that greet: the same answer from Python and from Node, through either door."""

import importlib.util
import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from workbook.emulator.clean_room import node

HANDLERS = Path(__file__).resolve().parents[2] / "handlers"
Answer = Callable[[dict], dict]

# What matters of an HTTP API's event, payload format 2.0:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
HTTP = {"version": "2.0", "routeKey": "GET /hello", "rawPath": "/hello", "requestContext": {"http": {"method": "GET"}}}


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hello_app", HANDLERS / "hello" / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _python(event: dict) -> dict:
    return _module().handler(event, SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1"))


def _node(event: dict) -> dict:
    script = (
        f"import {{ handler }} from {json.dumps(str(HANDLERS / 'hello_node' / 'app.mjs'))};"
        f"const answer = await handler({json.dumps(event)}, {{ awsRequestId: 'r-1', logStreamName: 's-1' }});"
        "console.error(JSON.stringify(answer));"  # apart from the log, which goes where a handler's log goes
    )
    command = [node(), "--input-type=module", "--eval", script]
    return json.loads(subprocess.run(command, check=True, stderr=subprocess.PIPE).stderr)


both = pytest.mark.parametrize("handler", [_python, _node], ids=["python", "node"])


@both
def test_it_greets_whom_the_event_names(handler: Answer):
    """A direct invocation is answered with a greeting, and with where it was made."""
    answer = handler({"name": "Ada"})
    runtime = answer.pop("runtime")
    assert {"greeting": "Hello, Ada!", "request_id": "r-1", "log_stream": "s-1"} == answer
    assert runtime.startswith(("python3.", "nodejs"))


@both
def test_it_greets_the_world_if_nobody_is_named(handler: Answer):
    """An event without a name is not an error, through either door."""
    assert "Hello, world!" == handler({})["greeting"]
    assert "Hello, world!" == json.loads(handler(HTTP)["body"])["greeting"]


@both
def test_an_api_gets_the_same_as_an_http_answer(handler: Answer):
    """Through an HTTP API the name comes from the query string, and the answer is the body."""
    answer = handler({**HTTP, "queryStringParameters": {"name": "Ada"}})
    assert (200, {"content-type": "application/json"}) == (answer["statusCode"], answer["headers"])
    assert handler({"name": "Ada"}) == json.loads(answer["body"])


def test_it_says_which_python_ran():
    """The runtime is the interpreter that really ran, not the one that a template names."""
    assert f"python{platform.python_version()}" == _python({})["runtime"]


@both
def test_it_logs_one_json_object(handler: Answer, capfd: pytest.CaptureFixture[str]):
    """A log line can be read by a machine, names its request, and has the same keys from both."""
    handler({})
    (line,) = capfd.readouterr().out.splitlines()
    assert {"level": "INFO", "message": "greeted", "request_id": "r-1"} == json.loads(line)
