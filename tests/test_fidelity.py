"""The page that says how faithful each target is: its rows, its words, and that it isn't stale."""

from datetime import date

import pytest
from botocore.exceptions import ClientError

from workbook import fidelity
from workbook.emulator.corrections import CORRECTIONS
from workbook.errors import ParameterError, TargetError
from workbook.runs import Outcome, Status
from workbook.targets import Target

TARGET = Target("embedded", "http://127.0.0.1:1")


def rows(page: str) -> list[list[str]]:
    """Return the rows of the page's first table, without its head."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [line.strip("| ").split(" | ") for line in lines[2:] if len(line.split(" | ")) == 6]


def refused(target: Target) -> bool:
    raise ClientError({"Error": {"Code": "InternalFailure", "Message": "not in this edition"}}, "CreateApi")


def broken(target: Target) -> bool:
    raise KeyError("cookies")


def test_the_page_has_a_row_for_each_correction() -> None:
    """What is published is of the corrections that there are, in their order; if not: make fidelity."""
    stored = rows(fidelity.PAGE.read_text(encoding="utf-8"))
    assert [(one.restores, f"[AWS]({one.documentation})") for one in CORRECTIONS] == [tuple(row[:2]) for row in stored]


def test_the_stored_answers_show_what_corrections_do() -> None:
    """Uncorrected no row is a yes, and corrected every row is; LocalStack was asked for each."""
    for _, _, uncorrected, corrected, localstack, aws in rows(fidelity.PAGE.read_text(encoding="utf-8")):
        assert uncorrected.startswith("no")
        assert "yes" == corrected
        assert localstack.partition(":")[0] in {"yes", "no"}
        assert "not run" == aws


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (lambda _: True, "yes"),
        (lambda _: False, "no"),
        (refused, "no: CreateApi is refused"),
        (broken, "no: KeyError"),
    ],
)
def test_verdicts(monkeypatch: pytest.MonkeyPatch, probe: object, expected: str) -> None:
    """A probe that fails is a no that says at what."""
    monkeypatch.setitem(fidelity.PROBES, "log_streams", probe)
    assert expected == fidelity.verdict("log_streams", TARGET)


def test_silence_is_no_answer() -> None:
    """A target that nobody answers for is not called unfaithful."""
    with pytest.raises(TargetError):
        fidelity.ask(TARGET)


def test_what_was_not_asked_is_called_so() -> None:
    """A target that nobody ran the probes on has no answers, and no lessons are listed."""
    page = fidelity.page({"corrected": {"log_streams": "yes"}}, (), version="", on=date(2026, 11, 22))
    assert ["not run", "yes", "not run", "not run"] == rows(page)[0][2:]
    assert "on 2026-11-22, with MiniStack" in page
    assert "LocalStack 4" not in page
    assert "The lessons" not in page


def test_lessons_are_listed_with_their_reasons() -> None:
    """A skipped lesson says what LocalStack lacks."""
    skipped = Outcome(
        name="00_start_here",
        content="",
        status=Status.SKIPPED,
        skip_reasons=("LocalStack at http://127.0.0.1:4566 has no http_api.",),
    )
    page = fidelity.page({}, [skipped], version="4.14.0", on=date(2026, 11, 22))
    assert "| `00_start_here` | skipped | LocalStack has no http_api. |" in page
    assert "LocalStack 4.14.0" in page


def test_aws_is_refused() -> None:
    """The probes are not made for a real account, and say so before they start anything."""
    with pytest.raises(ParameterError, match="aws can't be asked"):
        fidelity.main(["aws"])
