"""What several test files of the emulator need: environments made from the source of a handler, and two emulators."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from stacks import deployed
from trials import MakeEnvironment

from workbook import emulator
from workbook.emulator import clean_room, upstream
from workbook.emulator.environment import Environment, EnvironmentSpec
from workbook.emulator.governor import Governor, Unlimited
from workbook.targets import Target, connect

_UNLIMITED = Unlimited()


@pytest.fixture
def process_groups() -> set[int]:
    """The process groups that were started and have not ended."""
    return set()


@pytest.fixture
def make_environment(tmp_path: Path, process_groups: set[int]) -> Iterator[MakeEnvironment]:
    """Makes an environment from the source of a handler, and sees to it that nothing of it is left in the end."""
    made: list[Environment] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def make(source: str, *, file: str = "app.py", governor: Governor = _UNLIMITED, **changes: object) -> Environment:
        code_folder = tmp_path / f"code-{len(made)}"
        code_folder.mkdir()
        (code_folder / file).write_text(dedent(source))
        spec = EnvironmentSpec(
            function_name="f",
            handler="app.handler",
            runtime="python3.13" if file.endswith(".py") else "nodejs22.x",
            code_folder=code_folder,
            memory_mb=128,
            timeout_s=5,
            region="us-east-1",
            credentials={
                "AWS_ACCESS_KEY_ID": "ASIAX",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_SESSION_TOKEN": "token",
            },
            endpoint="http://127.0.0.1:9",
            log_group="/aws/lambda/f",
            scratch=scratch,
        )
        spec = replace(spec, **changes)
        made.append(Environment(spec, governor=governor, on_spawn=process_groups.add, on_exit=process_groups.remove))
        return made[-1]

    yield make
    for one in made:
        one.stop()
    assert set() == process_groups
    assert [] == list(scratch.iterdir())


@pytest.fixture(params=["awslambdaric", "python_client"])
def python_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS's own client for Python, and then ours, which must show a handler the same."""
    if request.param == "python_client":
        monkeypatch.setattr(clean_room, "has_awslambdaric", lambda: False)
    elif not clean_room.has_awslambdaric():
        pytest.skip("awslambdaric has no wheel for this machine")
    clean_room.python.cache_clear()
    yield
    clean_room.python.cache_clear()


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The embedded emulator, with environments of ours and corrections, as a target."""
    with emulator.start(log=tmp_path_factory.mktemp("ours") / "log") as running:
        yield connect("embedded", endpoint=running.endpoint)


@pytest.fixture(scope="session")
def plain_ministack() -> Iterator[Target]:
    """MiniStack as it is, as a target."""
    with upstream.plain(Path(sys.executable)) as endpoint:
        yield connect("embedded", endpoint=endpoint)


@pytest.fixture(scope="session")
def front_door(ours: Target) -> Iterator[dict[str, str]]:
    """The outputs of lesson 02's stack on ours: one function behind a REST API, an HTTP API and a function URL."""
    yield from deployed(ours, "02_front_door")
