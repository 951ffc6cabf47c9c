"""The peers: command-line tools, each in a virtual environment of its own."""

import os
import subprocess
import venv
from pathlib import Path

HERE = Path(__file__).parent


def tool(name: str, command: str) -> Path:
    """Return the path of a command-line tool, installed from `requirements-NAME.txt` the first time."""
    home = HERE / ".peers" / name
    path = home / "bin" / command
    if not path.exists():
        print(f"Installing {name} into {home.relative_to(HERE.parent)}, once.")
        venv.create(home, with_pip=True, clear=True)
        requirements = HERE / f"requirements-{name}.txt"
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        subprocess.run(pip, check=True)
    return path


def clean_environment(endpoint: str, temporary: str) -> dict[str, str]:
    """Return the variables with which any AWS tool talks to an emulator and to nothing else, and leaves nothing behind."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "TMPDIR": temporary,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    }
