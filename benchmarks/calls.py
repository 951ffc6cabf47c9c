"""A bare Python function called through boto3, cold and warm: our environments beside plain MiniStack's workers."""

import io
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbook import emulator, targets
from workbook.emulator.upstream import plain

COLD_ROUNDS, WARM_ROUNDS = 20, 30
BLOCK = 10  # warm calls in a row: a process that slept while the other side had its turn is slow to wake
SILENT = "def handler(event, context):\n    return event\n"
PRINTING = "def handler(event, context):\n    print('called')\n    return event\n"


def measure() -> Iterator[tuple[str, str, list[float], list[float]]]:
    """Yield three rows: a cold call, a warm one, and a warm one whose handler prints."""
    with (
        tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder,
        emulator.start(log=Path(folder) / "log") as ours,
        plain(Path(sys.executable)) as peer,
    ):
        sides = [_function(endpoint, SILENT) for endpoint in (ours.endpoint, peer)]
        printing = [_function(endpoint, PRINTING) for endpoint in (ours.endpoint, peer)]
        yield "cold call of a bare Python function", "plain MiniStack", *_cold(sides)
        yield "warm call", "plain MiniStack", *_warm(sides)
        yield "warm call of a function that prints", "plain MiniStack", *_warm(printing)


def _function(endpoint: str, code: str) -> tuple[Any, str]:
    """Make a function and return a measuring client with its name."""
    target = targets.connect("embedded", endpoint=endpoint)
    name = f"bench-{'printing' if 'print' in code else 'silent'}"
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", code)
    target.client("lambda").create_function(
        FunctionName=name,
        Role=f"arn:aws:iam::{target.account_id}:role/bench",
        Runtime="python3.13",
        Handler="app.handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=30,
    )
    target.client("lambda").get_waiter("function_active_v2").wait(FunctionName=name)
    return target.measured_client("lambda"), name


def _cold(sides: list[tuple[Any, str]]) -> list[list[float]]:
    """Call each function in turn, always after a change of its settings, which ends its environments."""
    values: list[list[float]] = [[], []]
    for round_ in range(COLD_ROUNDS):
        for (client, name), kept in zip(sides, values, strict=True):
            client.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": str(round_)}})
            client.get_waiter("function_updated_v2").wait(
                FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200}
            )
            kept.append(_timed(client, name))
    return values


def _warm(sides: list[tuple[Any, str]]) -> list[list[float]]:
    for client, name in sides:
        _timed(client, name)
    values: list[list[float]] = [[], []]
    for _ in range(WARM_ROUNDS):
        for (client, name), kept in zip(sides, values, strict=True):
            kept.extend(_timed(client, name) for _ in range(BLOCK))
    return values


def _timed(client: Any, name: str) -> float:
    begun = time.perf_counter()
    client.invoke(FunctionName=name, Payload=b"{}")["Payload"].read()
    return (time.perf_counter() - begun) * 1000
