"""The rules of the exercises in `00_start_here`."""

from typing import Any

_DECIDES = {"published", "measured"}
_OTHERS = {
    "emulated": "An emulator answers from this machine: it shows how a thing works, not how long it takes on AWS.",
    "priced": "A price is computed from a price list; it says what a duration costs, not how long anything takes.",
    "simulated": "A simulation follows a model; it is only as true as what was put into it.",
    "documented": "Documentation states limits and rules; here nobody has timed anything.",
}


def deciding_labels(answer: Any) -> str | None:
    """00.1: which labels may decide how long a cold start takes on AWS."""
    if isinstance(answer, str):
        return 'Give a set of labels, such as {"emulated", "priced"}, even if there is only one.'
    labels = set(answer)
    unknown = labels - _DECIDES - _OTHERS.keys()
    if unknown:
        return f"{sorted(unknown)[0]!r} is not one of the labels in the table above."
    for label in sorted(labels - _DECIDES):
        return f"{label!r} doesn't belong. {_OTHERS[label]}"
    if missing := _DECIDES - labels:
        return f"One label is missing. Think of who could have timed AWS: there are two. Yours: {sorted(labels)}; {len(missing)} more."
    return None


def own_greeting(answer: Any) -> str | None:
    """00.2: an event that makes the function greet the learner."""
    if not isinstance(answer, dict):
        return f"An event is a JSON object, so give a dict; this is a {type(answer).__name__}."
    if "greeting" in answer:
        return "That is the function's answer. The exercise asks for the event that you send to get it."
    if "name" not in answer:
        return f"The function looks for a key that isn't there; yours are {sorted(answer)}. Its code is short: handlers/hello/app.py."
    if not isinstance(answer["name"], str) or not answer["name"].strip():
        return f"The name has to be some text; this is {answer['name']!r}."
    return None


RULES = {"00.1": deciding_labels, "00.2": own_greeting}
