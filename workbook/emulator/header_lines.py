"""The header lines of a request one by one, for events that tell a repeated header's values apart. MiniStack joins them."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from hypercorn.config import Config
from ministack import app
from ministack.core.sigv4 import decode_header_value

_lines: ContextVar[list[tuple[bytes, bytes]]] = ContextVar("header_lines")


def keep() -> None:
    """Have each request's lines at hand while it is answered. The second time nothing is left to do."""
    Config.h11_pass_raw_headers = True  # else the server itself writes their names small
    if not isinstance(app.app, _Keeping):
        app.app = _Keeping(app.app)


def lines() -> list[tuple[str, str]]:
    """Return the name and the value of each header line of the request that is being answered, as it came."""
    return [(name.decode("latin-1"), decode_header_value(value)) for name, value in _lines.get()]


class _Keeping:
    """An ASGI application that notes the lines before the next one joins them."""

    def __init__(self, inner: Callable[..., Awaitable[None]]) -> None:
        self._inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            _lines.set(scope["headers"])
        await self._inner(scope, receive, send)
