"""What a running LocalStack can do, found out by trying it: an emulator may accept a setting and ignore it.

What the other targets can do is known, and stands in `targets`.
"""

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from workbook import localstack
from workbook.emulator.corrections.probes.http_api import http_api
from workbook.emulator.corrections.probes.made import function
from workbook.errors import TargetError
from workbook.targets import Target

_PAUSE_S, _EDGE_S = 0.4, 0.1  # between two invocations, and the moments around it in which an environment is stopped
_CPU_S, _TRIES = 0.05, 3  # of work, and how often; the best try counts, as other programs take their share
_LOG_LIMIT_S = 10  # many times what an emulator takes to write a log
_SMALL_SHARE = 0.2  # AWS gives 128 MB 128/1769 of a processor; what is left of that is for the start of a period
_HANDLER = """
import socket, threading, time

beats = []

def beat():
    while True:
        beats.append(time.monotonic())
        time.sleep(0.01)

threading.Thread(target=beat, daemon=True).start()

def reaches(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

def handler(event, context):
    began, cpu = time.monotonic(), time.process_time()
    while time.process_time() - cpu < event.get("cpu_s", 0):
        pass
    reached = "port" in event and reaches(event["port"])
    clock = {"began": began, "ended": time.monotonic()}
    return clock | {"beats": beats, "reached": reached, "request_id": context.aws_request_id}
"""


def known(target: Target) -> Target:
    """Return the target with what there is to know about what it can do; a LocalStack is tried out once in a run.

    Raises:
        TargetError: no LocalStack answers there, or it can't run a function.
    """
    if target.name != "localstack":
        return target
    return replace(target, found=localstack.Found.from_environment(target.endpoint) or _tried(target))


def _tried(target: Target) -> localstack.Found:
    """Try everything with one function of our own, which is taken away again."""
    version = localstack.ask(target.endpoint).version
    try:
        with function(target, _HANDLER, MemorySize=128, Timeout=10) as name:
            lacks = {
                capability: f"LocalStack {version} at {target.endpoint} has no {capability}: {seen}. {remedy}"
                for capability, (probe, remedy) in PROBES.items()
                if (seen := probe(target, name))
            }
            _wait_for_log(target, name, _invoke(target, name)["request_id"])
    except (ClientError, WaiterError, _FunctionError) as error:
        raise TargetError(
            f"LocalStack {version} at {target.endpoint} can't run a function: {_reason(error).rstrip('.')}.",
            why="Every lesson invokes functions, for which LocalStack needs Docker's socket.",
            fix=f"Start it as docker-compose.yml does: {localstack.START}",
        ) from error
    logs = target.client("logs")
    with suppress(logs.exceptions.ResourceNotFoundException):
        logs.delete_log_group(logGroupName=f"/aws/lambda/{name}")
    has = tuple(capability for capability in PROBES if capability not in lacks)
    return localstack.Found(target.endpoint, version, has, lacks)


def _reason(error: Exception) -> str:
    """Return why no function runs: Lambda's own words, if it gave any before the clearing up failed, too."""
    waited = error if isinstance(error, WaiterError) else error.__context__
    if isinstance(waited, WaiterError):
        return waited.last_response.get("Configuration", {}).get("StateReason", str(waited))
    return str(error)


def _wait_for_log(target: Target, name: str, request_id: str) -> None:
    """Wait until an invocation's last line is in the log: deleted before that, the log would come back."""
    logs, deadline = target.client("logs"), time.monotonic() + _LOG_LIMIT_S
    while time.monotonic() < deadline:
        with suppress(logs.exceptions.ResourceNotFoundException):
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
            if any(event["message"].startswith(f"REPORT RequestId: {request_id}") for event in events):
                return
        time.sleep(0.05)


class _FunctionError(Exception):
    """A function that has nothing wrong with it failed."""


def _invoke(target: Target, name: str, **event: Any) -> dict[str, Any]:
    answer = target.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    said = answer["Payload"].read()
    if "FunctionError" in answer:
        raise _FunctionError(said.decode())
    return json.loads(said)


# Each probe returns in words what was seen instead of what AWS does, or None.


def _http_api(target: Target, name: str) -> str | None:
    """Send a signed request through an HTTP API."""
    try:
        with http_api(target, name, version="2.0") as url:
            status = target.send("GET", url).status
    except ClientError as error:
        return error.response["Error"]["Message"].rstrip(".")
    return None if status == 200 else f"a request through one is answered with {status}"


def _freeze(target: Target, name: str) -> str | None:
    """Look whether a function's thread runs on between two invocations."""
    one = _invoke(target, name)
    time.sleep(_PAUSE_S)  # the pause is what is looked at
    two = _invoke(target, name)
    meanwhile = [beat for beat in two["beats"] if one["ended"] + _EDGE_S < beat < two["began"] - _EDGE_S]
    if not set(one["beats"]) <= set(two["beats"]):
        return "a second invocation has another environment"
    return "a function's thread runs on between two invocations" if meanwhile else None


def _cpu_share(target: Target, name: str) -> str | None:
    """Look what part of a processor a function of 128 MB gets.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
    """
    tries = [_invoke(target, name, cpu_s=_CPU_S) for _ in range(_TRIES)]
    share = max(_CPU_S / (work["ended"] - work["began"]) for work in tries)
    return f"128 MB get {share:.0%} of a processor" if share > _SMALL_SHARE else None


def _database(target: Target, name: str) -> str | None:
    """Have a function connect to a port of this machine's loopback interface, as to a database that runs here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        reached = _invoke(target, name, port=server.getsockname()[1])["reached"]
    return None if reached else "a function can't reach a server on this machine"


_ELSEWHERE = "Run it with --target embedded."
PROBES: dict[str, tuple[Callable[[Target, str], str | None], str]] = {
    "http_api": (_http_api, "It takes a plan that has API Gateway v2, and its token: docs/localstack.md says which."),
    "freeze": (_freeze, _ELSEWHERE),
    "cpu_share": (_cpu_share, _ELSEWHERE),
    "database": (_database, _ELSEWHERE),
}
