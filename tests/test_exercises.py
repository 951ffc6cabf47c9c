"""Guesses and checks. What a notebook's own solutions and slips come to is tested in test_lessons_run."""

import pytest

from workbook.errors import ParameterError
from workbook.exercises import RULES, Guess, Outcome, check


@pytest.mark.parametrize("exercise", sorted(RULES))
def test_an_untouched_stub_is_not_attempted(exercise: str):
    """Three dots are neither right nor wrong."""
    assert Outcome.UNTOUCHED == check(exercise, ...).outcome


@pytest.mark.parametrize(
    ("exercise", "answer", "says"),
    [
        ("00.1", {"measured"}, "One label is missing"),
        ("00.1", {"measured", "published", "priced"}, "'priced' doesn't belong"),
        ("00.1", {"guessed"}, "'guessed' is not one of the labels"),
        ("00.1", "measured", "Give a set"),
        ("00.2", {"who": "Ada"}, "yours are ['who']"),
        ("00.2", {"name": 3}, "has to be some text"),
        ("00.2", "Ada", "this is a str"),
        ("01.1", {"raises", "runs out of time"}, "fails in its init phase"),
        ("01.1", {"explodes"}, "not one of the endings"),
        ("01.2", 3, "a function that takes a line"),
        ("01.2", lambda line: "3", "A number is wanted"),
        ("01.2", lambda line: 3, "96 ms are billed"),
        ("01.2", lambda line: float(line.split("Duration: ")[1].split()[0]), "end in the word Duration"),
        ("01.3", lambda event, context: None, "has to return a dict"),
        ("01.3", lambda event, context: {"done": [], "left": event["items"]}, "before the first item"),
        ("01.3", lambda event, context: {"done": [1], "left": [3]}, "Every item"),
        ("01.3", lambda event, context: {"done": event["items"][:3], "left": event["items"][3:]}, "plenty of time"),
        ("01.3", lambda event, context: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_each_wrong_answer_hears_what_is_wrong_with_it(exercise: str, answer: object, says: str):
    """A message speaks of the answer that was given."""
    result = check(exercise, answer)
    assert Outcome.WRONG == result.outcome
    assert says in result.message


def test_an_unknown_exercise_names_those_that_there_are():
    """A typing mistake in a number is told from a wrong answer."""
    with pytest.raises(ParameterError, match=r"no exercise '9.9'.*00\.1, 00\.2, 01\.1"):
        check("9.9", ...)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "Beats: 3 beats (no guess)."),
        (3, "Beats: 3 beats (as you guessed)."),
        (50, "Beats: 3 beats (you guessed 50)."),
    ],
)
def test_a_guess_is_set_beside_what_was_seen(value: float | None, sentence: str):
    """A guess is compared, and none is needed."""
    assert sentence == Guess("Beats", value, "beats").against(3)
