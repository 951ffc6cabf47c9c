"""How Lambda notices that functions call each other in a circle: a count that travels in the trace header.

The SDK inside a function sends the header that its environment was given along with every call. MiniStack counts with a
header of its own, which only its own workers send.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
"""

import hashlib
import re
import secrets
import time

_LINEAGE = re.compile(r"Lineage=[0-9a-f]+:(\d+)")


def with_lineage(trace_id: str | None, arn: str, depth: int) -> str:
    """Return the trace header of an invocation: the given one or a new one, and how many functions the chain went through."""
    trace = trace_id or f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
    return f"{trace};Lineage={hashlib.sha256(arn.encode()).hexdigest()[:8]}:{depth}"


def inbound_depth(headers: dict[str, str]) -> int:
    """Return how many functions the chain of calls behind a request went through: none for a caller outside Lambda."""
    found = _LINEAGE.search(headers.get("x-amzn-trace-id", ""))
    return int(found[1]) if found else 0
