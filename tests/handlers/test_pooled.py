"""The handler that keeps a connection, without Lambda, on a real database."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pg8000.native import DatabaseError, InterfaceError
from waits import wait_until

from workbook import database

APP = Path(__file__).resolve().parents[2] / "handlers" / "pooled" / "app.py"
CONTEXT = SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1")


@pytest.fixture(scope="module")
def server() -> Iterator[database.Database]:
    """A database for two connections."""
    with database.start(max_connections=2) as running:
        yield running


@pytest.fixture
def start(server: database.Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ModuleType]]:
    """Returns the module as a new environment has it, after its init phase; in the end no connection of it is left."""
    for name, value in {**server.variables, "AWS_LAMBDA_FUNCTION_NAME": "pooled"}.items():
        monkeypatch.setenv(name, value)
    made = []

    def make() -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"pooled_app_{len(made)}", APP)
        made.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(made[-1])
        return made[-1]

    yield make
    for module in made:
        if module.connection:
            module.connection.close()
    wait_until(lambda: server.sessions().open == 0)


def test_an_environment_keeps_its_connection(server: database.Database, start: Callable[[], ModuleType]):
    """The first call opens it, the next ones use it, and another environment has another."""
    one, other = start(), start()
    assert 0 == server.sessions().open
    first, second, elsewhere = (app.handler({"work_ms": 1}, CONTEXT) for app in (one, one, other))
    assert first["backend_pid"] == second["backend_pid"] != elsewhere["backend_pid"]
    assert [0, 1, 0] == [answer["calls_before"] for answer in (first, second, elsewhere)]
    assert 2 == server.sessions().open


def test_it_says_where_and_how_long_it_ran(start: Callable[[], ModuleType]):
    """A measured handler returns its request id, log stream, runtime and its own clock, which the database's work is in."""
    answer = start().handler({"work_ms": 30}, CONTEXT)
    assert ("r-1", "s-1") == (answer["request_id"], answer["log_stream"])
    assert answer["runtime"].startswith("python3.")
    assert answer["handler_ms"] >= 30


def test_a_refused_connection_is_the_error_of_that_call(server: database.Database, start: Callable[[], ModuleType]):
    """One environment too many fails, and works as soon as there is room."""
    one, two, three = start(), start(), start()
    for app in (one, two):
        app.handler({"work_ms": 0}, CONTEXT)
    with pytest.raises(DatabaseError, match="too many clients already"):
        three.handler({"work_ms": 0}, CONTEXT)
    one.connection.close()
    one.connection = None
    wait_until(lambda: server.sessions().open == 1)
    assert 1 == three.handler({"work_ms": 0}, CONTEXT)["calls_before"]


def test_a_broken_connection_is_replaced_by_the_next_call(start: Callable[[], ModuleType]):
    """The call that finds it broken fails; the environment isn't lost for that."""
    one, other = start(), start()
    pid = one.handler({"work_ms": 0}, CONTEXT)["backend_pid"]
    other.handler({"work_ms": 0}, CONTEXT)
    other.connection.run("SELECT pg_terminate_backend(:pid, 10000)", pid=pid)  # and waits so many ms for its end
    broken = one.connection
    with pytest.raises(InterfaceError):
        one.handler({"work_ms": 0}, CONTEXT)
    with suppress(InterfaceError):
        broken.close()
    assert pid != one.handler({"work_ms": 0}, CONTEXT)["backend_pid"]
