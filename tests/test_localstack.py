"""Where LocalStack is looked for, and what is said if it isn't there."""

import json
import socket

import pytest
from fake_localstack import INFO, fake_localstack, found

from workbook import localstack
from workbook.errors import ParameterError, TargetError


@pytest.mark.parametrize(
    ("shell", "address"),
    [
        ({}, "http://127.0.0.1:4566"),
        ({"LOCALSTACK_HOST": "localstack"}, "http://localstack:4566"),
        ({"LOCALSTACK_HOST": "localhost.localstack.cloud:4510"}, "http://localhost.localstack.cloud:4510"),
        ({"LOCALSTACK_HOST": "elsewhere:1", "WORKBOOK_ENDPOINT": "http://127.0.0.1:2/"}, "http://127.0.0.1:2"),
    ],
)
def test_localstack_is_looked_for_where_its_own_clients_look(shell, address, monkeypatch):
    """A host alone has the usual port, and an address for the workbook alone goes before."""
    for name in ("LOCALSTACK_HOST", "WORKBOOK_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)

    assert address == localstack.address()


@pytest.mark.parametrize("host", ["http://127.0.0.1:4566", "localstack:none", "a b"])
def test_a_host_that_is_none_is_refused(host, monkeypatch):
    """What can't be an address is told so before anything is looked for there."""
    monkeypatch.delenv("WORKBOOK_ENDPOINT", raising=False)
    monkeypatch.setenv("LOCALSTACK_HOST", host)

    with pytest.raises(ParameterError, match=r"is no address.* such as localhost:4566"):
        localstack.address()


def test_a_running_localstack_says_which_one_it_is(monkeypatch):
    """Its version comes without the build's hash, and no proxy for the internet is asked the way to it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with fake_localstack() as fake:
        assert localstack.Instance(fake.endpoint, "4.14.0", licensed=False) == localstack.ask(fake.endpoint)
        fake.says["/_localstack/info"] = (200, json.dumps(INFO | {"version": "2026.8.2", "is_license_activated": True}))
        assert localstack.Instance(fake.endpoint, "2026.8.2", licensed=True) == localstack.ask(fake.endpoint)


def test_nobody_there_is_one_sentence_and_one_command():
    """Whoever has started nothing is told how to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(TargetError, match=f"No LocalStack answers at {endpoint}: .* docker compose up --detach --wait"):
        localstack.ask(endpoint)


@pytest.mark.parametrize("answer", [(404, "{}"), (200, "<html>"), (200, "[]"), (200, '{"version": 4}')])
def test_something_else_is_not_taken_for_localstack(answer):
    """Another program's numbers would stand under LocalStack's name."""
    with fake_localstack() as fake:
        fake.says["/_localstack/info"] = answer
        with pytest.raises(TargetError, match="is not LocalStack"):
            localstack.ask(fake.endpoint)


def test_what_was_found_is_known_in_another_process_and_of_that_address_alone(monkeypatch):
    """A run tries once; a kernel that is sent elsewhere has to try for itself."""
    for name, value in found("http://127.0.0.1:1").items():
        monkeypatch.setenv(name, value)

    assert "No http_api here." == localstack.Found.from_environment("http://127.0.0.1:1").lacks["http_api"]
    assert localstack.Found.from_environment("http://127.0.0.1:2") is None
