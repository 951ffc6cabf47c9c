"""The peers: plain MiniStack as its own command starts it, and command-line tools in environments of their own."""

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from workbook.emulator.server import HOST, settings

HERE = Path(__file__).parent


@contextlib.contextmanager
def plain_ministack() -> Iterator[str]:
    """Run the `ministack` command until the block ends; the value is its endpoint, given as soon as it answers."""
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder:
        port = free_port()
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ministack"))],
            env=settings(Path(folder), port, "000000000000"),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_answer(port, process)
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            process.wait(30)


def tool(name: str, command: str) -> Path:
    """Return the path of a command-line tool, installed from `requirements-NAME.txt` the first time."""
    home = HERE / ".peers" / name
    path = home / "bin" / command
    if not path.exists():
        print(f"Installing {name} into {home.relative_to(HERE.parent)}, once.")
        venv.create(home, with_pip=True, clear=True)
        requirements = HERE / f"requirements-{name}.txt"
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        subprocess.run(pip, check=True, capture_output=True)
    return path


def free_port() -> int:
    """Return a loopback port that is free now."""
    import socket

    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


def clean_environment(endpoint: str) -> dict[str, str]:
    """Return the variables with which any AWS tool talks to an emulator and to nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    }


def _await_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/_ministack/health")
            connection.getresponse().read()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
