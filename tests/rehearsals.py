"""A rehearsal of the target aws: an emulator that enforces IAM, and a principal with credentials of its own on it.

`python tests/rehearsals.py COMMAND ...` runs a command as such a principal, in an account that ends with it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbook import runs, stack
from workbook.emulator import Emulator, start
from workbook.targets import Target, connect

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
INFRA = Path(__file__).resolve().parent.parent / "infra"
LEARNER_POLICIES = sorted(INFRA.glob("learner-policy*.json"))
BOUNDARY = INFRA / "permissions-boundary.json"
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@contextmanager
def account(folder: Path) -> Iterator[Emulator]:
    """Start an emulator that enforces IAM in the account ACCOUNT_ID, with its log in the folder.

    The permissions boundary of the roles is there, as an account's owner makes it once.
    """
    with start(log=folder / "emulator.log", account_id=ACCOUNT_ID, enforce_iam=True) as emulator:
        document = BOUNDARY.read_text(encoding="utf-8")
        root(emulator).client("iam").create_policy(PolicyName="workbook-boundary", PolicyDocument=document)
        yield emulator


def learner_policy() -> dict[str, Any]:
    """Return the policies of a learner as one."""
    statements = [json.loads(path.read_text(encoding="utf-8"))["Statement"] for path in LEARNER_POLICIES]
    return {"Version": "2012-10-17", "Statement": [one for some in statements for one in some]}


def root(emulator: Emulator) -> Target:
    """Return the account's root, who may do everything."""
    return connect("embedded", endpoint=emulator.endpoint, region=REGION, account_id=ACCOUNT_ID)


def principal(emulator: Emulator, policy: Mapping[str, Any] = ANYTHING, *, name: str = "learner") -> dict[str, str]:
    """Make a user with that policy, and return the variables with which a shell is that user, and agrees to use the account."""
    iam = root(emulator).client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "WORKBOOK_ACCOUNT": ACCOUNT_ID,
        "WORKBOOK_MAX_USD": "5",
    }


@dataclass(frozen=True)
class Learner:
    """A principal with nothing but the learner's policy, and the run of all lessons that it made."""

    emulator: Emulator
    policy: dict[str, Any]
    run: runs.Report
    name: str = "learner"

    def trail(self, name: str = "") -> list[dict[str, Any]]:
        """Return the lines of the trail that are about a user, by default the learner."""
        lines = map(json.loads, self.emulator.trail.read_text(encoding="utf-8").splitlines())
        arn = f"arn:aws:iam::{ACCOUNT_ID}:user/{name or self.name}"
        return [line for line in lines if line["principal"] == arn]

    def lessons_by_action(self) -> dict[str, set[str]]:
        """Return the lessons that used an action, for each action that some line of the trail ties to a lesson.

        A line names its stack, or a resource that is called after it, or an API of a stack.
        """
        stacks = {f"-{outcome.name.replace('_', '-')}": outcome.name for outcome in self.run.outcomes}
        lessons: dict[str, set[str]] = {}
        apis: dict[str, str] = {}
        for line in self.trail():
            said = f"{line['stack'] or ''} {line['resource']}"
            found = [lesson for stack, lesson in stacks.items() if re.search(rf"wb-\S*{stack}\b", said)]
            api = re.search(r"(?:/apis/|/restapis/|execute-api:[^:]+:\d+:)([a-z0-9]+)(?:/|$)", line["resource"])
            if api and found:
                apis[api[1]] = found[0]
            for lesson in found or ([apis[api[1]]] if api and api[1] in apis else []):
                lessons.setdefault(line["action"], set()).add(lesson)
        return lessons


def leave_behind(target: Target, run_id: str = "20260101-000000-0000") -> None:
    """Leave what a killed kernel leaves: a stack, what a lesson made by hand, and a bucket with half an upload and no tag."""
    made_at = datetime(2026, 1, 1, tzinfo=UTC)
    tags = stack.tags(target, run=run_id, lesson="01_first_function", now=made_at)
    common = {"tags": tags, "remember": lambda entry: None, "say": lambda line: None}
    stack.deploy(target, INFRA / "00_start_here.yaml", name=f"wb-{run_id}-00-start-here", **common)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    target.client("iam").create_role(
        RoleName=f"wb-{run_id}-role",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        PermissionsBoundary=target.boundary_arn,
        Tags=stack.tag_list(tags),
    )
    target.client("logs").create_log_group(logGroupName=f"/aws/lambda/wb-{run_id}-adder", tags=tags)
    bucket = f"wb-{run_id}-01-first-function-{target.account_id}"
    target.client("s3").create_bucket(Bucket=bucket)
    target.client("s3").create_multipart_upload(Bucket=bucket, Key="code.zip")


def look_around(target: Target) -> None:
    """Ask what the workbook asks before a run."""
    target.client("lambda").get_account_settings()
    target.client("lambda").list_functions()
    target.client("iam").get_policy(PolicyArn=target.boundary_arn)
    target.client("apigateway").get_account()
    target.client("cloudformation").list_stacks()


def main(command: list[str]) -> int:
    """Run a command in an account of its own, and return its exit status."""
    with tempfile.TemporaryDirectory() as folder, account(Path(folder)) as emulator:
        return subprocess.run(command, env=os.environ | principal(emulator), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
