"""Lambda's Runtime API: how the runtime in an execution environment asks for work and hands back the result.

The protocol is documented: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. An environment handles one
invocation at a time, so there is nothing to serve except while somebody waits for that one: the API has no thread of
its own, its sockets are served by the selector loop of whoever waits.
"""

import json
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, NamedTuple

# 6 MB and some room for its envelope: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
RESPONSE_LIMIT_BYTES = 6 * 1024 * 1024 + 100

_RECEIVE_BYTES = 256 * 1024


class Request(NamedTuple):
    """One HTTP request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def parse_request(data: bytes | bytearray) -> tuple[Request, int] | None:
    """Return the first request in `data` and how many bytes it takes, or None while some of it is still on its way.

    Raises:
        ValueError: this is not HTTP/1.1.
    """
    head_length = data.find(b"\r\n\r\n")
    if head_length < 0:
        return None
    request_line, *header_lines = data[:head_length].decode("latin-1").split("\r\n")
    method, path, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in header_lines)}
    start = head_length + 4
    if headers.get("transfer-encoding", "").lower() == "chunked":
        found = _chunked_body(data, start)
        if found is None:
            return None
        body, end = found
    else:
        end = start + int(headers.get("content-length", 0))
        if len(data) < end:
            return None
        body = bytes(data[start:end])
    return Request(method, path, headers, body), end


def _chunked_body(data: bytes | bytearray, start: int) -> tuple[bytes, int] | None:
    """Return the body that is sent in chunks from `start` on, and where it ends, or None while chunks are missing."""
    if not data.endswith(b"\r\n\r\n"):
        return None  # the usual case by far: spare the walk through what is there
    chunks = []
    while (line_end := data.find(b"\r\n", start)) >= 0:
        length = int(data[start:line_end].partition(b";")[0], 16)
        start = line_end + 2
        if length == 0:
            end = data.find(b"\r\n", start)
            return (b"".join(chunks), end + 2) if end >= 0 else None
        chunks.append(data[start : start + length])
        start += length + 2
    return None


def render_response(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return an HTTP/1.1 response with a JSON body."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


class Connection:
    """A connection of the runtime. It never blocks: what can't be sent or read now is left until the selector calls."""

    def __init__(
        self,
        peer: socket.socket,
        selector: selectors.BaseSelector,
        *,
        on_request: Callable[["Connection", Request], None],
        on_close: Callable[["Connection"], None],
    ) -> None:
        self._peer, self._selector = peer, selector
        self._on_request, self._on_close = on_request, on_close
        self._received, self._to_send = bytearray(), bytearray()
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(peer, selectors.EVENT_READ, self._proceed)

    def send(self, data: bytes) -> None:
        """Send `data` after everything sent before."""
        self._to_send += data
        self._proceed(selectors.EVENT_WRITE)

    def close(self) -> None:
        """Close the connection; what is unsent is lost."""
        self._selector.unregister(self._peer)
        self._peer.close()
        self._received.clear()
        self._on_close(self)

    def _proceed(self, ready: int) -> None:
        try:
            if ready & selectors.EVENT_WRITE:
                self._flush()
            if ready & selectors.EVENT_READ:
                self._receive()
        except (ConnectionError, ValueError):  # the runtime went away, or speaks something else
            self.close()

    def _flush(self) -> None:
        try:
            while self._to_send:
                del self._to_send[: self._peer.send(self._to_send)]
        except BlockingIOError:
            pass
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._to_send else 0)
        self._selector.modify(self._peer, wanted, self._proceed)

    def _receive(self) -> None:
        data = self._peer.recv(_RECEIVE_BYTES)
        if not data:
            self.close()
            return
        self._received += data
        while parsed := parse_request(self._received):
            request, length = parsed
            del self._received[:length]
            self._on_request(self, request)


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What the runtime gets when it asks for its next invocation."""

    request_id: str
    payload: bytes
    deadline_ms: int  # Unix time
    arn: str
    trace_id: str | None = None
    client_context: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that carry everything but the payload."""
        headers = {
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(self.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.arn,
        }
        if self.trace_id:
            headers["Lambda-Runtime-Trace-Id"] = self.trace_id
        if self.client_context:
            headers["Lambda-Runtime-Client-Context"] = self.client_context
        return headers


class Answer(NamedTuple):
    """What the runtime handed back for an invocation."""

    kind: Literal["response", "error"]
    payload: bytes


class RuntimeApi:
    """The Runtime API of one runtime, on a free port of the loopback interface.

    `asked`: the runtime waits for its next invocation. `answer`: what it handed back for the one delivered last.
    `init_error`: the error that it reported instead of asking for a first invocation.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._connections: set[Connection] = set()
        self._asking: Connection | None = None
        self._request_id: str | None = None
        self.answer: Answer | None = None
        self.init_error: bytes | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address = "{}:{}".format(*self._listener.getsockname())
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def asked(self) -> bool:
        """Return whether the runtime waits for its next invocation."""
        return self._asking is not None

    def deliver(self, invocation: Invocation) -> None:
        """Give the waiting runtime its next invocation."""
        connection, self._asking = self._asking, None
        self._request_id, self.answer = invocation.request_id, None
        connection.send(render_response(200, invocation.payload, invocation.headers()))

    def close(self) -> None:
        """Close every connection, and the port."""
        self._selector.unregister(self._listener)
        self._listener.close()
        for connection in list(self._connections):
            connection.close()

    def _accept(self, _ready: int) -> None:
        peer, _ = self._listener.accept()
        connection = Connection(peer, self._selector, on_request=self._handle, on_close=self._forget)
        self._connections.add(connection)

    def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection is self._asking:
            self._asking = None

    def _handle(self, connection: Connection, request: Request) -> None:
        match request.method, *request.path.split("/"):
            case "GET", "", "2018-06-01", "runtime", "invocation", "next":
                self._asking = connection  # it is answered by `deliver`
                return
            case "POST", "", "2018-06-01", "runtime", "init", "error":
                self.init_error = request.body
                response = _accepted()
            case "POST", "", "2018-06-01", "runtime", "invocation", request_id, ("response" | "error") as kind:
                response = self._take_answer(request_id, kind, request.body)
            case _:
                response = _refused(404, "ResourceNotFound", f"There is no {request.method} {request.path}")
        connection.send(response)

    def _take_answer(self, request_id: str, kind: Literal["response", "error"], payload: bytes) -> bytes:
        if request_id != self._request_id:
            return _refused(400, "InvalidRequestID", "Invalid request ID")
        self._request_id = None
        if kind == "response" and len(payload) > RESPONSE_LIMIT_BYTES:
            self.answer = Answer("error", _response_too_large())
            return _refused(413, "RequestEntityTooLarge", "Exceeded maximum allowed payload size")
        self.answer = Answer(kind, payload)
        return _accepted()


def _accepted() -> bytes:
    return render_response(202, b'{"status":"OK"}')


def _refused(status: int, error_type: str, message: str) -> bytes:
    return render_response(status, json.dumps({"errorMessage": message, "errorType": error_type}).encode())


def _response_too_large() -> bytes:
    message = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT_BYTES} bytes)."
    return json.dumps({"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}).encode()
