"""A lesson's stack, deployed for some tests and taken away after them."""

from collections.abc import Iterator
from pathlib import Path

from workbook import stack
from workbook.targets import Target

INFRA = Path(__file__).resolve().parent.parent / "infra"


def deployed(target: Target, lesson: str) -> Iterator[dict[str, str]]:
    """Deploy a lesson's template, yield its outputs, and take everything away, also what a failed deployment left."""
    remembered = []
    try:
        yield stack.deploy(
            target,
            INFRA / f"{lesson}.yaml",
            name=f"wb-test-{lesson.replace('_', '-')}",
            tags={"workbook:run": "test"},
            remember=remembered.append,
            say=lambda line: None,
        ).outputs
    finally:
        stack.teardown(target, remembered, say=lambda line: None)
