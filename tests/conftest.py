"""What several test files need: one emulator for all of them, the target that it is, and the lessons' stacks on it."""

from collections.abc import Iterator

import pytest
import rehearsals
from rehearsals import Learner
from stacks import deployed

from workbook import runs
from workbook.emulator import Emulator, start
from workbook.targets import Target, configured, connect


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


@pytest.fixture(scope="session")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learner]:
    """All lessons run on the target aws by a principal with the learner's policy alone, each exercise with both answers."""
    folder = tmp_path_factory.mktemp("learner")
    with rehearsals.account(folder) as emulator, pytest.MonkeyPatch.context() as shell:
        policy = rehearsals.learner_policy()
        for name, value in rehearsals.principal(emulator, policy).items():
            shell.setenv(name, value)
        run = runs.run(out=folder / "out", target="aws", quick=True, answers=runs.Answers.BOTH)
        there = configured("aws")
        rehearsals.look_around(there)
        rehearsals.leave_behind(there)
        assert runs.clean(target="aws", results=folder / "another machine's", say=print)
        shell.undo()
        yield Learner(emulator, policy, run)
