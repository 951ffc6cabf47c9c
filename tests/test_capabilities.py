"""Whether trying tells what an emulator can do from what it only takes without a complaint."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_localstack import Fake, fake_localstack, found

from workbook import capabilities, lessons, targets
from workbook.emulator import Emulator, upstream
from workbook.errors import TargetError
from workbook.targets import Target, connect


@pytest.fixture
def fake(emulator: Emulator) -> Iterator[Fake]:
    """A LocalStack behind which the embedded emulator answers."""
    with fake_localstack(emulator.endpoint) as running:
        yield running


def test_what_works_is_found(fake: Fake, target: Target):
    """Behind an emulator that does these things the probes say yes, and leave neither function nor log."""
    before = made(target)

    tried = capabilities.known(connect("localstack", endpoint=fake.endpoint))

    assert {"http_api", "freeze", "database"} <= tried.capabilities
    assert set() == made(target) - before


def made(target: Target) -> set[str]:
    """Return the names of all functions and log groups that there are."""
    functions = target.client("lambda").get_paginator("list_functions").paginate()
    groups = target.client("logs").get_paginator("describe_log_groups").paginate()
    names = {one["FunctionName"] for page in functions for one in page["Functions"]}
    return names | {one["logGroupName"] for page in groups for one in page["logGroups"]}


def test_what_is_taken_and_ignored_is_found_out():
    """MiniStack as it is takes every memory size and gives all of them a whole processor, and freezes nothing."""
    with upstream.plain(Path(sys.executable)) as endpoint, fake_localstack(endpoint) as fake:
        tried = capabilities.known(connect("localstack", endpoint=fake.endpoint))

    assert not {"freeze", "cpu_share"} & tried.capabilities
    assert "LocalStack 4.14.0 at" in tried.lack("cpu_share")
    assert "Run it with --target embedded." in tried.lack("cpu_share")


def test_what_no_licence_covers_is_named_with_what_enables_it(fake: Fake):
    """LocalStack's own words on what it doesn't have, and the plan that has it."""
    fake.says["/v2/apis"] = (501, '{"message": "The API for service apigatewayv2 is not included."}')

    tried = capabilities.known(connect("localstack", endpoint=fake.endpoint))

    assert "http_api" not in tried.capabilities
    assert "has no http_api: The API for service apigatewayv2 is not included. It takes a plan" in tried.lack(
        "http_api"
    )


def test_a_localstack_that_can_not_run_a_function_is_refused(fake: Fake):
    """No lesson goes without, so it is said before the first begins, with the command that starts a better one."""
    fake.says["/2015-03-31/functions"] = (501, '{"message": "no Docker"}')

    with pytest.raises(TargetError, match=r"can't run a function: .*no Docker.* docker compose up"):
        capabilities.known(connect("localstack", endpoint=fake.endpoint))


def test_what_a_run_has_found_is_not_tried_again(fake: Fake, monkeypatch: pytest.MonkeyPatch):
    """A kernel takes the runner's word, and asks nothing."""
    for name, value in found(fake.endpoint).items():
        monkeypatch.setenv(name, value)

    tried = capabilities.known(connect("localstack", endpoint=fake.endpoint))

    assert (frozenset(), "No http_api here.", []) == (tried.capabilities, tried.lack("http_api"), fake.asked)


def test_the_other_targets_are_known(target: Target):
    """What the embedded target has stands in a table, and what it lacks is said plainly."""
    assert target is capabilities.known(target)
    assert "The target embedded has no time_machine." in target.lack("time_machine")


def test_whatever_a_target_may_have_can_be_tried():
    """A capability without a probe would be one that LocalStack never has."""
    assert frozenset().union(*map(targets.capabilities, ("embedded", "aws"))) <= capabilities.PROBES.keys()


def test_the_page_about_localstack_names_the_probes_and_the_lessons_that_need_a_paid_plan():
    """What a reader is told of before a run is what the run finds."""
    page = (lessons.FOLDER.parent / "docs" / "localstack.md").read_text(encoding="utf-8")
    needy = [path.name[:2] for path in lessons.FOLDER.glob("*.ipynb") if 'need(\\"http_api' in path.read_text()]

    assert sorted(needy) == re.findall(r"\d\d", re.search(r"no HTTP API: (.+) do \|", page)[1])
    assert [*capabilities.PROBES] == re.findall(r"^\| `(\w+)` \| .* (?:Gateway v2|target) \|$", page, re.MULTILINE)
