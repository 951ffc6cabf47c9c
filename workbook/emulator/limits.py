"""Tells over HTTP what really limits the execution environments of this emulator."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from workbook.emulator.governor import Governor

PATH = "/_workbook/limits"

# As ASGI has it: https://asgi.readthedocs.io/en/latest/specs/main.html
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def told(app: App, governor: Governor) -> App:
    """Return an app that answers a GET of /_workbook/limits itself, and leaves everything else to the other one.

    The answer is JSON: "cpu" is how an environment is held to its memory's share of a processor ("cgroup v1", "cgroup v2"
    or "signals"; "full" if it isn't), "memory" how it is held to its memory size.
    """
    body = json.dumps({"cpu": governor.name, "memory": "watched"}).encode()

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("GET", PATH):
            await app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer
