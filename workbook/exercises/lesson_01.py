"""The rules of the exercises in `01_first_function`."""

from typing import Any

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
    if isinstance(answer, str):
        return 'Give a set of endings, such as {"answers", "raises"}, even if there is only one.'
    chosen = set(answer)
    if unknown := chosen - _ENDINGS.keys():
        return f"{sorted(unknown)[0]!r} is not one of the endings: {', '.join(_ENDINGS)}."
    if wrong := sorted(chosen ^ _FAILS):
        return f"Look again at {wrong[0]!r}. {_ENDINGS[wrong[0]]}"
    return None


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
        if isinstance(got, str):
            return f"A number is wanted, and this is text: {got!r}."
        if got != billed:
            hint = " Two fields of the line end in the word Duration." if f"Duration: {got:.2f}" in line else ""
            return f"For the line {line!r} it returns {got!r}, where {billed} ms are billed.{hint}"
    return None


class _Clock:
    """A context whose remaining time goes down by 100 ms at every look."""

    def __init__(self, remaining_ms: int) -> None:
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        self.remaining_ms -= 100
        return max(0, self.remaining_ms)


def stops_in_time(answer: Any) -> str | None:
    """01.3: a handler that stops before its time is up and says what is left."""
    if not callable(answer):
        return f"The answer is a handler, a function of event and context; this is {answer!r}."
    items = list(range(20))
    got = answer({"items": items}, _Clock(1_000))
    if not isinstance(got, dict) or {"done", "left"} - got.keys():
        return f"It has to return a dict with the lists 'done' and 'left'; it returned {got!r}."
    if [*got["done"], *got["left"]] != items:
        return "Every item has to be in one of the two lists, in its order: some were lost or stand twice."
    if not got["left"]:
        return "With 1,000 ms left, and 100 ms gone at every look at the clock, it did all 20 items: it doesn't stop."
    if not got["done"]:
        return "It stopped before the first item, although there was a second left."
    generous = answer({"items": items}, _Clock(1_000_000))
    return "With plenty of time it still leaves items undone." if generous["left"] else None


RULES = {"01.1": failing_endings, "01.2": billed_ms, "01.3": stops_in_time}
