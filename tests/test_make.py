"""The commands of the Makefile, on a copy of the repository that has no virtual environment yet."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="this machine has no make")


@pytest.fixture
def make(tmp_path):
    """Run make in the copy, where no network answers, and return what came of it."""
    for file in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path / file)
    offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE"))}

    def run_make(*arguments: str, **shell: str) -> subprocess.CompletedProcess[str]:
        command = ["make", f"PYTHON={sys.executable}", *arguments]
        env = ours | offline | shell
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    return run_make


@pytest.fixture
def fresh(tmp_path):
    """A stand-in for an environment that has been set up: an interpreter, and the file that says so."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / ".venv/.made-in").write_text(f"{tmp_path}\n")
    (tmp_path / ".venv/.ready").touch()
    return tmp_path / ".venv/.ready"


def test_make_alone_lists_every_command(make):
    """Whoever types make sees all that there is, and nothing is set up for that."""
    commands = re.search(r"\.PHONY: (.*)", (ROOT / "Makefile").read_text())[1].split()

    listing = make()

    assert 0 == listing.returncode
    assert sorted({*commands} - {"help"}) == sorted(re.findall(r"^make ([\w-]+) ", listing.stdout, re.MULTILINE))


def test_without_a_network_the_set_up_ends_in_a_sentence(tmp_path, make):
    """It says what failed and what to do, and the next try begins where this one ended."""
    answer = make("doctor")

    assert 0 != answer.returncode
    assert "The packages could not be installed; .venv/setup.log says why. If there is no network" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert (
        "127.0.0.1:9" in (tmp_path / ".venv/setup.log").read_text()
        or "No matching" in (tmp_path / ".venv/setup.log").read_text()
    )
    assert not (tmp_path / ".venv/.ready").exists()


@pytest.mark.parametrize("python", ["no-such-python", "false"])
def test_a_missing_or_old_python_ends_in_a_sentence(make, python):
    """It says which Python is needed and how to name it."""
    answer = make("run", f"PYTHON={python}")

    assert 0 != answer.returncode
    assert f"{python} is missing or older than Python 3.11. Install 3.11 or newer and name it" in answer.stderr


def test_a_fresh_environment_is_left_alone(tmp_path, make, fresh):
    """Nothing is installed, so no network is asked, as long as nothing changed."""
    assert "pip install" not in make("--dry-run", "run").stdout


def test_another_python_that_is_named_is_used(tmp_path, make, fresh):
    """Who asks for a Python gets an environment of that Python, and not silently of the one before."""
    other = tmp_path / "other-python"
    other.write_text("#!/bin/sh\necho 3.99.0\n")
    other.chmod(0o755)

    assert f"{other} -m venv --clear" in make("--dry-run", "run", f"PYTHON={other}").stdout


@pytest.mark.parametrize("cause", ["changed", "moved", "gone"])
def test_a_stale_environment_is_set_up_again(tmp_path, make, fresh, cause):
    """New requirements, a folder that was moved, a Python that was taken away."""
    if cause == "moved":
        (tmp_path / ".venv/.made-in").write_text("/elsewhere\n")
    if cause == "changed":
        os.utime(tmp_path / "requirements.txt", (fresh.stat().st_mtime + 5,) * 2)
    if cause == "gone":
        (tmp_path / ".venv/bin/python").unlink()

    assert "pip install" in make("--dry-run", "run").stdout


CONSENT = {"WORKBOOK_ACCOUNT": "123456789012", "WORKBOOK_MAX_USD": "2.50", "AWS_REGION": "eu-west-1"}


@pytest.mark.parametrize("command", ["run", "doctor"])
@pytest.mark.parametrize("given", ["on the command line", "in the shell"])
def test_consent_reaches_what_make_runs(tmp_path, make, fresh, command, given):
    """Account, cap and region are the recipe's too, however make was told of them."""
    seen = tmp_path / "seen"
    python = tmp_path / ".venv/bin/python"
    python.unlink()
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} "$@"\necho "$@" >{seen}; env >>{seen}\n')
    python.chmod(0o755)
    fresh.touch()

    pairs = [f"{name}={value}" for name, value in CONSENT.items()]
    answer = (
        make(command, "TARGET=aws", *pairs)
        if given == "on the command line"
        else make(command, "TARGET=aws", **CONSENT)
    )

    assert 0 == answer.returncode, answer.stderr
    told = seen.read_text().splitlines()
    assert f"-m workbook {command} --target aws" == told[0]
    assert {*pairs} <= {*told}
