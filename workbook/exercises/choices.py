"""Exercises whose answer is a set: some of several named things."""

from collections.abc import Mapping
from typing import Any


def fault(answer: Any, *, right: set[str], why: Mapping[str, str], things: str) -> str | None:
    """Return what is wrong with a choice out of `why`, which says of each thing why it belongs in or not; None if it is right.

    `things` is what they are called together, such as "the endings".
    """
    example = min(right)
    if not isinstance(answer, set | list | tuple):
        return f'Give a set of {things}, such as {{"{example}"}}, even if there is only one.'
    chosen = set(answer)
    if unknown := sorted(chosen - why.keys()):
        return f"{unknown[0]!r} is not on the list; it is not one of {things}: {', '.join(why)}."
    if wrong := sorted(chosen ^ right):
        return f"Look again at {wrong[0]}. {why[wrong[0]]}"
    return None
