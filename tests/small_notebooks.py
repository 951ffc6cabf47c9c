"""Notebooks that tests write for themselves: as small as a lesson can be."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """\
run_id: str = ""  # names what the run makes
seed: int = 1  # for everything random
repeats: int = 3  # calls per measurement
target: str = "embedded"  # where AWS calls go
quick: bool = False  # fewer repeats
"""


def write(folder: Path, name: str, *code: str, parameters: str = PARAMETERS, exclusive: bool = False) -> Path:
    """Write a notebook of a title, a parameters cell and some code cells, and return its path."""
    cells = [
        new_markdown_cell(f"# What does {name} show?"),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *(new_code_cell(source) for source in code),
    ]
    return write_cells(folder, name, cells, exclusive=exclusive)


def write_cells(folder: Path, name: str, cells: list[nbformat.NotebookNode], *, exclusive: bool = False) -> Path:
    """Write a notebook of the given cells, with the metadata that every lesson has, and return its path."""
    about = {"exclusive": exclusive, "targets": ["embedded", "localstack", "aws"], "minutes": 1}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(
        cells=cells, metadata={"workbook": about, "kernelspec": kernel, "language_info": {"name": "python"}}
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def stub(exercise: str, source: str) -> nbformat.NotebookNode:
    """Return the code cell of an exercise that nobody has attempted."""
    return new_code_cell(source, metadata={"tags": ["exercise"], "workbook": {"exercise": exercise}})


def folded(tag: str, source: str) -> nbformat.NotebookNode:
    """Return the folded cell that holds an answer."""
    text = f"<details><summary>{tag}</summary>\n\n```python\n{source}\n```\n\n</details>"
    return new_markdown_cell(text, metadata={"tags": [tag]})


def outputs(path: Path) -> list[str]:
    """Return what the cells of an executed notebook printed or showed."""
    cells = nbformat.read(path, as_version=4).cells
    shown = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    return ["".join(one.get("text") or one.get("data", {}).get("text/plain", "")).strip() for one in shown]
