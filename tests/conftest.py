"""What several test files need: one emulator for all of them, the target that it is, and the lessons' stacks on it."""

from collections.abc import Iterator

import pytest
from stacks import deployed

from workbook.emulator import Emulator, start
from workbook.targets import Target, connect


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
    yield from deployed(target, "00_start_here")


@pytest.fixture(scope="module")
def outputs_01(target: Target) -> Iterator[dict[str, str]]:
    """The outputs of lesson 01's stack, deployed for one test file."""
    yield from deployed(target, "01_first_function")
