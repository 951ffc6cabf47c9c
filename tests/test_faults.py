"""What can go wrong with a run, provoked for real. Each fault ends in a sentence that says what to do, leaves no process
and no temporary folder behind, and loses no record.
"""

import gc
import io
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
import small_notebooks
from fake_localstack import found

from workbook import emulator
from workbook.errors import SetupError
from workbook.records import read_lines
from workbook.runs import Report, run
from workbook.runs.screen import Screen

RECORD = """\
import os
from pathlib import Path
from workbook.records import append_line
append_line(Path(os.environ["WORKBOOK_RUN_FOLDER"]) / "journal" / "{0}.jsonl", {{"kind": "seen"}})
"""
HANG = RECORD.format("02_hang") + "import threading\nthreading.Event().wait()"
KILL_EMULATOR = """\
import os, psutil
port = int(os.environ["WORKBOOK_ENDPOINT"].rpartition(":")[2])
for process in psutil.Process(os.getppid()).children():
    if any(one.laddr.port == port for one in process.net_connections()):
        process.kill()
"""
DIE_AND_LEAVE_A_CHILD = """\
import os, signal, subprocess
from pathlib import Path
child = subprocess.Popen(["sleep", "973"])
Path(os.environ["WORKBOOK_RUN_FOLDER"], "child").write_text(str(child.pid))
os.kill(os.getpid(), signal.SIGKILL)
"""
NO_FILE_GROWS = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"


class CommandLine:
    """`python -m workbook run` on the notebooks of one test, with a temporary folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.notebooks, self.out, self.temporary = folder / "notebooks", folder / "run", folder / "tmp"
        self.temporary.mkdir()
        self.process: subprocess.Popen[str] | None = None
        self.descendants: set[psutil.Process] = set()

    def start(self, *more: str, out: Path | None = None, **popen) -> subprocess.Popen[str]:
        """Start a run and return its process."""
        command = [
            sys.executable,
            "-m",
            "workbook",
            "run",
            "--notebooks",
            self.notebooks,
            "--out",
            out or self.out,
            *more,
        ]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        environment = os.environ | found() | {"TMPDIR": str(self.temporary)}
        self.process = subprocess.Popen(list(map(str, command)), env=environment, **{**streams, **popen})
        return self.process

    def until_it_hangs(self) -> None:
        """Wait until the notebook that hangs has got there, and note all processes of the run."""
        until(lambda: read_lines(self.out / "journal/02_hang.jsonl"), "the notebook to hang")
        self.descendants = set(psutil.Process(self.process.pid).children(recursive=True))
        assert self.descendants

    def said(self) -> str:
        """Wait for the end of the run and return all that it printed."""
        return self.process.communicate(timeout=60)[0]

    def facts(self) -> dict[str, dict]:
        """Return what `run.json` says of each notebook."""
        return {one["name"]: one for one in json.loads((self.out / "run.json").read_text())["notebooks"]}

    def assert_nothing_is_left(self) -> None:
        """No process of the run, and nothing in its temporary folder."""
        until(lambda: not [one for one in self.descendants if one.is_running()], "all processes to end")
        until(lambda: not list(self.temporary.iterdir()), "all temporary folders to go")
        assert not (self.out / ".scratch").exists()


def until(condition, what: str, timeout_s: float = 30):
    """Wait for a condition and return what it returned."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return answer


@pytest.fixture
def line(tmp_path):
    # Where the tests themselves run in the background, they ignore SIGINT, and so would everything that they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    line = CommandLine(tmp_path)
    try:
        yield line
    finally:
        signal.signal(signal.SIGINT, before)
        for process in [line.process, *line.descendants]:
            if process:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        if line.process and line.process.stdout:
            line.process.stdout.close()
        if line.process:
            line.process.wait()


@pytest.mark.parametrize(
    ("number", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_stopped_run_keeps_what_finished_and_ends_everything(line, number, status, name):
    """Ctrl-C and SIGTERM end kernels and emulators, keep what was found out, and say how to go on."""
    small_notebooks.write(line.notebooks, "01_good", RECORD.format("01_good"))
    small_notebooks.write(line.notebooks, "02_hang", HANG)
    small_notebooks.write(line.notebooks, "03_never", "1")
    line.start("--jobs", "1")
    line.until_it_hangs()

    line.process.send_signal(number)

    said = line.said()
    assert status == line.process.returncode
    assert f"Stopped by {name}: 1 passed, 2 interrupted." in said
    assert f"--resume --out {line.out}" in said
    assert ["passed", "interrupted", "interrupted"] == [one["status"] for one in line.facts().values()]
    assert "Traceback" not in said
    assert 1 == len(read_lines(line.out / "journal/02_hang.jsonl"))
    line.assert_nothing_is_left()


def test_a_killed_run_leaves_no_process_and_can_go_on(line):
    """After SIGKILL, kernels and emulators end by themselves, the report is readable, and --resume does the rest."""
    small_notebooks.write(line.notebooks, "01_good", RECORD.format("01_good"))
    small_notebooks.write(line.notebooks, "02_hang", HANG)
    line.start("--jobs", "1")
    line.until_it_hangs()

    line.process.kill()
    line.said()

    assert ["passed", "interrupted"] == [one["status"] for one in line.facts().values()]
    until(lambda: not [one for one in line.descendants if one.is_running()], "all processes to end")
    until(lambda: not list(line.temporary.iterdir()), "all temporary folders to go")

    small_notebooks.write(line.notebooks, "02_hang", "1")
    assert 0 == run(out=line.out, resume=True, screen=Screen(io.StringIO())).exit_status
    assert ["passed", "passed"] == [one["status"] for one in line.facts().values()]
    line.assert_nothing_is_left()


def test_a_killed_run_leaves_no_kernel_that_can_not_notice(line):
    """A kernel that is stopped, and one that holds the interpreter in C, don't see that the run is gone, and end too."""
    stopped = RECORD.format("01_stopped") + "import signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    small_notebooks.write(line.notebooks, "01_stopped", stopped)
    small_notebooks.write(line.notebooks, "02_hang", RECORD.format("02_hang") + "sum(range(10**12))")
    line.start("--jobs", "2", "--target", "localstack")
    until(lambda: read_lines(line.out / "journal/01_stopped.jsonl"), "the notebook to be stopped")
    line.until_it_hangs()

    line.process.kill()

    line.said()
    until(lambda: not [one for one in line.descendants if one.is_running()], "all processes to end")


def test_each_way_to_die_or_hang_ends_in_a_word_of_its_own(tmp_path, monkeypatch, caplog):
    """A killed kernel, a killed emulator, a hanging cell and an unwritable journal are told apart, and the next goes on."""
    notebooks, temporary = tmp_path / "notebooks", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    small_notebooks.write(notebooks, "01_kernel", DIE_AND_LEAVE_A_CHILD)
    small_notebooks.write(notebooks, "02_emulator", KILL_EMULATOR, "import threading\nthreading.Event().wait()")
    small_notebooks.write(notebooks, "03_cell", "import threading\nthreading.Event().wait()")
    small_notebooks.write(notebooks, "04_journal", NO_FILE_GROWS + RECORD.format("04_journal"))
    small_notebooks.write(notebooks, "05_next", "1")

    others = set(psutil.Process().children(recursive=True))  # what other tests started
    report = run(notebooks=notebooks, out=tmp_path / "run", cell_limit_s=4, screen=Screen(io.StringIO()))

    said = {one.name: one.error for one in report.outcomes}
    assert "Its kernel died in cell 3 of 3." in said["01_kernel"]
    assert "Its emulator died in cell" in said["02_emulator"]
    assert "It hung in cell 3 of 3, which ran longer than 4 s and was ended." in said["03_cell"]
    assert "04_journal.jsonl can't be written: File too large." in said["04_journal"]
    assert said["05_next"] is None
    assert set() == set(psutil.Process().children(recursive=True)) - others
    child = int((tmp_path / "run/child").read_text())
    until(lambda: not psutil.pid_exists(child), "the dead kernel's child to end")
    gc.collect()
    assert "Task was destroyed" not in caplog.text
    assert [] == list(temporary.iterdir())


def test_a_disk_that_fills_up_ends_the_run_in_a_sentence(line):
    """Where even the report can't be written, the run ends everything and says so."""
    disk = line.out.parent / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a small disk can't be mounted here")
    line.out = disk / "run"
    fill = """\
import os
from pathlib import Path
with Path(os.environ["WORKBOOK_RUN_FOLDER"], "filler").open("wb", buffering=0) as file:
    try:
        while file.write(bytes(512)) == 512:
            pass
    except OSError:
        pass
"""
    try:
        small_notebooks.write(line.notebooks, "01_full", fill)
        small_notebooks.write(line.notebooks, "02_hang", HANG)
        line.start("--target", "localstack")
        said = line.said()
        assert 1 == line.process.returncode
        assert "No space left on device" in said
        assert "Traceback" not in said
        assert {"01_full", "02_hang"} == line.facts().keys()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert not list(line.temporary.iterdir())


@pytest.mark.parametrize("output", ["a pipe without a reader", "/dev/full", "nothing"])
def test_a_run_goes_on_when_nobody_can_read_it(line, output):
    """Its output is closed, full or broken: it says nothing, writes everything, and keeps its exit status."""
    if output == "/dev/full" and not Path(output).exists():
        pytest.skip("this system has no device that is always full")
    small_notebooks.write(line.notebooks, "01_good", "1")
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        match output:
            case "/dev/full":
                with Path(output).open("w") as full:
                    line.start("--target", "localstack", stdout=full, stderr=subprocess.PIPE)
            case "nothing":
                line.start("--target", "localstack", stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
            case _:
                line.start("--target", "localstack", stdout=write_end, stderr=subprocess.PIPE)
        _, complaint = line.process.communicate(timeout=60)
    finally:
        os.close(write_end)

    assert (0, "") == (line.process.returncode, complaint)
    assert "passed" == line.facts()["01_good"]["status"]
    assert (line.out / "junit.xml").exists()


def test_a_run_without_input_and_error_output_has_its_emulator(line):
    """Where `<&- 2>&-` closed two of the three, no socket takes their numbers, which child processes would write to."""
    small_notebooks.write(line.notebooks, "01_good", "1")
    line.start(preexec_fn=lambda: (os.close(0), os.close(2)))

    said = line.said()
    assert 0 == line.process.returncode, said
    assert {"01_good"} == line.facts().keys()
    line.assert_nothing_is_left()


def test_results_that_can_not_be_written_are_said_before_anything_runs(tmp_path):
    """A file in the place of the folder ends the run in one sentence."""
    small_notebooks.write(tmp_path / "notebooks", "01_good", "1")
    (tmp_path / "run").write_text("in the way")

    with pytest.raises(SetupError, match=r"run can't be written: .* --out"):
        run(notebooks=tmp_path / "notebooks", out=tmp_path / "run")


def test_two_runs_at_once_do_not_meet(tmp_path):
    """Each has a run id, a folder and an emulator of its own, also when both begin within a second."""
    small_notebooks.write(
        tmp_path / "notebooks", "01_good", "import os\nprint(run_id)\nprint(os.environ['WORKBOOK_ENDPOINT'])"
    )
    runs: list[Report] = []

    def begin() -> None:
        runs.append(run(notebooks=tmp_path / "notebooks", results=tmp_path / "results", screen=Screen(io.StringIO())))

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    printed = [nbformat.read(one.folder / "notebooks/01_good.ipynb", 4).cells[-1].outputs[0].text for one in runs]
    assert [0, 0] == [one.exit_status for one in runs]
    assert 4 == len({line for text in printed for line in text.splitlines()})
    assert {one.folder.name for one in runs} == {text.splitlines()[0] for text in printed}


def test_a_taken_port_is_named(tmp_path):
    """An emulator that is asked for a port that something else has says which, and leaves nothing."""
    with emulator.start(log=tmp_path / "log") as running, pytest.raises(SetupError, match=str(running.port)):
        emulator.start(log=tmp_path / "second", port=running.port)


def test_a_terminal_shows_one_line_a_notebook_in_place(line):
    """On a terminal the lines of running notebooks are rewritten, and the table ends the output."""
    small_notebooks.write(line.notebooks, "01_good", "1", "2")
    ours, theirs = pty.openpty()
    line.start("--target", "localstack", stdout=theirs, stderr=theirs, text=False)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how a terminal says that its other end is closed
        while chunk := os.read(ours, 4096):
            shown += chunk
    os.close(ours)

    assert 0 == line.process.wait(30)
    assert b"\x1b[1A\r\x1b[J" in shown
    assert b"01_good  passed" in shown
    assert shown.decode().rstrip().splitlines()[-1].startswith("1 passed in ")
