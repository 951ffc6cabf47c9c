"""The lessons, as the notebooks themselves tell of them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


@dataclass(frozen=True)
class Lesson:
    """One notebook: its question, how long it takes, which targets it runs on, and whether it has to run alone."""

    path: Path
    question: str
    minutes: int
    targets: tuple[str, ...]
    exclusive: bool

    @property
    def name(self) -> str:
        """The file's name without its ending, such as `01_first_function`."""
        return self.path.stem

    @property
    def is_optional(self) -> bool:
        """Whether it stands beside another lesson, as its number with a letter says: `03b_cold_starts_on_aws`."""
        return self.name.partition("_")[0][-1].isalpha()


class Map(list[Lesson]):
    """Lessons in reading order, shown as a table."""

    def to_markdown(self) -> str:
        """Return the table that stands in the README."""
        rows = [
            f"| [`{x.name}`](notebooks/{x.path.name}) | {x.question} | {x.minutes} min{', optional' * x.is_optional} |"
            for x in self
        ]
        return "\n".join(["| lesson | the question | takes |", "|---|---|---|", *rows])

    def _repr_markdown_(self) -> str:
        return re.sub(r"\]\(notebooks/", "](", self.to_markdown())


def table(folder: Path = FOLDER) -> Map:
    """Return the lessons of a folder of notebooks, in reading order."""
    return Map(read(path) for path in sorted(folder.glob("*.ipynb")))


def find(name: str, folder: Path = FOLDER) -> Lesson:
    """Return the lesson of that name; one that has no notebook there takes nobody knows how long."""
    path = folder / f"{name}.ipynb"
    return read(path) if path.exists() else Lesson(path, name, 0, (), exclusive=False)


def read(path: Path) -> Lesson:
    """Return what a notebook says of itself: its title is its question, the rest stands in its metadata."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    title = "".join(notebook["cells"][0]["source"]).partition("\n")[0].removeprefix("# ")
    about = notebook["metadata"]["workbook"]
    return Lesson(path, title, about["minutes"], tuple(about["targets"]), about["exclusive"])
