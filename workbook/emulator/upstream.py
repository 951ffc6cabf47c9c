"""Asks the newest MiniStack which corrections it still needs: `make upstream`. Needs the package index; never part of CI.

The newest release goes into a virtual environment of its own, is started as it is, and every correction's probe is run
against it. What a probe finds put right can go from `corrections` when the pinned version is raised.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbook.emulator.corrections import CORRECTIONS
from workbook.emulator.corrections.probes import PROBES
from workbook.emulator.guard import Guard
from workbook.emulator.server import HOST, await_answer, listen, settings, spawn
from workbook.errors import SetupError, WorkbookError
from workbook.targets import Target, connect

_PACKAGES = ("ministack", "aws-sam-translator")  # the second is what MiniStack reads SAM templates with


def main() -> None:
    """Print a table: each correction, and whether the newest MiniStack still needs it."""
    with tempfile.TemporaryDirectory(prefix="workbook-upstream-") as folder:
        python = install_newest(Path(folder))
        print(f"MiniStack {_version(python)}, as it is:")
        width = max(len(correction.name) for correction in CORRECTIONS)
        with plain(python) as endpoint:
            target = connect("embedded", endpoint=endpoint)
            for correction in CORRECTIONS:
                print(f"  {correction.name:{width}} {verdict(correction.name, target):18} {correction.restores}")


def verdict(name: str, target: Target) -> str:
    """Return what a correction's probe says about a MiniStack."""
    try:
        return "no longer needed" if PROBES[name](target) else "still needed"
    except Exception as error:  # whatever a new release does, it is an answer, and the other probes have theirs to give
        return f"probe failed: {error!r}"


def install_newest(folder: Path) -> Path:
    """Install the newest MiniStack into a virtual environment below a folder, and return its interpreter.

    Raises:
        SetupError: pip could not install it.
    """
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    python = folder / "venv" / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *_PACKAGES]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if pip.returncode != 0:
        _, _, reason = pip.stderr.strip().rpartition("\n")
        raise SetupError(
            f"The newest MiniStack could not be installed: {reason}",
            why="Without it nothing can be said about it.",
            fix="Check the network and pip's index, and try again.",
        )
    return python


@contextmanager
def plain(python: Path) -> Iterator[str]:
    """Start an interpreter's MiniStack as it is, without execution environments of ours or corrections; yield its endpoint.

    Raises:
        SetupError: it did not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="workbook-plain-"))
    log = folder / "log"
    guard = Guard(folder)
    with listen() as listener, log.open("wb") as output:
        port = listener.getsockname()[1]
        command = [python, "-m", "hypercorn", "ministack.app:app", "--bind", f"fd://{listener.fileno()}"]
        process = spawn(command, listener, settings(folder, port), folder, output)
    try:
        guard.watch(process.pid)  # and with it MiniStack's workers, which share its process group
        await_answer(port, log)
        yield f"http://{HOST}:{port}"
    finally:
        guard.close()
        process.wait()


def _version(python: Path) -> str:
    question = "import importlib.metadata; print(importlib.metadata.version('ministack'))"
    return subprocess.run([python, "-c", question], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    try:
        main()
    except WorkbookError as error:
        sys.exit(str(error))
