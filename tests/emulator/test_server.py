"""The embedded emulator starts quickly, is found again, and leaves nothing behind, whatever ends it or its owner."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from trials import state
from waits import wait_until

from workbook import emulator
from workbook.emulator import Emulator, server
from workbook.emulator.corrections.probes.made import zipped
from workbook.errors import SetupError
from workbook.targets import connect

# An owner: starts an emulator, says which, and waits to be ended.
OWNER = """
import dataclasses, json, sys, time
from pathlib import Path
from workbook import emulator
started = emulator.start(log=Path(sys.argv[1]))
print(json.dumps(dataclasses.asdict(started), default=str), flush=True)
sys.stdin.read()
"""
# A kernel: starts an emulator that belongs to another process, or finds the one that is there, and ends.
KERNEL = """
import sys
from pathlib import Path
from workbook import emulator
folder, owner = Path(sys.argv[1]), int(sys.argv[2])
print(emulator.start(log=folder / "log", owner_pid=owner, registry=folder / "registry.json").pid)
"""
IDENTIFY = """
import os
def handler(event, context):
    return os.getpid()
"""


LEAVER = """
import subprocess
def handler(event, context):
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid
"""


def frozen_environment(endpoint: str) -> int:
    """Leave a frozen execution environment behind and return its process."""
    pid = answer(endpoint, IDENTIFY)
    wait_until(lambda: state(pid) == psutil.STATUS_STOPPED)
    return pid


def answer(endpoint: str, source: str) -> Any:
    """Create a function, leave it there, and return what it answers."""
    service = connect("embedded", endpoint=endpoint).client("lambda")
    code = {"ZipFile": zipped(source)}
    service.create_function(
        FunctionName="left",
        Role="arn:aws:iam::000000000000:role/r",
        Runtime="python3.13",
        Handler="app.handler",
        Code=code,
    )
    return json.load(service.invoke(FunctionName="left")["Payload"])


@contextmanager
def owner(log: Path) -> Iterator[tuple[subprocess.Popen[str], Emulator]]:
    """Run an owner in a process of its own; yield it and its emulator."""
    command = [sys.executable, "-c", OWNER, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        fields = json.loads(process.stdout.readline())
        started = Emulator(**fields | {"log": Path(fields["log"]), "folder": Path(fields["folder"])})
        try:
            yield process, started
        finally:
            process.kill()
            started.stop()


def test_it_answers_on_loopback_only(tmp_path: Path) -> None:
    """A started emulator answers at once, on the loopback interface and nowhere else."""
    with emulator.start(log=tmp_path / "log") as running:
        assert [] == connect("embedded", endpoint=running.endpoint).client("sqs").list_queues().get("QueueUrls", [])
        listening = [
            connection.laddr
            for connection in psutil.Process(running.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert ("127.0.0.1", running.port) in listening
        assert {"127.0.0.1"} == {address.ip for address in listening}


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    """Stopping ends the emulator, its frozen environments and its guard, removes its folder, and may be done twice."""
    running = emulator.start(log=tmp_path / "log")
    environment = frozen_environment(running.endpoint)
    children = [child.pid for child in psutil.Process(running.pid).children(recursive=True)]
    assert environment in children
    running.stop()
    running.stop()
    assert not running.alive()
    assert not running.folder.exists()
    wait_until(lambda: {psutil.STATUS_DEAD} == set(map(state, children)))
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the guard reads /proc")
def test_stopping_ends_what_left_its_session(tmp_path: Path) -> None:
    """A handler's child in a session of its own ends with the emulator, too."""
    with emulator.start(log=tmp_path / "log") as running:
        left = answer(running.endpoint, LEAVER)
        assert psutil.STATUS_DEAD != state(left)
    wait_until(lambda: state(left) == psutil.STATUS_DEAD)


def test_an_exception_stops_it(tmp_path: Path) -> None:
    """An exception in the block that uses it ends the emulator too."""
    with pytest.raises(KeyboardInterrupt), emulator.start(log=tmp_path / "log") as running:
        raise KeyboardInterrupt
    assert not running.alive()
    assert not running.folder.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    """When its owner is killed, even if nobody collects the zombie, the emulator and a frozen environment end with it."""
    with owner(tmp_path / "log") as (process, running):
        environment = frozen_environment(running.endpoint)
        process.send_signal(number)
        wait_until(lambda: not running.alive())
        wait_until(lambda: not running.folder.exists())
        wait_until(lambda: state(environment) == psutil.STATUS_DEAD)


def test_it_ends_when_its_owner_is_done(tmp_path: Path) -> None:
    """An owner that comes to its end without a word takes the emulator with it, before it is gone itself."""
    with owner(tmp_path / "log") as (process, running):
        process.communicate()
        assert not running.alive()
        assert not running.folder.exists()


def test_its_own_sudden_end_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL gives the emulator no last word, and yet its frozen environments and its folder go."""
    with emulator.start(log=tmp_path / "log") as running:
        environment = frozen_environment(running.endpoint)
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not running.folder.exists())
        wait_until(lambda: state(environment) == psutil.STATUS_DEAD)
        assert not running.alive()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """A port that another program has is an error that names it and says what to do, and nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"Port {port} can't be used: .*lsof -i :{port}"):
            emulator.start(log=tmp_path / "log", port=port)
    assert not (tmp_path / "log").exists()


def test_a_port_of_ones_own_choice(tmp_path: Path) -> None:
    """A free port that was asked for is used."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with emulator.start(log=tmp_path / "log", port=port) as running:
        assert f"http://127.0.0.1:{port}" == running.endpoint


def test_another_version_of_ministack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The corrections fit one version: with another the start fails with a sentence, and leaves neither process nor folder."""
    metadata = tmp_path / "ministack-9.9.9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")
    settings, folders = server.settings, []

    def with_another_version(folder: Path, *rest: object) -> dict[str, str]:
        folders.append(folder)
        return settings(folder, *rest) | {"PYTHONPATH": str(tmp_path)}

    monkeypatch.setattr(server, "settings", with_another_version)
    with pytest.raises(SetupError, match=r"MiniStack 9\.9\.9 is installed, not 1\.5\.33"):
        emulator.start(log=tmp_path / "log")
    assert [False] == [folder.exists() for folder in folders]


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for its folder, the emulator's start is an error that says which variable helps."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SetupError, match="TMPDIR"):
        emulator.start(log=tmp_path / "log")


def test_a_log_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for its log, nothing is started, and no folder is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="can't be set up"):
        emulator.start(log=tmp_path / "file" / "log")
    assert [tmp_path / "file"] == list(tmp_path.iterdir())


def test_the_shells_aws_configuration_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles, endpoints and credentials of the shell are not in the emulator's environment."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "outside")
    with emulator.start(log=tmp_path / "log") as running:
        variables = psutil.Process(running.pid).environ()
    assert "outside" not in variables.values()
    assert str(running.folder) == variables["TMPDIR"]


def test_kernels_share_one(tmp_path: Path) -> None:
    """Two kernels that start at once end up with one emulator, which outlives them and is found by a third."""
    command = [sys.executable, "-c", KERNEL, str(tmp_path), str(os.getpid())]
    kernels = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {int(kernel.communicate()[0]) for kernel in kernels}
    found = emulator.find(tmp_path / "registry.json")
    try:
        assert pids == {found.pid}
        assert found.alive()
        assert found == emulator.start(log=tmp_path / "log", registry=tmp_path / "registry.json")
    finally:
        found.stop()
    assert not found.folder.exists()


def test_a_stale_record_is_ignored(tmp_path: Path) -> None:
    """A record of an emulator that has ended finds nothing, nor does a missing one, and the next start replaces it."""
    registry = tmp_path / "registry.json"
    assert emulator.find(registry) is None
    with emulator.start(log=tmp_path / "log", registry=registry) as first:
        assert first == emulator.find(registry)
    assert emulator.find(registry) is None
    with emulator.start(log=tmp_path / "log", registry=registry) as second:
        assert second == emulator.find(registry)


def test_the_account_of_an_unsigned_request(tmp_path: Path) -> None:
    """An unsigned request is looked up in the account that the emulator was started for."""
    with emulator.start(log=tmp_path / "log", account_id="111122223333") as running:
        target = connect("embedded", endpoint=running.endpoint, account_id="111122223333")
        apis = target.client("apigatewayv2")
        api = apis.create_api(Name="signed only", ProtocolType="HTTP")["ApiId"]
        apis.create_stage(ApiId=api, StageName="$default")
        apis.create_route(ApiId=api, RouteKey="GET /found", AuthorizationType="AWS_IAM")
        url = f"https://{api}.execute-api.us-east-1.amazonaws.com/found"
        assert 403 == target.send("GET", url, sign=False).status
