"""What several test files need: one emulator for all of them, the target that it is, and the lessons' stacks on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from workbook import stack
from workbook.emulator import Emulator, start
from workbook.targets import Target, connect

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that runs as long as the tests do."""
    with start(log=tmp_path_factory.mktemp("emulator") / "emulator.log") as running:
        yield running


@pytest.fixture(scope="session")
def target(emulator: Emulator) -> Target:
    """That emulator, as the target embedded."""
    return connect("embedded", endpoint=emulator.endpoint)


@pytest.fixture(scope="module")
def outputs_00(target: Target) -> Iterator[dict[str, str]]:
    """The outputs of lesson 00's stack, deployed for one test file."""
    yield from _deployed(target, "00_start_here")


@pytest.fixture(scope="module")
def outputs_01(target: Target) -> Iterator[dict[str, str]]:
    """The outputs of lesson 01's stack, deployed for one test file."""
    yield from _deployed(target, "01_first_function")


def _deployed(target: Target, lesson: str) -> Iterator[dict[str, str]]:
    remembered = []
    try:
        yield stack.deploy(
            target,
            ROOT / "infra" / f"{lesson}.yaml",
            name=f"wb-test-{lesson.replace('_', '-')}",
            tags={"workbook:run": "test"},
            remember=remembered.append,
            say=lambda line: None,
        ).outputs
    finally:
        stack.teardown(target, remembered, say=lambda line: None)
