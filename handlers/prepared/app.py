"""Prepares something before it can answer, as a real function does. Environment variables say what, and when.

SETUP: "nothing" (the default), "import" (AWS's library and a client), "compute" (a table), or "wait" (a tenth of a second,
as for a connection). WHEN: "early" (the default), in the init phase, or "late", in the first call that needs it.
Event: {"needs_setup": false} can be answered without.
"""

import hashlib
import os
import platform
import time

SETUP, WHEN = os.environ.get("SETUP", "nothing"), os.environ.get("WHEN", "early")


def prepare(setup: str) -> object:
    """Return what the handler needs, after the work that it takes to get it."""
    if setup == "import":
        import boto3

        return boto3.client("dynamodb")
    if setup == "compute":
        return {hashlib.sha256(str(number).encode()).hexdigest(): number for number in range(100_000)}
    if setup == "wait":
        time.sleep(0.1)
    return setup


prepared = prepare(SETUP) if WHEN == "early" else None
calls = 0


def handler(event, context):
    global prepared, calls
    begun, calls = time.perf_counter(), calls + 1
    if prepared is None and (event or {}).get("needs_setup", True):
        prepared = prepare(SETUP)
    return {
        "handler_ms": (time.perf_counter() - begun) * 1000,
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
