"""A real database server, which is gone when whoever started it is."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pg8000.native import Connection, DatabaseError
from waits import wait_until

from workbook import database
from workbook.errors import ParameterError, SetupError


@pytest.fixture(scope="module")
def running() -> Iterator[database.Database]:
    """A server for three connections."""
    with database.start(max_connections=3) as one:
        yield one


@pytest.fixture
def connect(running: database.Database) -> Iterator[Callable[..., Connection]]:
    """Opens connections, and sees to it that the server has none of them in the end."""
    opened: list[Connection] = []

    def open_one(user: str = "app") -> Connection:
        opened.append(Connection(user, host=running.host, port=running.port, database="postgres"))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
    wait_until(lambda: running.sessions().open == 0)


def servers() -> list[psutil.Process]:
    """Return the main process of each server that was started by this process or by one that it started."""
    return [one for one in psutil.Process().children(recursive=True) if "-D" in one.cmdline()]


def data_folder(server: psutil.Process) -> Path:
    return Path(server.cmdline()[server.cmdline().index("-D") + 1])


def test_it_says_how_many_connections_are_open_and_how_many_it_takes(running: database.Database, connect):
    """What is counted are the others' connections, as many as are open at the moment."""
    assert database.Sessions(open=0, limit=3) == running.sessions()
    connect()
    two = connect()
    assert 2 == running.sessions().open
    assert two.run("SELECT pg_backend_pid()") != [[0]]
    assert f"PostgreSQL at 127.0.0.1:{running.port}, for 3 connections" == repr(running)


def test_one_connection_too_many_is_refused_as_postgresql_does(running: database.Database, connect):
    """All that were asked for are to be had, and no more; the workbook still sees what is going on."""
    for _ in range(3):
        connect()
    with pytest.raises(DatabaseError, match="sorry, too many clients already"):
        connect()
    assert database.Sessions(open=3, limit=3) == running.sessions()


def test_who_connects_may_use_the_database_and_not_the_machine(connect):
    """The role that needs no password can't start a program, and the one that could isn't let in."""
    with pytest.raises(DatabaseError, match="permission denied to COPY to or from an external program"):
        connect().run("COPY (SELECT 1) TO PROGRAM 'id'")
    with pytest.raises(DatabaseError, match=r'no pg_hba\.conf entry for host .* user "owner"'):
        connect("owner")


def test_its_address_is_for_a_functions_environment(running: database.Database):
    """Lambda takes text only."""
    assert {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(running.port),
        "DB_NAME": "postgres",
        "DB_USER": "app",
    } == running.variables


def test_it_listens_on_this_machine_only(running: database.Database):
    """Neither another machine nor a socket in the file system leads to it."""
    (server,) = servers()
    listening = [
        one.laddr for one in server.net_connections("all") if one.status in {psutil.CONN_LISTEN, "NONE"} and one.laddr
    ]
    assert [("127.0.0.1", running.port)] == listening


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_it_never_runs_as_root(running: database.Database):
    """PostgreSQL would refuse; its data belong to whom it runs as."""
    (server,) = servers()
    assert {"nobody"} == {server.username(), data_folder(server).owner()}


def test_stopping_leaves_nothing_and_may_be_repeated():
    """Server and folder are gone when stop returns, whether or not somebody is connected."""
    before = set(servers())
    one = database.start(max_connections=2)
    (server,) = set(servers()) - before
    data = data_folder(server)
    connection = Connection("app", host=one.host, port=one.port, database="postgres")
    one.stop()
    one.stop()
    assert (False, False) == (server.is_running(), data.parent.exists())
    connection._usock.close()


def test_it_ends_when_its_owner_is_killed():
    """A kernel that gets no last word takes its server with it, and the folder too."""
    before = set(servers())
    script = (
        "import os, signal; from workbook import database; one = database.start(max_connections=2);"
        "os.kill(os.getpid(), signal.SIGSTOP)"
    )
    owner = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_until(lambda: psutil.Process(owner.pid).status() == psutil.STATUS_STOPPED)
        (server,) = set(servers()) - before
        folder = data_folder(server).parent
        assert folder.exists()
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    wait_until(lambda: not server.is_running() and not folder.exists())


@pytest.mark.parametrize("limit", [0, -1, 2.5, "many"])
def test_a_server_for_nobody_is_refused(limit: object):
    """What is no number of connections is told so before anything is started."""
    with pytest.raises(ParameterError, match=f"A database for {limit!r} connections is none"):
        database.start(max_connections=limit)


def test_a_machine_without_postgresql_is_told_so(monkeypatch: pytest.MonkeyPatch):
    """Where there is no wheel, one sentence says what is missing."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"PostgreSQL is not installed\. .*make run"):
        database.start(max_connections=1)


def test_a_server_that_does_not_start_says_why():
    """What its own log says comes through, and nothing of the attempt is left."""
    with pytest.raises(SetupError, match='outside the valid range for parameter "max_connections"') as refused:
        database.start(max_connections=10**7)
    (folder,) = set(re.findall(r"/\S+/workbook-database-\w+", str(refused.value)))
    assert not Path(folder).exists()
