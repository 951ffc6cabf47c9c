"""The handler whose sizes are priced, without Lambda."""

import importlib.util
import json
import logging
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

APP = Path(__file__).resolve().parents[2] / "handlers" / "orders" / "app.py"
CONTEXT = SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1")


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch):
    """Return what imports the handler with a log level; the root logger's own level is put back afterwards."""
    level = logging.getLogger().level

    def start(log_level: str) -> ModuleType:
        monkeypatch.setenv("LOG_LEVEL", log_level)
        spec = importlib.util.spec_from_file_location("orders_app", APP)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield start
    logging.getLogger().setLevel(level)


def test_it_answers_with_a_page_and_says_where_it_ran(start):
    """The body is JSON with the orders, and what the record of a call is made from."""
    answer = start("INFO").handler({}, CONTEXT)
    body = json.loads(answer["body"])
    assert (200, 50, "r-1", "s-1", 0) == (
        answer["statusCode"],
        *(
            len(body[key]) if key == "orders" else body[key]
            for key in ("orders", "request_id", "log_stream", "calls_before")
        ),
    )


@pytest.mark.parametrize(("log_level", "lines"), [("INFO", 1), ("DEBUG", 2)])
def test_the_level_decides_how_much_is_logged(start, caplog: pytest.LogCaptureFixture, log_level: str, lines: int):
    """One line by default; with DEBUG the event and the whole answer as well."""
    start(log_level).handler({"secret": "in the event"}, CONTEXT)
    assert lines == len(caplog.messages)
    assert ("in the event" in caplog.text) == (log_level == "DEBUG")
