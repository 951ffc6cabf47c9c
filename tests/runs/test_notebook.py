"""Which notebooks are run, and what they are given."""

import pytest
import small_notebooks
from nbformat.v4 import new_code_cell, new_markdown_cell

from workbook.errors import NotebookError, ParameterError
from workbook.runs import Answers
from workbook.runs.notebook import choose


def test_names_and_beginnings_choose_notebooks_in_reading_order(notebooks):
    """`--only` takes names or how they begin, and the order is that of reading."""
    for name in ("02_second", "01_first", "10_tenth"):
        small_notebooks.write(notebooks, name)

    assert ["01_first", "10_tenth"] == [notebook.name for notebook in choose(notebooks, ("10_tenth", "01"))]


@pytest.mark.parametrize("only", [("99",), ("01", "99")])
def test_an_empty_selection_is_an_error_with_the_valid_names(notebooks, only):
    """A run of nothing would look like a success."""
    small_notebooks.write(notebooks, "01_first")

    with pytest.raises(ParameterError, match=r"'99'.*01_first"):
        choose(notebooks, only)


def test_a_folder_without_notebooks_is_an_error(notebooks):
    """So would a run in the wrong folder."""
    with pytest.raises(ParameterError, match="Name a folder"):
        choose(notebooks)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reapeats": "5"}, r"(?s)'reapeats' is not a parameter.*repeats: int = 3  # calls per measurement"),
        ({"target": "aws"}, "'target' is not a parameter that can be set"),
        ({"repeats": "many"}, "'many' is not a value for repeats: it takes int"),
        ({"repeats": "2.5"}, "'2.5' is not a value for repeats"),
        ({"repeats": "0"}, "repeats=0 measures nothing"),
        ({"repeats": "-3"}, "repeats=-3 measures nothing"),
        ({"repeats": "True"}, "'True' is not a value for repeats"),
    ],
)
def test_a_setting_that_would_not_count_is_an_error_before_anything_runs(
    tmp_path, notebooks, quietly, settings, message
):
    """A name that no notebook declares, or a value of another type, ends the run at once and says what there is."""
    small_notebooks.write(notebooks, "01_first")

    with pytest.raises(ParameterError, match=message):
        quietly(settings=settings)
    assert not (tmp_path / "run").exists()


def test_settings_reach_only_the_notebooks_that_declare_them_in_the_declared_type(tmp_path, notebooks, quietly):
    """Texts from the command line arrive as int, float, bool, str and list."""
    more = "share: float = 0.5\nverbose: bool = False\nsizes_mb: list[int] = [128]\ntitle: str = 'a'\n"
    small_notebooks.write(
        notebooks, "01_more", "repeats, share, verbose, sizes_mb, title", parameters=small_notebooks.PARAMETERS + more
    )
    small_notebooks.write(notebooks, "02_fewer", "repeats")
    settings = {"repeats": "7", "share": "1", "verbose": "true", "sizes_mb": "[256, 512]", "title": "5"}

    quietly(settings=settings)

    assert ["(7, 1.0, True, [256, 512], '5')"] == small_notebooks.outputs(tmp_path / "run/notebooks/01_more.ipynb")
    assert ["7"] == small_notebooks.outputs(tmp_path / "run/notebooks/02_fewer.ipynb")


def test_a_notebook_that_lacks_a_common_parameter_is_an_error(notebooks, quietly):
    """Papermill alone would set a name that nothing reads."""
    small_notebooks.write(notebooks, "01_first", parameters='run_id: str = ""\ntarget: str = "embedded"\n')

    with pytest.raises(NotebookError, match=r"01_first.ipynb declares no parameter 'quick'"):
        quietly()


def test_a_broken_notebook_is_named_before_anything_runs(notebooks, quietly):
    """A file that isn't a notebook ends the run in a sentence, unless it isn't chosen."""
    small_notebooks.write(notebooks, "01_first")
    (notebooks / "02_broken.ipynb").write_text('{"cells": [')

    assert ["01_first"] == [notebook.name for notebook in choose(notebooks, ("01",))]
    with pytest.raises(NotebookError, match=r"02_broken.ipynb can't be read as a lesson"):
        quietly()


@pytest.mark.parametrize(
    ("answers", "seen"), [("untouched", "Ellipsis"), ("solution", "42"), ("wrong", "'six'"), ("both", "42")]
)
def test_answers_take_the_place_of_the_stub(tmp_path, notebooks, quietly, answers, seen):
    """The exercise is run as it stands, with its solution, with its wrong answer, or with that and then the solution."""
    small_notebooks.write_cells(
        notebooks,
        "01_first",
        [
            new_markdown_cell("# A question?"),
            new_code_cell(small_notebooks.PARAMETERS, metadata={"tags": ["parameters"]}),
            small_notebooks.stub("01.1", "answer = ...\nanswer"),
            small_notebooks.folded("solution", "answer = 42\nanswer"),
            small_notebooks.folded("wrong", "answer = 'six'\nanswer"),
        ],
    )

    quietly(answers=Answers(answers))

    assert [seen] == small_notebooks.outputs(tmp_path / "run/notebooks/01_first.ipynb")


def test_an_exercise_without_its_answer_is_an_error(notebooks):
    """An answer of the next exercise isn't taken for it."""
    cells = [
        new_markdown_cell("# A question?"),
        small_notebooks.stub("01.1", "..."),
        small_notebooks.stub("01.2", "..."),
        small_notebooks.folded("solution", "1"),
    ]
    small_notebooks.write_cells(notebooks, "01_first", cells)

    with pytest.raises(NotebookError, match=r"Exercise 01.1 .* has no answer tagged solution"):
        choose(notebooks)[0].prepare(Answers.SOLUTION)
