"""A handler folder, zipped and looked at."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from workbook.errors import DeployError
from workbook.packaging import check_runtime, zip_folder


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _entries(content: bytes) -> list[zipfile.ZipInfo]:
    return zipfile.ZipFile(io.BytesIO(content)).infolist()


def test_the_same_files_are_the_same_bytes(tmp_path: Path):
    """Neither the order nor the time in which files were written, nor their modes, leave a trace."""
    one = _write(tmp_path / "one", {"app.py": "x = 1\n", "lib/b.py": "", "lib-a.py": ""})
    two = _write(tmp_path / "two", {"lib-a.py": "", "lib/b.py": "", "app.py": "x = 1\n"})
    os.utime(two / "app.py", (1_000_000_000, 1_000_000_000))
    (two / "app.py").chmod(0o600)

    assert zip_folder(one) == zip_folder(two)


def test_the_bytes_are_these_on_every_machine(tmp_path: Path):
    """A package's hash is known in advance, so no library version and no clock takes part in it."""
    package = zip_folder(_write(tmp_path, {"app.py": "x = 1\n"}))
    assert hashlib.sha256(package.content).hexdigest() == package.sha256
    assert "b103293b0fd418e7fe031efab6fcf77df1777d8e3c41f2fe8dba0f5657d350ab" == package.sha256


def test_other_code_is_other_bytes(tmp_path: Path):
    """A change of one letter is a new package."""
    before = zip_folder(_write(tmp_path, {"app.py": "x = 1\n"}))
    assert before.sha256 != zip_folder(_write(tmp_path, {"app.py": "x = 2\n"})).sha256


def test_only_what_runs_is_packed(tmp_path: Path):
    """Caches, tests and dot files stay at home, at any depth; the rest goes in the order of the names."""
    files = [
        "lib/b.py",
        "z.py",
        "app.py",
        ".env",
        ".git/config",
        "__pycache__/app.pyc",
        "lib/tests/t.py",
        "lib/.cache/x",
    ]
    package = zip_folder(_write(tmp_path, dict.fromkeys(files, "")))
    assert ["app.py", "lib/b.py", "z.py"] == [entry.filename for entry in _entries(package.content)]


def test_every_file_can_be_read_by_lambda(tmp_path: Path):
    """Lambda runs under a user of its own, who has to be able to read the code."""
    entries = _entries(zip_folder(_write(tmp_path, {"app.py": ""})).content)
    assert [0o644] == [entry.external_attr >> 16 & 0o777 for entry in entries]


@pytest.mark.parametrize(("make", "word"), [(False, "not there"), (True, "empty")])
def test_no_code_is_an_error(tmp_path: Path, make: bool, word: str):
    """A folder without code is named, and so is where to correct it."""
    folder = tmp_path / "hello"
    if make:
        folder.mkdir()
    with pytest.raises(DeployError, match=f"{folder} is {word}. .* Correct CodeUri"):
        zip_folder(folder)


def test_what_a_folder_requires_travels_with_it(tmp_path: Path):
    """A pinned distribution and all that it needs stand beside the code, without what depends on this machine."""
    folder = _write(tmp_path, {"app.py": "", "requirements.txt": f"# why\n\npg8000=={version('pg8000')}  # and how\n"})
    package = zip_folder(folder)
    names = [entry.filename for entry in _entries(package.content)]
    assert {"app.py", "pg8000/native.py", "scramp/core.py", "asn1crypto/core.py", "dateutil/tz/tz.py", "six.py"} <= {
        *names
    }
    assert sorted(names) == names
    assert [] == [
        name for name in names if name.endswith(("/RECORD", "/INSTALLER", "/REQUESTED", ".pyc")) or ".." in name
    ]
    assert package == zip_folder(folder)


def test_a_package_with_dependencies_runs_by_itself(tmp_path: Path):
    """What was packed is complete: a Python that has nothing else can import it."""
    package = zip_folder(_write(tmp_path / "code", {"requirements.txt": f"pg8000=={version('pg8000')}"}))
    (tmp_path / "code.zip").write_bytes(package.content)
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.append({str(tmp_path / 'code.zip')!r}); import pg8000.native",
    ]
    subprocess.run(command, check=True)


def test_a_folders_own_file_goes_before_a_dependencys(tmp_path: Path):
    """As with `sam build`, the code is copied over what it requires."""
    package = zip_folder(_write(tmp_path, {"six.py": "mine = 1\n", "requirements.txt": f"six=={version('six')}"}))
    assert b"mine = 1\n" == zipfile.ZipFile(io.BytesIO(package.content)).read("six.py")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("pg8000", r"requirements\.txt:1: 'pg8000' is not a pin"),
        ("pg8000>=1.31", r"requirements\.txt:1: 'pg8000>=1.31' is not a pin"),
        ("six==0.1", r"requirements\.txt:1: wants six 0\.1, and \d.* is installed"),
        ("no-such-thing==1.0", r"needs no-such-thing, which is not installed"),
        (f"psutil=={version('psutil')}", r"psutil is not pure Python\."),
    ],
)
def test_what_cannot_be_packed_is_refused(tmp_path: Path, line: str, fault: str):
    """A requirement that is open, absent, of another version or made for one processor is named before anything is deployed."""
    with pytest.raises(DeployError, match=fault):
        zip_folder(_write(tmp_path, {"app.py": "", "requirements.txt": line}))


def test_what_a_requirement_needs_must_be_there_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Only what is wanted under a condition may be missing."""
    metadata = "Metadata-Version: 2.1\nName: half\nVersion: 1.0\nRequires-Dist: {}\n"
    installed = (
        _write(tmp_path / "site", {"half-1.0.dist-info/WHEEL": "Root-Is-Purelib: true\n"}) / "half-1.0.dist-info"
    )
    monkeypatch.syspath_prepend(installed.parent)
    code = _write(tmp_path / "code", {"requirements.txt": "half==1.0"})
    (installed / "METADATA").write_text(metadata.format("other-half; sys_platform == 'beos'"))
    zip_folder(code)
    (installed / "METADATA").write_text(metadata.format("other-half>=1"))
    with pytest.raises(DeployError, match="needs other-half, which is not installed"):
        zip_folder(code)


def test_sound_code_passes(tmp_path: Path):
    """What a managed runtime can run is let through; so is a file that is neither Python nor JavaScript."""
    check_runtime(
        _write(tmp_path / "python", {"app.py": "import json, os.path\n", "data.txt": "import cgi"}), "python3.13"
    )
    check_runtime(
        _write(tmp_path / "node", {"app.mjs": "export const a = 1;\n", "b.cjs": "module.exports = 1;\n"}), "nodejs22.x"
    )


@pytest.mark.parametrize(
    "line", ["import cgi", "import json, distutils.util", "from imp import reload", "import telnetlib as t"]
)
def test_a_module_that_is_gone_is_refused(tmp_path: Path, line: str):
    """An import that this machine's Python still has, but python3.13 has not, is named with file and line."""
    folder = _write(tmp_path, {"lib/app.py": f"import os\n\ndef f():\n    {line}\n"})
    with pytest.raises(DeployError, match=r"lib/app\.py:4: imports (cgi|distutils|imp|telnetlib)\."):
        check_runtime(folder, "python3.13")


@pytest.mark.parametrize("files", [{"pipes.py": ""}, {"pipes/__init__.py": ""}], ids=["a file", "a package"])
def test_a_module_of_ones_own_may_have_an_old_name(tmp_path: Path, files: dict[str, str]):
    """A handler's own pipes.py is not the one that is gone, and neither is a relative import."""
    check_runtime(
        _write(tmp_path, {"app.py": "import pipes\nfrom . import cgi\nfrom .imp import x\n", **files}), "python3.13"
    )


@pytest.mark.parametrize(
    ("name", "text", "runtime", "fault"),
    [
        ("app.py", "x = 1\ndef f(:\n", "python3.13", r"app\.py:2: invalid syntax\."),
        ("app.py", "return 1\n", "python3.13", r"app\.py:1: 'return' outside function\."),
        ("app.mjs", "const a = 1;\nconst b = ;\n", "nodejs22.x", r"app\.mjs:2: SyntaxError: Unexpected token ';'\."),
    ],
)
def test_code_that_cannot_be_read_is_refused(tmp_path: Path, name: str, text: str, runtime: str, fault: str):
    """A slip is found before anything is deployed, with file and line."""
    with pytest.raises(DeployError, match=fault):
        check_runtime(_write(tmp_path, {name: text}), runtime)


@pytest.mark.parametrize("runtime", ["python2.7", None])
def test_an_unknown_runtime_is_refused(tmp_path: Path, runtime: str | None):
    """A runtime that the workbook doesn't know, or none at all, is answered with those that it does know."""
    with pytest.raises(DeployError, match=rf"runtime {runtime!r}\. .* Use one of: python3\.13, nodejs22\.x"):
        check_runtime(_write(tmp_path, {"app.py": ""}), runtime)
