"""Whether the doctor tells a machine that is ready from one that isn't."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from fake_localstack import INFO, fake_localstack

from workbook import doctor
from workbook.emulator import clean_room


def lane(name: str) -> doctor.Lane:
    """Return one lane of an examination."""
    return next(one for one in doctor.examine() if one.name == name)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A copy of what the doctor reads of the repository."""
    for file in ("requirements.txt", "constraints.txt"):
        shutil.copy(doctor.ROOT / file, tmp_path / file)
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    return tmp_path


def test_a_machine_on_which_the_tests_run_is_ready():
    """No lane fails where everything is installed, and every lane says what it saw."""
    examination = doctor.examine()

    assert [] == [one for one in examination if one.state == "fail"]
    assert all(one.detail for one in examination)


def test_every_lane_that_is_not_ok_says_what_to_do(elsewhere):
    """On a bare interpreter, without packages and without Node, each failure comes with its fix."""
    repository = Path(doctor.__file__).resolve().parent.parent
    bare = subprocess.run(
        [sys._base_executable, "-S", "-m", "workbook", "doctor"],
        cwd=repository,
        env={"PATH": str(elsewhere)},
        capture_output=True,
        text=True,
        check=False,
    )

    lines = bare.stdout.splitlines()
    assert 1 == bare.returncode, bare.stderr
    assert any(line.startswith("fail  packages") and "papermill" in line for line in lines)
    assert any(line.startswith("fail  Node") for line in lines)
    for number, line in enumerate(lines):
        if line.startswith(("warn", "fail")):
            assert lines[number + 1].lstrip().startswith("→ "), line


def test_an_older_python_hears_which_one_is_needed(monkeypatch):
    """An interpreter that can't run the workbook is told so by name."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))

    assert "fail" == lane("Python").state
    assert "Install Python 3.11 or newer" in lane("Python").fix


def test_another_version_than_the_pinned_one_is_a_warning(elsewhere):
    """A package that drifted is named with both versions."""
    path = elsewhere / "constraints.txt"
    path.write_text(path.read_text().replace("papermill==2.7.0", "papermill==2.6.0"))

    assert ("warn", "papermill is 2.7.0 instead of 2.6.0") == (lane("packages").state, lane("packages").detail)


def test_a_missing_package_is_a_failure_unless_it_is_for_other_systems(elsewhere):
    """A requirement under a condition may be missing."""
    path = elsewhere / "requirements.txt"
    path.write_text(f'{path.read_text()}\nno-such-thing==1.0\nnor-this==1.0; sys_platform == "beos"\n')

    assert ("fail", "missing: no-such-thing") == (lane("packages").state, lane("packages").detail)


def test_a_results_folder_that_can_not_be_written_is_a_failure(elsewhere):
    """A file in its place, for example."""
    (elsewhere / "data").write_text("in the way")

    assert "fail" == lane("disk").state
    assert "--out" in lane("disk").fix


def test_the_doctor_finds_the_node_that_handlers_run_under():
    """It looks where the clean room looks, and asks for the same version."""
    found = Path(lane("Node").detail.partition(" at ")[2])

    assert clean_room.node().samefile(found)


def test_a_folder_of_a_dead_emulator_is_found(tmp_path, monkeypatch):
    """A folder that no running emulator uses is a leftover, and the fix names the command that removes it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = lane("leftovers")
    (tmp_path / "workbook-emulator-dead").mkdir()

    assert ("ok", "warn", "make clean") == (before.state, lane("leftovers").state, lane("leftovers").fix)


@pytest.mark.parametrize(
    ("licensed", "words"), [(False, "which took no token"), (True, "with the licence of its token")]
)
def test_a_localstack_that_answers_says_its_version_and_whether_it_has_a_token(licensed, words, monkeypatch):
    """It is asked only by whoever wants to use it."""
    with fake_localstack() as fake:
        fake.says["/_localstack/info"] = (200, json.dumps(INFO | {"is_license_activated": licensed}))
        monkeypatch.setenv("WORKBOOK_ENDPOINT", fake.endpoint)
        *others, last = doctor.examine("localstack")

    assert ("ok", f"4.14.0 at {fake.endpoint}, {words}") == (last.state, last.detail)
    assert [one.name for one in others] == [one.name for one in doctor.examine()]


@pytest.mark.parametrize(("token", "words"), [("", "is not set; images after 4.14.0 need it"), ("t", "is set")])
def test_a_localstack_that_does_not_answer_is_a_failure_with_the_command_that_starts_one(token, words, monkeypatch):
    """The token is named, as it is what a newer image ends without, but never shown."""
    monkeypatch.setenv("WORKBOOK_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("LOCALSTACK_AUTH_TOKEN", token)
    *_, last = doctor.examine("localstack")

    assert "fail" == last.state
    assert f"LOCALSTACK_AUTH_TOKEN {words}." in last.detail
    assert "docker compose up --detach --wait" in last.fix


def test_a_notebook_shows_the_lanes_as_a_table():
    """Text from the machine can't become markup."""
    examination = doctor.Examination((doctor.Lane("disk", "fail", "<full>", "make clean"),))

    shown = examination._repr_html_()

    assert "&lt;full&gt;" in shown
    assert "<td style='text-align:left'>make clean</td>" in shown
