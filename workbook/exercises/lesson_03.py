"""The rules of the exercises in `03_cold_starts`."""

from typing import Any

_CALLS = [
    {"log_stream": "a", "init_ms": 51.2},
    {"log_stream": "a", "init_ms": None},
    {"log_stream": "b", "init_ms": 48.9},
    {"log_stream": "b", "init_ms": 47.0},
    {"log_stream": "c", "init_ms": None},
    {"log_stream": "c", "init_ms": 50.3},
]


def proven_cold(answer: Any) -> str | None:
    """03.1: a function that returns the numbers of the calls that are proven cold."""
    if not callable(answer):
        return f"The answer is a function that takes a list of calls; this is {answer!r}."
    got = answer([dict(call) for call in _CALLS])
    if got is None:
        return "It returned None: did it print, where it should return?"
    got = list(got)
    if got == [0, 2]:
        return None
    if got == [1, 3]:
        return "These are the right calls, counted from 1; positions count from 0."
    if 3 in got:
        return (
            "It takes a call in an environment that was met before for a cold one, because it has an Init Duration. "
            "Both proofs are needed: a stream that is new, and an Init Duration."
        )
    if 4 in got:
        return "It takes a new stream alone for proof; without an Init Duration cold isn't proven. Both are needed."
    if 5 in got:
        return (
            "Remember every stream that you meet, not only those of cold calls: the last call's stream was met before."
        )
    return f"Of six calls in the streams a, a, b, b, c, c it returns {got!r}. Positions count from 0."


def waiting_at_nine(answer: Any) -> str | None:
    """03.2: how many of twenty callers at once a pinger spares the cold start."""
    if answer == 20:
        return "One environment was kept warm, and somebody gets it."
    if answer == 0:
        return "The pinger never made two calls at once, so how many environments did it keep? An environment takes one call at a time."
    return None if answer == 19 else f"Twenty come, and one environment is warm: {answer!r} is not what is left."


def spared_ms(answer: Any) -> str | None:
    """03.3: what late preparation spares a first call, on average."""
    if not callable(answer):
        return f"The answer is a function of prepare_ms and share; this is {answer!r}."
    for prepare_ms, share, spared in ((300, 0, 300), (300, 1, 0), (200, 0.25, 150)):
        got = answer(prepare_ms, share)
        if got is None:
            return "It returned None: did it print, where it should return?"
        if abs(got - spared) > 1e-6:
            return (
                f"For a preparation of {prepare_ms} ms and a share of {share:g} it says that late saves {got:g} ms. "
                f"Early, each first call waits {prepare_ms} ms; late, only those that need it. The share is from 0 to 1."
            )
    return None


RULES = {"03.1": proven_cold, "03.2": waiting_at_nine, "03.3": spared_ms}
