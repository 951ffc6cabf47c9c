"""The README's picture: the key figure of lesson 01, out of a run that is made for it."""

import base64
import json
from pathlib import Path

from workbook.errors import NotebookError
from workbook.lab import ROOT
from workbook.runs.runner import run

_LESSON = "01_first_function"
PICTURE = ROOT / "docs" / "heartbeat.png"


def refresh(picture: Path = PICTURE) -> None:
    """Run the lesson and keep its figure as a PNG file.

    Raises:
        NotebookError: the lesson did not pass; the picture stays as it was.
    """
    report = run(only=(_LESSON,))
    if report.exit_status:
        raise NotebookError(f"{_LESSON} did not pass.", why="So there is no new picture.", fix="Mend the lesson first.")
    notebook = json.loads((report.folder / "notebooks" / f"{_LESSON}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    (figure,) = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    picture.write_bytes(base64.b64decode(figure))
