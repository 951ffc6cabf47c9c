"""Answers with what Lambda handed over, and with what this execution environment remembers of earlier calls.

Event: {"wait_s": 0.3} works that long; {"read": "request_id"} also reads that attribute of the context.
"""

import os
import platform
import tempfile
import time
from pathlib import Path

CALLS = []  # made once, in the init phase, and kept as long as the environment lives
NOTE = Path(tempfile.gettempdir()) / "note.txt"
CONTEXT = (
    "aws_request_id",
    "function_name",
    "function_version",
    "memory_limit_in_mb",
    "log_group_name",
    "log_stream_name",
)


def remember(request_id: str) -> dict:
    """Return what earlier calls left in this environment, and leave a trace of this one."""
    left = {"calls_before": len(CALLS), "note_before": NOTE.read_text() if NOTE.exists() else None}
    CALLS.append(request_id)
    NOTE.write_text(f"call {len(CALLS)} was here")
    return left


def handler(event, context):
    found = remember(context.aws_request_id)
    print(f"call {len(CALLS)} of this environment")
    time.sleep(event.get("wait_s", 0))
    if "read" in event:
        getattr(context, event["read"])
    return {
        "event": event,
        "context": {name: getattr(context, name) for name in CONTEXT},
        "remaining_ms": context.get_remaining_time_in_millis(),
        "colour": os.environ.get("COLOUR"),
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
        **found,
    }
