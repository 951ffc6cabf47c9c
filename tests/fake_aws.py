"""A listener on the loopback that answers like AWS: with the bodies, codes and headers that its services document."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from time import time
from xml.sax.saxutils import escape

from served import served

ACCOUNT_ID = "123456789012"
ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/ada"
_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/")


@dataclass(frozen=True)
class Reply:
    """A status, a body, and what kind of error a header says it is."""

    status: int
    body: str
    kind: str = ""


@dataclass
class FakeAws:
    """What it says to whom, by service or by "service region", and what it was asked."""

    endpoint: str
    says: dict[str, Reply] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)  # service, region, method and path
    ahead_s: float = 0  # by how much its clock is ahead of this machine's

    def shell(self, **others: str) -> dict[str, str]:
        """Return the variables with which a shell agrees to use it."""
        return {
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "never-to-be-seen",
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "WORKBOOK_ACCOUNT": ACCOUNT_ID,
            "WORKBOOK_MAX_USD": "5",
            **others,
        }


def query_error(code: str, message: str, status: int = 403) -> Reply:
    """Return an error as services of the query protocol answer it, such as STS and IAM."""
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    return Reply(status, body)


def json_error(code: str, message: str, status: int = 403) -> Reply:
    """Return an error as services of the JSON protocols answer it, such as Lambda and the Free Tier API."""
    return Reply(status, json.dumps({"__type": code, "message": message}), code)


def s3_error(code: str, message: str, **others: str) -> Reply:
    """Return an error as S3 answers it."""
    more = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in others.items())
    return Reply(403, f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{more}</Error>")


def json_body(**values: object) -> Reply:
    """Return what a JSON service answers if all is well."""
    return Reply(200, json.dumps(values))


def identity(arn: str = ARN) -> Reply:
    """Return how STS says who is calling."""
    return Reply(
        200,
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>{arn.split(':')[4]}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>",
    )


@contextmanager
def fake_aws(says: Mapping[str, Reply] | None = None) -> Iterator[FakeAws]:
    """Run one that knows its caller, and says of everything else what it is told to say."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scope = _SCOPE.search(self.headers.get("Authorization", ""))
            service, region = (scope["service"], scope["region"]) if scope else ("", "")
            fake.seen.append((service, region, f"{self.command} {self.path}"))
            reply = (
                fake.says.get(f"{service} {region}") or fake.says.get(service) or Reply(404, "{}", "NotFoundException")
            )
            body = reply.body.encode()
            self.send_response(reply.status)
            if reply.kind:
                self.send_header("x-amzn-ErrorType", f"{reply.kind}:http://internal.amazon.com/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time() + fake.ahead_s, usegmt=True)

        def log_message(self, *_: object) -> None: ...

    with served(Handler) as endpoint:
        fake = FakeAws(endpoint, {"sts": identity(), **(says or {})})
        yield fake
