"""Starts, finds and stops the embedded emulator: a process of its own, in a folder of its own, that ends with its owner."""

import atexit
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import psutil

from workbook.emulator import governor
from workbook.emulator.guard import CLEAN_UP_S
from workbook.errors import SetupError

HOST = "127.0.0.1"
ACCOUNT_ID = "000000000000"
# AWS's default; MiniStack's would follow from the machine's memory: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_ACCOUNT_CONCURRENCY = 1000
_START_S = 30.0  # ready in well under a second; a loaded or throttled machine gets time
# what a Python and a Node need to start, and how they are held to their share
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "WORKBOOK_CPU")
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}  # this process's own, to be reaped when they are stopped


@dataclass(frozen=True)
class Emulator:
    """A running emulator. A context manager, too: leaving it stops the emulator."""

    pid: int
    port: int
    endpoint: str
    log: Path
    folder: Path  # its own temporary folder: state, function code, execution environments; goes when it ends
    owner_pid: int

    @property
    def trail(self) -> Path:
        """The file with a line for each action that IAM was asked about; only an emulator that enforces IAM writes it."""
        return trail_beside(self.log)

    def alive(self) -> bool:
        """Return whether the emulator's process is there: this one, not a later one with the same number, and no zombie."""
        try:
            return str(self.folder) in psutil.Process(self.pid).cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # the second: another user's process has the number now
            return False

    def stop(self) -> None:
        """End the emulator with everything that it started, and return when its folder is gone. Twice is fine.

        Nothing is lost by SIGKILL: its state is temporary, and its guard cleans up after any end.
        """
        if self.alive():
            with suppress(ProcessLookupError):  # it may end by itself just now
                os.killpg(self.pid, signal.SIGKILL)
        if child := _CHILDREN.pop(self.pid, None):
            child.wait()
        deadline = time.monotonic() + CLEAN_UP_S
        while self.folder.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        shutil.rmtree(self.folder, ignore_errors=True)  # it is there only if the emulator ended before it had its guard

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    *,
    log: Path,
    owner_pid: int | None = None,
    port: int | None = None,
    account_id: str = ACCOUNT_ID,
    registry: Path | None = None,
    enforce_iam: bool = False,
) -> Emulator:
    """Start an emulator on the loopback interface and return it when it answers.

    It ends with its owner, by default this process, whatever ends that one. With a registry, the emulator that is recorded
    there is returned if it still runs, and a new one is recorded, so that several processes share one.

    Args:
        log: the file that everything the emulator says is appended to.
        owner_pid: the process with which the emulator ends.
        port: the port to listen on; by default a free one.
        account_id: the account that unsigned requests belong to.
        registry: the file that records the emulator for `find`.
        enforce_iam: whether a call needs a policy that allows it; a trail of what was asked for is kept then. Whoever gives the account's number as access key, as the
            target embedded does, is the account's root, and may do everything.

    Raises:
        SetupError: the port is taken, a folder can't be written, or the emulator did not start: then with its log's end.
        ParameterError: WORKBOOK_CPU asks for something that there is not.
    """
    governor.setting()
    if registry is None:
        return _start(log, owner_pid or os.getpid(), port, account_id, enforce_iam)
    registry.parent.mkdir(parents=True, exist_ok=True)
    with registry.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two processes that start at once, the second finds the first one's
        if running := find(registry):
            return running
        emulator = _start(log, owner_pid or os.getpid(), port, account_id, enforce_iam)
        _record(registry, emulator)
    return emulator


def find(registry: Path) -> Emulator | None:
    """Return the emulator that is recorded in a registry, or None if there is none or it no longer runs."""
    try:
        fields = json.loads(registry.read_text())
        emulator = Emulator(**fields | {"log": Path(fields["log"]), "folder": Path(fields["folder"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # no record, or one that another version wrote
        return None
    return emulator if emulator.alive() else None


def trail_beside(log: Path) -> Path:
    """Return where the trail of an emulator is kept whose log that is."""
    return log.absolute().with_suffix(".trail.jsonl")


def settings(folder: Path, port: int, account_id: str = ACCOUNT_ID) -> dict[str, str]:
    """Return the whole environment of an emulator's process: nothing of the shell's AWS configuration reaches it."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "DOCKER_HOST": f"unix://{folder}/no-docker",  # it would look for containers of its own there, and remove some
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_ACCOUNT_ID": account_id,
        "LAMBDA_ACCOUNT_CONCURRENCY": f"{_ACCOUNT_CONCURRENCY}",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }


def spawn(
    command: Sequence[str | Path], listener: socket.socket, variables: dict[str, str], folder: Path, output: BinaryIO
) -> subprocess.Popen[bytes]:
    """Start an emulator's process, in a session of its own and with the listening socket, and return it."""
    return subprocess.Popen(
        command,
        env=variables,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )


def _start(log: Path, owner_pid: int, port: int | None, account_id: str, enforce_iam: bool) -> Emulator:
    with listen(port) as listener:
        port = listener.getsockname()[1]
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as output:
                folder = Path(tempfile.mkdtemp(prefix="workbook-emulator-"))
                # -P: no file that lies in the current folder can pass for a module
                launch = [sys.executable, "-P", "-m", "workbook.emulator.launch"]
                what = [folder, f"{listener.fileno()}", f"{owner_pid}"]
                variables = settings(folder, port, account_id)
                if enforce_iam:
                    variables |= {"AUTH": "true", "WORKBOOK_TRAIL": str(trail_beside(log))}
                child = spawn([*launch, *what], listener, variables, folder, output)
        except OSError as error:
            raise SetupError(
                f"The emulator can't be set up: {error}.",
                why="It needs a temporary folder of its own and a file for its log.",
                fix="Make room on the disk, or set TMPDIR to a folder that may be written to.",
            ) from error
    _CHILDREN[child.pid] = child
    emulator = Emulator(child.pid, port, f"http://{HOST}:{port}", log, folder, owner_pid)
    try:
        await_answer(port, log)
    except BaseException:
        emulator.stop()
        raise
    if owner_pid == os.getpid():
        atexit.register(emulator.stop)
    return emulator


def listen(port: int | None = None) -> socket.socket:
    """Return a socket that listens on a port, by default a free one.

    The emulator inherits it: no other program can take the port between its choice and its use, and a request that comes
    too early waits in the socket's queue.

    Raises:
        SetupError: the port is taken, or may not be used.
    """
    try:
        return socket.create_server((HOST, port or 0))
    except OSError as error:
        raise SetupError(
            f"Port {port} can't be used: {error.strerror}.",
            why="The emulator was asked to listen there.",
            fix=f"Leave the port out to get a free one, or see who has it: lsof -i :{port}",
        ) from error


def await_answer(port: int, log: Path) -> None:
    """Wait until an emulator that was started on a port answers.

    Raises:
        SetupError: it ended, which cuts the waiting request off at once, or did not answer in time.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=_START_S)
    try:
        connection.request("GET", "/_ministack/health")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise SetupError(
            f"The emulator did not start: {error}.",
            why="Without it no lesson can run on the embedded target.",
            fix=f"Its log {log} ends with:\n{_tail(log)}",
        ) from error
    finally:
        connection.close()


def _tail(log: Path, lines: int = 10) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _record(registry: Path, emulator: Emulator) -> None:
    complete = registry.with_suffix(".new")
    complete.write_text(json.dumps(asdict(emulator), default=str))
    complete.replace(registry)
