"""The rules of the exercises in `06_power_tuning`."""

import math
from typing import Any

from workbook.exercises import choices

VCPU_MB = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html


def duration(answer: Any) -> str | None:
    """06.1: a function that predicts a duration by AWS's rule, for one thread."""
    if not callable(answer):
        return f"The answer is a function of memory_mb, cpu_ms and wait_ms; this is {answer!r}."
    for memory_mb, cpu_ms, wait_ms in ((1769, 80, 20), (884.5, 80, 20), (128, 30, 0), (3538, 80, 20), (512, 0, 100)):
        got, share = answer(memory_mb, cpu_ms, wait_ms), memory_mb / VCPU_MB
        right = cpu_ms / min(1, share) + wait_ms
        if not isinstance(got, int | float):
            return f"It should return a number of milliseconds; it returned {got!r}. Did it print?"
        if share > 1 and math.isclose(got, cpu_ms / share + wait_ms):
            return f"At {memory_mb:,} MB there are two vCPUs, but one thread can use only one of them."
        if share < 1 and wait_ms and math.isclose(got, (cpu_ms + wait_ms) / share):
            return "The share stretches the computing only; the wait takes as long in any size."
        if not math.isclose(got, right, rel_tol=0.01):
            return f"For {memory_mb:,} MB, {cpu_ms} ms of computing and {wait_ms} ms of waiting it says {got:g}; it should be {right:g}."
    return None


def taken_apart(answer: Any) -> str | None:
    """06.2: a function that finds computing and waiting from the durations in two sizes."""
    if not callable(answer):
        return f"The answer is a function of two durations, in 256 MB and in 1,024 MB; this is {answer!r}."
    for cpu_ms, wait_ms in ((40, 100), (80, 0), (0, 50)):
        small_ms, large_ms = (cpu_ms * VCPU_MB / memory_mb + wait_ms for memory_mb in (256, 1024))
        got = answer(small_ms, large_ms)
        if not (isinstance(got, tuple | list) and len(got) == 2):
            return f"Return two numbers, cpu_ms and wait_ms; it returned {got!r}."
        got_cpu_ms, got_wait_ms = got
        if math.isclose(got_cpu_ms, cpu_ms, abs_tol=0.5) and math.isclose(got_wait_ms, wait_ms, abs_tol=0.5):
            continue
        if math.isclose(got_cpu_ms, cpu_ms, abs_tol=0.5) and math.isclose(got_wait_ms, large_ms - cpu_ms, abs_tol=0.5):
            return "In 1,024 MB the computing takes longer than its CPU time, too: there are only 0.58 of a vCPU."
        return (
            f"{small_ms:.0f} ms in 256 MB and {large_ms:.0f} ms in 1,024 MB come from {cpu_ms} ms of computing and "
            f"{wait_ms} ms of waiting; it says {got_cpu_ms:g} and {got_wait_ms:g}."
        )
    return None


def gains(answer: Any) -> str | None:
    """06.3: what has a reason to get more than one vCPU's worth of memory."""
    return choices.fault(
        answer,
        right={"two processes that compute", "a table of two gigabytes in memory"},
        why={
            "one thread that computes": "It has a whole vCPU at 1,769 MB already, and can't use a second.",
            "two processes that compute": "Each can use a vCPU of its own, and the second one comes with more memory.",
            "a call to a slow service": "Waiting takes as long in any size, and every megabyte is paid meanwhile.",
            "a table of two gigabytes in memory": "It doesn't fit into 1,769 MB, however fast the function is.",
        },
        things="the four programs",
    )


RULES = {"06.1": duration, "06.2": taken_apart, "06.3": gains}
