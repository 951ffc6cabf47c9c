"""A LocalStack that somebody started: where it is, which one it is, and what was found out about it.

Only the standard library is used, as the doctor asks too.
"""

from __future__ import annotations  # an older Python, too, can ask the doctor

import json
import os
import re
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from http.client import HTTPException

from workbook.errors import ParameterError, TargetError

START = "docker compose up --detach --wait"
_PORT = 4566  # where LocalStack listens unless it is told otherwise
_PATIENCE_S = 5
_FOUND = "WORKBOOK_FOUND"  # how a run hands its kernels what it found out, so that no lesson has to try it again


@dataclass(frozen=True)
class Instance:
    """A running LocalStack, as it tells of itself."""

    endpoint: str
    version: str
    licensed: bool  # whether it was started with a token that it accepted


@dataclass(frozen=True)
class Found:
    """What a LocalStack turned out to be able to do, and for each capability that it lacks what would enable it."""

    endpoint: str
    version: str
    has: tuple[str, ...]
    lacks: dict[str, str]

    def to_environment(self) -> dict[str, str]:
        """Return the environment variable by which another process knows it too."""
        return {_FOUND: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, endpoint: str) -> Found | None:
        """Return what has been found out about the LocalStack at that address, or None if nobody has tried."""
        facts = json.loads(os.environ.get(_FOUND, "null"))
        if not facts or facts["endpoint"] != endpoint:
            return None
        return cls(**{**facts, "has": tuple(facts["has"])})


def address() -> str:
    """Return where LocalStack is looked for: at WORKBOOK_ENDPOINT, else at LOCALSTACK_HOST, else on this machine.

    LOCALSTACK_HOST is what LocalStack's own clients take: a host, or host:port.

    Raises:
        ParameterError: LOCALSTACK_HOST is neither.
    """
    if endpoint := os.environ.get("WORKBOOK_ENDPOINT"):
        return endpoint.rstrip("/")
    host = os.environ.get("LOCALSTACK_HOST") or f"127.0.0.1:{_PORT}"
    if not re.fullmatch(r"[\w.-]+(:[0-9]+)?", host):
        raise ParameterError(
            f"LOCALSTACK_HOST={host!r} is no address.",
            why="The target localstack is looked for there.",
            fix="Give a host and a port, such as localhost:4566.",
        )
    return f"http://{host}" if ":" in host else f"http://{host}:{_PORT}"


def ask(endpoint: str) -> Instance:
    """Return the LocalStack that answers at an address.

    Raises:
        TargetError: nothing answers there within five seconds, or something else does.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this machine's loopback
    try:
        with direct.open(f"{endpoint}/_localstack/info", timeout=_PATIENCE_S) as answer:
            facts = json.load(answer)
        return Instance(endpoint, facts["version"].partition(":")[0], facts["is_license_activated"])
    except urllib.error.HTTPError as error:
        raise _other(endpoint, f"answers {error.code} to it") from error
    except OSError as error:
        cause = getattr(error, "reason", error)
        raise TargetError(
            f"No LocalStack answers at {endpoint}: {getattr(cause, 'strerror', None) or cause}.",
            why="The target localstack is one that you start.",
            fix=f"Start it with: {START} (docs/localstack.md says more), or name another in LOCALSTACK_HOST.",
        ) from error
    except (HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _other(endpoint, "answers something else") from error


def _other(endpoint: str, what: str) -> TargetError:
    return TargetError(
        f"What answers at {endpoint} is not LocalStack: asked for /_localstack/info, it {what}.",
        why="Its numbers would stand under another name.",
        fix="Name LocalStack's address in LOCALSTACK_HOST, as in LOCALSTACK_HOST=localhost:4566.",
    )
