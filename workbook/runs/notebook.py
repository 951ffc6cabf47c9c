"""The notebooks that can be run: which there are, what each declares, and what it is given."""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import nbformat
import papermill

from workbook import lessons
from workbook.errors import NotebookError, ParameterError
from workbook.lessons import Lesson

_FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TYPES = {"bool": bool, "int": int, "float": float, "str": str, "list": list, "tuple": tuple, "dict": dict}


class Answers(StrEnum):
    """What stands in the exercises of a notebook when it is run."""

    UNTOUCHED = "untouched"
    SOLUTION = "solution"
    WRONG = "wrong"
    BOTH = "both"  # the wrong answer, and then the solution


@dataclass(frozen=True)
class Parameter:
    """One parameter as a notebook declares it: `name: type = default  # help`."""

    name: str
    type: str
    default: str
    help: str

    def __str__(self) -> str:
        return f"{self.name}: {self.type} = {self.default}" + (f"  # {self.help}" if self.help else "")

    def read(self, text: str) -> Any:
        """Return the value that a text stands for, in the type that the notebook declares.

        Raises:
            ParameterError: the text is not a value of that type.
        """
        kind = _TYPES.get(self.type.partition("[")[0].strip())
        if kind is str:
            return text
        try:
            value = ast.literal_eval(text.capitalize() if kind is bool else text)
        except (ValueError, SyntaxError):
            value = text
        if kind is float and type(value) is int:
            return float(value)
        if kind is None or type(value) is not kind:
            raise ParameterError(
                f"{text!r} is not a value for {self.name}: it takes {self.type}.",
                why="A notebook that counts on another type would fail halfway, or mislead.",
                fix=f"Give it as in the notebook: {self}",
            )
        return value


@dataclass(frozen=True)
class Notebook:
    """One notebook as it is stored: the lesson it tells of, and the parameters that it declares."""

    lesson: Lesson
    parameters: Mapping[str, Parameter]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the notebook in a file.

        Raises:
            NotebookError: the file is not a notebook that can be run.
        """
        try:
            nbformat.validate(nbformat.read(path, as_version=4))
            lesson, declared = lessons.read(path), papermill.inspect_notebook(as_papermill_takes_it(path))
        except Exception as error:  # a broken file ends in json, nbformat, schema or papermill errors of many classes
            raise NotebookError(
                f"{path.name} can't be read as a lesson ({type(error).__name__}: {_first_line(error)}).",
                why="Nothing in it can be run.",
                fix="Take back what was changed in it, or choose other notebooks with --only.",
            ) from error
        parameters = (
            Parameter(name, found["inferred_type_name"], found["default"], found["help"])
            for name, found in declared.items()
        )
        return cls(lesson, {parameter.name: parameter for parameter in parameters})

    @property
    def name(self) -> str:
        """The name of its lesson."""
        return self.lesson.name

    def prepare(self, answers: Answers) -> nbformat.NotebookNode:
        """Return the notebook to be run, with the chosen answers in the place of its stubs.

        Raises:
            NotebookError: an exercise has no such answer beside it.
        """
        notebook = nbformat.read(self.lesson.path, as_version=4)
        if answers is not Answers.UNTOUCHED:
            for place, cell in enumerate(notebook.cells):
                if exercise := cell.metadata.get("workbook", {}).get("exercise"):
                    tags = (Answers.WRONG, Answers.SOLUTION) if answers is Answers.BOTH else (answers,)
                    cell.source = "\n".join(self._answer(notebook.cells[place + 1 :], exercise, tag) for tag in tags)
        return notebook

    def _answer(self, following: Iterable[nbformat.NotebookNode], exercise: str, tag: Answers) -> str:
        """Return the code in the folded cell that follows an exercise and carries the tag."""
        for cell in following:
            if cell.cell_type == "code":
                break
            if tag in cell.metadata.get("tags", ()) and (fence := _FENCE.search(cell.source)):
                return fence[1]
        raise NotebookError(
            f"Exercise {exercise} in {self.lesson.path.name} has no answer tagged {tag}.",
            why="Every exercise is tried in all its ways.",
            fix=f"Put a markdown cell tagged {tag} with one ```python fence right after it.",
        )


def choose(folder: Path, only: Sequence[str] = ()) -> list[Notebook]:
    """Return the notebooks of a folder in reading order: those whose names begin as one of `only` says, or all.

    Raises:
        ParameterError: one of `only` fits no notebook, or the folder has none.
        NotebookError: a chosen file is not a notebook that can be run.
    """
    paths = sorted(folder.glob("*.ipynb"))
    names = ", ".join(path.stem for path in paths)
    for wanted in only or ("",):
        if not any(path.stem.startswith(wanted) for path in paths):
            raise ParameterError(
                f"No notebook in {folder} has a name that begins with {wanted!r}.",
                why="A run of nothing would look like a success.",
                fix=f"Choose from: {names}." if names else "Name a folder that has notebooks.",
            )
    return [Notebook.load(path) for path in paths if not only or path.stem.startswith(tuple(only))]


def arguments(notebooks: Sequence[Notebook], settings: Mapping[str, str], **given: Any) -> dict[str, dict[str, Any]]:
    """Return the arguments of each notebook by its name: what is given to all, and those settings that it declares.

    `given` holds the values that the runner itself gives to every notebook; `settings` are texts from the command line.

    Raises:
        ParameterError: no notebook declares a setting, or its text is not a value of the declared type or out of range.
        NotebookError: a notebook doesn't declare what the runner gives to all.
    """
    declared = {name: parameter for notebook in notebooks for name, parameter in notebook.parameters.items()}
    for name in settings:
        if name not in declared or name in given:
            free = "".join(f"\n  {parameter}" for parameter in declared.values() if parameter.name not in given)
            raise ParameterError(
                f"{name!r} is not a parameter that can be set in the chosen notebooks.",
                why="It would be passed over, and the result would look as if it had counted.",
                fix=f"These can be set:{free}",
            )
    for notebook in notebooks:
        if missing := given.keys() - notebook.parameters.keys():
            raise NotebookError(
                f"{notebook.lesson.path.name} declares no parameter {min(missing)!r}.",
                why="The runner gives it to every notebook, and here it would go unread.",
                fix="Add it to the cell tagged parameters, with its type and a comment that explains it.",
            )
    values = {
        notebook.name: given
        | {name: notebook.parameters[name].read(text) for name, text in settings.items() if name in notebook.parameters}
        for notebook in notebooks
    }
    if "repeats" in settings and any(value.get("repeats", 1) < 1 for value in values.values()):
        raise ParameterError(
            f"repeats={settings['repeats']} measures nothing.",
            why="The lessons compare calls, and without one there is nothing to compare.",
            fix="Give 1 or more.",
        )
    return values


def content_hash(notebook: nbformat.NotebookNode, arguments: Mapping[str, Any]) -> str:
    """Return what identifies a notebook's work: a hash of its cells and of the arguments other than the run's id."""
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    given = {name: value for name, value in arguments.items() if name != "run_id"}
    return hashlib.sha256(json.dumps([cells, given], sort_keys=True).encode()).hexdigest()


def as_papermill_takes_it(path: Path) -> str:
    """Return a path as text; papermill fills in names that stand in braces, so those of the path are doubled."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
