"""Imports every module of the folder `library` beside it, in its init phase. Who makes the package puts some there, or none."""

import pkgutil
import platform
from importlib import import_module
from pathlib import Path

LIBRARY = Path(__file__).with_name("library")


def load(folder: Path) -> list[str]:
    """Import the modules of a folder beside this file, and return their names."""
    names = [f"{folder.name}.{module.name}" for module in pkgutil.iter_modules([str(folder)])]
    return [import_module(name).__name__ for name in names]


MODULES = load(LIBRARY)
calls = 0


def handler(event, context):
    global calls
    calls += 1
    return {
        "modules": len(MODULES),
        "calls_before": calls - 1,
        "request_id": context.aws_request_id,
        "log_stream": context.log_stream_name,
        "runtime": f"python{platform.python_version()}",
    }
