"""Asks a database a question, over a connection that its environment opens once and keeps.

Event: {"work_ms": 50} is how long the database works on it. Needs DB_HOST, DB_PORT, DB_NAME and DB_USER; the database lets
that user in without a password. The first call opens the connection, not the init phase: one that is refused is then the
error of that call and of no other, and the next call tries again.
"""

import os
import platform
import time

from pg8000.native import Connection, InterfaceError

connection = None
calls = 0


def connected() -> Connection:
    """Return a new connection, which the database knows by this function's name."""
    return Connection(
        os.environ["DB_USER"],
        host=os.environ["DB_HOST"],
        port=int(os.environ["DB_PORT"]),
        database=os.environ["DB_NAME"],
        application_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
    )


def handler(event, context):
    global connection, calls
    begun, calls = time.perf_counter(), calls + 1
    connection = connection or connected()
    try:
        ((pid, _),) = connection.run("SELECT pg_backend_pid(), pg_sleep(:work_s)", work_s=event["work_ms"] / 1000)
    except InterfaceError:  # it broke: the next call opens another
        connection = None
        raise
    return {
        "backend_pid": pid,
        "handler_ms": (time.perf_counter() - begun) * 1000,
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
