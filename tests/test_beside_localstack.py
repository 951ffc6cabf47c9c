"""`python tests/localstack COMMAND` where LocalStack can't be installed. Where it can, `make test-localstack` tests the rest."""

import subprocess
import sys
from pathlib import Path

import pytest

BESIDE = Path(__file__).resolve().parent / "localstack"


@pytest.mark.parametrize("shim", [False, True], ids=["none", "a shim that leads nowhere"])
def test_without_a_new_enough_python_nothing_is_run(tmp_path: Path, shim: bool) -> None:
    """It says so in a sentence, leaves the command alone, and is no failure."""
    if shim:
        (tmp_path / "python3.13").write_text("#!/bin/sh\nexit 127\n")
        (tmp_path / "python3.13").chmod(0o755)
    said = subprocess.run(
        [sys.executable, BESIDE, "no-such-command"],
        env={"HOME": str(tmp_path), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (said.returncode, said.stderr)
    assert said.stdout.startswith("LocalStack needs one of python3.13, python3.14, and this machine has none")
