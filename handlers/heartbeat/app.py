"""Starts a background thread in the init phase, and answers with the moments at which it beat.

Event: {"work_s": 0.3} works that long before it answers.
"""

import threading
import time

BEAT_S = 0.02
BEATS = []


def beat() -> None:
    """Note the time, for ever."""
    while True:
        BEATS.append(time.time())
        time.sleep(BEAT_S)


threading.Thread(target=beat, daemon=True).start()


def handler(event, context):
    began = time.time()
    time.sleep(event.get("work_s", 0.3))
    return {
        "began": began,
        "ended": time.time(),
        "beats": list(BEATS),
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
    }
