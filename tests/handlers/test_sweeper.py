"""What is past its time goes by itself, and nothing else does."""

import importlib.util
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import rehearsals
from waits import wait_until

from workbook import stack
from workbook.cli import main
from workbook.sweep import sweep
from workbook.targets import configured

APP = Path(__file__).resolve().parents[2] / "handlers" / "sweeper" / "app.py"
TEMPLATE = """
Resources:
  Line:
    Type: AWS::SQS::Queue
  Store:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub ${AWS::StackName}-store
      VersioningConfiguration:
        Status: Enabled
"""
QUIET = {"remember": lambda entry: None, "say": lambda line: None}


def test_a_deployed_sweeper_takes_what_is_past_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """Deployed by one command, it deletes expired stacks with what is in their buckets; others and untagged ones stay."""
    with rehearsals.account(tmp_path) as emulator:
        for name, value in rehearsals.principal(emulator).items():
            monkeypatch.setenv(name, value)
        there = configured("aws")
        template = tmp_path / "template.yaml"
        template.write_text(TEMPLATE)
        now = datetime.now(UTC)
        for run, made_at in {"old": now - timedelta(hours=25), "new": now}.items():
            tags = stack.tags(there, run=run, lesson="lesson", now=made_at)
            stack.deploy(there, template, name=f"wb-{run}", tags=tags, **QUIET)
        stack.deploy(there, template, name="wb-untagged", tags={}, **QUIET)
        stack.deploy(there, template, name="foreign", tags=stack.tags(there, run="x", lesson="l", now=now), **QUIET)
        s3 = there.client("s3")
        for body in (b"one", b"two"):
            s3.put_object(Bucket="wb-old-store", Key="key", Body=body)
        s3.delete_object(Bucket="wb-old-store", Key="key")
        s3.create_bucket(Bucket="wb-old-code")
        old = stack.tags(there, run="old", lesson="lesson", now=now - timedelta(hours=25))
        s3.put_bucket_tagging(Bucket="wb-old-code", Tagging={"TagSet": stack.tag_list(old)})
        s3.put_object(Bucket="wb-old-code", Key="key", Body=b"code")

        assert 0 == main(["sweeper", "deploy"])
        answer = there.client("lambda").invoke(FunctionName="workbook-sweeper-function")
        said = json.load(answer["Payload"])

        assert {"deleted": ["wb-old", "wb-old-code"], "failed": []} == said
        pages = there.client("cloudformation").describe_stacks
        wait_until(lambda: "wb-old" not in [one["StackName"] for one in pages()["Stacks"]])
        stays = {"wb-new", "wb-untagged", "foreign", "workbook-sweeper"}
        assert stays == {one["StackName"] for one in pages()["Stacks"]}
        rules = there.client("events").list_rules()["Rules"]
        assert ["rate(1 hour)"] == [rule["ScheduleExpression"] for rule in rules]

        sweep(there, say=lambda line: None)
        assert {"wb-untagged", "workbook-sweeper"} == {one["StackName"] for one in pages()["Stacks"]}
        assert [0, 0] == [main(["sweeper", "remove"]), main(["sweeper", "remove"])]
        assert ["wb-untagged"] == [one["StackName"] for one in pages()["Stacks"]]
        assert "There was no sweeper." in capsys.readouterr().out


@pytest.mark.parametrize("value", [None, "", "soon", "2999-01-01T00:00:00Z", "2999-01-01"])
def test_nothing_goes_that_is_not_certainly_past_its_time(value: str | None, monkeypatch: pytest.MonkeyPatch):
    """No tag, nonsense in it, or a time to come: it stays."""
    for name, setting in {"EXPIRY_TAG": "t", "PREFIX": "wb-", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, setting)
    spec = importlib.util.spec_from_file_location("sweeper_app", APP)
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    assert not app.is_past([{"Key": "t", "Value": value}] if value is not None else [], datetime.now(UTC))
