"""Handler folder -> deterministic zip, and a look at the code before it travels."""

import ast
import hashlib
import importlib.metadata
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbook.emulator.clean_room import node, with_requirements
from workbook.errors import DeployError

_LEFT_OUT = {"__pycache__", "tests"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest moment that a zip file can hold
_PIN = re.compile(r"([\w.-]+)==([\w.]+)")
# What an installer writes beside a distribution's own files, which differs between machines:
# https://packaging.python.org/en/latest/specifications/recording-installed-packages/
_INSTALLERS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_FILE_MODE = 0o100644  # a regular file; Lambda's own user must be able to read it

# Modules that python3.12 and python3.13 took out of the standard library:
# https://docs.python.org/3/whatsnew/3.12.html#removed and https://docs.python.org/3/whatsnew/3.13.html#removed-modules-and-apis
_REMOVED_MODULES = {
    *("asynchat", "asyncore", "distutils", "imp", "smtpd"),
    *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib", "nis", "nntplib"),
    *("ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
}


@dataclass(frozen=True)
class Package:
    """A zip file in memory, and the SHA-256 of its bytes in hexadecimal."""

    content: bytes
    sha256: str


def zip_folder(folder: Path) -> Package:
    """Return a handler folder as a zip file: the same files give the same bytes, on every machine and at any time.

    Left out are dot files, `__pycache__` and `tests`. What a `requirements.txt` in the folder pins is put beside the code,
    with all that it needs, as `sam build` does
    (https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build.html).
    It is taken from this environment, so that nothing has to be downloaded.

    Raises:
        DeployError: there is no such folder, or nothing in it; or a requirement isn't a pin, is not installed in that
            version, or isn't pure Python, which alone runs on every processor.
    """
    own = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    if not own:
        raise DeployError(
            f"The handler folder {folder} is {'empty' if folder.is_dir() else 'not there'}.",
            why="A function needs code.",
            fix="Correct CodeUri in the template: it is relative to the template's own folder.",
        )
    files = {**_dependencies(folder / "requirements.txt"), **own}
    buffer = io.BytesIO()
    # Stored, not compressed: zlib's output differs between machines, and handlers are small.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = _FILE_MODE << 16
            archive.writestr(entry, files[name].read_bytes())
    content = buffer.getvalue()
    return Package(content, hashlib.sha256(content).hexdigest())


def check_runtime(folder: Path, runtime: str) -> None:
    """Check that a handler folder's code can run under the managed runtime that it names.

    Python code has to compile and import no module that python3.13 doesn't have; Node has to be able to parse every script.

    Raises:
        DeployError: some code can't run there; the message begins with file and line.
        SetupError: there is JavaScript to check, and no Node to check it with.
    """
    checks = {"python3.13": _check_python, "nodejs22.x": _check_node}
    if runtime not in checks:
        raise DeployError(
            f"{folder.name} names the runtime {runtime!r}.",
            why="The workbook can only run and check what it knows.",
            fix=f"Use one of: {', '.join(checks)}.",
        )
    checks[runtime](folder)


def _files(folder: Path) -> Iterator[Path]:
    """Yield those files of a handler folder that belong into the package, in an order that depends on the names only."""
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part in _LEFT_OUT or part.startswith(".") for part in parts):
            yield path


def _dependencies(requirements: Path) -> dict[str, Path]:
    """Return the files of what a requirements file pins, and of all that it needs, by their names in the package."""
    if not requirements.exists():
        return {}
    try:
        found = with_requirements(_pinned(requirements))
    except importlib.metadata.PackageNotFoundError as error:
        raise DeployError(
            f"{requirements} needs {error.name}, which is not installed here.",
            why="A function's package is made from what the workbook's own environment has.",
            fix="Pin it in the workbook's requirements.txt, then run `make run`.",
        ) from error
    return {name: path for distribution in found for name, path in _pure_files(distribution)}


def _pinned(requirements: Path) -> list[str]:
    """Return the names of the distributions that a requirements file pins, each to the version that is installed."""
    names = []
    for number, line in enumerate(requirements.read_text(encoding="utf-8").splitlines(), start=1):
        if not (text := line.partition("#")[0].strip()):
            continue
        pin = _PIN.fullmatch(text)
        if not pin:
            raise DeployError(
                f"{requirements}:{number}: {text!r} is not a pin.",
                why="What a function is made of must be known.",
                fix="Name one version, as in pg8000==1.31.6.",
            )
        name, version = pin.groups()
        if (installed := importlib.metadata.version(name)) != version:
            raise DeployError(
                f"{requirements}:{number}: wants {name} {version}, and {installed} is installed.",
                why="A function's package is made from what the workbook's own environment has.",
                fix="Pin the same version here and in the workbook's requirements.txt.",
            )
        names.append(name)
    return names


def _pure_files(distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, Path]]:
    """Yield name and place of each file of a distribution: its modules and what is known of it, without its programs."""
    if "Root-Is-Purelib: true" not in (distribution.read_text("WHEEL") or ""):
        raise DeployError(
            f"{distribution.name} is not pure Python.",
            why="What is installed here is for this processor and system, and Lambda's may be others.",
            fix="Use a distribution that is, or build the package with `sam build --use-container`.",
        )
    for file in distribution.files or []:
        is_installers = file.parent.suffix == ".dist-info" and file.name in _INSTALLERS
        if not ({"..", "__pycache__"} & set(file.parts) or is_installers):
            yield file.as_posix(), Path(distribution.locate_file(file))


def _check_python(folder: Path) -> None:
    own = {path.stem for path in folder.iterdir()}  # a handler's own pipes.py is not the one that is gone
    for path in _files(folder):
        if path.suffix != ".py":
            continue
        for line, module in _imports(_parsed(path)):
            if module in _REMOVED_MODULES - own:
                raise DeployError(
                    f"{path}:{line}: imports {module}.",
                    why="python3.13 no longer has that module, even if the Python on this machine does.",
                    fix="Use what its documentation names instead.",
                )


def _parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file that compiles, here and under python3.13."""
    try:
        tree = ast.parse(path.read_bytes(), str(path), feature_version=min((3, 13), sys.version_info[:2]))
        compile(tree, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise DeployError(
            f"{path}:{error.lineno}: {error.msg}.",
            why="Python can't compile it, so the function would fail in its init phase.",
            fix="Correct that line.",
        ) from error
    return tree


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and top-level name of each module that is imported absolutely."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            yield from ((statement.lineno, alias.name.partition(".")[0]) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
            yield statement.lineno, statement.module.partition(".")[0]


def _check_node(folder: Path) -> None:
    for path in _files(folder):
        if path.suffix not in {".js", ".mjs", ".cjs"}:
            continue
        done = subprocess.run([node(), "--check", path], capture_output=True, text=True, check=False)
        if done.returncode:
            where, *rest = done.stderr.splitlines()  # file:line, the line itself, and somewhere below the error
            fault = next((line for line in rest if line.startswith("SyntaxError")), "it is not a script")
            raise DeployError(
                f"{where}: {fault}.",
                why="Node can't parse it, so the function would fail in its init phase.",
                fix="Correct that line.",
            )
