"""A learner's first minute in a real browser: JupyterLab opens on the first lesson, and every cell runs."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LIMIT_S = 120

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium")


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return what a condition returns as soon as it holds."""
    deadline = time.monotonic() + LIMIT_S
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
    return answer


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """JupyterLab as `make lab` starts it, in a home of its own; the value is the address that it prints."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "jupyter_lab_config.py").write_text("c.LabApp.expose_app_in_browser = True\n")
    variables = {"HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "BROWSER": "true"}
    code = f"from pathlib import Path; from workbook.runs.session import open_jupyterlab; open_jupyterlab(results=Path({str(tmp_path)!r}))"
    said = tmp_path / "said"
    with said.open("wb") as output:
        lab = subprocess.Popen([sys.executable, "-c", code], env=os.environ | variables, stdout=output, stderr=output)
    try:
        yield until(lambda: re.search(r"http://127\.0\.0\.1:\d+/lab\S+", said.read_text()), "JupyterLab")[0]
    finally:
        lab.terminate()
        lab.wait(30)


@pytest.fixture
def evaluate(tmp_path: Path, address: str) -> Iterator[Callable[[str], Any]]:
    """A function that evaluates JavaScript in a headless Chromium that is at the address."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    profile = tmp_path / "profile"
    command = [CHROMIUM, *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}", address]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = until(
            lambda: (file := profile / "DevToolsActivePort").exists() and file.read_text(), "Chromium"
        ).split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as pages:
            page = next(page for page in json.load(pages) if page["type"] == "page")
        socket = websocket.create_connection(page["webSocketDebuggerUrl"], suppress_origin=True, timeout=LIMIT_S)

        def evaluate(expression: str) -> Any:
            message = {
                "id": 1,
                "method": "Runtime.evaluate",
                "params": {"expression": expression, "returnByValue": True},
            }
            socket.send(json.dumps(message))
            while (answer := json.loads(socket.recv())).get("id") != 1:
                pass
            return answer["result"]["result"].get("value")

        yield evaluate
        socket.close()
    finally:
        browser.terminate()
        browser.wait(30)


def test_the_first_lesson_opens_and_runs_to_its_end(evaluate: Callable[[str], Any], tmp_path: Path):
    """The lesson is on screen when the printed address is opened, finds the emulator, and takes away what it made."""
    title = until(lambda: evaluate("document.querySelector('.jp-Notebook h1')?.innerText"), "the lesson")
    assert title.startswith("What is this workbook")
    until(
        lambda: evaluate("jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status") == "idle", "a kernel"
    )
    evaluate("jupyterapp.commands.execute('notebook:run-all-cells'); 0")
    cells = "JSON.stringify(jupyterapp.shell.currentWidget.content.model.toJSON().cells)"

    def last_output() -> str:
        outputs = json.loads(evaluate(cells))[-1]["outputs"]
        return "".join("".join(output.get("text", output.get("traceback", ""))) for output in outputs)

    assert "removed stack" in until(last_output, "the last cell")
    executed = [cell for cell in json.loads(evaluate(cells)) if cell["cell_type"] == "code"]
    assert [] == [output for cell in executed for output in cell["outputs"] if output["output_type"] == "error"]
    (journal,) = tmp_path.glob("lab-*/journal/00_start_here.jsonl")
    assert '"kind": "conclusion"' in journal.read_text()
    assert not evaluate("document.body.innerText.includes('Jupyter news')")
