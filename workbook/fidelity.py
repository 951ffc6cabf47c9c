"""How faithful each target is: the probe of every correction on all of them, and the lessons on LocalStack, as one page.

`make fidelity` writes docs/fidelity.md anew, with LocalStack from the package index. What else to ask is named:
`python -m workbook.fidelity localstack` takes the LocalStack that runs, and without names only the emulators that
the workbook starts itself are asked.
"""

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from botocore.exceptions import ClientError

from workbook import emulator, localstack, runs
from workbook.emulator import upstream
from workbook.emulator.corrections import CORRECTIONS
from workbook.emulator.corrections.probes import PROBES
from workbook.emulator.launch import MINISTACK_VERSION
from workbook.errors import ParameterError, TargetError, WorkbookError
from workbook.targets import Target, configured, connect

PAGE = Path(__file__).resolve().parent.parent / "docs" / "fidelity.md"
COLUMNS = {
    "uncorrected": "embedded, uncorrected",
    "corrected": "corrected by us",
    "localstack": "LocalStack",
    "aws": "AWS",
}
_NOT_RUN = "not run"
_ADDRESS = re.compile(r" at http://[\w.:]+")  # another one each time


def main(names: Sequence[str]) -> None:
    """Ask the embedded emulator, as it is and corrected, and the targets of these names; write the page.

    Raises:
        ParameterError: something else than localstack is named.
        TargetError: a target doesn't answer.
    """
    if not {"localstack"}.issuperset(names):
        raise ParameterError(
            f"{', '.join(names)} can't be asked.",
            why="The probes make what they need with a role that only an emulator takes.",
            fix="Name localstack, or nothing.",
        )
    answers, lessons, version = {}, (), ""
    with upstream.plain(Path(sys.executable)) as endpoint:
        answers["uncorrected"] = ask(connect("embedded", endpoint=endpoint))
    with tempfile.TemporaryDirectory(prefix="workbook-fidelity-") as folder:
        with emulator.start(log=Path(folder) / "log") as running:
            answers["corrected"] = ask(connect("embedded", endpoint=running.endpoint))
        if names:
            target = configured("localstack")
            version = localstack.ask(target.endpoint).version
            answers["localstack"] = ask(target)
            lessons = runs.run(target="localstack", quick=True, out=Path(folder) / "run").outcomes
    PAGE.write_text(page(answers, lessons, version=version, on=datetime.now(UTC).date()), encoding="utf-8")
    print(f"Wrote {PAGE}.")


def ask(target: Target) -> dict[str, str]:
    """Return what a target says to the probe of each correction."""
    return {correction.name: verdict(correction.name, target) for correction in CORRECTIONS}


def verdict(name: str, target: Target) -> str:
    """Return "yes" if a correction's probe finds AWS's behaviour at a target, else "no" and, if the probe failed, at what.

    Raises:
        TargetError: the target doesn't answer, which says nothing of how faithful it is.
    """
    try:
        return "yes" if PROBES[name](target) else "no"
    except ClientError as refusal:
        return f"no: {refusal.operation_name} is refused"
    except TargetError:
        raise
    except Exception as error:  # an answer in another shape, or a stack that is never complete: it isn't AWS's
        return f"no: {type(error).__name__}"


def page(answers: Mapping[str, Mapping[str, str]], lessons: Sequence[runs.Outcome], *, version: str, on: date) -> str:
    """Return the page. `answers` are by column and correction; a column that is missing was not run."""
    head = ["what AWS does", "documented", *COLUMNS.values()]
    rows = [
        [one.restores, f"[AWS]({one.documentation})"]
        + [answers.get(key, {}).get(one.name, _NOT_RUN) for key in COLUMNS]
        for one in CORRECTIONS
    ]
    asked = f"MiniStack {MINISTACK_VERSION}" + (f" and LocalStack {version}" if version else "")
    parts = [_INTRODUCTION.format(on=on, asked=asked), _table(head, rows)]
    if lessons:
        ran = [[f"`{one.name}`", str(one.status), _ADDRESS.sub("", one.remark)] for one in lessons]
        parts += [_LESSONS, _table(["lesson", "on LocalStack", "why"], ran)]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', ' ') for cell in line)} |" for line in lines)


_INTRODUCTION = """\
# How faithful is each target?

Written by `make fidelity` on {on}, with {asked}; not by hand.

Each row is one probe of `workbook/emulator/corrections/probes/`: it makes what it needs, looks whether AWS's documented
behaviour shows, and takes everything away. The same probe is run on every target. The first column of answers is MiniStack
as it comes, the second the workbook's embedded target, with its own execution environments and corrections. LocalStack is
its free edition, from the package index and without Docker: its functions run in the workbook's execution environments too,
so the lines of a log are ours there, and the rest is its own. A yes in our own column means that it does what the page says,
as we read it: it was made after the page. What both emulators say to further questions, and for whom AWS's page decides,
is the table in `tests/localstack/test_third_opinion.py`. Nobody has run the probes on AWS yet."""

_LESSONS = """\
## The lessons on LocalStack

Each lesson with few repeats. One that is skipped asks for something that this LocalStack lacks."""


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except WorkbookError as error:
        sys.exit(str(error))
