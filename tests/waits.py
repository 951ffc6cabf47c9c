"""Waiting in tests: for a condition, and never for a time."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; it is a failure if that takes longer than half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)
