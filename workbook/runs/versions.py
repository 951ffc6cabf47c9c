"""What a result depends on beside the notebook: the versions of everything, and the state of the repository."""

import os
import platform
import subprocess
from importlib import metadata
from typing import Any

from workbook.emulator import clean_room
from workbook.errors import SetupError
from workbook.lab import ROOT


def versions() -> dict[str, Any]:
    """Return the versions of the interpreter, the platform, Node and every package that is installed."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "node": _node(),
        "packages": dict(sorted((one.name, one.version) for one in metadata.distributions())),
    }


def _node() -> str | None:
    """Return the version of the Node that handlers run under, or None if there is none."""
    try:
        return subprocess.run(
            [clean_room.node(), "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except SetupError:
        return None


def git_state() -> dict[str, Any]:
    """Return the revision of the repository and whether files differ from it; the revision is None outside git."""
    revision = _git("rev-parse", "HEAD")
    return {"revision": revision, "dirty": revision is not None and bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    """Return what git prints, or None if there is no git, no repository or no revision."""
    try:
        answer = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
