"""Whether a secret ever reaches an output, a log or a run folder: they are searched for one, byte by byte."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
import rehearsals
from fake_aws import fake_aws, query_error
from small_notebooks import write

from workbook.targets import Target

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "IQoJb3JpZ2luX2VjEMARKEROFASESSIONTOKEN//////////wEaCWV1+Zw=="
OPENING = """\
from workbook import open_lab
lab = open_lab("{}", target=target, run_id=run_id, seed=seed)
print(lab, lab.target, lab.client("lambda"), vars(lab.target))
"""
CLEAN = "import sys, pathlib, workbook.runs; workbook.runs.clean(results=pathlib.Path(sys.argv[1]))"
FAILING = """\
lab.deploy()
def deep(client):
    options = dict(FunctionName="nobody")
    client.invoke(**options)
"""


@dataclass(frozen=True)
class Trace:
    """What commands printed, and the folder with all that they left."""

    folder: Path
    printed: bytes
    secrets: tuple[str, ...]


def found(trace: Trace) -> list[str]:
    """Return where a secret stands: as it is, or as it looks in a URL or in base64; also in what Parquet packs."""
    spellings = {
        spelling
        for secret in trace.secrets
        for spelling in (
            secret.encode(),
            quote(secret, safe="").encode(),
            base64.b64encode(secret.encode()).rstrip(b"=")[:-1],  # what follows it changes the last sign
        )
    }
    contents = {str(path): path.read_bytes() for path in trace.folder.rglob("*") if path.is_file()}
    unpacked = {f"{path}, unpacked": _table(body) for path, body in contents.items() if path.endswith(".parquet")}
    places = {"printed": trace.printed, **contents, **unpacked}
    return [place for place, content in places.items() if any(spelling in content for spelling in spellings)]


def _table(content: bytes) -> bytes:
    return pd.read_parquet(io.BytesIO(content)).to_csv().encode()


def run_all(folder: Path, shell: dict[str, str], *commands: list[str]) -> bytes:
    """Run commands of the workbook, or a line of Python, in a shell, and return all that they print."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WORKBOOK_"))}
    printed = b""
    for command in commands:
        done = subprocess.run(
            [sys.executable, *([] if command[0] == "-c" else ["-m", "workbook"]), *command],
            cwd=ROOT,
            env=environment | shell | {"TMPDIR": str(folder)},
            capture_output=True,
            check=False,
        )
        printed += done.stdout + done.stderr
    return printed


def temporary_credentials(root: Target) -> dict[str, str]:
    """Return the variables of somebody who has assumed a role: a key, its secret, and a session token."""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    iam = root.client("iam")
    role = iam.create_role(RoleName="learners", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="learners", PolicyName="all", PolicyDocument=json.dumps(rehearsals.ANYTHING))
    given = root.client("sts").assume_role(RoleArn=role, RoleSessionName="learner")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """What a principal leaves who runs a lesson, a notebook that fails, the doctor and a mistake on a rehearsal of aws."""
    folder = tmp_path_factory.mktemp("rehearsed")
    with rehearsals.account(folder) as emulator:
        shell = rehearsals.principal(emulator) | temporary_credentials(rehearsals.root(emulator))
        own = folder / "notebooks"
        write(own, "00_failing", OPENING.format("00_start_here"), FAILING, "deep(lab.client('lambda'))")
        write(
            own,
            "01_mistaken",
            OPENING.format("01_first_function"),
            "lab.target.measured_client('lambda').invoke(FunctionName=repeats)",
        )
        write(own, "02_working", OPENING.format("04_what_it_costs"), "print(lab.deploy())\nlab.close()")
        aws = ["--target", "aws"]
        printed = run_all(
            folder,
            shell,
            ["run", *aws, "--only", "01", "--quick", "--out", str(folder / "lesson")],
            ["run", *aws, "--notebooks", str(own), "--set", "seed=5", "--out", str(folder / "own")],
            ["run", *aws, "--set", "seed=five"],
            ["doctor", *aws],
            ["doctor", *aws, "--json"],
        )
        shutil.copytree(folder / "own", folder / "results" / "own")  # it goes, and what it was is searched, too
        printed += run_all(folder, shell, ["-c", CLEAN, str(folder / "results")])
    return Trace(folder, printed, (shell["AWS_SECRET_ACCESS_KEY"], shell["AWS_SESSION_TOKEN"]))


def test_what_runs_print_and_keep_holds_no_secret(rehearsed: Trace):
    """A lesson, a traceback, the doctor: their outputs, records, journals, JUnit file and logs, and the emulator's log."""
    kept = {path.name for path in rehearsed.folder.rglob("*")}
    assert {"run.json", "junit.xml", "records.parquet", "emulator.log", "00_failing.ipynb"} <= kept
    assert b"ResourceNotFoundException" in rehearsed.printed
    assert b"01_first_function  passed" in rehearsed.printed
    assert b"1 passed, 2 failed" in rehearsed.printed
    assert b"removed stack wb-" in rehearsed.printed
    assert b"ok    credentials  of learner" in rehearsed.printed
    assert [] == found(rehearsed)


@pytest.mark.parametrize("spelling", ["as it is", "in a URL", "in base64", "in Parquet", "printed"])
def test_a_secret_that_is_there_is_found(rehearsed: Trace, tmp_path: Path, spelling: str):
    """The search itself can fail: what is planted is found, however it is written."""
    secret = rehearsed.secrets[0]
    texts = {
        "as it is": f"key={secret};",
        "in a URL": f"?key={quote(secret, safe='')}&",
        "in base64": base64.b64encode(f"{secret}:more".encode()).decode(),
    }
    if spelling == "in Parquet":
        pd.DataFrame({"said": [secret] * 100}).to_parquet(tmp_path / "planted.parquet")
    else:
        (tmp_path / "planted").write_text(texts.get(spelling, ""))
    trace = Trace(tmp_path, secret.encode() if spelling == "printed" else b"", rehearsed.secrets)
    assert found(trace)
    assert [] == found(Trace(tmp_path, b"", ("another-secret",)))


def test_a_shell_with_credentials_leaks_none_to_the_embedded_target(tmp_path: Path):
    """Nobody asked for AWS, so what runs there knows nothing of the shell's credentials either."""
    secrets = ("wJalrMARKER/K7MDENG+bPxRfiCYEXAMPLEKEY", TOKEN)
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    shell = dict(zip(names, secrets, strict=True)) | {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
    own, leaky = tmp_path / "own", tmp_path / "leaky"
    write(own, "00_working", OPENING.format("00_start_here"), "outputs = lab.deploy()", "print(outputs)", "lab.close()")
    write(leaky, "00_leaking", f"import os\nprint(os.environ['{names[0]}'])")
    printed = run_all(tmp_path, shell, ["run", "--notebooks", str(own), "--out", str(tmp_path / "run")])
    assert b"1 passed" in printed
    assert [] == found(Trace(tmp_path, printed, secrets))

    run_all(tmp_path, shell, ["run", "--notebooks", str(leaky), "--out", str(tmp_path / "leak")])
    executed = [*(tmp_path / "leak").rglob("00_leaking.ipynb")]
    assert {*map(str, executed)} == {*found(Trace(tmp_path, b"", secrets))}


def test_what_aws_quotes_of_a_signed_request_is_not_passed_on(tmp_path: Path):
    """To a wrong signature AWS answers with the request that it expected, session token included."""
    quoted = f"The Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:{TOKEN}\n'"
    with fake_aws({"sts": query_error("SignatureDoesNotMatch", quoted)}) as fake:
        shell = fake.shell(AWS_SESSION_TOKEN=TOKEN)
        commands = (["run", "--target", "aws", "--out", str(tmp_path / "run")], ["doctor", "--target", "aws"])
        printed = run_all(tmp_path, shell, *commands)
    assert 2 == printed.count(b"The secret access key doesn't belong to the access key.")
    assert [] == found(Trace(tmp_path, printed, (shell["AWS_SECRET_ACCESS_KEY"], TOKEN)))
