"""The embedded emulator: MiniStack's AWS services, execution environments of our own, and corrections towards AWS.

Its names are imported when they are first asked for, so that the governor's small process starts without them.
"""

from importlib import import_module
from typing import Any

__all__ = ["Emulator", "find", "start"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("workbook.emulator.server"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
