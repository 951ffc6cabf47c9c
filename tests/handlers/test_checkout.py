"""The handler that takes orders, without Lambda."""

import importlib.util
import json
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

APP = Path(__file__).resolve().parents[2] / "handlers" / "checkout" / "app.py"
CONTEXT = SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as a new environment has it, after its init phase."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", "7")
    spec = importlib.util.spec_from_file_location("checkout_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def slept(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wait was to be, in seconds, on a clock that stands at 100 and waits for nobody."""
    waits: list[float] = []
    clock = SimpleNamespace(time=lambda: 100.0, sleep=waits.append, perf_counter=time.perf_counter)
    monkeypatch.setattr(app, "time", clock)
    return waits


def test_it_says_where_and_how_it_ran(app: ModuleType):
    """A measured handler returns its request id, log stream, runtime and its own clock; this one its version and beginning too."""
    first, second = app.handler({"work_ms": 0}, CONTEXT), app.handler({"work_ms": 0}, CONTEXT)
    assert ("r-1", "s-1", "7", "on-demand") == tuple(
        first[key] for key in ("request_id", "log_stream", "version", "initialization_type")
    )
    assert first["runtime"].startswith("python3.")
    assert first["handler_ms"] >= 0
    assert [0, 1] == [first["calls_before"], second["calls_before"]]


@pytest.mark.parametrize(
    ("stalled", "waits"),
    [
        (None, [0.05]),
        ([90, 99], [0.05]),
        ([90, 100], [0.05]),
        ([101, 102], [0.05]),
        ([100, 103], [3, 0.05]),
        ([90, 100.5], [0.5, 0.05]),
    ],
)
def test_an_order_that_meets_a_stall_waits_for_its_end(app: ModuleType, slept: list[float], stalled, waits):
    """Inside the window the work begins when it ends; before and after it at once."""
    app.handler({"work_ms": 50, "stalled": stalled}, CONTEXT)
    assert waits == slept


def test_an_order_may_come_through_a_queue(app: ModuleType, slept: list[float], capsys: pytest.CaptureFixture[str]):
    """A message has the order as its body, and the log says when it was worked, and by which invocation."""
    app.handler({"Records": [{"body": json.dumps({"work_ms": 30, "article": "article 2"})}]}, CONTEXT)
    assert [0.03] == slept
    line = json.loads(capsys.readouterr().out)
    assert ("collected", "r-1", 100.0, 100.0) == tuple(line[key] for key in ("message", "request_id", "began", "ended"))
    assert app.PRICES_CENTS["article 2"] == line["cents"]
