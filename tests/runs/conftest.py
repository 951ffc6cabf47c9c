"""What the tests of runs share: a folder of notebooks, a run of them that shows nothing, a temporary folder."""

import io
import tempfile

import pytest
from fake_localstack import found

from workbook.runs import run
from workbook.runs.screen import Screen


@pytest.fixture
def notebooks(tmp_path):
    """The folder that a test writes its notebooks into."""
    return tmp_path / "notebooks"


@pytest.fixture
def quietly(tmp_path, notebooks, monkeypatch):
    """A run of the notebooks of this test, into a folder of this test, that shows nothing.

    On the target localstack a lesson has no emulator of its own, and most of these notebooks ask none for anything; so it
    counts as tried.
    """
    for name, value in found().items():
        monkeypatch.setenv(name, value)

    def run_quietly(**options):
        common = {"notebooks": notebooks, "out": tmp_path / "run", "screen": Screen(io.StringIO())}
        if not options.get("resume"):
            common["target"] = "localstack"
        return run(**common | options)

    return run_quietly


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary folder of this test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
