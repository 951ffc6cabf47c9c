"""A workbook about AWS Lambda and API Gateway in which every claim is tried out.

The names that notebooks use are imported when they are first asked for, so that `python -m workbook doctor` starts
without pandas.
"""

from importlib import import_module
from typing import Any

_HOME = {"open_lab": "workbook.lab", "frame": "workbook.frames", "Findings": "workbook.claims"}
_MODULES = (
    "behaviours",
    "costs",
    "doctor",
    "errors",
    "lessons",
    "measured",
    "plots",
    "prices",
    "published",
    "statistics",
    "tuner",
)
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(f"workbook.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
