"""The rules of the exercises in `07_concurrency`."""

import math
from typing import Any


def at_work(answer: Any) -> str | None:
    """07.1: Little's law as a function."""
    if not callable(answer):
        return f"The answer is a function of rate_per_s and duration_ms; this is {answer!r}."
    for rate_per_s, duration_ms in ((20, 250), (100, 30), (0.5, 60_000)):
        got, right = answer(rate_per_s, duration_ms), rate_per_s * duration_ms / 1000
        if got is None:
            return "It returned None: did it print, where it should return?"
        if math.isclose(got, right * 1000):
            return "That is a thousand times too many: the duration is in milliseconds, the rate in calls a second."
        if not math.isclose(got, right, rel_tol=1e-6):
            return f"For {rate_per_s} calls a second of {duration_ms} ms it says {got:g}; on average {right:g} are at work."
    return None


def _is_number(answer: Any) -> bool:
    return isinstance(answer, int | float) and not isinstance(answer, bool)


def refused(answer: Any) -> str | None:
    """07.2: how many callers are refused in a second."""
    if not _is_number(answer):
        return f"A number of callers a second is wanted; this is {answer!r}."
    if math.isclose(answer, 50):
        return "Ten environments serve ten callers at a time, not in a second: each is free again after 0.4 s."
    if math.isclose(answer, 25):
        return "That is how many are served."
    return (
        None if math.isclose(answer, 35) else f"{answer:g} is not what 60 calls leave over, less those that are served."
    )


def connections(answer: Any) -> str | None:
    """07.3: the largest reserved concurrency that leaves no environment without a connection."""
    if not _is_number(answer):
        return f"A whole number is wanted; this is {answer!r}."
    if answer in (145, 155):
        return "That fits until the next release: then environments of the old versions hold theirs, too."
    if answer == 55:
        return "Ten are kept for people, and nobody can take those."
    if answer == 50:
        return None
    return f"With {answer:g} the three functions may hold 2 × (20 + 25 + {answer:g}) connections in a release; 190 are theirs."


RULES = {"07.1": at_work, "07.2": refused, "07.3": connections}
