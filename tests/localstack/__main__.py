"""Runs a command with LocalStack beside it, from the package index and without Docker: `python tests/localstack COMMAND`.

LocalStack gets a virtual environment of its own, made once, and its functions run in the workbook's execution environments.
The command finds it by WORKBOOK_ENDPOINT. Where no Python is new enough for LocalStack, a sentence says so and nothing is run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from workbook.emulator.guard import Guard
from workbook.emulator.server import HOST, listen
from workbook.errors import SetupError, WorkbookError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv-localstack"
PYTHONS = ("python3.13", "python3.14")  # LocalStack 4.14.0 imports `deprecated` from `warnings`, new in 3.13
_START_S = 90  # a second or two; the first time, when bytecode is written, or on a busy machine, it takes longer
_WANTED = "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 13))"


def main(command: Sequence[str]) -> int:
    """Run a command beside LocalStack and return its exit status; 0 where LocalStack can't be installed."""
    python = find_python()
    if python is None:
        print(f"LocalStack needs one of {', '.join(PYTHONS)}, and this machine has none: nothing is run against it.")
        return 0
    install(python)
    with running() as endpoint:
        return subprocess.run(command, env=os.environ | {"WORKBOOK_ENDPOINT": endpoint}, check=False).returncode


def find_python() -> Path | None:
    """Return an interpreter that LocalStack runs under, from the path or among pyenv's; None if there is none."""
    named = [Path(found) for name in PYTHONS if (found := shutil.which(name))]
    for candidate in [*named, *sorted(Path.home().glob(".pyenv/versions/3.1[34].*/bin/python"))]:
        # a name on the path may be a version manager's shim that leads nowhere
        if subprocess.run([candidate, "-c", _WANTED], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def install(python: Path) -> None:
    """Make LocalStack's virtual environment, unless the one that is there was made from the same files.

    Raises:
        SetupError: pip could not install it.
    """
    given = [HERE / "requirements.txt", HERE / "constraints.txt", HERE / "executor" / "pyproject.toml"]
    made_from = hashlib.sha256(b"".join(path.read_bytes() for path in given) + bytes(VENV)).hexdigest()
    stamp = VENV / ".made-from"
    if stamp.exists() and stamp.read_text() == made_from:
        return
    print(f"Installing LocalStack into {VENV.name}: this takes two minutes, and happens once.", flush=True)
    subprocess.run([python, "-m", "venv", "--clear", VENV], check=True)
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    what = ["-r", given[0], "-c", given[1], "-e", ROOT, "-e", HERE / "executor"]
    installed = subprocess.run([*pip, *what], capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        raise SetupError(
            f"LocalStack could not be installed:\n{installed.stderr.strip()}",
            why="Without it nothing can be run against it.",
            fix="Check the network and pip's index, and try again.",
        )
    stamp.write_text(made_from)


@contextmanager
def running() -> Iterator[str]:
    """Start LocalStack on a free port of the loopback interface, yield its address, and end all that it started.

    Raises:
        SetupError: it ended, or did not answer in time.
    """
    folder = Path(tempfile.mkdtemp(prefix="workbook-localstack-"))
    log = folder / "log"
    guard = Guard(folder)
    try:
        with listen() as free:  # LocalStack can't take over an open socket
            port = free.getsockname()[1]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [VENV / "bin" / "python", "-m", "localstack.runtime.main"],
                env=settings(folder, port),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        guard.watch(process.pid)
        endpoint = f"http://{HOST}:{port}"
        await_answer(endpoint, process, log)
        yield endpoint
    finally:
        guard.close()


def settings(folder: Path, port: int) -> dict[str, str]:
    """Return LocalStack's whole environment: it keeps everything in a folder, and asks nothing of the internet.

    https://docs.localstack.cloud/aws/customization/configuration-options/
    """
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_LISTEN": f"{HOST}:{port}",
        "GATEWAY_SERVER": "hypercorn",  # the default one listens on every interface, whatever the line above says
        "DNS_ADDRESS": "0",  # no name server of its own
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",  # no usage reports
        "LAMBDA_RUNTIME_EXECUTOR": "workbook",
        "LAMBDA_RETRY_BASE_DELAY": "1",  # s between the attempts for an event, where AWS waits a minute
    }


def await_answer(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until LocalStack answers.

    Raises:
        SetupError: it ended, or did not answer in time.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this machine's loopback
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(f"{endpoint}/_localstack/health", timeout=_START_S):
                return
        except OSError:
            time.sleep(0.1)
    raise SetupError(
        "LocalStack did not start.",
        why="Without it nothing can be run against it.",
        fix=f"Its log ends with:\n{log.read_text(errors='replace')[-2000:]}",
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except WorkbookError as error:
        sys.exit(str(error))
