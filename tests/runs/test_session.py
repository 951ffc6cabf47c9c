"""A sitting in JupyterLab, from its start to its end."""

import os
import subprocess
import sys
import time

from workbook import emulator
from workbook.lab import REGISTRY
from workbook.runs import RunFolder


def test_jupyterlab_has_an_emulator_and_a_run_folder_that_end_with_it(tmp_path, temporary):
    """While it runs, kernels find the emulator and the folder is held; nothing is left when it is stopped."""
    code = f"from pathlib import Path; from workbook.runs.session import open_jupyterlab; open_jupyterlab(results=Path({str(tmp_path)!r}))"
    home = {"HOME": str(tmp_path / "home"), "TMPDIR": str(temporary), "BROWSER": "true"}
    with (tmp_path / "output").open("wb") as output:
        lab = subprocess.Popen([sys.executable, "-c", code], env=os.environ | home, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while "is running at" not in (said := (tmp_path / "output").read_text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        running, folder = emulator.find(tmp_path / REGISTRY.name), next(tmp_path.glob("lab-*"))
        assert (lab.pid, True) == (running.owner_pid, RunFolder(folder).in_use())
    finally:
        lab.terminate()
        lab.wait(30)
    while running.alive() or any(temporary.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not RunFolder(folder).in_use()
