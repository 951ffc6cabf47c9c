"""The handler that imports what its package brings along, without Lambda."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

APP = Path(__file__).resolve().parents[2] / "handlers" / "packaged" / "app.py"


def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("packaged_app", shutil.copy(APP, folder))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def modules(module: ModuleType) -> int:
    return module.handler({}, SimpleNamespace(aws_request_id="r-1", log_stream_name="s-1"))["modules"]


def test_without_a_library_it_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The package as it is deployed holds the handler alone."""
    assert 0 == modules(start(tmp_path, monkeypatch))


def test_every_module_of_the_library_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What lies in the folder is imported before the first call, and what isn't Python is left alone."""
    library = tmp_path / "library"
    library.mkdir()
    for name in ("part_0.py", "part_1.py", "data.bin"):
        (library / name).write_text("VALUE = 1\n")
    assert 2 == modules(start(tmp_path, monkeypatch))
