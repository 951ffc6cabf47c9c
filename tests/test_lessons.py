"""The lessons as files: every rule of a notebook that can be read off it."""

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from workbook import lessons
from workbook.exercises import RULES

PARAMETERS = {"run_id": "str", "seed": "int", "repeats": "int", "target": "str", "quick": "bool"}
NOTEBOOKS = {lesson.name: json.loads(lesson.path.read_text(encoding="utf-8")) for lesson in lessons.table()}
every_lesson = pytest.mark.parametrize("notebook", NOTEBOOKS.values(), ids=NOTEBOOKS)


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tagged(notebook: dict, tag: str) -> list[dict]:
    return [cell for cell in notebook["cells"] if tag in cell["metadata"].get("tags", [])]


def test_the_first_two_lessons_are_there():
    """The reading order begins with the start and the first function."""
    assert ["00_start_here", "01_first_function"] == list(NOTEBOOKS)[:2]


@every_lesson
def test_the_title_is_a_question(notebook: dict):
    """A lesson asks one question, and its title is that question."""
    assert re.fullmatch(r"# .+\?", source(notebook["cells"][0]).splitlines()[0])


@every_lesson
def test_parameters_are_typed_literals_with_help(notebook: dict):
    """One cell holds the five common parameters, each with type, literal and a comment that explains it."""
    (cell,) = tagged(notebook, "parameters")
    found = {}
    for line in source(cell).splitlines():
        match = re.fullmatch(r"(\w+): (\w+) = (.+?)  # (.{10,})", line)
        assert match, f"no typed literal with help: {line}"
        ast.literal_eval(match[3])
        found[match[1]] = match[2]
    assert PARAMETERS.items() <= found.items()


@every_lesson
def test_cells_are_short_and_explained(notebook: dict):
    """No code cell is over 20 lines, and never more than two stand in a row without a word."""
    kinds = "".join(cell["cell_type"][0] for cell in notebook["cells"])
    assert "ccc" not in kinds
    assert 20 >= max(len(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")


@every_lesson
def test_cells_are_plain_python(notebook: dict):
    """No magics and no shell lines: a notebook is Python, and says what it depends on."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            ast.parse(source(cell))


@every_lesson
def test_prose_holds_no_measured_number(notebook: dict):
    """A number with a unit of time or memory belongs into an output, where it has its provenance."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            prose = re.sub(r"```.*?```|`[^`]*`", "", source(cell), flags=re.DOTALL)
            assert [] == re.findall(r"\d[\d.,]* ?(?:ms|milliseconds|MB|GB|%)(?!\w)", prose)


@every_lesson
def test_every_exercise_has_a_rule_a_solution_and_a_slip(notebook: dict):
    """Behind each stub stand a folded solution and a folded slip, one Python fence each, and the package knows its rule."""
    cells = notebook["cells"]
    stubs = [index for index, cell in enumerate(cells) if "exercise" in cell["metadata"].get("tags", [])]
    assert 2 <= len(stubs) <= 4
    for index in stubs:
        number = cells[index]["metadata"]["workbook"]["exercise"]
        assert number in RULES
        assert f'answer = ...\nlab.check("{number}", answer)' == source(cells[index])
        for cell, tag in zip(cells[index + 1 : index + 3], ("solution", "wrong"), strict=True):
            assert [tag] == cell["metadata"]["tags"]
            assert re.fullmatch(r"<details>.*?```python\n.*?```\n\n</details>", source(cell), re.DOTALL)
            assert 1 == source(cell).count("```python")


@every_lesson
def test_every_guess_is_optional(notebook: dict):
    """A guess cell holds None and its unit, so that nobody has to guess."""
    assert tagged(notebook, "guess")
    for cell in tagged(notebook, "guess"):
        assert re.fullmatch(r"guess = None  # \w[\w ]+", source(cell))


@every_lesson
def test_it_breaks_something_concludes_and_clears_up(notebook: dict):
    """A lesson fails on purpose once, tests what it concludes, and takes away what it made."""
    text = "\n".join(source(cell) for cell in notebook["cells"])
    assert "### What happened?" in text
    assert 3 <= text.count("lab.saw(")
    assert "lab.close()" == source(notebook["cells"][-1])


@every_lesson
def test_every_figure_has_alt_text(notebook: dict):
    """Who can't see a figure reads what it shows."""
    text = "\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert text.count("plots.show(") == text.count("alt=")
    assert "plots.show(" in text


def test_the_readme_has_the_table_of_lessons():
    """The README's table is the one that the notebooks make."""
    readme = (Path(lessons.FOLDER).parent / "README.md").read_text(encoding="utf-8")
    assert lessons.table().to_markdown() in readme


def test_the_readme_explains_the_parameters_of_every_lesson():
    """The README's table has the parameters that every notebook declares, and no other."""
    readme = (Path(lessons.FOLDER).parent / "README.md").read_text(encoding="utf-8")
    assert PARAMETERS == dict(re.findall(r"^\| `(\w+)` \| (str|int|bool) \|", readme, re.MULTILINE))


def test_the_contributors_street_is_the_one_that_is_enforced():
    """The order of modules in CONTRIBUTING is that of the import contract."""
    root = Path(lessons.FOLDER).parent
    (contract, *_) = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (street,) = re.findall(r"^`(errors · .*)`\.$", (root / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert contract["layers"][::-1] == street.split(" · ")


def test_the_map_links_from_beside_the_notebooks():
    """In a notebook the map's links lead to the files next to it."""
    assert "](00_start_here.ipynb)" in lessons.table()._repr_markdown_()
