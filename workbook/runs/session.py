"""One sitting in JupyterLab: an emulator that ends with it, and a run folder of its own."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from workbook import emulator
from workbook.lab import REGISTRY, RESULTS, ROOT, new_run_id
from workbook.runs.folder import RunFolder, shown

_QUIET = (  # nothing is asked of the internet
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)


def open_jupyterlab(notebook: str = "00_start_here.ipynb", *, results: Path = RESULTS) -> NoReturn:
    """Start the emulator and become JupyterLab on a notebook. Does not return.

    Becoming it, rather than starting it, makes JupyterLab the emulator's owner: whatever ends the one ends the other, and
    signals need no passing on.

    Raises:
        SetupError: the emulator or the run folder can't be set up.
    """
    run = f"lab-{new_run_id()}"
    with RunFolder(results / run) as folder:
        running = emulator.start(log=folder.path / "logs" / "emulator.log", registry=results / REGISTRY.name)
        print(
            f"The embedded target answers at {running.endpoint}. What you try is kept in {shown(folder.path)}.",
            flush=True,
        )
        folder.hold_through_exec()
        first = f"--LabApp.default_url=/lab/tree/notebooks/{notebook}"  # in the printed address, too
        command = [sys.executable, "-m", "jupyterlab", first, f"--ServerApp.root_dir={ROOT}", *_QUIET]
        if os.geteuid() == 0:
            command.append("--allow-root")  # in a container there is often nobody else, and it listens on loopback only
        environment = os.environ | {"WORKBOOK_RUN_FOLDER": str(folder.path), "JUPYTER_PREFER_ENV_PATH": "1"}
        os.chdir(ROOT)
        os.execve(sys.executable, command, environment)
