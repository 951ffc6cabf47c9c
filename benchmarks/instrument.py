"""How true the instrument is: the time it adds to a call of known duration, and how well it recovers known sleeps.

A duration is known in two ways. A stub in a process of its own holds each request for a time that it keeps by its own
clock; all else that a client sees was added on the way. And a handler sleeps that long while it is imported; against one
that doesn't, the difference of the two cold starts is the sleep.
"""

import functools
import http.client
import itertools
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from benchmarks import functions
from benchmarks.peers import clean_environment, tool
from benchmarks.rows import Figure, Row
from benchmarks.stub import HELD_MS
from workbook import calls, emulator, plans, statistics, targets
from workbook.emulator.upstream import plain
from workbook.records import Record
from workbook.targets import Target

CALLS, BLOCK = 800, 40  # 368 calls bound a p99 on both sides
ADDED_AIM_MS = 1
SLEEPS_MS, COLD_STARTS, COLD_BLOCK = (50, 200, 800), 60, 5
SLEEP_AIM = 0.05
HERE = Path(__file__).parent
SLEEPING = """
import time, uuid
time.sleep({seconds})
ENVIRONMENT, CALLS = uuid.uuid4().hex, []

def handler(event, context):
    CALLS.append(1)
    return {{"log_stream": ENVIRONMENT, "calls_before": len(CALLS) - 1}}
"""


def measure() -> Iterator[Row]:
    """Yield the added time at p50 and at p99 beside each other way to time a call, then each sleep as it was recovered."""
    yield from _added()
    yield from _recovered()


def _added() -> Iterator[Row]:
    with _stub() as port:
        ways = _ways(port)
        for way in ways.values():
            way(1)  # opens its connection
        took_ms: dict[str, list[float]] = {name: [] for name in ways}
        for _, name in plans.interleaved(ways, CALLS // BLOCK, random.Random(1)):
            took_ms[name] += ways[name](BLOCK)
    added_ms = {name: [value - HELD_MS for value in values] for name, values in took_ms.items()}
    for q, aim_ms in ((0.5, ADDED_AIM_MS), (0.99, None)):
        figures = {name: Figure.quantile(values, q) for name, values in added_ms.items()}
        ours = figures.pop("workbook")
        for peer, theirs in figures.items():
            yield Row(f"time added to a call of {HELD_MS:g} ms, p{q * 100:g}", "ms", ours, peer, theirs, at_most=aim_ms)


def _ways(port: int) -> dict[str, Callable[[int], list[float]]]:
    """Return ways to make calls to the stub, each a function of their number that returns their durations in ms."""
    endpoint = f"http://127.0.0.1:{port}"
    target = targets.connect("embedded", endpoint=endpoint)
    client = boto3.client(
        "lambda",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def by_boto3() -> None:
        client.invoke(FunctionName="bench", Payload=b"{}", LogType="Tail")["Payload"].read()

    def by_http_client() -> None:
        connection.request("POST", "/2015-03-31/functions/bench/invocations", b"{}")
        connection.getresponse().read()

    return {
        "workbook": lambda number: [
            calls.invoke(target, "bench", {}, run_id="bench", experiment="added time").record.client_ms
            for _ in range(number)
        ],
        "http.client": lambda number: [_timed(by_http_client) for _ in range(number)],
        "boto3": lambda number: [_timed(by_boto3) for _ in range(number)],
        "Locust": functools.partial(_by_locust, endpoint),
    }


def _timed(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _by_locust(endpoint: str, number: int) -> list[float]:
    """Return what Locust says of one user's calls. It keeps whole milliseconds."""
    user = f"--locustfile={HERE / 'locust_user.py'}"
    command = [tool("locust", "locust"), user, "--headless", "--users=1", "--run-time=60s", f"--host={endpoint}"]
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder:
        said = subprocess.run(
            [*command, "--json", "--skip-log"],
            env=clean_environment(endpoint, folder) | {"BENCH_CALLS": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        ).stdout
    kept = next(entry["response_times"] for entry in json.loads(said) if entry["name"] == "call")
    return list(itertools.chain.from_iterable([float(ms)] * count for ms, count in kept.items()))


@contextmanager
def _stub() -> Iterator[int]:
    """Start the stub and yield its port; it ends with the block, which closes its standard input."""
    command = [sys.executable, "-m", "benchmarks.stub"]
    with subprocess.Popen(command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stub:
        yield int(stub.stdout.readline())


def _recovered() -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder,
        emulator.start(log=Path(folder) / "log") as running,
        plain(Path(sys.executable)) as peer,
    ):
        ours, peers = _cold_starts([targets.connect("embedded", endpoint=at) for at in (running.endpoint, peer)])
    for sleep_ms in SLEEPS_MS:
        yield Row(
            f"sleep of {sleep_ms} ms at import, by cold starts",
            "ms",
            _difference(ours, sleep_ms, "init_ms"),
            "plain MiniStack",
            _difference(peers, sleep_ms, "client_ms"),
            at_least=sleep_ms * (1 - SLEEP_AIM),
            at_most=sleep_ms * (1 + SLEEP_AIM),
        )


def _cold_starts(sides: Sequence[Target]) -> list[list[Record]]:
    """Return each side's records of cold starts without a sleep and with each; the variant is its milliseconds."""
    callers = [
        {str(sleep_ms): functools.partial(_call, target, _sleeper(target, sleep_ms)) for sleep_ms in (0, *SLEEPS_MS)}
        for target in sides
    ]
    rng, records = random.Random(1), [[] for _ in sides]
    for _, side in plans.interleaved(range(len(sides)), COLD_STARTS // COLD_BLOCK, rng):
        prepare = functools.partial(_make_cold, sides[side])
        records[side] += plans.cold(callers[side], prepare=prepare, repeats=COLD_BLOCK, rng=rng)
    return records


def _sleeper(target: Target, sleep_ms: int) -> str:
    """Make a function that sleeps that long while it is imported, and return its name."""
    name = f"sleeps-{sleep_ms}"
    functions.make(target, name, SLEEPING.format(seconds=sleep_ms / 1000))
    return name


def _make_cold(target: Target, variant: str) -> None:
    functions.make_cold(target, f"sleeps-{variant}")


def _call(target: Target, name: str, **labels: Any) -> Record:
    return calls.invoke(target, name, {}, run_id="bench", experiment="sleeps", **labels).record


def _difference(records: Sequence[Record], sleep_ms: int, clock: str) -> Figure:
    """Return how much longer the median cold start takes with the sleep than without."""
    without, with_ = (
        [getattr(record, clock) for record in records if record.variant == str(ms) and record.counts_as == "result"]
        for ms in (0, sleep_ms)
    )
    found = statistics.compare(without, with_, base="without", other="with", provenance="emulated")
    return Figure(found.difference, found.difference_interval, (*without, *with_))
