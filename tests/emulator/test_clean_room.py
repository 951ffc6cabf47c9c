"""The clean room: what handlers can import, and how the room comes to be."""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from workbook.emulator import clean_room
from workbook.emulator.environment import Environment, EnvironmentSpec
from workbook.errors import SetupError


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A virtual environment's folder without a clean room, in place of the real one."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    clean_room.python.cache_clear()
    yield tmp_path
    clean_room.python.cache_clear()


@pytest.fixture
def asked_for_node() -> Iterator[None]:
    """Forgets which Node was found, before and after."""
    clean_room.node.cache_clear()
    yield
    clean_room.node.cache_clear()


def fake_node(folder: Path, answer: str) -> None:
    """Put a program called node into a folder that answers every question alike."""
    folder.mkdir(exist_ok=True)
    (folder / "node").write_text(f"#!/bin/sh\necho {answer}\n")
    (folder / "node").chmod(0o755)


def run_handler(tmp_path: Path, source: str) -> object:
    """Return what a handler answers in an environment of its own."""
    (tmp_path / "app.py").write_text(dedent(source))
    environment = Environment(
        EnvironmentSpec(
            function_name="f",
            handler="app.handler",
            runtime="python3.13",
            code_folder=tmp_path,
            memory_mb=128,
            timeout_s=30,
            region="eu-west-1",
            credentials={"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"},
            endpoint="http://127.0.0.1:9",
            log_group="/aws/lambda/f",
            scratch=tmp_path,
        )
    )
    try:
        environment.start()
        return json.loads(environment.invoke("r", b"{}", arn="arn").payload)
    finally:
        environment.stop()


def test_a_handler_finds_aws_libraries_and_nothing_of_the_workbook(tmp_path: Path):
    """Handlers can import boto3 and what it needs, and nothing else that the workbook has installed."""
    names = ["boto3", "botocore", "dateutil", "six", "urllib3"]
    foreign = ["IPython", "ministack", "pandas", "pip", "psutil", "pytest", "setuptools", "workbook"]
    assert all(map(importlib.util.find_spec, names + foreign[:3])), "this test compares nothing"

    found = run_handler(
        tmp_path,
        f"""
        import importlib.util

        def handler(event, context):
            return [name for name in {names + foreign} if importlib.util.find_spec(name)]
        """,
    )

    assert names == found


def test_a_handlers_clients_go_to_the_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """boto3 in a handler takes endpoint and region from AWS's variables, and nothing from the learner's home."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text("[default]\nregion = sa-east-1\nretry_mode = adaptive\n")
    monkeypatch.setenv("HOME", str(home))

    seen = run_handler(
        tmp_path,
        """
        import boto3

        def handler(event, context):
            meta = boto3.client("s3").meta
            return [meta.endpoint_url, meta.region_name, meta.config.retries["mode"]]
        """,
    )

    assert ["http://127.0.0.1:9", "eu-west-1", "legacy"] == seen


def test_the_room_is_built_once(elsewhere: Path):
    """The room lies in the virtual environment, is found again by other processes, and leaves no draft."""
    first = clean_room.python()
    made = first.stat(follow_symlinks=False).st_mtime_ns
    clean_room.python.cache_clear()

    assert first == clean_room.python()
    assert made == first.stat(follow_symlinks=False).st_mtime_ns
    assert [first.parent.parent] == list((elsewhere / "clean-room").iterdir())


def test_another_set_of_packages_is_another_room(elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    """When what the room is made from changes, a new one is built beside the old."""
    before = clean_room.python()
    clean_room.python.cache_clear()
    monkeypatch.setattr(sys, "version", "3.99")

    assert before != clean_room.python()
    assert 2 == len(list((elsewhere / "clean-room").iterdir()))


def test_builders_may_meet(tmp_path: Path):
    """Two that build the same room at once both end well, with one room."""
    room = tmp_path / "rooms" / "room"
    builders = [threading.Thread(target=clean_room.build, args=(room,)) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()

    assert [room] == list(room.parent.iterdir())
    subprocess.run([room / "bin" / "python", "-c", "import boto3"], check=True, env={})


def test_a_room_has_its_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first start leaves bytecode for later ones, even where this process may not write any."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(clean_room, "has_awslambdaric", lambda: False)

    clean_room.build(tmp_path / "room")

    assert 1 == len(list(tmp_path.glob("room/lib/*/site-packages/__pycache__/python_client.*.pyc")))


def test_an_unwritable_environment_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the virtual environment can't be written, the room goes to the temporary folder."""
    (tmp_path / "prefix").write_text("a file, in which no folder can be made")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    clean_room.python.cache_clear()
    try:
        python = clean_room.python()
    finally:
        clean_room.python.cache_clear()

    assert python.is_relative_to(tmp_path)
    subprocess.run([python, "-c", "import boto3"], check=True, env={})


def test_a_room_that_does_not_work_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A room without boto3 is an error in a sentence, and nothing of it stays."""
    monkeypatch.setattr(clean_room, "_distributions", list)

    with pytest.raises(SetupError, match="Python doesn't start: ModuleNotFoundError: No module named 'boto3'"):
        clean_room.build(tmp_path / "rooms" / "room")

    assert [] == list((tmp_path / "rooms").iterdir())


@pytest.mark.usefixtures("asked_for_node")
def test_the_machines_node_is_asked_for_its_own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A Node that is new enough is used, by the path that it has for itself, not by that of a shim."""
    fake_node(tmp_path, "/opt/node-22/bin/node 22.1.0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert Path("/opt/node-22/bin/node") == clean_room.node()


@pytest.mark.usefixtures("asked_for_node")
@pytest.mark.parametrize("answer", ["/usr/bin/node 20.20.2", "no such version"])
def test_an_old_or_broken_node_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str):
    """A Node older than the managed runtime, or one that gives no sensible answer, makes way for the installed one."""
    fake_node(tmp_path, answer)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    version = subprocess.run([clean_room.node(), "--version"], check=True, capture_output=True, text=True).stdout

    assert version.startswith("v22.")


@pytest.mark.usefixtures("asked_for_node")
def test_no_node_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without any Node the sentence says what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(SetupError, match=r"There is no Node\.js 22 or newer on this machine\..*make run"):
        clean_room.node()
