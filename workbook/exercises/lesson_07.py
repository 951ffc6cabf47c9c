"""The rules of the exercises in `07_concurrency`."""

import math
from typing import Any


def at_most(answer: Any) -> str | None:
    """07.1: a function that counts how many calls were under way at most."""
    if not callable(answer):
        return f"The answer is a function of a list of calls; this is {answer!r}."
    cases = (([(0, 3), (1, 2), (4, 5)], 2), ([(0, 1), (1, 2)], 1), ([(2, 4), (0, 9), (3, 5), (8, 9)], 3), ([(0, 1)], 1))
    for calls, most in cases:
        got = answer(calls)
        if got is None:
            return "It returned None: did it print, where it should return?"
        if got != most and calls == [(0, 1), (1, 2)]:
            return "A call that ends at the moment at which another begins leaves its environment to it."
        if got != most and got == len(calls):
            return f"That is how many calls there are; of {calls} at most {most} were under way at the same moment."
        if got != most:
            return f"For {calls} it says {got!r}; at most {most} were under way."
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


RULES = {"07.1": at_most, "07.2": refused, "07.3": connections}
