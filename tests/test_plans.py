"""Many calls: which are made, when, in which order, and what each counts as."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from workbook import plans
from workbook.calls import invoke
from workbook.errors import ParameterError
from workbook.records import Provenance, Record
from workbook.targets import Target

ROOT = Path(__file__).resolve().parent.parent
RNG = random.Random(1)


def record(**columns: object) -> Record:
    defaults = {
        "run_id": "r",
        "experiment": "e",
        "target": "embedded",
        "region": "us-east-1",
        "function": "f",
        "via": "invoke",
        "started_at": datetime.now(UTC).isoformat(),
        "client_ms": 5.0,
        "status": 200,
        "provenance": Provenance.EMULATED,
    }
    return Record(**{**defaults, **columns})


class Function:
    """A function in memory: its first call after `renew` is cold, in an environment of a new name."""

    def __init__(self, name: str = "f") -> None:
        self.name, self.calls, self.environment, self.is_new = name, [], 0, False

    def renew(self, _variant: str = "") -> None:
        self.environment, self.is_new = self.environment + 1, True

    def __call__(self, **labels: object) -> Record:
        temperature, self.is_new = "cold" if self.is_new else "warm", False
        self.calls.append(labels)
        return record(function=self.name, temperature=temperature, environment=f"stream-{self.environment}", **labels)


def counted(records: list[Record]) -> list[str]:
    return [one.counts_as for one in records]


def test_every_round_has_every_name_once_and_an_order_of_its_own():
    """Alternatives take turns, and no alternative always follows the same other one."""
    rounds = list(plans.interleaved("abc", 40, random.Random(1)))
    by_round = [[name for attempt, name in rounds if attempt == number] for number in range(1, 41)]
    assert all(sorted(names) == ["a", "b", "c"] for names in by_round)
    assert len({tuple(names) for names in by_round}) == 6
    assert rounds == list(plans.interleaved("abc", 40, random.Random(1)))


@pytest.mark.parametrize(("names", "repeats"), [("", 3), ("ab", 0)])
def test_a_plan_of_no_calls_is_refused(names: str, repeats: int):
    """Nothing to call, or no round, is told so before anything is called."""
    with pytest.raises(ParameterError, match="measure nothing"):
        list(plans.interleaved(names, repeats, RNG))


def test_each_cold_call_comes_after_its_own_preparation():
    """A cold plan prepares and calls each variant in turn, and every proven call counts."""
    function, kept = Function(), []
    records = plans.cold(
        {"one": function, "other": function}, prepare=function.renew, repeats=3, rng=RNG, keep=kept.append
    )
    assert ["result"] * 6 == counted(records)
    assert {"one": 3, "other": 3} == Counter(call["variant"] for call in function.calls)
    assert records == kept


def test_a_warm_call_in_a_cold_plan_is_set_apart():
    """Where the preparation didn't work, the calls are no results, none is lost, and the plan ends all the same."""
    records = plans.cold({"one": Function()}, prepare=lambda _: None, repeats=4, rng=RNG)
    assert ["wrong temperature"] * 8 == counted(records)


def test_a_call_that_does_not_count_is_made_up_for():
    """One preparation that fails costs one more call, of that variant only."""
    function, other = Function("f"), Function("g")

    def prepare(variant: str) -> None:
        if variant == "other":
            other.renew()
        elif len(function.calls) != 1:
            function.renew()

    records = plans.cold({"one": function, "other": other}, prepare=prepare, repeats=3, rng=RNG)
    assert (4, 3) == (len(function.calls), len(other.calls))
    assert {"result": 6, "wrong temperature": 1} == Counter(counted(records))


def test_an_init_phase_that_nobody_waited_for_is_not_proven_cold():
    """Lambda may run the init phase ahead of the call: the caller's clock is shorter than that phase."""
    ahead = record(temperature="cold", environment="a", init_ms=320.0, duration_ms=1.0, client_ms=45.0)
    assert "wrong temperature" == plans.Judge("cold")(ahead).counts_as
    assert "result" == plans.Judge("cold")(replace(ahead, client_ms=330.0)).counts_as


def test_a_first_call_without_an_init_phase_is_not_proven_cold():
    """A new environment whose REPORT line has no Init Duration was made some other way."""
    restored = record(temperature="cold", environment="a", init_ms=None, duration_ms=1.0, client_ms=45.0)
    assert "wrong temperature" == plans.Judge("cold")(restored).counts_as


def test_a_new_init_phase_in_a_known_environment_is_not_proven_cold():
    """After a timeout the environment stays and starts anew: that call is neither a plain cold nor a warm one."""
    judge = plans.Judge("cold")
    assert "result" == judge(record(temperature="cold", environment="a")).counts_as
    assert "wrong temperature" == judge(record(temperature="cold", environment="a")).counts_as


def test_a_call_in_an_environment_that_was_made_ahead_is_not_proven_cold():
    """A new environment without an init phase that anybody waited for proves nothing."""
    assert "wrong temperature" == plans.Judge("cold")(record(temperature="warm", environment="a")).counts_as


def test_two_functions_may_have_streams_of_one_name():
    """An environment is known by its function and its stream together."""
    judge = plans.Judge("cold")
    assert "result" == judge(record(function="f", temperature="cold", environment="a")).counts_as
    assert "result" == judge(record(function="g", temperature="cold", environment="a")).counts_as


@pytest.mark.parametrize("wanted", ["cold", "warm"])
def test_what_no_environment_names_is_not_proven(wanted: str):
    """A handler that doesn't say where it ran proves no temperature."""
    assert "wrong temperature" == plans.Judge(wanted)(record(temperature=wanted, environment=None)).counts_as


@pytest.mark.parametrize("wanted", ["cold", "warm"])
def test_a_provisioned_environment_is_neither_cold_nor_warm(wanted: str):
    """Its first call waited for no init phase, and its next ones say nothing of environments that come and go."""
    judge = plans.Judge(wanted)
    provisioned = record(temperature="provisioned", environment="a", init_ms=300.0, duration_ms=1.0, client_ms=500.0)
    assert ["wrong temperature"] * 2 == counted([judge(provisioned), judge(provisioned)])
    assert "result" == plans.Judge(None)(provisioned).counts_as


def test_an_error_is_no_result_whatever_its_temperature():
    """How long a failed call took says nothing about calls that work."""
    failed = record(temperature="cold", environment="a", error_type="ValueError")
    assert "error" == plans.Judge("cold")(failed).counts_as
    assert "error" == plans.Judge(None)(failed).counts_as


def test_warm_ups_are_kept_apart_and_never_dropped():
    """A warm plan keeps its warm-ups, marked as such, the cold one among them."""
    function = Function()
    function.renew()
    records = plans.warm({"one": function}, repeats=5, rng=RNG, warm_ups=2)
    assert ["warm-up"] * 2 + ["result"] * 5 == counted(records)
    assert "cold" == records[0].temperature


def test_a_plan_goes_on_where_another_ended():
    """With the same judge the environments are known, and warm from the first call on."""
    function, judge = Function(), plans.Judge("warm")
    function.renew()
    plans.warm({"one": function}, repeats=2, rng=RNG, warm_ups=1, judge=judge)
    assert ["result"] * 3 == counted(plans.warm({"one": function}, repeats=3, rng=RNG, warm_ups=0, judge=judge))
    stranger = plans.warm({"one": function}, repeats=3, rng=RNG, warm_ups=0)
    assert ["wrong temperature", "result", "result"] == counted(stranger)


def test_a_block_calls_one_variant_several_times_in_a_row():
    """Blocks keep the other variants' turns out, and every variant still gets all its calls."""
    records = plans.warm({"a": Function(), "b": Function()}, repeats=7, rng=RNG, warm_ups=1, block=3)
    measured = [one for one in records if one.counts_as == "result"]
    assert [1, 2, 3, 4, 5, 6, 7] == [one.attempt for one in measured if one.variant == "a"]
    assert [1, 2, 3, 4, 5, 6, 7] == [one.attempt for one in measured if one.variant == "b"]
    assert [one.variant for one in measured[:3]] in (["a"] * 3, ["b"] * 3)


def test_a_cold_call_among_warm_ones_is_set_apart():
    """An environment that is replaced in the middle of a warm plan costs that one call."""
    function = Function()

    def replaced_at_the_third(**labels: object) -> Record:
        if len(function.calls) == 3:
            function.renew()
        return function(**labels)

    function.renew()
    records = plans.warm({"one": replaced_at_the_third}, repeats=4, rng=RNG, warm_ups=1)
    assert ["warm-up", "result", "result", "wrong temperature", "result"] == counted(records)


def test_a_late_start_counts_into_the_latency_of_a_paced_call():
    """The client's clock runs from the moment that a call was due, not from the moment that it went."""

    def starts_late(*, intended_at: str, **labels: object) -> Record:
        started = datetime.fromisoformat(intended_at) + timedelta(milliseconds=30)
        return record(started_at=started.isoformat(), intended_at=intended_at, client_ms=5.0, **labels)

    records = plans.paced(starts_late, rate_per_s=1000, count=4)
    assert [35.0] * 4 == pytest.approx([one.client_ms for one in records])
    due = [datetime.fromisoformat(one.intended_at) for one in records]
    assert [timedelta(milliseconds=1)] * 3 == [later - earlier for earlier, later in pairwise(due)]


def test_a_slow_call_does_not_hold_up_those_that_are_due():
    """Calls of a paced plan go out although an earlier one hasn't ended."""
    others_went, seen = threading.Event(), []

    def call(*, attempt: int, **labels: object) -> Record:
        if attempt == 1:
            assert others_went.wait(timeout=30)
        seen.append(attempt)
        if len(seen) == 3:
            others_went.set()
        return record(attempt=attempt, **labels)

    assert [1, 2, 3, 4] == [one.attempt for one in plans.paced(call, rate_per_s=500, count=4)]
    assert 1 == seen[-1]


class Stalling:
    """A function that answers nobody until so many calls wait for it, and from then on everybody at once."""

    def __init__(self, until_waiting: int) -> None:
        self.until_waiting, self.met, self.over, self.lock = until_waiting, set(), threading.Event(), threading.Lock()

    def __call__(self, *, attempt: int, **labels: object) -> Record:
        if not self.over.is_set():
            with self.lock:
                self.met.add(attempt)
                if len(self.met) == self.until_waiting:
                    self.over.set()
            assert self.over.wait(timeout=30)
        return record(attempt=attempt, **labels)


def test_a_stall_is_met_by_every_call_that_is_due_meanwhile():
    """In the open loop those who come during a stall come all the same, as many as there are."""
    stalling = Stalling(until_waiting=90)
    records = plans.paced(stalling, rate_per_s=1000, count=100)
    assert 90 <= len(stalling.met)
    assert list(range(1, 101)) == [one.attempt for one in records]


def test_a_closed_loop_omits_what_was_due_during_a_stall():
    """Nobody calls while the callers wait, so a stall is met by as many calls as there are callers."""
    stalling, kept = Stalling(until_waiting=3), []
    records = plans.closed(stalling, callers=3, count=100, keep=kept.append)
    assert {1, 2, 3} == stalling.met
    assert list(range(1, 101)) == [one.attempt for one in records]
    assert sorted(kept, key=lambda one: one.attempt) == records


def test_a_closed_loop_counts_from_when_a_call_went():
    """That is its mistake: nothing is added for the time that a call was due and nobody made it."""
    records = plans.closed(Function(), callers=1, count=3)
    assert [(5.0, None)] * 3 == [(one.client_ms, one.intended_at) for one in records]


@pytest.mark.parametrize(("callers", "count"), [(0, 3), (4, 3)])
def test_a_closed_loop_needs_a_call_for_each_caller(callers: int, count: int):
    """Nobody to call, or callers with nothing to do, is told so before the first call."""
    with pytest.raises(ParameterError, match=f"{callers} callers can't make {count} calls"):
        plans.closed(Function(), callers=callers, count=count)


def test_an_open_loop_does_not_close_unnoticed(monkeypatch: pytest.MonkeyPatch):
    """Where more calls are due than can be under way, the plan says so instead of holding one back."""
    monkeypatch.setattr(plans, "_UNDER_WAY", 3)
    with pytest.raises(ParameterError, match=r"Call 4 is due, and 3 calls at 1000 a second are still under way"):
        plans.paced(lambda **labels: time.sleep(0.5) or record(**labels), rate_per_s=1000, count=9)


@pytest.mark.parametrize(("rate_per_s", "count"), [(0, 3), (-1, 3), (5, 0)])
def test_a_pace_that_is_none_is_refused(rate_per_s: float, count: int):
    """No calls, or no rate, is told so before the first call."""
    with pytest.raises(ParameterError, match="can't be paced"):
        plans.paced(Function(), rate_per_s=rate_per_s, count=count)


def test_the_callers_of_a_burst_are_all_under_way_at_once():
    """Nobody's call ends before everybody's has begun."""
    together = threading.Barrier(4, timeout=30)

    def call(**labels: object) -> Record:
        together.wait()
        return record(environment=f"stream-{labels['attempt']}", temperature="cold", **labels)

    records = plans.burst(call, callers=4)
    assert [1, 2, 3, 4] == [one.attempt for one in records]
    with pytest.raises(ParameterError, match="0 callers"):
        plans.burst(call, callers=0)


def test_an_exception_of_a_caller_comes_out():
    """A call that can't be made ends the plan, and isn't taken for a record."""

    def fails(**_: object) -> Record:
        raise ConnectionError("nobody there")

    for plan in (
        lambda: plans.burst(fails, callers=2),
        lambda: plans.paced(fails, rate_per_s=100, count=2),
        lambda: plans.closed(fails, callers=2, count=2),
    ):
        with pytest.raises(ConnectionError):
            plan()


def test_plans_need_the_standard_library_only():
    """They also run inside a function on Lambda, which has neither pandas nor the workbook's other dependencies."""
    script = (
        "import sys; import workbook.plans;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )
    loaded = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"workbook"} == {name for name in loaded.stdout.split() if not name.startswith("_")}


# against real environments


@pytest.fixture
def anatomy(target: Target, outputs_01: dict[str, str]) -> Callable[..., Record]:
    def call(**labels: object) -> Record:
        return invoke(target, outputs_01["Anatomy"], {"wait_s": 0.2}, run_id="r", experiment="e", **labels).record

    return call


def test_a_changed_setting_makes_a_proven_cold_start(
    target: Target, outputs_01: dict[str, str], anatomy: Callable[..., Record]
):
    """On the real target every forced call is in an environment of its own, and its own words prove it."""
    client, name = target.client("lambda"), outputs_01["Anatomy"]

    def prepare(_variant: str) -> None:
        variables = {"ROUND": str(RNG.random())}
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})

    records = plans.cold({"one": anatomy}, prepare=prepare, repeats=3, rng=RNG)
    assert ["result"] * 3 == counted(records)
    assert 3 == len({one.environment for one in records})


def test_a_burst_meets_one_environment_a_caller(anatomy: Callable[..., Record]):
    """Calls at the same moment never share an environment."""
    records = plans.burst(anatomy, callers=3)
    assert 3 == len({one.environment for one in records})
    assert ["result"] * 3 == counted(records)
