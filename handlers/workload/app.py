"""Does work of four kinds, as much of each as its event asks for, and says how long it took.

Event, all optional: {"rounds": 400, "wait_ms": 50, "hold_mb": 150}. `rounds` is computing, on one thread; `wait_ms` is
waiting, as for another service; `hold_mb` is memory that is filled and read again.
"""

import hashlib
import os
import platform
import time

BLOCK = bytes(256 * 1024)  # what one round computes a checksum of
MB, PAGE = 1024 * 1024, 4096

calls = 0


def compute(rounds: int) -> str:
    """Return a checksum that takes a fixed amount of computing per round to find."""
    checksum = hashlib.sha256()
    for _ in range(rounds):
        checksum.update(BLOCK)
    return checksum.hexdigest()


def hold(megabytes: int) -> int:
    """Fill that much memory, read a byte of each of its pages, and return how many pages there were."""
    filled = b"x" * (megabytes * MB)
    return len(filled[::PAGE])


def handler(event, context):
    global calls
    begun, calls, event = time.perf_counter(), calls + 1, event or {}
    computing = time.process_time()
    compute(event.get("rounds", 0))
    hold(event.get("hold_mb", 0))
    computed_ms = (time.process_time() - computing) * 1000
    time.sleep(event.get("wait_ms", 0) / 1000)
    return {
        "cpu_ms": computed_ms,
        "handler_ms": (time.perf_counter() - begun) * 1000,
        "memory_mb": int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]),
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
