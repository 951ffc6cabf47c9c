"""What docker-compose.yml promises. Nothing is started: that takes an engine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from workbook.templates import functions, read_template

ROOT = Path(__file__).resolve().parent.parent
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
BEFORE = ROOT / "docker" / "before-localstack.sh"
# Each way that the tool is installed. Docker's own is a plug-in, and may be missing where the client is there.
TOOLS = (["docker", "compose"], ["docker-compose"])


@pytest.mark.parametrize("profiles", [[], ["--profile", "jupyter"]], ids=["alone", "with JupyterLab"])
def test_a_compose_tool_reads_it(profiles):
    """The file is valid, with its profile and without."""
    tools = [tool for tool in TOOLS if _runs([*tool, "version"])]
    if not tools:
        pytest.skip("this machine has no docker compose")
    for tool in tools:
        services = _runs([*tool, "-f", str(ROOT / "docker-compose.yml"), *profiles, "config", "--services"]).split()
        assert {"before-localstack", "localstack", *(["jupyter"] if profiles else [])} <= set(services)


def _runs(command: list[str]) -> str:
    """Return what a program prints, or nothing if it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_only_this_machine_reaches_it():
    """Every port is published on the loopback: whoever reaches one may run code here."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_every_image_is_pinned():
    """What is fetched today is what is fetched next year; LocalStack's tag is one variable, which has a default."""
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    images += re.findall(r"^FROM (\S+)", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    tags = [re.sub(r"\$\{LOCALSTACK_TAG:-(.+)\}", r"\1", image).partition(":")[2] for image in images]
    assert 3 == len(tags)
    assert all(re.match(r"\d+\.\d+\.\d+", tag) for tag in tags)


def test_nothing_is_started_again_and_again():
    """LocalStack without the token that it needs ends at once; its reason must not be drowned in restarts."""
    assert {"no"} == {service["restart"] for service in SERVICES.values()}


def test_whoever_waits_knows_when_it_is_ready():
    """All that stays has a health check, and comes after what has to be done before."""
    stay = {name: service for name, service in SERVICES.items() if name != "before-localstack"}
    assert all(service["healthcheck"]["test"][0] == "CMD" for service in stay.values())
    before = SERVICES["localstack"]["depends_on"]["before-localstack"]
    assert "service_completed_successfully" == before["condition"]


def test_functions_can_run_and_what_localstack_keeps_has_a_volume():
    """Docker's socket starts environments; the volume is where LocalStack's image keeps its state."""
    mounted = [volume.split(":")[1] for volume in SERVICES["localstack"]["volumes"]]
    assert ["/var/lib/localstack", "/var/run/docker.sock"] == sorted(mounted)


def test_jupyterlab_is_nobody_special_and_takes_nothing_over_from_this_machine():
    """It doesn't run as root, installs what is pinned, and its image has room for an environment of its own alone."""
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert re.findall(r"^USER (\w+)", dockerfile, re.MULTILINE) == ["learner"]
    assert "-r requirements.txt -c constraints.txt" in dockerfile
    assert {".venv", ".git", "data/results"} <= set((ROOT / ".dockerignore").read_text().split())


@pytest.fixture
def prepare(tmp_path):
    """Run what goes before LocalStack, with a stand-in for Docker's client that has no image and notes what it fetches."""
    client = tmp_path / "docker"
    client.write_text(f'#!/bin/sh\n[ "$1" = pull ] && echo "$2" >>{tmp_path}/pulled\n')
    client.chmod(0o755)

    def run(tag: str, token: str) -> tuple[int, str, list[str]]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOCALSTACK_TAG": tag, "LOCALSTACK_AUTH_TOKEN": token}
        done = subprocess.run(["sh", BEFORE], env=environment, capture_output=True, text=True, check=False)
        pulled = tmp_path / "pulled"
        return done.returncode, done.stderr, pulled.read_text().split() if pulled.exists() else []

    return run


@pytest.mark.parametrize("tag", ["2026.8.2", "latest", "stable"])
def test_an_image_that_wants_a_token_is_not_started_without_one(prepare, tag):
    """It says which variable is empty and which image needs none, and fetches nothing."""
    status, said, pulled = prepare(tag, "")
    assert (1, []) == (status, pulled)
    assert f"localstack/localstack:{tag} starts only with an account's token" in said
    assert "LOCALSTACK_TAG=4.14.0" in said


@pytest.mark.parametrize(("tag", "token"), [("4.14.0", ""), ("4", ""), ("2026.8.2", "ls-token")])
def test_the_images_of_all_runtimes_are_there_before_anything_is_measured(prepare, tag, token):
    """Whatever runtime a template names is fetched, from where LocalStack takes it."""
    templates = [read_template(path) for path in (ROOT / "infra").glob("*.yaml")]
    runtimes = {function["Runtime"] for template in templates for function in functions(template).values()}
    images = {re.sub(r"^([a-z]+)([\d.]+?)(\.x)?$", r"public.ecr.aws/lambda/\1:\2", name) for name in runtimes}

    status, said, pulled = prepare(tag, token)

    assert (0, "") == (status, said)
    assert images == set(pulled)
