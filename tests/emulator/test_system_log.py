"""Lambda's own lines have the shapes that AWS documents, and the charge is what AWS charges."""

import pytest

from workbook.emulator.environment import Outcome
from workbook.emulator.system_log import billed_ms, invocation_log, records, report_line

ID = "5b866fb1-7154-4af6-8078-6ef6ca4c2ddd"


def outcome(kind: str = "response", **values: object) -> Outcome:
    """Return how an invocation ended, with the values that a test is about."""
    given = {"payload": b"{}", "duration_ms": 80.3, "log": "", "max_memory_mb": 97}
    return Outcome(kind=kind, **given | values)


def report(ended: Outcome, init_ms: float | None = None) -> list[str]:
    """Return the fields of a REPORT line of a function of 128 MB, and what follows the last tab."""
    return report_line(ended, request_id=ID, memory_mb=128, init_ms=init_ms).split("\t")


def test_a_warm_invocation() -> None:
    """A warm invocation is charged for its duration, rounded up, and reports no init phase."""
    expected = [
        f"REPORT RequestId: {ID}",
        "Duration: 80.30 ms",
        "Billed Duration: 81 ms",
        "Memory Size: 128 MB",
        "Max Memory Used: 97 MB",
        "\n",
    ]
    assert expected == report(outcome())


def test_a_cold_start() -> None:
    """A cold start reports its init phase, and is charged for it."""
    assert ["Init Duration: 488.91 ms", "\n"] == report(outcome(), init_ms=488.91)[-2:]
    assert "Billed Duration: 570 ms" in report(outcome(), init_ms=488.91)


def test_a_timeout() -> None:
    """A timeout stands at the end of REPORT."""
    assert "Status: timeout\n" == report(outcome("timeout"))[-1]


def test_a_crash() -> None:
    """A runtime that ended stands at the end of REPORT with its type; an unknown peak of memory is left out."""
    ended = outcome("exit", payload=b'{"errorType": "Runtime.ExitError"}', max_memory_mb=None)
    assert ["Memory Size: 128 MB", "Status: error", "Error Type: Runtime.ExitError\n"] == report(ended)[-3:]


def test_an_exception_is_no_status() -> None:
    """An exception is the function's own matter: REPORT looks as if all went well."""
    assert "\n" == report(outcome("error"))[-1]


@pytest.mark.parametrize(
    ("duration_ms", "init_ms", "expected"),
    [(84.77, 549.71, 635), (3000.0, 402.04, 3403), (74.59, None, 75), (2.0, None, 2)],
)
def test_what_is_charged(duration_ms: float, init_ms: float | None, expected: int) -> None:
    """Duration and init phase are added up before they are rounded up: values from real REPORT lines."""
    assert expected == billed_ms(duration_ms, init_ms)


def test_the_order_of_a_log() -> None:
    """What an init phase wrote stands before START, what the handler wrote between START and END, and REPORT is last."""
    log = invocation_log(
        outcome(log="working\n", init_log="second init\n"),
        stream="stream",
        request_id=ID,
        version="7",
        memory_mb=128,
        init_log="first init\n",
        init_ms=None,
    )
    expected = (
        "first init\n",
        "second init\n",
        f"START RequestId: {ID} Version: 7\n",
        "working\n",
        f"END RequestId: {ID}\n",
    )
    assert expected == log.records[:-1]
    assert log.text.endswith(log.records[-1])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", []),
        ("one\ntwo\n", ["one\n", "two\n"]),
        ("no newline", ["no newline\n"]),
        ("\n", ["\n"]),
        ("[ERROR] KeyError\rTraceback:\r  line 1\nnext\n", ["[ERROR] KeyError\nTraceback:\n  line 1\n", "next\n"]),
    ],
)
def test_records(written: str, expected: list[str]) -> None:
    """A line is a record; lines that the runtime joined with carriage returns are one record."""
    assert expected == records(written)
