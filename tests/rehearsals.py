"""A rehearsal of the target aws: an emulator that enforces IAM, and a principal with credentials of its own on it.

`python tests/rehearsals.py COMMAND ...` runs a command as such a principal, in an account that ends with it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    """Start an emulator that enforces IAM in the account ACCOUNT_ID, with its log in the folder."""
    with start(log=folder / "emulator.log", account_id=ACCOUNT_ID, enforce_iam=True) as emulator:
        yield emulator


def learner_policy() -> dict[str, Any]:
    """Return the policies of a learner as one."""
    statements = [json.loads(path.read_text(encoding="utf-8"))["Statement"] for path in LEARNER_POLICIES]
    return {"Version": "2012-10-17", "Statement": [one for some in statements for one in some]}


def make_boundary(emulator: Emulator) -> None:
    """Make the permissions boundary of the roles, as an account's owner does once."""
    document = BOUNDARY.read_text(encoding="utf-8")
    root(emulator).client("iam").create_policy(PolicyName="workbook-boundary", PolicyDocument=document)


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


def main(command: list[str]) -> int:
    """Run a command in an account of its own, and return its exit status."""
    with tempfile.TemporaryDirectory() as folder, account(Path(folder)) as emulator:
        return subprocess.run(command, env=os.environ | principal(emulator), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
