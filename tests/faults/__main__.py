"""The command: `python -m faults`, with the folder of tests on Python's path, as `make faults` calls it."""

import argparse
import json
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from faults import trial
from faults.moments import VICTIMS, Moment, draw
from workbook.errors import WorkbookError
from workbook.lab import RESULTS
from workbook.records import append_line, read_lines
from workbook.runs.versions import git_state

STATE = RESULTS / ".faults.jsonl"  # `clean` takes it along
_MEASURED_AGAIN = 5  # a run that ends before its moment is a measurement, and shorter than the last


def main(arguments: list[str] | None = None) -> int:
    """Try all moments that haven't passed yet, and return 0 only if every one has, with nothing left."""
    options = _parser().parse_args(arguments)
    moments = [moment for target in options.target for moment in draw(target, options.seed, options.moments)]
    done = outcomes(options.out)
    for moment in moments:
        if not done.get(_name(moment), {}).get("passed"):
            row = _try(moment, done.values(), options.lessons or trial.LESSONS) | {"revision": git_state()}
            append_line(options.out, row)
            done[_name(moment)] = row
            print(_said(row), flush=True)
    tried = [done[_name(moment)] for moment in moments]
    print(report(tried, options.out))
    return int(not all(row["passed"] for row in tried))


def outcomes(state: Path) -> dict[str, dict[str, Any]]:
    """Return what came of each moment that was tried, the last time that it was."""
    return {json.dumps([row["target"], row["seed"], row["number"]]): row for row in read_lines(state)}


def report(rows: list[dict[str, Any]], state: Path) -> str:
    """Return what came of all moments, in a few lines: how many, of what, and every leftover."""
    lines = [_said(row) for row in rows if not row["passed"]]
    for target in dict.fromkeys(row["target"] for row in rows):
        own = [row for row in rows if row["target"] == target]
        victims = ", ".join(f"{sum(row['victim'] == victim for row in own)} {victim}" for victim in VICTIMS[target])
        passed = sum(row["passed"] for row in own)
        left = sum(len(row["left"]) + len(row["left_after_next"]) for row in own)
        lines.append(f"{target}: {passed} of {len(own)} moments passed ({victims} killed); {left} leftovers.")
    revisions = sorted({f"{row['revision']['revision']}"[:10] + "+" * row["revision"]["dirty"] for row in rows})
    return "\n".join([*lines, f"Tried at {', '.join(revisions)}; each moment is a line of {state}."])


def _try(moment: Moment, earlier: Iterable[dict[str, Any]], lessons: Sequence[str]) -> dict[str, Any]:
    """Return what comes of a moment; a run's length is that of the last one that passed undisturbed."""
    known = [row["next_s"] for row in earlier if row["target"] == moment.target and row["next_ended"] == 0]
    length_s = known[-1] if known else trial.measure(moment.target, lessons)
    for _ in range(_MEASURED_AGAIN):
        try:
            return trial.attempt(moment, length_s, lessons)
        except trial.LateError as late:
            length_s = late.took_s
    raise trial.UndisturbedError(f"A run ended before its moment {_MEASURED_AGAIN} times in a row.")


def _name(moment: Moment) -> str:
    return json.dumps([*moment.key.values()])


def _said(row: dict[str, Any]) -> str:
    """Return one moment in a line, and in further ones what was wrong with it."""
    where = f"{row['target']} {row['number']:2} (seed {row['seed']}): {row['victim']} killed at {row['at_s']:.1f} s"
    if row["passed"]:
        found = f"clean found {row['stood_before_clean']} things and left nothing"
        return f"✔ {where}; {found}, and the next run passed in {row['next_s']:.0f} s."
    left = [
        *(f"  left by clean: {one}" for one in row["left"]),
        *(f"  left by the next run: {one}" for one in row["left_after_next"]),
    ]
    ended = f"clean ended with {row['clean_ended']}, the next run with {row['next_ended']}; see {row['place']}"
    return "\n".join([f"✘ {where}; {ended}", *left])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults", description="Kill what runs, and look what is left.")
    parser.add_argument("--target", nargs="+", choices=VICTIMS, default=list(VICTIMS), help="where (default: both)")
    parser.add_argument("--moments", type=int, default=20, metavar="N", help="on each target (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    parser.add_argument(
        "--out",
        type=Path,
        default=STATE,
        metavar="FILE",
        help=f"what came of each; what passed isn't tried again (default: {STATE})",
    )
    lessons = " ".join(trial.LESSONS)
    parser.add_argument("lessons", nargs="*", help=f"what is run, after -- (default: {lessons})")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it ends what it started, as after Ctrl-C
    try:
        sys.exit(main())
    except (WorkbookError, trial.UndisturbedError) as error:
        sys.exit(str(error))
