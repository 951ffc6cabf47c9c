"""The handler that prepares itself early or late, without Lambda."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

APP = Path(__file__).resolve().parents[2] / "handlers" / "prepared" / "app.py"
CONTEXT = SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1")


def start(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ModuleType:
    """Return the module as a new environment has it, after its init phase."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("prepared_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_counts_the_calls_of_its_environment(monkeypatch: pytest.MonkeyPatch):
    """A new environment has answered no call, and an old one knows how many."""
    module = start(monkeypatch)
    assert [0, 1] == [module.handler(None, CONTEXT)["calls_before"] for _ in range(2)]
    assert 0 == start(monkeypatch).handler({}, CONTEXT)["calls_before"]


def test_early_is_before_the_first_call(monkeypatch: pytest.MonkeyPatch):
    """By default everything is ready when the init phase ends."""
    assert 100_000 == len(start(monkeypatch, SETUP="compute").prepared)


def test_late_is_in_the_first_call_that_needs_it(monkeypatch: pytest.MonkeyPatch):
    """A call that can do without doesn't prepare, the next does, and those after it find it done."""
    module = start(monkeypatch, SETUP="wait", WHEN="late")
    assert module.prepared is None
    module.handler({"needs_setup": False}, CONTEXT)
    assert module.prepared is None
    module.handler({"needs_setup": True}, CONTEXT)
    assert "wait" == module.prepared


def test_it_says_where_and_how_long_it_ran(monkeypatch: pytest.MonkeyPatch):
    """A measured handler returns its request id, log stream, runtime and its own clock."""
    answer = start(monkeypatch).handler({}, CONTEXT)
    assert ("r-1", "s-1") == (answer["request_id"], answer["log_stream"])
    assert answer["runtime"].startswith("python3.")
    assert answer["handler_ms"] >= 0
