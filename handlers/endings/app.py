"""Ends in the way that the event asks for: {"ending": "answers" | "answers 500" | "raises" | "runs out of time"}.

The environment variable BREAK_INIT, off by default, makes the init phase fail.
"""

import os
import time

if os.environ.get("BREAK_INIT"):
    raise RuntimeError("no connection to the database")


def divide(a: float, b: float) -> float:
    """Return a divided by b."""
    return a / b


def handler(event, context):
    ending = event["ending"]
    if ending == "runs out of time":
        print("started")
        try:
            time.sleep(context.get_remaining_time_in_millis() / 1000 + 5)
        finally:
            print("cleaned up")
    try:
        return {"result": divide(6, 3 if ending == "answers" else 0)}
    except ZeroDivisionError:
        if ending == "answers 500":
            return {"statusCode": 500, "body": "can't divide by zero"}
        raise
