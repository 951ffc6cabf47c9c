"""The rules of the exercises in `03c_cold_start_claims`."""

from typing import Any

from workbook.exercises import choices

_WHY = {
    "C129": "It is about how long something takes on AWS, and an emulator's milliseconds are this machine's.",
    "C144": "That frameworks lengthen the init phase is a mechanism: imports are waited for on any machine.",
    "C167": "What late preparation does to the first call is a mechanism that any machine shows.",
    "C012": "It names milliseconds on AWS, and only numbers from there can decide that.",
}
_LOCAL = {"C144", "C167"}


def decided_by_an_emulator(answer: Any) -> str | None:
    """03c.1: which claims an emulated number may decide."""
    return choices.fault(answer, right=_LOCAL, why=_WHY, things="the four claims")


def what_an_interval_says(answer: Any) -> str | None:
    """03c.2: what an interval across the limit says."""
    reasons = {
        "undecided": None,
        "for": "The true ratio may be 0.9, which is not below 0.85.",
        "against": "The true ratio may be 0.82, which is below 0.85. Not being shown is not the same as being wrong.",
    }
    return reasons.get(answer, 'Answer with one of the three words: "for", "against" or "undecided".')


RULES = {"03c.1": decided_by_an_emulator, "03c.2": what_an_interval_says}
