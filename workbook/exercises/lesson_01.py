"""The rules of the exercises in `01_first_function`."""

from typing import Any

from workbook.exercises import choices

_ENDINGS = {
    "answers": "It returns a value, so the caller gets that value and no FunctionError.",
    "answers 500": "A returned statusCode of 500 is an ordinary answer: Lambda doesn't look inside. Compare the table.",
    "raises": "It raises, and nothing catches it: look at the column FunctionError once more.",
    "runs out of time": "Lambda ends it, and tells the caller so: look at the column FunctionError once more.",
    "fails in its init phase": "The handler never ran, and the caller is told so: look at the column FunctionError once more.",
}
_FAILS = {"raises", "runs out of time", "fails in its init phase"}


def failing_endings(answer: Any) -> str | None:
    """01.1: which endings carry a FunctionError."""
    return choices.fault(answer, right=_FAILS, why=_ENDINGS, things="the endings")


_REPORTS = (
    ("REPORT RequestId: a\tDuration: 2.06 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\tMax Memory Used: 39 MB\t", 3),
    (
        "REPORT RequestId: b\tDuration: 1.20 ms\tBilled Duration: 96 ms\tMemory Size: 128 MB\tMax Memory Used: 39 MB\t"
        "Init Duration: 94.11 ms\t",
        96,
    ),
    (
        "REPORT RequestId: c\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 1024 MB\t"
        "Max Memory Used: 30 MB\tStatus: timeout",
        3000,
    ),
)


def billed_ms(answer: Any) -> str | None:
    """01.2: a function that reads the billed milliseconds out of a REPORT line."""
    if not callable(answer):
        return f"The answer is a function that takes a line; this is {answer!r}."
    for line, billed in _REPORTS:
        got = answer(line)
        if got is None:
            return "It returned None: did it print, where it should return?"
        if type(got) is not int:
            return f"A whole number is wanted, and this is the {type(got).__name__} {got!r}."
        if got != billed:
            return (
                f"For the line {line!r} it returns {got}, where {billed} ms are billed. "
                "Two or three names in a line end in Duration; one of them is wanted."
            )
    return None


class _Clock:
    """A context whose remaining time goes down by 100 ms at every look."""

    aws_request_id = "a-request-id"

    def __init__(self, remaining_ms: int) -> None:
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        self.remaining_ms -= 100
        return max(0, self.remaining_ms)


def stops_in_time(answer: Any) -> str | None:
    """01.3: a handler that stops before its time is up and says what is left."""
    if not callable(answer):
        return f"The answer is a handler, a function of event and context; this is {answer!r}."
    items = [f"item {number}" for number in range(20)]
    got = answer({"items": list(items)}, _Clock(1_050))  # it will show 950, 850, ... and at the eighth look 250
    if not isinstance(got, dict) or {"done", "left"} - got.keys():
        return f"It has to return a dict with the lists 'done' and 'left'; it returned {got!r}."
    if [*got["done"], *got["left"]] != items:
        return "Every item has to be in one of the two lists, in its order: some were lost or stand twice."
    if not got["left"]:
        return "With about a second left, and 100 ms gone at every look at the clock, it did all 20 items: it doesn't stop."
    if len(got["done"]) != 7:
        return (
            "The clock showed 950 ms, and 100 less at every look, so 7 items fit before fewer than 300 are left; "
            f"it did {len(got['done'])}. Look before each item, and mind that the clock counts milliseconds."
        )
    plenty = answer({"items": list(items)}, _Clock(1_000_000))
    if (plenty["done"], plenty["left"]) != (items, []):
        return "With plenty of time it still leaves items undone, or loses some."
    return None


RULES = {"01.1": failing_endings, "01.2": billed_ms, "01.3": stops_in_time}
