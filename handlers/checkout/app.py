"""Takes an order: looks up its price and has the bank collect it, which takes as long as the event says.

Event: {"work_ms": 50, "order": 7, "stalled": [from, until]}. From the one moment until the other, in seconds since the epoch, the bank
doesn't answer; without them it always does. A queue's event has the same as the body of its message, one at a time, so
that an error returns that message and no other.
"""

import hashlib
import json
import os
import platform
import time

# All prices, in memory. They are read in the init phase, so that no order but the first waits for them.
PRICES_CENTS = {f"article {number}": hashlib.md5(b"%d" % number).digest()[0] for number in range(20_000)}
calls = 0


def collect(work_ms: float, stalled: list[float] | None = None) -> None:
    """Wait for the bank; an order that meets it stalled waits for the end of that first."""
    now = time.time()
    if stalled and stalled[0] <= now < stalled[1]:
        time.sleep(stalled[1] - now)
    time.sleep(work_ms / 1000)


def handler(event, context):
    global calls
    begun, began, calls = time.perf_counter(), time.time(), calls + 1
    order = json.loads(event["Records"][0]["body"]) if "Records" in event else event
    collect(order["work_ms"], order.get("stalled"))
    line = {"level": "INFO", "message": "collected", "request_id": context.aws_request_id}
    line |= {"order": order.get("order"), "cents": PRICES_CENTS[order.get("article", "article 1")]}
    print(json.dumps({**line, "began": began, "ended": time.time()}))
    return {
        "initialization_type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
        "version": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        "handler_ms": (time.perf_counter() - begun) * 1000,
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
