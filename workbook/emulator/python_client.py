"""A runtime client for Python handlers: it stands in for awslambdaric where that has no wheel.

It runs in the clean room, as `python -m python_client app.handler`, speaks the documented Runtime API
(https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) and shows a handler what AWS's client shows it: the
context object, the format of log records, the shapes of errors. What it leaves out: log records as JSON, and what a
Decimal in a response has beyond the digits of a float.

Every import here is part of each cold start, so there are few: `http.client` alone would cost as much as all of them.
"""

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from types import SimpleNamespace

_request_id = ""


class HandlerFault(Exception):  # noqa: N818 -- a fault of what surrounds the handler's own code
    """Something around the handler went wrong for which AWS has an error type of its own."""

    def __init__(self, error_type: str, message: str, trace: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.error_type, self.trace = error_type, list(trace)


class RuntimeApi:
    """A connection to the Runtime API that stays open: HTTP/1.1, as much of it as that server speaks."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def next_invocation(self) -> tuple[dict[str, str], bytes]:
        """Wait for the next invocation and return its headers, with names in lower case, and the event."""
        _, headers, event = self._request("GET", "invocation/next")
        return headers, event

    def post(self, path: str, body: bytes) -> None:
        """Hand over a result.

        Raises:
            RuntimeError: it was refused.
        """
        status, _, _ = self._request("POST", path, body)
        if status != 202:
            raise RuntimeError(f"Failed to post {path}. Http response code: {status}")

    def _request(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        head = f"{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: {self._address}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        status = int(self._answers.readline().split()[1])
        headers = {}
        for line in iter(self._answers.readline, b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self._answers.read(int(headers["content-length"]))


class LambdaContext:
    """What a handler gets beside the event: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.identity = SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self.client_context = _client_context(headers.get("lambda-runtime-client-context"))
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the function's timeout."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


def _client_context(header: str | None) -> SimpleNamespace | None:
    if header is None:
        return None
    given = json.loads(header)
    names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
    client = given.get("client")
    return SimpleNamespace(
        custom=given.get("custom"),
        env=given.get("env"),
        client=client and SimpleNamespace(**{name: client.get(name) for name in names}),
    )


class _Unbuffered:
    """A text stream that hands over every write at once, so that the log is whole when the answer goes out."""

    def __init__(self, stream: object) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        self._stream.writelines(lines)
        self._stream.flush()


class _LogHandler(logging.Handler):
    """Writes log records to stdout in Lambda's format, each with the request's id."""

    def __init__(self) -> None:
        super().__init__()
        layout = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        self.setFormatter(logging.Formatter(layout, "%Y-%m-%dT%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        record.aws_request_id = _request_id
        sys.stdout.write(self.format(record))


def load(name: str) -> Callable[[object, LambdaContext], object]:
    """Return the handler called `name`, "module.function".

    Raises:
        HandlerFault: it can't be imported or isn't there.
    """
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        message = f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        raise HandlerFault("Runtime.MalformedHandlerName", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise HandlerFault("Runtime.ImportModuleError", message) from error
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        trace = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        raise HandlerFault("Runtime.UserCodeSyntaxError", message, [trace]) from error
    try:
        return getattr(module, function_name)
    except AttributeError as error:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise HandlerFault("Runtime.HandlerNotFound", message) from error


def describe(error: Exception, request_id: str = "") -> dict[str, object]:
    """Return AWS's error object for an exception; the trace begins below this client."""
    if isinstance(error, HandlerFault):
        error_type, trace = error.error_type, error.trace
    else:
        frames = traceback.extract_tb(error.__traceback__)
        while frames and frames[0].filename == __file__:
            del frames[0]
        error_type = type(error).__name__
        trace = traceback.format_list([tuple(frame) for frame in frames])  # as tuples they carry no column marks
    return {"errorMessage": str(error), "errorType": error_type, "requestId": request_id, "stackTrace": trace}


def log_error(error: dict[str, object]) -> None:
    """Write an error object as one log record: lines joined by carriage returns, indented by no-break spaces."""
    title = ": ".join(filter(None, (error["errorType"], error["errorMessage"])))
    lines = [f"[ERROR] {title}", "Traceback (most recent call last):"]
    for line in "".join(error["stackTrace"]).splitlines():
        text = line.lstrip(" ")
        lines.append("\u00a0" * (len(line) - len(text)) + text)
    sys.stdout.write("\r".join(lines) + "\n")


def encode(response: object) -> bytes:
    """Return a handler's response as JSON.

    Raises:
        HandlerFault: it can't be said in JSON.
    """
    if isinstance(response, bytes):
        return response
    try:
        return json.dumps(response, ensure_ascii=False, default=_encode_decimal).encode()
    except (TypeError, ValueError) as error:
        raise HandlerFault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _encode_decimal(value: object) -> int | float:
    from decimal import Decimal  # here, because few handlers need it

    if not isinstance(value, Decimal):
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return int(value) if value == value.to_integral_value() else float(value)


def serve(handler: Callable[[object, LambdaContext], object], api: RuntimeApi) -> None:
    """Answer one invocation after the other, until the process is killed."""
    global _request_id
    while True:
        headers, event = api.next_invocation()
        _request_id = headers["lambda-runtime-aws-request-id"]
        _set_trace_id(headers.get("lambda-runtime-trace-id"))
        try:
            response = encode(handler(json.loads(event), LambdaContext(headers)))
        except Exception as error:
            description = describe(error, _request_id)
            log_error(description)
            api.post(f"invocation/{_request_id}/error", json.dumps(description).encode())
        else:
            api.post(f"invocation/{_request_id}/response", response)


def _set_trace_id(trace_id: str | None) -> None:
    if trace_id is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id


def main(handler_name: str) -> None:
    """Load the handler and serve it; where it can't be loaded, report that and end with status 1."""
    sys.stdout, sys.stderr = _Unbuffered(sys.stdout), _Unbuffered(sys.stderr)
    logging.Formatter.converter = time.gmtime
    logging.getLogger().addHandler(_LogHandler())
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = load(handler_name)
    except Exception as error:
        description = describe(error)
        log_error(description)
        api.post("init/error", json.dumps(description).encode())
        sys.exit(1)
    serve(handler, api)


if __name__ == "__main__":
    main(sys.argv[1])
