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
    if not isinstance(answer, set | list | tuple):
        return 'Give a set of labels, such as {"emulated", "priced"}, even if there is only one.'
    labels = set(answer)
    unknown = labels - _DECIDES - _OTHERS.keys()
    if unknown:
        return f"{sorted(unknown)[0]!r} is not one of the labels in the table above."
    for label in sorted(labels - _DECIDES):
        return f"{label!r} doesn't belong. {_OTHERS[label]}"
    if labels != _DECIDES:
        return f"Not all are there; yours: {sorted(labels)}. Think of everybody who could have timed AWS."
    return None


def own_greeting(answer: Any) -> str | None:
    """00.2: what the function answers to an event with the learner's name."""
    if not isinstance(answer, dict) or "greeting" not in answer:
        return f"Give what the function answered, a dict with its greeting; this is {answer!r}."
    name = answer["greeting"].removeprefix("Hello, ").removesuffix("!")
    if name == "world":
        return "It greets the world, so it found no name. Keys are case-sensitive, and its code is short: handlers/hello/app.py."
    if name == "reader" or name.startswith("call "):
        return f"That is the greeting for {name!r}, from the cells above. Send an event of your own."
    if not name.strip():
        return "It greets nobody: the name that you sent is empty."
    return None


RULES = {"00.1": deciding_labels, "00.2": own_greeting}
