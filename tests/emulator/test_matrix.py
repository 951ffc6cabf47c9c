"""The matrix of lesson 02 tells what the emulator does by itself from what only our corrections supply."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from workbook import lessons
from workbook.emulator.guard import Guard
from workbook.emulator.server import HOST, await_answer, listen, settings, spawn

# Without these the lesson's stack has no routes, or no answer from a preflight's mock, and nothing could be asked.
NEEDED = {"log_streams", "invoke_request_id", "http_api_body", "rest_api_routes"}
LAUNCH = f"""
import socket, sys
from pathlib import Path
from workbook.emulator import corrections, launch
corrections.CORRECTIONS = tuple(one for one in corrections.CORRECTIONS if one.name in {NEEDED!r})
launch.main(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
"""


@pytest.fixture
def uncorrected(tmp_path: Path) -> Iterator[str]:
    """The endpoint of our emulator with no more corrections than the lesson's stack needs to be deployed."""
    folder, log = tmp_path / "emulator", tmp_path / "log"
    folder.mkdir()
    guard = Guard(folder)
    with listen() as listener, log.open("wb") as output:
        port = listener.getsockname()[1]
        command = [sys.executable, "-P", "-c", LAUNCH, folder, f"{listener.fileno()}", f"{os.getpid()}"]
        process = spawn(command, listener, settings(folder, port), folder, output)
    try:
        guard.watch(process.pid)
        await_answer(port, log)
        yield f"http://{HOST}:{port}"
    finally:
        guard.close()
        process.wait()


def matrix(endpoint: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Return the matrix as the notebook makes it on an emulator, cell by cell up to the one that asks for it."""
    monkeypatch.setenv("WORKBOOK_ENDPOINT", endpoint)
    monkeypatch.setenv("WORKBOOK_RUN_FOLDER", str(folder))
    notebook = json.loads((lessons.FOLDER / "02_front_door.ipynb").read_text(encoding="utf-8"))
    names: dict = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            exec(compile(source, "02_front_door", "exec"), names)
            if "lab.beside(" in source:
                break
    names["lab"].close()
    return names["matrix"].set_index(["case", "where"])


def test_what_a_correction_supplies_is_called_restored(
    ours, uncorrected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell agrees by itself if it shows the same without the corrections; if it doesn't, one of them is named for it."""
    bare = matrix(uncorrected, tmp_path / "bare", monkeypatch)
    full = matrix(ours.endpoint, tmp_path / "full", monkeypatch)
    changed = full.index[bare["observed"] != full["observed"]]
    restored = full["restored_by"].dropna()
    assert set(restored[~restored.isin(NEEDED)].index) == set(changed)
    assert {"yes", "not documented"} >= set(full.loc[full["restored_by"].isna(), "agrees"])
