"""The rules of the exercises in `04_what_it_costs`."""

import math
from decimal import Decimal
from typing import Any


def gigabyte_seconds(answer: Any) -> str | None:
    """04.1: a function that returns the gigabyte-seconds that are billed."""
    if not callable(answer):
        return f"The answer is a function of memory_mb, duration_ms and invocations; this is {answer!r}."
    for memory_mb, duration_ms, invocations in ((512, 1000, 1), (128, 2.1, 1_000_000), (1024, 99.5, 10)):
        got, billed = answer(memory_mb, duration_ms, invocations), memory_mb / 1024 * math.ceil(duration_ms) / 1000
        if got is None:
            return "It returned None: did it print, where it should return?"
        if math.isclose(got, billed * invocations * 1024, rel_tol=1e-3):
            return "That is megabyte-seconds: a gigabyte has 1,024 megabytes."
        if math.isclose(got, billed * invocations * 1000, rel_tol=1e-3):
            return "That is a thousand times too much: the duration is in milliseconds."
        if memory_mb == 512 and math.isclose(got, 0.512):
            return "A gigabyte of memory has 1,024 megabytes, not 1,000."
        if not math.isclose(got, billed * invocations, rel_tol=1e-6):
            return (
                f"For {memory_mb} MB, {duration_ms} ms and {invocations:,} invocations it says {got:g}; it should be "
                f"{billed * invocations:g}. Each duration is rounded up to a whole millisecond."
            )
    return None


def even_ms(answer: Any) -> str | None:
    """04.2: how long the larger function may take."""
    if isinstance(answer, bool) or not isinstance(answer, int | float | Decimal):
        return f"A number of milliseconds is wanted; this is {answer!r}."
    if math.isclose(answer, 2700):
        return "With more memory each millisecond costs more, so there may be fewer of them, not more."
    if math.isclose(answer, 450):
        return "That would be right for twice the memory; 1,536 is three times 512."
    return (
        None
        if math.isclose(answer, 300)
        else f"With three times the memory a millisecond costs three times as much; {answer:g} isn't it."
    )


def with_a_large_answer(answer: Any) -> str | None:
    """04.3: the whole bill with an answer of 700 KB."""
    if isinstance(answer, bool) or not isinstance(answer, int | float | Decimal):
        return f"An amount in US dollars is wanted, such as bill().total_usd; this is {answer!r}."
    if answer < 100:
        return (
            "That hardly differs from the bill of part 4: is it the answer that has grown? What comes in costs nothing."
        )
    out_usd = 5_000_000 * 700 / 1024**2 * 0.09  # five million answers, at the first price of a gigabyte that leaves AWS
    rest_usd = float(answer) - out_usd  # an HTTP API counts each request twice, for 10 USD; Lambda and logs take 1 to 4
    if abs(rest_usd - 2.5) < 1.5:
        return "That is the bill without a gateway: a large answer makes an HTTP API count each request twice."
    if abs(rest_usd - 20) < 1.5:
        return "That is the bill with a REST API; the scenario has an HTTP API."
    return None if 11 < rest_usd < 14 else f"{answer:.2f} USD is not the whole bill with an answer of 700 KB."


RULES = {"04.1": gigabyte_seconds, "04.2": even_ms, "04.3": with_a_large_answer}
