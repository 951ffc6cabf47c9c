"""The wall time of a run of all lessons, one after the other, over the floor that no runner could go below.

The floor is what the lessons themselves ask for: kernels, imports, calls to their target, the time that a changed function
takes to be ready, and waits that belong to an experiment. Kernels, imports and that time are taken by themselves. For the
rest a cell is put into copies of the notebooks, which notes when a request was out and when something slept; what ran side
by side counts once. All else is the workbook's: starting, looking again too late, and what isn't told apart here.
"""

import ast
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import nbformat
from jupyter_client.manager import start_new_kernel

from benchmarks import functions
from benchmarks.rows import Figure, Row
from workbook import emulator, lessons, statistics, targets
from workbook.lab import ROOT
from workbook.records import read_lines

AIM = 1.25  # the floor, exceeded by at most a quarter
STARTS = 5
Span = tuple[float, float]  # seconds since the epoch

# A sleep that a notebook or a plan makes is part of an experiment, and so is one of `lab.until`, which waits for what an
# experiment does and looks again at once. One of ours or of a waiter's is a look again, and the others are the kernel's own.
_WATCH = """
import json, sys, time
import botocore.client

def _watched(function, kind_of):
    def watching(*args, **kwargs):
        kind, begun = kind_of(*args), time.time()
        try:
            return function(*args, **kwargs)
        finally:
            with open({path!r}, "a") as file:
                file.write(json.dumps({{"kind": kind, "begun": begun, "ended": time.time()}}) + "\\n")
    return watching

def _kind_of_call(client, operation, parameters):
    changes_function = operation.startswith(("CreateFunction", "UpdateFunction"))
    return "call" if operation == "Invoke" else "change" if changes_function else "manage"

def _kind_of_sleep(seconds):
    frame = sys._getframe(2)
    caller = frame.f_globals["__name__"]
    if caller in ("__main__", "workbook.plans") or frame.f_code.co_name == "until":
        return "wait"
    return "poll" if caller.startswith(("workbook.", "botocore.")) else "kernel"

import workbook.targets

workbook.targets.Target.send = _watched(workbook.targets.Target.send, lambda *_: "call")
_AWS = botocore.client.BaseClient
_AWS._make_api_call = _watched(_AWS._make_api_call, _kind_of_call)
time.sleep = _watched(time.sleep, _kind_of_sleep)
"""


def measure() -> Iterator[Row]:
    """Yield for a quick run and for a full one: its wall time over its floor, and the parts of both in seconds."""
    here = [lesson for lesson in lessons.table() if "embedded" in lesson.targets]
    notebooks = {lesson.name: nbformat.read(lesson.path, as_version=4) for lesson in here}
    kernels_s = len(here) * _typical(partial(_in_a_kernel, ""))
    imports_s = sum(_typical(partial(_in_a_kernel, _imports(one))) for one in notebooks.values()) - kernels_s
    emulators_s, command_s, ready_s = len(here) * _emulator(), _command(), _readiness()
    for length, options in (("quick", ["--quick"]), ("full", [])):
        wall_s, changes, parts = _run(notebooks, options)
        ready = min(changes * ready_s, parts["poll"])
        floor = {
            "starting and ending kernels": kernels_s,
            "imports": imports_s,
            "measured calls": parts["call"],
            "calls that manage resources": parts["manage"] + parts["change"],
            f"{changes} changes of functions, until they are ready": ready,
            "waits of experiments": parts["wait"],
        }
        above = {
            "starting the command": command_s,
            "starting and ending emulators": emulators_s,
            "looking again too late": parts["poll"] - ready,
        }
        above["all else"] = wall_s - sum(floor.values()) - sum(above.values())
        yield Row(f"{length} run, over its floor", "", Figure(wall_s / sum(floor.values())), at_most=AIM)
        yield Row("  wall time", "s", Figure(wall_s))
        for place, found in (("in the floor", floor), ("above it", above)):
            for part, seconds in found.items():
                yield Row(f"  {place}: {part}", "s", Figure(seconds))


def _typical(act: Callable[[], object]) -> float:
    """Return the median of the seconds that something takes."""
    taken_s = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        act()
        taken_s.append(time.perf_counter() - begun)
    return statistics.quantile(taken_s, 0.5)


def _in_a_kernel(code: str) -> None:
    """Start a kernel, run the code in it, and end it."""
    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--log-level=ERROR"])
    try:
        reply = client.execute_interactive(code, timeout=60)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if reply["status"] != "ok":
        raise RuntimeError(f"Imports fail, so their time is not known: {reply['evalue']}")


def _imports(notebook: nbformat.NotebookNode) -> str:
    """Return the import statements of a notebook."""
    trees = [ast.parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    found = [node for tree in trees for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(ast.unparse(node) for node in found)


def _emulator() -> float:
    """Return the seconds that an emulator takes to start and to end."""
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder:
        return _typical(lambda: emulator.start(log=Path(folder) / "log").stop())


def _command() -> float:
    """Return the seconds that a process takes until it could run notebooks."""
    return _typical(lambda: subprocess.run([sys.executable, "-c", "import workbook.runs"], cwd=ROOT, check=True))


def _readiness() -> float:
    """Return the seconds that a function takes to be ready after a change, when asked without a pause."""
    with (
        tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder,
        emulator.start(log=Path(folder) / "log") as it,
    ):
        target = targets.connect("embedded", endpoint=it.endpoint)
        functions.make(target, "changed", "def handler(event, context):\n    return event\n")
        client = target.client("lambda")

        def change() -> None:
            client.update_function_configuration(FunctionName="changed", Environment={"Variables": {}})

        def change_and_wait() -> None:
            change()
            while client.get_function_configuration(FunctionName="changed")["LastUpdateStatus"] != "Successful":
                pass

        return _typical(change_and_wait) - _typical(change)


def _run(notebooks: dict[str, nbformat.NotebookNode], options: list[str]) -> tuple[float, int, dict[str, float]]:
    """Run watched copies of notebooks; return the wall time, how often a function was changed, and the seconds by kind."""
    with tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder:
        watched, noted, out = Path(folder) / "watched", Path(folder) / "noted.jsonl", Path(folder) / "out"
        watched.mkdir()
        for beside in ("handlers", "infra"):  # a lesson may look at them from where it stands
            (Path(folder) / beside).symlink_to(ROOT / beside)
        for name, notebook in notebooks.items():
            nbformat.write(_watched(notebook, noted), watched / f"{name}.ipynb")
        command = [sys.executable, "-m", "workbook", "run", "--jobs", "1", *options]
        begun = time.perf_counter()
        done = subprocess.run(
            [*command, "--notebooks", watched, "--out", out], cwd=ROOT, capture_output=True, text=True
        )
        wall_s = time.perf_counter() - begun
        if done.returncode:
            raise RuntimeError(f"A run of the lessons fails:\n{done.stdout}{done.stderr}")
        spans = {kind: [] for kind in ("call", "change", "manage", "wait", "poll", "kernel")}
        for note in read_lines(noted):
            spans[note["kind"]].append((note["begun"], note["ended"]))
        for path in (out / "records").glob("*.jsonl"):
            spans["call"] += [_span(record) for record in read_lines(path)]
    parts, before, seen = {}, 0.0, []
    for kind, found in spans.items():
        seen += found
        parts[kind], before = _covered(seen) - before, _covered(seen)
    return wall_s, len(spans["change"]), parts


def _watched(notebook: nbformat.NotebookNode, noted: Path) -> nbformat.NotebookNode:
    """Return a copy of a notebook that notes into a file what it does, from its parameters on."""
    copy = nbformat.from_dict(notebook)
    place = next(n for n, cell in enumerate(copy.cells) if "parameters" in cell.metadata.get("tags", ()))
    copy.cells.insert(place + 1, nbformat.v4.new_code_cell(_WATCH.format(path=str(noted))))
    return copy


def _span(record: dict) -> Span:
    begun_s = datetime.fromisoformat(record["started_at"]).timestamp()
    return begun_s, begun_s + record["client_ms"] / 1000


def _covered(spans: Iterable[Span]) -> float:
    """Return the seconds that lie in at least one span."""
    covered_s = reached_s = 0.0
    for begun_s, ended_s in sorted(spans):
        covered_s += max(0.0, ended_s - max(begun_s, reached_s))
        reached_s = max(reached_s, ended_s)
    return covered_s
