"""Templates as data, and the rules that the lessons' own templates keep."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbook.errors import DeployError
from workbook.packaging import check_runtime, zip_folder
from workbook.templates import functions, read_template

ROOT = Path(__file__).resolve().parent.parent
HANDLERS = sorted(path for path in (ROOT / "handlers").iterdir() if path.is_dir())
TEMPLATES = sorted((ROOT / "infra").glob("*.yaml"))
every_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)


# reading


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("!Ref Hello", {"Ref": "Hello"}),
        ("!Condition IsProd", {"Condition": "IsProd"}),
        ("!Sub ${AWS::StackName}-x", {"Fn::Sub": "${AWS::StackName}-x"}),
        ("!GetAtt Hello.Arn", {"Fn::GetAtt": ["Hello", "Arn"]}),
        ("!GetAtt Nested.Outputs.Url", {"Fn::GetAtt": ["Nested", "Outputs.Url"]}),
        ("!GetAtt [Hello, Arn]", {"Fn::GetAtt": ["Hello", "Arn"]}),
        ("!Join ['-', [a, !Ref B]]", {"Fn::Join": ["-", ["a", {"Ref": "B"}]]}),
        ("!If [IsProd, !Ref A, !Ref AWS::NoValue]", {"Fn::If": ["IsProd", {"Ref": "A"}, {"Ref": "AWS::NoValue"}]}),
        (
            "!Transform {Name: Include, Parameters: {A: !Ref B}}",
            {"Fn::Transform": {"Name": "Include", "Parameters": {"A": {"Ref": "B"}}}},
        ),
        ("2012-10-17", "2012-10-17"),
        ("no", False),
    ],
)
def test_a_short_form_becomes_the_long_one(tmp_path: Path, short: str, long: Any):
    """What CloudFormation's YAML abbreviates is written out, and the result is JSON."""
    path = tmp_path / "t.yaml"
    path.write_text(f"Resources:\n  X: {short}\n")
    assert {"Resources": {"X": long}} == json.loads(json.dumps(read_template(path)))


def test_globals_fill_in_what_a_function_leaves_out():
    """A function's own property wins over the one in Globals, as in SAM."""
    template = {
        "Globals": {"Function": {"Runtime": "python3.13", "Timeout": 3}},
        "Resources": {
            "A": {"Type": "AWS::Serverless::Function", "Properties": {"Timeout": 9}},
            "B": {"Type": "AWS::SQS::Queue"},
        },
    }
    assert {"A": {"Runtime": "python3.13", "Timeout": 9}} == functions(template)


def test_a_missing_template_is_named(tmp_path: Path):
    """Who mistypes a template's name reads it again."""
    with pytest.raises(DeployError, match=r"nowhere\.yaml can't be read: No such file"):
        read_template(tmp_path / "nowhere.yaml")


def test_what_is_not_yaml_is_named_with_its_line(tmp_path: Path):
    """A slip in the indentation is found where it is."""
    path = tmp_path / "t.yaml"
    path.write_text("Resources:\n  Hello:\n    Type: [x\n  Other: 1\n")
    with pytest.raises(DeployError, match=r"t\.yaml:4: "):
        read_template(path)


@pytest.mark.parametrize("text", ["", "just text", "Resources: []", "Outputs: {}"])
def test_a_template_needs_resources(tmp_path: Path, text: str):
    """YAML that isn't a template is told from one."""
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(DeployError, match=r"t\.yaml has no Resources"):
        read_template(path)


# the lessons' templates


def test_templates_are_clean_under_cfn_lint():
    """AWS's own linter finds nothing in any template, and no rule is switched off anywhere."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), *TEMPLATES], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stdout)
    assert [] == list(ROOT.glob(".cfnlintrc*"))
    assert [] == [path.name for path in TEMPLATES if "cfn-lint" in path.read_text(encoding="utf-8")]


@every_template
def test_no_template_uses_yaml_aliases(path: Path):
    """CloudFormation doesn't read them. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html"""
    tokens = list(yaml.scan(path.read_text(encoding="utf-8")))
    assert [] == [token for token in tokens if isinstance(token, yaml.AnchorToken | yaml.AliasToken)]


@every_template
def test_every_parameter_is_typed_described_and_limited(path: Path):
    """Who deploys a template by hand sees what may be said, and can't say anything else."""
    limits = {"AllowedValues", "AllowedPattern", "MinValue", "MaxValue", "MinLength", "MaxLength"}
    for name, parameter in read_template(path).get("Parameters", {}).items():
        assert {"Type", "Default", "Description"} <= parameter.keys(), name
        assert limits & parameter.keys(), name


@every_template
def test_every_output_is_described(path: Path):
    """Outputs are the only way in which a lesson learns a name, so each says what it is."""
    outputs = read_template(path)["Outputs"]
    assert outputs
    assert [] == [name for name, output in outputs.items() if not output.get("Description", "").endswith(".")]


@every_template
def test_every_function_runs_what_it_names(path: Path):
    """Each function's folder is there, and its code can run under the runtime that the template names."""
    for properties in functions(read_template(path)).values():
        check_runtime((path.parent / properties["CodeUri"]).resolve(strict=True), properties["Runtime"])


def test_every_handler_is_in_a_template():
    """A handler that no template names can't be deployed, so it is not there."""
    named = {
        (path.parent / properties["CodeUri"]).resolve()
        for path in TEMPLATES
        for properties in functions(read_template(path)).values()
    }
    assert HANDLERS == sorted(named)


@every_template
def test_every_function_has_a_log_that_ends(path: Path):
    """A log group is declared for each function, with a retention, so that nothing is kept for ever."""
    template = read_template(path)
    groups = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Logs::LogGroup"]
    named = {group["LogGroupName"]["Fn::Sub"] for group in groups if group["RetentionInDays"] <= 7}
    assert {f"/aws/lambda/${{{logical_id}}}" for logical_id in functions(template)} == named


@every_template
def test_a_role_is_written_out_and_never_allows_everything(path: Path):
    """Each function has a role of the template, not the one that SAM would give it, and no statement says `*`.

    But to list what an account has, for which there is nothing narrower.
    """
    template = read_template(path)
    roles = {name for name, r in template["Resources"].items() if r["Type"] == "AWS::IAM::Role"}
    assert roles == {properties["Role"]["Fn::GetAtt"][0] for properties in functions(template).values()}
    for role in roles:
        for policy in template["Resources"][role]["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Action"] != [
                    "cloudformation:DescribeStacks",
                    "logs:DescribeLogGroups",
                    "s3:ListAllMyBuckets",
                ]:
                    assert "*" not in (statement["Resource"], *statement["Action"])


@every_template
def test_no_door_is_open(path: Path):
    """An API asks for a signature, and so does a function's own URL."""
    for name, resource in read_template(path)["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] in {"AWS::Serverless::HttpApi", "AWS::Serverless::Api"}:
            assert "AWS_IAM" == properties["Auth"]["DefaultAuthorizer"], name
        assert "AWS_IAM" == properties.get("FunctionUrlConfig", {"AuthType": "AWS_IAM"})["AuthType"], name


@every_template
def test_every_stage_is_throttled_to_twice_the_lessons_own_peak(path: Path):
    """What isn't the lesson can't run up a bill through its door. The peak of each API stands in the template."""
    template = read_template(path)
    limits = {
        name: resource["Properties"].get("DefaultRouteSettings") or resource["Properties"]["MethodSettings"][0]
        for name, resource in template["Resources"].items()
        if resource["Type"] in {"AWS::Serverless::HttpApi", "AWS::Serverless::Api"}
    }
    peaks = template.get("Metadata", {}).get("Workbook", {}).get("PeakPerSecond", {})
    assert peaks.keys() == limits.keys()
    for name, limit in limits.items():
        assert {2 * peaks[name]} == {limit["ThrottlingBurstLimit"], limit["ThrottlingRateLimit"]}, name
        assert {("/*", "*"), (None, None)} >= {(limit.get("ResourcePath"), limit.get("HttpMethod"))}


@pytest.mark.parametrize("folder", HANDLERS, ids=lambda path: path.name)
def test_handlers_can_be_packaged(folder: Path):
    """What a handler requires is pinned to the version that the workbook itself has."""
    assert zip_folder(folder).content


@pytest.mark.parametrize("folder", HANDLERS, ids=lambda path: path.name)
def test_handlers_know_nothing_of_the_workbook(folder: Path):
    """A handler is plain AWS code, which anybody may copy from here."""
    for path in folder.rglob("*"):
        if path.suffix in {".py", ".mjs"}:
            assert "workbook" not in path.read_text(encoding="utf-8").lower(), path
