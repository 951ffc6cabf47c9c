"""The rules of the exercises in `03b_cold_starts_on_aws`."""

import math
from typing import Any

from workbook.exercises import choices


def calls_needed(answer: Any) -> str | None:
    """03b.1: a function that returns how many calls an hour keep the share of cold ones down."""
    if not callable(answer):
        return f"The answer is a function of share and life_min; this is {answer!r}."
    for share, life_min in ((0.01, 5), (0.5, 10), (0.001, 7)):
        got, needed = answer(share, life_min), -math.log(share) / life_min * 60
        if got is None:
            return "It returned None: did it print, where it should return?"
        if got < 0:
            return f"For a share of {share:g} it says {got:.3g} calls: the logarithm of a number below 1 is negative."
        if math.isclose(got, needed / 60, rel_tol=1e-6):
            return "That is calls a minute, as the life is in minutes; calls an hour are wanted."
        if not math.isclose(got, needed, rel_tol=0.02):
            return f"For a share of {share:g} and a life of {life_min} minutes it says {got:.3g}; it should be {needed:.3g}."
    return None


_BUSY = 0.6  # 0.0000041667 / (0.0000166667 - 0.0000097222), prices of us-east-1


def break_even(answer: Any) -> str | None:
    """03b.2: from which busy part of the time on provisioned concurrency costs no more than on demand."""
    if not isinstance(answer, int | float):
        return f"A number from 0 to 1 is wanted; this is {answer!r}."
    if math.isclose(answer, 0.83, abs_tol=0.005):
        return "That is its price over on demand's when it is always busy; the idle price is fixed, the running price is not."
    if math.isclose(answer, 0.43, abs_tol=0.005):
        return "That sets the idle price against its own running price; what would the busy part cost on demand?"
    if math.isclose(answer, 0.25, abs_tol=0.005):
        return "That forgets that a provisioned environment also costs while it runs: its running price stands in usd, too."
    if math.isclose(answer, 100 * _BUSY, abs_tol=0.5):
        return "As a part of the time, from 0 to 1, not in percent."
    return (
        None
        if math.isclose(answer, _BUSY, abs_tol=0.005)
        else f"{answer:g} is not it: set both costs of one second equal."
    )


_WHY = {
    "an imported library": "It is the same for everybody and doesn't age: importing it early is what SnapStart is for.",
    "a parsed settings file": "It comes with the code, so it is the same in every environment, and may be made early.",
    "a seeded generator of tokens": "Every environment would go on from the same seed, and give out the same tokens.",
    "an open connection": "The other end knows of one connection, and has long closed it when the snapshot is restored.",
    "a temporary password": "It has an end, and the snapshot may be restored after it.",
}
_EARLY = {"an imported library", "a parsed settings file"}


def safe_in_a_snapshot(answer: Any) -> str | None:
    """03b.3: what may be made before the snapshot."""
    return choices.fault(answer, right=_EARLY, why=_WHY, things="the five")


RULES = {"03b.1": calls_needed, "03b.2": break_even, "03b.3": safe_in_a_snapshot}
