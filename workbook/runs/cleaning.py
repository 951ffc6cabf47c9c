"""Taking away what runs left behind, and saying what went."""

import shutil
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import psutil

from workbook import emulator, sweep, targets
from workbook.emulator import control_groups, guard
from workbook.errors import ParameterError, WorkbookError
from workbook.lab import REGISTRY, RESULTS, pending, undo
from workbook.records import read_lines
from workbook.runs.folder import RunFolder, all_of, shown

_STARTED_AFTER_S = 60


def clean(
    *,
    keep: int = 0,
    target: str | None = None,
    expired: bool = False,
    everyone: bool = False,
    results: Path = RESULTS,
    say: Callable[[str], None] = print,
) -> bool:
    """Stop the shared emulator and remove run folders, except the `keep` newest, and whatever else is left.

    On a `target` that lives on, whatever carries our tag or name goes too, without any folder: what the owner of the
    credentials made, or `everyone`; or only what is `expired`, whoever made it, and then no folder goes. See `sweep.sweep`.

    Returns whether everything could go. A folder that is in use stays, with what it made, and so does one whose lessons
    made something on LocalStack or AWS that can't be removed now: it is the only record of it.

    Raises:
        ParameterError: what is expired or everyone's was asked for without a target that lives on.
        TargetError: the target can't be reached, or may not be used.
    """
    there = targets.configured(target) if target and not targets.is_started_here(target) else None
    if there is None and (expired or everyone):
        raise ParameterError(
            f"There is no account to look for what is {'expired' if expired else 'everyone’s'} in.",
            why="Only what was made on a target that lives on is known by its tags.",
            fix="Name it as well: --target aws.",
        )
    if there and expired:
        return _told(there, _sweep(there, results, say, expired=True), say)
    if running := emulator.find(results / REGISTRY.name):
        running.stop()
        say(f"Stopped the emulator of JupyterLab at {running.endpoint}.")
    kept_by_count, folders = all_of(results)[:keep], all_of(results)[keep:]
    busy = [folder for folder in folders if RunFolder(folder).in_use()]  # also if it ends meanwhile
    kept = [folder for folder in folders if not _remove_run(folder, say)]
    if there:
        swept = _sweep(there, results, say, kept=[*kept_by_count, *busy], everyone=everyone)
        kept = [folder for folder in kept if folder in busy or not _remove_run(folder, say)]
    for leftover in [*_strays(Path(tempfile.gettempdir())), *_own_files(results)]:
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        say(f"Removed {shown(leftover)}.")
    for group in [group for place in control_groups.places() for group in _strays(place)]:
        guard.dissolve(group)
        say(f"Removed {group}.")
    return (there is None or _told(there, swept, say)) and not kept


def _sweep(
    target: targets.Target,
    results: Path,
    say: Callable[[str], None],
    *,
    kept: Collection[Path] = (),
    expired: bool = False,
    everyone: bool = False,
) -> sweep.Swept:
    """Remove what is ours on a target, but for runs in use here and those whose folders are kept."""
    staying = {folder for folder in all_of(results) if RunFolder(folder).in_use()} | set(kept)
    runs = {run for folder in staying for run in _runs_of(folder)}
    return sweep.sweep(target, expired=expired, everyone=everyone, keep=runs, say=say)


def _told(target: targets.Target, swept: sweep.Swept, say: Callable[[str], None]) -> bool:
    """Say in one line what is left on a target, and return whether that is nothing."""
    say(f"{target.region}, account {target.account_id}: {swept}")
    return not swept.left


def _runs_of(folder: Path) -> set[str]:
    """Return the run ids that a run folder's journals tell of."""
    journals = folder.glob("journal/*.jsonl")
    return {line["run_id"] for journal in journals for line in read_lines(journal) if "run_id" in line}


def _remove_run(folder: Path, say: Callable[[str], None]) -> bool:
    if RunFolder(folder).in_use():
        say(f"Kept {shown(folder)}: it is in use.")
        return False
    try:
        for journal in sorted(folder.glob("journal/*.jsonl")):
            for sitting in pending(journal):
                opened = sitting.opened
                if not targets.is_started_here(opened["target"]):  # such a one took everything with it when it ended
                    there = targets.configured(opened["target"], endpoint=opened["endpoint"])
                    there = replace(there, region=opened.get("region", there.region))  # a run stays where it was
                    undo(journal, sitting, there, say)
    except WorkbookError as error:
        say(f"Kept {shown(folder)}, the only record of what its lessons made: {error}")
        return False
    shutil.rmtree(folder)
    say(f"Removed {shown(folder)}.")
    return True


def _strays(place: Path) -> list[Path]:
    """Return the folders there of emulators that no longer run, and whose guard didn't live to remove them."""

    def is_old(folder: Path) -> bool:  # a younger one may belong to an emulator that is just being started
        return time.time() - folder.stat().st_mtime > _STARTED_AFTER_S

    command_lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    folders = place.glob("workbook-emulator-*")
    return [
        folder for folder in folders if is_old(folder) and not any(folder.stem in line for line in command_lines)
    ]  # the stem: after it, a control group names its process


def _own_files(results: Path) -> list[Path]:
    """Return the files and caches that the workbook keeps beside its run folders."""
    return sorted([*results.glob(".*"), *results.glob("*.log"), *results.glob("bench-*.json")])
