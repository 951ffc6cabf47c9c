"""Guesses and checks. What a notebook's own solutions and slips come to is tested in test_lessons_run."""

import math

import pytest

from workbook.errors import ParameterError
from workbook.exercises import RULES, Guess, Outcome, check


def stops_at(limit_ms: float):
    """Return an answer to 01.3 that takes items off the list, and stops at a limit."""

    def handler(event, context):
        done = []
        while event["items"] and context.get_remaining_time_in_millis() >= limit_ms:
            done.append(event["items"].pop(0))
        return {"done": done, "left": event["items"]}

    return handler


def test_an_answer_may_use_up_its_event():
    """A right handler is right, whichever way it walks through the list."""
    assert Outcome.RIGHT == check("01.3", stops_at(300)).outcome


@pytest.mark.parametrize("exercise", sorted(RULES))
def test_an_untouched_stub_is_not_attempted(exercise: str):
    """Three dots are neither right nor wrong."""
    assert Outcome.UNTOUCHED == check(exercise, ...).outcome


@pytest.mark.parametrize(
    ("exercise", "answer", "says"),
    [
        ("00.1", {"measured"}, "Not all are there"),
        ("00.1", {"measured", "published", "priced"}, "'priced' doesn't belong"),
        ("00.1", {"guessed"}, "'guessed' is not one of the labels"),
        ("00.1", "measured", "Give a set"),
        ("00.1", None, "Give a set"),
        ("00.2", {"name": "Ada"}, "Give what the function answered"),
        ("00.2", {"greeting": "Hello, world!"}, "it found no name"),
        ("00.2", {"greeting": "Hello, reader!"}, "from the cells above"),
        ("00.2", {"greeting": "Hello, !"}, "is empty"),
        ("01.1", {"raises", "runs out of time"}, "fails in its init phase"),
        ("01.1", 3, "Give a set"),
        ("01.1", {"explodes"}, "not one of the endings"),
        ("01.2", 3, "a function that takes a line"),
        ("01.2", lambda line: "3", "A whole number is wanted"),
        ("01.2", lambda line: 3.0, "A whole number is wanted"),
        ("01.2", lambda line: print(line), "did it print"),
        ("01.2", lambda line: 3, "96 ms are billed"),
        ("01.2", lambda line: round(float(line.split("Duration: ")[1].split()[0])), "end in Duration"),
        ("01.3", lambda event, context: None, "has to return a dict"),
        ("01.3", lambda event, context: {"done": [], "left": event["items"]}, "it did 0"),
        ("01.3", lambda event, context: {"done": [1], "left": [3]}, "Every item"),
        ("01.3", stops_at(0.3), "it did 10"),
        ("01.3", stops_at(30), "it did 10"),
        ("01.3", lambda event, context: {"done": event["items"][:7], "left": event["items"][7:]}, "plenty of time"),
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
        (None, "Beats: 3 (emulated; no guess)."),
        (3, "Beats: 3 (emulated; as you guessed)."),
        (50, "Beats: 3 (emulated; you guessed 50)."),
    ],
)
def test_a_guess_is_set_beside_what_was_seen(value: float | None, sentence: str):
    """A guess is compared, none is needed, and the number that it meets has its provenance."""
    assert sentence == Guess("Beats", value, "beats", "emulated").against(3)


def test_a_guess_about_aws_meets_a_published_number():
    """A number that isn't the target's brings its own provenance."""
    sentence = Guess("Init Duration", 200, "ms", "emulated").against(86, provenance="published")
    assert "Init Duration: 86 (published; you guessed 200)." == sentence


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        ("03.1", [0, 2], "takes a list of calls"),
        ("03.1", lambda calls: None, "returned None"),
        ("03.1", lambda calls: [n for n, call in enumerate(calls) if call["init_ms"]], "was met before"),
        ("03.1", lambda calls: [0, 2, 4], "without an Init Duration"),
        ("03.1", lambda calls: [0, 2, 5], "Remember every stream"),
        ("03.1", lambda calls: [1, 3], "counted from 1"),
        ("03.1", lambda calls: [0, 1], "it returns [0, 1]"),
        ("03.2", 20, "somebody gets it"),
        ("03.2", 0, "one call at a time"),
        ("03.2", 10, "is not what is left"),
        ("03.3", 300, "a function of prepare_ms and share"),
        ("03.3", lambda prepare_ms, share: share * prepare_ms, "only those that need it"),
        ("03.3", lambda prepare_ms, share: print(prepare_ms), "returned None"),
        ("03b.1", 55, "a function of share"),
        ("03b.1", lambda share, life: math.log(share) / life * 60, "is negative"),
        ("03b.1", lambda share, life: -math.log(share) / life, "calls a minute"),
        ("03b.1", lambda share, life: 12.0, "it should be"),
        ("03b.2", "0.6", "A number from 0 to 1"),
        ("03b.2", 0.25, "also costs while it runs"),
        ("03b.2", 60, "not in percent"),
        ("03b.2", 0.833, "always busy"),
        ("03b.2", 0.4286, "its own running price"),
        ("03b.2", 0.9, "set both costs"),
        ("03b.3", "an imported library", "Give a set"),
        ("03b.3", {"a cat"}, "not on the list"),
        ("03b.3", {"an imported library"}, "parsed settings file"),
        ("03b.3", {"an imported library", "a parsed settings file", "a temporary password"}, "It has an end"),
        ("04.1", 0.5, "a function of memory_mb"),
        ("04.1", lambda memory, ms, n: memory * ms / 1000 * n, "1,024 megabytes"),
        ("04.1", lambda memory, ms, n: memory / 1024 * ms * n, "in milliseconds"),
        ("04.1", lambda memory, ms, n: memory / 1024 * ms / 1000 * n, "rounded up"),
        ("04.2", "300", "A number of milliseconds"),
        ("04.2", 450, "three times 512"),
        ("04.1", lambda memory, ms, n: memory / 1000 * math.ceil(ms) / 1000 * n, "not 1,000"),
        ("04.2", 500, "isn't it"),
        ("04.2", 2700, "fewer of them"),
        ("04.3", 302.98, "without a gateway"),
        ("04.3", 320.48, "with a REST API"),
        ("04.3", 300.4, "is not the whole bill"),
        ("04.3", 9.20, "What comes in costs nothing"),
        ("04.3", 1e6, "is not the whole bill"),
        ("04.3", "a lot", "An amount in US dollars"),
        ("03c.1", "C144", "Give a set"),
        ("03c.1", {"C144"}, "Look again at C167"),
        ("03c.1", {"C999"}, "not one of the four"),
        ("03c.2", "against", "not the same as being wrong"),
        ("03c.2", "for", "may be 0.9"),
        ("03c.2", None, "one of the three words"),
        ("06.1", 100, "a function of memory_mb"),
        ("06.1", lambda memory, cpu, wait: None, "returned None. Did it print"),
        ("06.1", lambda memory, cpu, wait: cpu * 1769 / memory + wait, "only one of them"),
        ("06.1", lambda memory, cpu, wait: (cpu + wait) / min(1, memory / 1769), "the computing only"),
        ("06.1", lambda memory, cpu, wait: cpu + wait, "it should be"),
        ("06.2", (40, 100), "a function of two durations"),
        ("06.2", lambda small, large: small - large, "Return two numbers"),
        ("06.2", lambda small, large: (small - large, large), "come from 40 ms"),
        (
            "06.3",
            {"one thread that computes", "two processes that compute", "a table of two gigabytes in memory"},
            "can't use a second",
        ),
        ("06.3", {"two processes that compute"}, "doesn't fit"),
        ("07.1", 5, "a function of a list"),
        ("07.1", lambda calls: None, "returned None"),
        ("07.1", lambda calls: len(calls), "how many calls there are"),
        ("07.1", lambda calls: 1.5, "it says 1.5"),
        ("07.1", lambda calls: max(sum(b <= at <= e for b, e in calls) for at, _ in calls), "leaves its environment"),
        ("07.2", "35", "A number of callers"),
        ("07.2", 50, "not in a second"),
        ("07.2", 25, "how many are served"),
        ("07.2", 24, "is not what"),
        ("07.3", None, "A whole number"),
        ("07.3", 145, "until the next release"),
        ("07.3", 55, "kept for people"),
        ("07.3", 20, "190 are theirs"),
    ],
)
def test_each_slip_is_told_from_the_others(exercise: str, answer: object, words: str):
    """A wrong answer hears what is wrong with it, not that it is wrong."""
    result = check(exercise, answer)
    assert Outcome.WRONG == result.outcome
    assert words in result.message
