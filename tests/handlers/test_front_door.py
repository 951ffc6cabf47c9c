"""The handler behind the four doors, without Lambda."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

APP = Path(__file__).resolve().parents[2] / "handlers" / "front_door" / "app.py"
CONTEXT = SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1")
EVENTS = {"1.0": {"path": "/orders"}, "2.0": {"version": "2.0", "rawPath": "/orders"}}


@pytest.fixture
def app() -> ModuleType:
    spec = importlib.util.spec_from_file_location("front_door_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_it_answers_with_the_event_and_says_where_it_ran(app: ModuleType, event: dict, capsys):
    """Asked for nothing special, it echoes the event of either format and counts its calls; the log has the path."""
    body = json.loads(app.handler(event, CONTEXT)["body"])
    assert (event, 0, "r-1", "s-1") == tuple(body[key] for key in ("event", "calls_before", "request_id", "log_stream"))
    assert 1 == json.loads(app.handler(event, CONTEXT)["body"])["calls_before"]
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert ("asked", "/orders", "r-1") == (line["message"], line["path"], line["request_id"])


@pytest.mark.parametrize("wanted", ["own", "headers", "misshapen", "nothing", "binary", "twice"])
def test_it_answers_in_the_shape_that_is_asked_for(app: ModuleType, wanted: str):
    """The shapes that doors differ about, each by its name."""
    assert app.SHAPES[wanted] == app.handler({"path": "/", "queryStringParameters": {"answer": wanted}}, CONTEXT)


def test_it_fails_and_takes_its_time_when_asked_to(app: ModuleType, capsys):
    """A failure is an exception; slow work says when it is done."""
    with pytest.raises(ValueError, match="no such order"):
        app.handler({"path": "/", "queryStringParameters": {"answer": "failure"}}, CONTEXT)
    app.handler({"path": "/", "queryStringParameters": {"answer": "slow", "seconds": "0"}}, CONTEXT)
    assert ["asked", "asked", "work done"] == [
        json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()
    ]
