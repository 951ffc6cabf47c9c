"""A lesson's template deployed and taken away again: our stack room beside `sam` and `aws`, on one emulator.

Every side is a command of its own, so each pays for starting Python.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.peers import clean_environment, tool
from benchmarks.rows import Figure, Row
from workbook import emulator, targets

ROUNDS = 6  # the fewest that bound a median on both sides
ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "infra" / "01_first_function.yaml"
BUCKET = "bench-artifacts"

_OURS = """
import json, sys
from pathlib import Path
from workbook import stack, targets
target = targets.connect("embedded", endpoint={endpoint!r})
state = Path({state!r})
if sys.argv[1] == "deploy":
    entries = []
    stack.deploy(target, Path({template!r}), name="bench-ours", tags={{}}, remember=entries.append, say=lambda line: None)
    state.write_text(json.dumps(entries))
else:
    stack.teardown(target, json.loads(state.read_text()), say=lambda line: None)
"""


def measure() -> Iterator[Row]:
    """Yield four rows: deploying and taking away, beside `sam` and beside `aws`."""
    sam, aws = str(tool("sam", "sam")), str(tool("awscli", "aws"))
    with (
        tempfile.TemporaryDirectory(prefix="workbook-bench-") as folder,
        emulator.start(log=Path(folder) / "log") as running,
    ):
        targets.connect("embedded", endpoint=running.endpoint).client("s3").create_bucket(Bucket=BUCKET)
        script = _OURS.format(endpoint=running.endpoint, state=f"{folder}/state.json", template=str(TEMPLATE))
        packaged = f"{folder}/packaged.yaml"
        where = ["--s3-bucket", BUCKET, "--template-file"]
        allowed = ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        deploys = {
            "workbook": [[sys.executable, "-c", script, "deploy"]],
            "aws-sam-cli": [[sam, "deploy", "--stack-name", "bench-sam", *where, str(TEMPLATE), *allowed]],
            "awscli": [
                [aws, "cloudformation", "package", *where, str(TEMPLATE), "--output-template-file", packaged],
                [
                    aws,
                    "cloudformation",
                    "deploy",
                    "--stack-name",
                    "bench-aws",
                    "--template-file",
                    packaged,
                    *allowed,
                ],
            ],
        }
        removals = {
            "workbook": [[sys.executable, "-c", script, "teardown"]],
            "aws-sam-cli": [[sam, "delete", "--stack-name", "bench-sam", "--no-prompts"]],
            "awscli": [
                [aws, "cloudformation", "delete-stack", "--stack-name", "bench-aws"],
                [aws, "cloudformation", "wait", "stack-delete-complete", "--stack-name", "bench-aws"],
            ],
        }
        variables = clean_environment(running.endpoint, folder)
        deploy_ms: dict[str, list[float]] = {side: [] for side in deploys}
        remove_ms: dict[str, list[float]] = {side: [] for side in deploys}
        for _ in range(ROUNDS):
            for side in deploys:
                deploy_ms[side].append(_timed(deploys[side], variables))
                remove_ms[side].append(_timed(removals[side], variables))
    for peer in ("aws-sam-cli", "awscli"):
        for what, taken_ms in (("deploying a template of five functions", deploy_ms), ("taking it away", remove_ms)):
            yield Row(what, "ms", Figure.quantile(taken_ms["workbook"]), peer, Figure.quantile(taken_ms[peer]))


def _timed(commands: Sequence[Sequence[str]], variables: dict[str, str]) -> float:
    begun = time.perf_counter()
    for command in commands:
        done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr or done.stdout}")
    return (time.perf_counter() - begun) * 1000
