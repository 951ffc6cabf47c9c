"""An environment gets its memory's share of a processor, by whichever way this machine allows, and nothing stays behind."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from trials import MakeEnvironment, answer, invoke, state
from waits import wait_until

from workbook import emulator
from workbook.emulator import control_groups, guard
from workbook.emulator.control_groups import ControlGroups
from workbook.emulator.corrections.probes.made import function, zipped
from workbook.emulator.duty_cycle import Account, DutyCycle
from workbook.emulator.governor import Governor, Unlimited, choose, setting, share
from workbook.errors import ParameterError
from workbook.targets import Target, connect

# Uses an amount of CPU time, in as many processes, and says how much, and how long it took
BURN = """
import os, time

def burn(cpu_s):
    before = time.process_time()
    while time.process_time() - before < cpu_s:
        pass

def handler(event, context):
    begun = time.perf_counter()
    children = []
    for _ in range(event.get("children", 0)):
        if not (child := os.fork()):
            burn(event["cpu_s"])
            os._exit(0)
        children.append(child)
    if children:
        for child in children:
            os.waitpid(child, 0)
    else:
        burn(event["cpu_s"])
    return {"took_s": time.perf_counter() - begun, "pid": os.getpid()}
"""
# Counts how often it was continued while it starts
SLOW_START = """
import signal, time

continued = []
signal.signal(signal.SIGCONT, lambda number, frame: continued.append(number))
end = time.process_time() + 0.1
while time.process_time() < end:
    pass
in_the_init_phase = len(continued)

def handler(event, context):
    return in_the_init_phase
"""


def own_control_groups() -> ControlGroups | None:
    """Return control groups for this process's tests, or None if it may not make any."""
    try:
        return ControlGroups(f"workbook-test-{os.getpid()}", lambda folder: None)
    except OSError:
        return None


@pytest.fixture
def signals() -> Iterator[DutyCycle]:
    """The governor that works by signals."""
    made = DutyCycle()
    yield made
    made.close()


@pytest.fixture
def groups() -> Iterator[ControlGroups]:
    """The governor that works by control groups."""
    made = own_control_groups()
    if made is None:
        pytest.skip("this process may not make control groups")
    yield made
    made.close()
    assert [] == made.groups


@pytest.fixture(params=["signals", "groups"])
def either(request: pytest.FixtureRequest) -> Governor:
    """One governor and then the other."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(("memory_mb", "expected"), [(128, 128 / 1769), (1769, 1.0)])
def test_a_share_is_in_proportion(memory_mb: int, expected: float) -> None:
    """1769 MB are one processor, and less is as much less."""
    assert expected == share(memory_mb)


def test_no_more_than_there_is() -> None:
    """A memory size beyond the machine stands for the whole machine."""
    assert share(10**9) == int(share(10**9)) <= os.cpu_count()


@pytest.mark.parametrize("memory_mb", [128, 512])
def test_cpu_time_follows_the_share(either: Governor, make_environment: MakeEnvironment, memory_mb: int) -> None:
    """A handler that burns CPU time gets its share of the time that passes, and not much more."""
    one = make_environment(BURN, governor=either, memory_mb=memory_mb, timeout_s=60)
    one.start()
    cpu_s = 0.1
    assert cpu_s / answer(invoke(one, {"cpu_s": cpu_s}))["took_s"] < 1.5 * share(memory_mb)


def test_children_share_it(either: Governor, make_environment: MakeEnvironment) -> None:
    """Two child processes at work have together what the environment has."""
    one = make_environment(BURN, governor=either, memory_mb=512, timeout_s=60)
    one.start()
    cpu_s = 0.3
    took_s = answer(invoke(one, {"cpu_s": cpu_s, "children": 2}))["took_s"]
    assert 2 * cpu_s / took_s < 2 * share(512)


def test_an_init_phase_has_all_of_it(groups: ControlGroups, make_environment: MakeEnvironment) -> None:
    """On demand there is no quota until the first invocation; under provisioned concurrency there is one from the start."""
    source = "import pathlib, time\ntime.sleep(0.2)\ndef handler(event, context): pass"
    on_demand = make_environment(source, governor=groups)
    on_demand.start()
    assert ["-1"] == quotas(groups)
    invoke(on_demand)
    assert ["1447"] == quotas(groups)
    on_demand.stop()

    prepared = make_environment(source, governor=groups, initialization_type="provisioned-concurrency")
    starting = threading.Thread(target=prepared.start)
    starting.start()
    wait_until(lambda: quotas(groups) == ["1447"])
    assert prepared.init_ms is None
    starting.join()


def quotas(groups: ControlGroups) -> list[str]:
    """Return what stands in the environments' quotas, in microseconds of 20 ms."""
    if groups.name != "cgroup v1":
        pytest.skip("the files of version 1")
    return [(folder / "cpu.cfs_quota_us").read_text().strip() for folder in groups.groups]


def test_the_init_phase_is_not_stopped(signals: DutyCycle, make_environment: MakeEnvironment) -> None:
    """On demand nobody stops the init phase for the CPU time that it uses; under provisioned concurrency somebody does."""
    paused = []
    for kind in ("on-demand", "provisioned-concurrency"):
        one = make_environment(SLOW_START, governor=signals, memory_mb=512, initialization_type=kind)
        one.start()
        paused.append(answer(invoke(one)) > 0)
    assert [False, True] == paused


def test_it_is_frozen_in_the_end(signals: DutyCycle, make_environment: MakeEnvironment) -> None:
    """However often it was stopped and continued in its invocations, between them an environment stands still."""
    one = make_environment(BURN, governor=signals)
    one.start()
    for _ in range(10):
        pid = answer(invoke(one, {"cpu_s": 0.004}))["pid"]
    wait_until(lambda: state(pid) == psutil.STATUS_STOPPED)
    before = psutil.Process(pid).cpu_times()
    invoke(make_environment(BURN), {"cpu_s": 0.1})
    assert (before, psutil.STATUS_STOPPED) == (psutil.Process(pid).cpu_times(), state(pid))


def test_many_at_once(either: Governor, make_environment: MakeEnvironment) -> None:
    """Thirty environments under one governor all come to their answers."""
    many = [make_environment(BURN, governor=either, timeout_s=60) for _ in range(30)]
    answers: list[object] = []

    def use(one: object) -> None:
        one.start()
        answers.append(answer(invoke(one, {"cpu_s": 0.003})))

    users = [threading.Thread(target=use, args=(one,)) for one in many]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert 30 == len(answers)


def test_a_debt_is_paid_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who used more than there was is stopped until the bucket is full again, and longer for the debt."""
    sent, used_s = [], [0.0]
    monkeypatch.setattr("workbook.emulator.duty_cycle.CpuClock.read", lambda clock: used_s[0])
    monkeypatch.setattr(os, "killpg", lambda group, number: sent.append(number.name))
    account = Account(1, 0.5, 0.0)
    account.run(0.0)
    used_s[0] = 0.020  # all the time of two processors: twice what the bucket held
    account.settle(0.010)
    assert ["SIGCONT", "SIGSTOP"] == sent
    assert pytest.approx(0.040) == account.look_at  # until 0.5 · (t - 0) - 0.020 + 0.010 = 0.010
    account.settle(0.030)
    assert 2 == len(sent)
    account.settle(0.041)
    assert "SIGCONT" == sent[-1]
    account.rest()
    assert ("SIGSTOP", float("inf")) == (sent[-1], account.look_at)


def test_looks_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on is looked at when its bucket can be empty; who uses nothing, later and later, within half a period."""
    used_s = [0.0]
    monkeypatch.setattr("workbook.emulator.duty_cycle.CpuClock.read", lambda clock: used_s[0])
    monkeypatch.setattr(os, "killpg", lambda group, number: None)
    account = Account(1, 0.1, 0.0)
    in_time_s = pytest.approx(0.002 / 0.9, rel=0.01)
    account.run(0.0)
    assert in_time_s == account.look_at
    waits_s = []
    for _ in range(20):
        before = account.look_at
        account.settle(before)
        waits_s.append(account.look_at - before)
    assert pytest.approx(sorted(waits_s)) == waits_s
    assert pytest.approx(0.010) == waits_s[-1]
    used_s[0] += 0.004
    now = account.look_at
    account.settle(now)  # stopped for what was used beyond the bucket
    now = account.look_at + 1e-6
    account.settle(now)  # goes on
    assert in_time_s == account.look_at - now
    account.rest()
    account.run(now + 100)
    assert in_time_s == account.look_at - now - 100


def test_a_group_goes_with_its_environment(groups: ControlGroups, make_environment: MakeEnvironment) -> None:
    """A stopped environment leaves no control group, and what left its session ends with it."""
    source = """
    import subprocess
    def handler(event, context):
        return subprocess.Popen(["sleep", "600"], start_new_session=True, env={}).pid
    """
    one = make_environment(source, governor=groups)
    one.start()
    stray = answer(invoke(one))
    assert [f".{one._runtime.processes.id}"] == [folder.suffix for folder in groups.groups]
    one.stop()
    assert [] == groups.groups
    wait_until(lambda: state(stray) == psutil.STATUS_DEAD)


def test_the_guard_dissolves_a_group(groups: ControlGroups, make_environment: MakeEnvironment, tmp_path: Path) -> None:
    """What an emulator made goes with it, though somebody is still in it."""
    make_environment(BURN, governor=groups).start()
    watch = guard.Guard(tmp_path / "missing")
    (folder,) = groups.groups
    watch.watch_control_groups(folder.with_suffix(""))
    watch.close()
    assert (0, []) == (watch._process.returncode, groups.groups)


@pytest.mark.parametrize(("value", "name"), [("full", {"full"}), ("signals", {"signals"}), ("share", set())])
def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch, value: str, name: set[str]) -> None:
    """WORKBOOK_CPU names the way; share takes control groups where they may be made, and signals elsewhere."""
    monkeypatch.setenv("WORKBOOK_CPU", value)
    chosen = choose(f"workbook-test-{os.getpid()}", lambda folder: None)
    try:
        assert chosen.name in (name or {"cgroup v1", "cgroup v2", "signals"})
    finally:
        chosen.close()


def test_without_control_groups_there_are_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no control group can be made, the share is held by signals."""
    monkeypatch.setenv("WORKBOOK_CPU", "share")
    monkeypatch.setattr(control_groups, "places", list)
    chosen = choose("workbook-test", lambda folder: None)
    chosen.close()
    assert "signals" == chosen.name


def test_another_value_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that means nothing stops the start with a sentence, before there is anything to remove."""
    monkeypatch.setenv("WORKBOOK_CPU", "fast")
    with pytest.raises(ParameterError, match="WORKBOOK_CPU='fast' is none of share, signals, full"):
        emulator.start(log=tmp_path / "log")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("value", ["full", "signals", "share"])
def test_what_is_in_force_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """An emulator tells how it holds environments to their share, and a lesson can need that it does."""
    monkeypatch.setenv("WORKBOOK_CPU", value)
    with emulator.start(log=tmp_path / "log") as running:
        target = connect("embedded", endpoint=running.endpoint)
        with function(target, "def handler(event, context): return 'here'") as name:
            assert "here" == json.load(target.client("lambda").invoke(FunctionName=name)["Payload"])
            groups = [group for place in control_groups.places() for group in place.glob(f"{running.folder.name}.*")]
        assert ("watched", value == "full") == (target.limits["memory"], target.limits["cpu"] == "full")
        assert (value != "full") == ("cpu_share" in target.capabilities)
        assert "Run it without WORKBOOK_CPU=full." in target.lack("cpu_share")
    assert target.limits["cpu"].startswith("cgroup") == bool(groups)
    assert [] == [group for group in groups if group.exists()]


def test_its_sudden_end_leaves_no_group(groups: ControlGroups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL gives the emulator no last word, and yet its control groups go."""
    monkeypatch.setenv("WORKBOOK_CPU", "share")
    with emulator.start(log=tmp_path / "log") as running:
        make_function(connect("embedded", endpoint=running.endpoint))
        made = [group for place in control_groups.places() for group in place.glob(f"{running.folder.name}.*")]
        assert 1 == len(made)
        os.kill(running.pid, 9)
        wait_until(lambda: not made[0].exists())


def make_function(target: Target) -> None:
    """Make a function, call it, and leave it there."""
    service = target.client("lambda")
    service.create_function(
        FunctionName="left",
        Role="arn:aws:iam::000000000000:role/r",
        Runtime="python3.13",
        Handler="app.handler",
        Code={"ZipFile": zipped(BURN)},
    )
    service.invoke(FunctionName="left", Payload=b'{"cpu_s": 0}')


def test_other_targets_say_nothing(plain_ministack: Target) -> None:
    """An emulator that isn't ours has no limits to tell of, nor has a target without one."""
    assert {} == plain_ministack.limits
    assert "cpu_share" not in plain_ministack.capabilities
    assert {} == Target("localstack", "http://127.0.0.1:9").limits


def test_no_limit_is_no_limit() -> None:
    """Without a governor, every step is taken and nothing happens."""
    allowance = Unlimited().admit(1, 0.1)
    assert [None, None, None] == [allowance.run(), allowance.rest(), allowance.end()]
    assert "share" == setting() or "WORKBOOK_CPU" in os.environ
