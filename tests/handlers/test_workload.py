"""The handler that does work of four kinds, without Lambda."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

APP = Path(__file__).resolve().parents[2] / "handlers" / "workload" / "app.py"
CONTEXT = SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module as a new environment has it."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    spec = importlib.util.spec_from_file_location("workload_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_says_where_it_ran_and_counts(app: ModuleType):
    """An event that asks for nothing is answered with the environment, its size and how many calls it had."""
    answers = [app.handler(event, CONTEXT) for event in (None, {})]
    assert [0, 1] == [answer["calls_before"] for answer in answers]
    assert {"memory_mb": 512, "request_id": "r-1", "log_stream": "s-1"}.items() <= answers[0].items()


def test_computing_takes_cpu_time_and_waiting_takes_none(app: ModuleType):
    """Rounds are computed on the processor; a wait only passes."""
    computing = app.handler({"rounds": 40}, CONTEXT)
    waiting = app.handler({"wait_ms": 30}, CONTEXT)
    assert computing["cpu_ms"] > 20 * waiting["cpu_ms"]
    assert waiting["handler_ms"] >= 30


def test_more_rounds_give_another_checksum(app: ModuleType):
    """Every round is really computed."""
    assert 3 == len({app.compute(rounds) for rounds in (0, 1, 2)})


def test_the_memory_is_filled(app: ModuleType):
    """A megabyte has 256 pages of 4 KB, and each is touched."""
    assert 256 == app.hold(1)
