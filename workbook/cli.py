"""The commands: what is typed, and what becomes the exit status.

Each command imports what it needs when it is called, so that `--help` and `doctor` start at once, and `doctor` also where
nothing is installed.
"""

from __future__ import annotations  # an older Python, too, can ask the doctor

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

from workbook import doctor
from workbook.errors import ParameterError, WorkbookError

_TARGETS = ("embedded", "localstack", "aws")
_EXAMPLES = """\
examples:
  python -m workbook run                        every lesson on the embedded target
  python -m workbook run --only 00 01 --quick   two lessons, with fewer repeats
  python -m workbook run --set repeats=50       another value for a parameter of the notebooks
  python -m workbook run --resume               what the newest run left undone
  python -m workbook run --target aws --plan    what all lessons would make, call and cost there
  python -m workbook spent                      what the newest run has spent so far
  python -m workbook cost docs/api.json         what a month of that API costs on AWS
  python -m workbook clean --keep 5             all but the five newest run folders go
  python -m workbook contribute                 the newest run on AWS, as a file to be given away
  python -m workbook clean --target aws         whatever your runs made in that account goes, too
  python -m workbook doctor                     whether this machine is ready
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 for success, 1 for a failure, 2 for a wrong command line."""
    _prepare_streams()
    try:
        options = _parser().parse_args(arguments)
        return options.command(options)
    except ParameterError as error:
        _complain(error)
        return 2
    except WorkbookError as error:
        _complain(error)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "workbook":
            raise
        _complain(
            f"{error.name} isn't installed for {sys.executable}. Use .venv/bin/python, which `make doctor` makes."
        )
        return 1
    except KeyboardInterrupt:
        _complain("stopped by Ctrl-C.")
        return 130
    finally:
        _let_go_of_streams()


def _prepare_streams() -> None:
    """Make the streams that this process was started with safe to use, whatever they are.

    In the place of a missing one (`<&-`) stands the null device, or the next socket would get its number and be taken for
    it by child processes. What an encoding lacks is printed as a question mark.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # POSIX gives the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _let_go_of_streams() -> None:
    """Send what a full or broken stream didn't take nowhere, or the interpreter's last flush fails and sets the status."""
    for descriptor, stream in enumerate((sys.stdout, sys.stderr), start=1):
        try:
            if stream and not stream.closed:
                stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def _complain(of: object) -> None:
    """Print why a command failed; where nobody can read it, the exit status alone says so."""
    if sys.stderr:
        with suppress(OSError):
            print(f"workbook: {of}", file=sys.stderr)


def _run(options: argparse.Namespace) -> int:
    from workbook import runs

    asked = {name: value for name, value in vars(options).items() if name != "command"}
    if "answers" in asked:
        asked["answers"] = runs.Answers(asked["answers"])
    if asked.pop("plan", False):
        for name in ("jobs", "cell_limit_s"):
            asked.pop(name, None)
        print(runs.planned(**asked))
        return 0
    return runs.run(**asked).exit_status


def _clean(options: argparse.Namespace) -> int:
    from workbook import runs

    asked = {name: getattr(options, name) for name in ("keep", "target", "expired", "everyone")}
    return 0 if runs.clean(**asked) else 1


def _spent(options: argparse.Namespace) -> int:
    from workbook import runs

    print(runs.spent(options.folder))
    return 0


def _contribute(options: argparse.Namespace) -> int:
    from workbook import contribution

    contribution.contribute(options.folder, out=options.out)
    return 0


def _sweeper(options: argparse.Namespace) -> int:
    from workbook import sweep, targets

    target = targets.configured(options.target)
    if options.action == "deploy":
        deployed = sweep.deploy_sweeper(target)
        print(f"{deployed.name} looks every hour for what is past its time in {target.region}.")
    elif not sweep.remove_sweeper(target):
        print("There was no sweeper.")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    examination = doctor.examine(options.target)
    print(json.dumps(examination.to_facts(), indent=2) if options.json else examination)
    return 0 if examination.ready else 1


def _cost(options: argparse.Namespace) -> int:
    from workbook import costs

    bill = costs.bill(costs.Scenario.parse(_read_json(options.scenario)))
    print(json.dumps(bill.to_facts(), indent=2, ensure_ascii=False, default=_json_number) if options.json else bill)
    return 0


def _lab(_: argparse.Namespace) -> NoReturn:
    from workbook.runs.session import open_jupyterlab

    open_jupyterlab()


def _picture(_: argparse.Namespace) -> int:
    from workbook.runs import picture

    picture.refresh()
    print(f"Drew {picture.PICTURE} anew.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workbook",
        description="Run the lessons, or look after what runs need and leave behind.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)

    clean = commands.add_parser(
        "clean", help="remove what runs left behind", description="Remove what runs left behind."
    )
    clean.add_argument(
        "--keep", type=_count, default=0, metavar="N", help="keep the N newest run folders (default: none)"
    )
    clean.add_argument(
        "--target", choices=_TARGETS, help="also look there for whatever your runs made, without any run folder"
    )
    clean.add_argument("--expired", action="store_true", help="only what is past its time there, whoever made it")
    clean.add_argument("--everyone", action="store_true", help="also what others made there")
    clean.set_defaults(command=_clean)

    spent = commands.add_parser(
        "spent",
        help="say what a run on AWS has spent so far",
        description="Say what a run on AWS has spent so far, item by item, as far as its calls were counted.",
    )
    spent.add_argument(
        "folder", type=Path, nargs="?", metavar="FOLDER", help="the run folder (default: the newest one)"
    )
    spent.set_defaults(command=_spent)
    give = commands.add_parser(
        "contribute",
        help="make a small file without identifiers of a run on AWS",
        description="Make a small file without identifiers of a finished run on AWS, which you can give to everybody.",
    )
    give.add_argument(
        "folder", nargs="?", type=Path, metavar="RUN_FOLDER", help="the run (default: the newest one on AWS)"
    )
    give.add_argument("--out", type=Path, metavar="FILE", help="the file (default: one in data/reference/measured)")
    give.set_defaults(command=_contribute)
    sweeper = commands.add_parser(
        "sweeper",
        help="have an account swept by itself, every hour",
        description="Deploy or remove what sweeps an account by itself: stacks and buckets that are past their time.",
    )
    sweeper.add_argument("action", choices=("deploy", "remove"))
    sweeper.add_argument("--target", choices=_TARGETS[1:], default="aws", help="where (default: aws)")
    sweeper.set_defaults(command=_sweeper)

    check = commands.add_parser(
        "doctor",
        help="say whether this machine is ready",
        description="Say whether this machine is ready, and what to do if it isn't.",
    )
    check.add_argument("--target", choices=_TARGETS, default="embedded", help="for lessons there (default: embedded)")
    check.add_argument("--json", action="store_true", help="print the table as JSON")
    check.set_defaults(command=_doctor)

    cost = commands.add_parser(
        "cost",
        help="say what a described API costs in a month",
        description="Say what a month of a described API costs on AWS, item by item, and what that takes for granted.",
    )
    cost.add_argument(
        "scenario", type=Path, metavar="SCENARIO.json", help="the description; docs/api.json is an example"
    )
    cost.add_argument("--json", action="store_true", help="print the bill as JSON")
    cost.set_defaults(command=_cost)

    lab = commands.add_parser(
        "lab",
        help="open JupyterLab on the first lesson",
        description="Open JupyterLab on the first lesson, with the embedded target ready.",
    )
    lab.set_defaults(command=_lab)

    picture = commands.add_parser(
        "picture",
        help="draw the README's picture anew",
        description="Draw the README's picture anew, from a run of its lesson.",
    )
    picture.set_defaults(command=_picture)
    return parser


def _add_run(commands: argparse._SubParsersAction) -> None:
    # What isn't given stays absent, so that --resume can take it from the run that goes on.
    run = commands.add_parser(
        "run",
        help="run the lessons and keep what they find out in a run folder",
        description="Run the lessons and keep what they find out in a run folder.",
        argument_default=argparse.SUPPRESS,
    )
    what = run.add_argument_group("what to run")
    what.add_argument(
        "--only",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="notebooks by name or by how the name begins (default: all)",
    )
    what.add_argument("--target", choices=_TARGETS, help="where AWS calls go (default: embedded)")
    what.add_argument("--quick", action="store_true", help="fewer repeats, same meaning")
    what.add_argument(
        "--set",
        dest="settings",
        action=_Setting,
        metavar="NAME=VALUE",
        help="another value for a parameter of the notebooks; may be repeated",
    )
    what.add_argument(
        "--answers",
        choices=("untouched", "solution", "wrong", "both"),
        help="what stands in the exercises (default: untouched)",
    )
    what.add_argument(
        "--notebooks", type=Path, metavar="FOLDER", help="another folder of notebooks (default: notebooks)"
    )
    what.add_argument(
        "--plan", action="store_true", help="say what it would make, call, take and cost on AWS, and stop"
    )
    how = run.add_argument_group("how to run it")
    how.add_argument("--jobs", type=_count, metavar="N", help="notebooks side by side (default: 2)")
    how.add_argument(
        "--cell-limit",
        dest="cell_limit_s",
        type=_whole_seconds,
        metavar="SECONDS",
        help="a cell that takes longer is ended; a whole number from 1 on (default: 300)",
    )
    how.add_argument("--out", type=Path, metavar="FOLDER", help="the run folder (default: a new one in data/results)")
    how.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --out, or with the newest one: what passed and hasn't changed is kept",
    )
    run.set_defaults(command=_run)


class _Setting(argparse.Action):
    """Collects NAME=VALUE pairs in a dict."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, pair: str, _: str | None = None
    ) -> None:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            parser.error(f"argument --set: {pair!r} is not NAME=VALUE")
        namespace.settings = {**getattr(namespace, "settings", {}), name.strip(): value.strip()}


def _read_json(path: Path) -> object:
    """Return what the file holds, with fractions as Decimal."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ParameterError(
            f"{path} can't be read: {error.strerror or error}.",
            why="There is nothing to price.",
            fix="Give a file that describes an API, as docs/api.json does.",
        ) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        reason = "it holds a number beyond all bounds" if isinstance(error, ArithmeticError) else error
        raise ParameterError(
            f"{path} is no JSON that can be read: {reason}.",
            why="A description that can't be read can't be priced.",
            fix="Compare it with docs/api.json.",
        ) from error


def _json_number(amount: Decimal) -> int | float:
    """Return the amount for JSON, which writes the shortest digits that mean it."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("a count can't be negative")
    return number


def _whole_seconds(text: str) -> int:
    try:
        seconds = int(text)
    except ValueError:
        seconds = 0
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 1 on")
    return seconds
