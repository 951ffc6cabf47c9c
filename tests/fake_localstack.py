"""A stand-in for LocalStack, which takes Docker or 500 MB: it tells of itself as LocalStack does, and hands on the rest."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from served import served

from workbook.localstack import Found

INFO = {"version": "4.14.0:3b5c1e9", "edition": "community", "is_license_activated": False}


@dataclass
class Fake:
    """Where it answers, and what it says of itself and of the paths that it doesn't hand on: a status and a body each."""

    endpoint: str
    says: dict[str, tuple[int, str]] = field(default_factory=lambda: {"/_localstack/info": (200, json.dumps(INFO))})
    asked: list[str] = field(default_factory=list)  # the paths, in order


@contextmanager
def fake_localstack(behind: str = "http://127.0.0.1:9") -> Iterator[Fake]:
    """Serve a stand-in on the loopback; what it doesn't answer itself, the emulator behind it does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = next((said for path, said in fake.says.items() if self.path.startswith(path)), (None, ""))
            if status is None:
                status, answer = self.handed_on(body)
            answer = answer if isinstance(answer, bytes) else answer.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815

        def handed_on(self, body: bytes) -> tuple[int, bytes]:
            request = urllib.request.Request(behind + self.path, body or None, dict(self.headers), method=self.command)
            try:
                with urllib.request.urlopen(request) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        def log_message(self, *_: object) -> None: ...

    with served(Handler) as endpoint:
        fake = Fake(endpoint)
        yield fake


def found(endpoint: str = "http://127.0.0.1:4566") -> dict[str, str]:
    """Return the environment variable that says of the LocalStack at an address that it has been tried, and has nothing."""
    lacks = {"http_api": "No http_api here.", "freeze": "Nothing is frozen here."}
    return Found(endpoint, "4.14.0", (), lacks).to_environment()
