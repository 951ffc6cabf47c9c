"""Guesses before a run, and checks of what a learner answers.

The rules of an exercise stand in one module a lesson, under the exercise's number. A rule takes the answer and returns
None if it is right, or a sentence that says what is wrong with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workbook.errors import ParameterError
from workbook.exercises import (
    lesson_00,
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_03b,
    lesson_03c,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
)

Rule = Callable[[Any], str | None]
RULES: dict[str, Rule] = (
    lesson_00.RULES
    | lesson_01.RULES
    | lesson_02.RULES
    | lesson_03.RULES
    | lesson_03b.RULES
    | lesson_03c.RULES
    | lesson_04.RULES
    | lesson_05.RULES
    | lesson_06.RULES
    | lesson_07.RULES
)


class Outcome(StrEnum):
    """The three ways a check can end."""

    UNTOUCHED = "not attempted"
    RIGHT = "right"
    WRONG = "not yet"


@dataclass(frozen=True)
class Check:
    """What came out of checking one answer. It shows itself as one line."""

    exercise: str
    outcome: Outcome
    message: str

    def __repr__(self) -> str:
        mark = {Outcome.UNTOUCHED: "○", Outcome.RIGHT: "✔", Outcome.WRONG: "✘"}[self.outcome]
        return f"{mark} Exercise {self.exercise}: {self.outcome}. {self.message}"


def check(exercise: str, answer: Any) -> Check:
    """Return what is to be said of an answer to an exercise; the untouched stub `...` is neither right nor wrong.

    An answer that breaks the rule's own code (a function that raises, a value of another type) is wrong, and the message
    says how it broke.

    >>> check("00.1", ...)
    ○ Exercise 00.1: not attempted. Replace the three dots with your answer and run the cell again.

    Raises:
        ParameterError: there is no such exercise.
    """
    if exercise not in RULES:
        raise ParameterError(
            f"There is no exercise {exercise!r}.",
            why="Each has rules of its own.",
            fix=f"The exercises are: {', '.join(sorted(RULES))}.",
        )
    if answer is ...:
        return Check(exercise, Outcome.UNTOUCHED, "Replace the three dots with your answer and run the cell again.")
    try:
        fault = RULES[exercise](answer)
    except Exception as error:  # whatever a learner's code raises is what the learner has to hear of
        fault = f"Trying your answer ended in {type(error).__name__}: {error}"
    return Check(exercise, Outcome.WRONG, fault) if fault else Check(exercise, Outcome.RIGHT, "That is it.")


@dataclass(frozen=True)
class Guess:
    """What a learner expects before a run: a number with its unit, or None for no guess."""

    question: str
    value: float | None
    unit: str
    provenance: str  # of the number that it will be set beside

    def against(self, seen: float, *, provenance: str | None = None) -> str:
        """Return one sentence that sets the guess beside what was seen. It compares, and doesn't praise.

        `provenance` is that of the number seen, if it isn't from the target that the guess was made about.
        """
        if self.value is None:
            verdict = "no guess"
        else:
            verdict = "as you guessed" if self.value == seen else f"you guessed {self.value:g}"
        return f"{self.question}: {seen:g} ({provenance or self.provenance}; {verdict})."
