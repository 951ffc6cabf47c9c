"""The Runtime API's protocol, spoken over a real socket."""

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from workbook.emulator.runtime_api import RESPONSE_LIMIT_BYTES, Answer, Invocation, RuntimeApi, parse_request

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
INVOCATION = Invocation(request_id="r-1", payload=b'{"n": 1}', deadline_ms=1_700_000_000_000, arn="arn:aws:lambda:f")


def post(path: str, body: bytes) -> bytes:
    return f"POST /2018-06-01/runtime/{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Talk:
    """A Runtime API and a client of it, both in this thread."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.api = RuntimeApi(self.selector)
        self.client = self.connect()

    def connect(self) -> socket.socket:
        host, _, port = self.api.address.partition(":")
        client = socket.create_connection((host, int(port)))
        client.setblocking(False)
        return client

    def serve_until(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not done():
            assert time.monotonic() < deadline, "the API did not get there"
            for key, ready in self.selector.select(0.05):
                key.data(ready)

    def send(self, data: bytes) -> None:
        """Send all of `data`, the API reading meanwhile."""

        def all_sent() -> bool:
            nonlocal data
            with contextlib.suppress(BlockingIOError):
                data = data[self.client.send(data) :]
            return not data

        self.serve_until(all_sent)

    def receive(self) -> tuple[int, dict[str, str], bytes]:
        """Return the next response: status, headers, body."""
        data = bytearray()

        def whole() -> bool:
            try:
                data.extend(self.client.recv(1 << 20))
            except BlockingIOError:
                return False
            head, _, body = bytes(data).partition(b"\r\n\r\n")
            return f"Content-Length: {len(body)}" in head.decode().split("\r\n")

        self.serve_until(whole)
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        return int(status_line.split()[1]), dict(line.split(": ", 1) for line in lines), body

    def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.send(data)
        return self.receive()

    def deliver(self, invocation: Invocation = INVOCATION) -> tuple[int, dict[str, str], bytes]:
        self.send(NEXT)
        self.serve_until(lambda: self.api.asked)
        self.api.deliver(invocation)
        return self.receive()

    def close(self) -> None:
        self.client.close()
        self.api.close()
        self.selector.close()


@pytest.fixture
def talk() -> Iterator[Talk]:
    talk = Talk()
    yield talk
    talk.close()


def test_a_request_is_parsed_once_it_is_whole():
    """Of a request that arrives byte by byte nothing is taken before the last one is there."""
    data = post("invocation/r-1/response", b"12345")

    early = [parse_request(data[:length]) for length in range(len(data))]
    request, length = parse_request(data + b"GET")

    assert [None] * len(data) == early
    assert ("POST", "/2018-06-01/runtime/invocation/r-1/response", b"12345") == (
        request.method,
        request.path,
        request.body,
    )
    assert len(data) == length


def test_a_chunked_body_is_put_together():
    """A body sent in chunks, whose lengths are not known beforehand, arrives whole, and not before its last chunk."""
    head = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + b"5;note=1\r\nab\r\nc\r\nA\r\n0123456789\r\n0\r\n\r\n"

    early = [parse_request(data[:length]) for length in range(len(data))]
    request, length = parse_request(data)

    assert [None] * len(data) == early
    assert (b"ab\r\nc0123456789", len(data)) == (request.body, length)


def test_the_next_invocation_carries_its_headers(talk):
    """A runtime that asks gets the event, and with it the id, the deadline and the function's ARN."""
    status, headers, body = talk.deliver()

    assert (200, b'{"n": 1}') == (status, body)
    assert {
        "Content-Type": "application/json",
        "Content-Length": "8",
        "Lambda-Runtime-Aws-Request-Id": "r-1",
        "Lambda-Runtime-Deadline-Ms": "1700000000000",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:f",
    } == headers


def test_trace_and_client_context_are_passed_on(talk):
    """The tracing header and the client's context reach the runtime where there are any."""
    _, headers, _ = talk.deliver(
        Invocation(request_id="r", payload=b"{}", deadline_ms=0, arn="a", trace_id="Root=1-2", client_context="{}")
    )

    assert ("Root=1-2", "{}") == (headers["Lambda-Runtime-Trace-Id"], headers["Lambda-Runtime-Client-Context"])


@pytest.mark.parametrize("kind", ["response", "error"])
def test_an_answer_is_accepted_once(talk, kind):
    """The answer to the delivered invocation is taken and acknowledged; the same again is refused."""
    talk.deliver()

    first, _, _ = talk.ask(post(f"invocation/r-1/{kind}", b'"done"'))
    second, _, _ = talk.ask(post(f"invocation/r-1/{kind}", b'"again"'))

    assert (202, 400) == (first, second)
    assert Answer(kind, b'"done"') == talk.api.answer


def test_an_answer_to_another_invocation_is_refused(talk):
    """An unknown id is AWS's InvalidRequestID, and no answer."""
    talk.deliver()

    status, _, body = talk.ask(post("invocation/r-2/response", b'"done"'))

    assert (400, "InvalidRequestID", None) == (status, json.loads(body)["errorType"], talk.api.answer)


def test_a_response_over_the_limit_becomes_an_error(talk):
    """A response of more than 6 MB is refused with 413, and the invocation ends in AWS's error for it."""
    talk.deliver()

    status, _, _ = talk.ask(post("invocation/r-1/response", b"x" * (RESPONSE_LIMIT_BYTES + 1)))

    assert 413 == status
    assert "error" == talk.api.answer.kind
    assert {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    } == json.loads(talk.api.answer.payload)


def test_an_init_error_is_kept(talk):
    """What a runtime reports in place of its first request is there to be read."""
    status, _, _ = talk.ask(post("init/error", b'{"errorType": "X"}'))

    assert (202, b'{"errorType": "X"}') == (status, talk.api.init_error)


def test_an_unknown_path_is_not_found(talk):
    """A path that the protocol doesn't have is answered with 404, and the connection goes on."""
    first, _, _ = talk.ask(b"GET /nowhere HTTP/1.1\r\n\r\n")
    second, _, _ = talk.deliver()

    assert (404, 200) == (first, second)


def test_what_is_not_http_is_hung_up_on(talk):
    """Bytes that are no request end their connection, and only that."""
    talk.send(b"hello\r\n\r\n")
    hung_up = []

    def closed() -> bool:
        try:
            hung_up.append(talk.client.recv(1) == b"")
        except BlockingIOError:
            return False
        return True

    talk.serve_until(closed)
    talk.client.close()
    talk.client = talk.connect()

    assert [True] == hung_up
    assert 200 == talk.deliver()[0]


def test_a_large_event_waits_for_a_slow_reader(talk):
    """An event larger than any socket buffer is delivered whole, without anybody being blocked."""
    payload = b'"' + b"x" * (12 << 20) + b'"'

    _, _, body = talk.deliver(Invocation(request_id="r", payload=payload, deadline_ms=0, arn="a"))

    assert payload == body


def test_a_runtime_that_hangs_up_no_longer_asks(talk):
    """When the connection that waits is closed, nobody waits."""
    talk.send(NEXT)
    talk.serve_until(lambda: talk.api.asked)
    talk.client.close()

    talk.serve_until(lambda: not talk.api.asked)
