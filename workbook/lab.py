"""What a notebook opens: it finds or starts a target, deploys, keeps the journal, and takes everything away again.

Two files of JSON lines grow in the run folder while a lesson runs, each line written at once: `records/<lesson>.jsonl`
with one record a call, and `journal/<lesson>.jsonl` with everything else: where it ran, guesses, checks, conclusions, and
what has to be undone. Teardown reads the journal, so that it works after a dead kernel, and twice.
"""

import json
import math
import os
import random
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from workbook import (
    account,
    behaviours,
    calls,
    capabilities,
    claims,
    database,
    emulator,
    forecast,
    lessons,
    meter,
    plans,
    stack,
    targets,
    tuner,
)
from workbook.errors import NotebookError, ParameterError, TargetError
from workbook.exercises import Check, Guess, check
from workbook.frames import frame
from workbook.records import Record, append_line, read_lines

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(os.environ.get("WORKBOOK_RESULTS") or ROOT / "data" / "results").absolute()
_RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")  # what is left of a bucket name's 63 characters
_SOON = {"Delay": 0.05, "MaxAttempts": 2400}  # botocore's waiter looks once a second, which is long beside a cold start
PLANNED = "WORKBOOK_PLANNED"  # set in kernels of a run, whose plan was agreed to before it began
REGISTRY = RESULTS / ".emulator.json"  # the emulator that the kernels of one JupyterLab share


def new_run_id() -> str:
    """Return a run id that sorts by time, differs within a second, and may stand in a resource's name."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class Sitting:
    """One opening of a lesson, as its journal tells: where it was, and what of it is still to be undone, oldest first."""

    opened: dict[str, Any]
    entries: list[dict[str, Any]]


def pending(journal: Path) -> list[Sitting]:
    """Return the sittings of a journal that have left something to undo."""
    sittings: dict[str, Sitting] = {}
    for line in read_lines(journal):
        if line["kind"] == "opened":
            sittings[line["at"]] = Sitting(line, [])
        elif line["kind"] == "undo":
            sittings[line["of"]].entries.append(line["entry"])
        elif line["kind"] == "undone":
            sittings[line["of"]].entries.clear()
    return [sitting for sitting in sittings.values() if sitting.entries]


def undo(journal: Path, sitting: Sitting, target: targets.Target, say: Callable[[str], None] = print) -> list[str]:
    """Take away what a sitting left on its target, keep that in the journal, and return what was removed.

    Raises:
        TargetError: this target is not the account, or not the region, that the sitting was in.
        DeployError: something could not be removed; the journal still has it.
    """
    opened = sitting.opened
    if target.account_id != opened["account_id"]:
        raise TargetError(
            f"What {journal.stem} made is in account {opened['account_id']}, and this is {target.account_id}.",
            why="Nothing of it would be found here, and it would be forgotten there.",
            fix="Name the other account in WORKBOOK_ACCOUNT, then clean again.",
        )
    if target.region != opened.get("region", target.region):
        raise TargetError(
            f"What {journal.stem} made is in {opened['region']}, and this is {target.region}.",
            why="Nothing of it would be found here, and it would be forgotten there.",
            fix=f"Name that region: AWS_REGION={opened['region']}.",
        )
    if (target.endpoint is None) != (opened["endpoint"] is None):
        raise TargetError(
            f"What {journal.stem} made is {'on AWS' if target.endpoint else 'on an emulator'}, and this is {target.endpoint or 'AWS'}.",
            why="Nothing of it would be found here, and it would be forgotten there.",
            fix="Unset AWS_ENDPOINT_URL for AWS, or name the emulator in it, then clean again.",
        )
    removed = stack.teardown(target, sitting.entries, say=say)
    append_line(
        journal, {"kind": "undone", "at": datetime.now(UTC).isoformat(), "of": sitting.opened["at"], "removed": removed}
    )
    return removed


class Lab:
    """One lesson on one target. Made by `open_lab`."""

    def __init__(self, lesson: str, target: targets.Target, folder: Path, run_id: str, seed: int) -> None:
        self.lesson, self.target, self.folder, self.run_id = lesson, target, folder, run_id
        self.rng = random.Random(seed)
        self._journal = folder / "journal" / f"{lesson}.jsonl"
        self._records = folder / "records" / f"{lesson}.jsonl"
        self._opened_at = ""
        self._database: database.Database | None = None
        self.account = account.known(target)

    def __repr__(self) -> str:
        where = self.target.endpoint or f"account {self.target.account_id}, {self.target.region}"
        return f"Lesson {self.lesson} on {self.target.name} ({where}), run {self.run_id}. What is measured on it is {self.target.provenance}."

    def open(self) -> None:
        """Begin a sitting: take away what earlier ones left on this target, and note where this one is."""
        here = self.target
        place = {name: getattr(here, name) for name in ("endpoint", "account_id", "region")} | {"target": here.name}
        for earlier in pending(self._journal):
            if place.items() <= earlier.opened.items():
                undo(self._journal, earlier, self.target)
            elif not targets.is_started_here(earlier.opened["target"]):
                print(f"An earlier start left something on {earlier.opened['target']}: python -m workbook clean")
        self._opened_at = self.note("opened", run_id=self.run_id, **place)

    def note(self, kind: str, **facts: Any) -> str:
        """Write one line into the journal and return its moment."""
        at = datetime.now(UTC).isoformat()
        append_line(self._journal, {"kind": kind, "at": at, **facts})
        return at

    # what a lesson does on the target

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service on this target."""
        return self.target.client(service)

    def name(self, thing: str) -> str:
        """Return a name for a resource that no other run uses."""
        return f"wb-{self.run_id}-{thing}"

    @cached_property
    def tags(self) -> dict[str, str]:
        """The tags of all that this sitting makes: its run, its lesson, its owner, and when it expires. See `stack.tags`."""
        return stack.tags(self.target, run=self.run_id, lesson=self.lesson, now=datetime.now(UTC))

    def deploy(self) -> dict[str, str]:
        """Deploy the lesson's template from `infra/` and return its outputs.

        Raises:
            DeployError: the template or a resource in it failed, with the resource's own reason.
        """
        deployed = stack.deploy(
            self.target,
            forecast.template(self.lesson),
            name=self.name(self.lesson.replace("_", "-")),
            tags=self.tags,
            remember=self._remember,
        )
        return deployed.outputs

    def make_cold(self, function: str) -> None:
        """Leave all execution environments of a function behind, so that its next call is a cold one.

        A changed setting does that: Lambda makes new environments for it. The setting is a variable that no handler reads.
        """
        client = self.client("lambda")
        environment = client.get_function_configuration(FunctionName=function).get("Environment", {})
        variables = {**environment.get("Variables", {}), "WORKBOOK_MADE_COLD": secrets.token_hex(4)}
        client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
        client.get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig=_SOON)

    def database(self, *, max_connections: int) -> "database.Database":
        """Start a PostgreSQL server on this machine that takes so many connections, and return it. See `database.start`.

        A lab has one at most: one that it had is ended. `close` ends it too, and so does the end of this process, so the
        journal has nothing to undo.

        Raises:
            TargetError: functions on this target can't reach this machine; the runner then counts the notebook as skipped.
            ParameterError, SetupError: as `database.start` does.
        """
        self.need("database")
        self._end_database()
        self._database = database.start(max_connections=max_connections)
        self.note("database", port=self._database.port, max_connections=max_connections)
        return self._database

    def undo_later(self, service: str, operation: str, **parameters: Any) -> None:
        """Note a boto3 call that takes something away, before it is made; the teardown will call it."""
        self._remember({"undo": "call", "service": service, "operation": operation, "parameters": parameters})

    def invoke(self, function: str, event: Any = None, *, experiment: str, **labels: Any) -> calls.Call:
        """Invoke a function, keep the record, and return the call. See `calls.invoke`."""
        return self._kept(
            calls.invoke(self.target, function, event, run_id=self.run_id, experiment=experiment, **labels)
        )

    def cold(
        self,
        functions: Mapping[str, str],
        *,
        experiment: str,
        repeats: int,
        event: Any = None,
        prepare: Callable[[str], None] | None = None,
    ) -> pd.DataFrame:
        """Call functions cold, in turns, and return one row per call. `functions` maps a variant's name to its function.

        Before each call `prepare` gets the variant's name and makes its environments useless; by default `make_cold` does.
        """
        prepare = prepare or (lambda variant: self.make_cold(functions[variant]))
        callers = self._callers(functions, experiment, event)
        return self._measured(
            plans.cold(callers, prepare=prepare, repeats=repeats, rng=self.rng, keep=self._keep),
            "cold calls",
            list(functions),
        )

    def warm(
        self,
        functions: Mapping[str, str | calls.Door],
        *,
        experiment: str,
        repeats: int,
        event: Any = None,
        block: int = 10,
        warm_ups: int = 3,
    ) -> pd.DataFrame:
        """Call functions warm, in turns of `block` calls, and return one row per call, the `warm_ups` before them included.

        `functions` maps a variant's name to a function, which is invoked, or to a door, which gets a GET.
        """
        callers = self._callers(functions, experiment, event)
        return self._measured(
            plans.warm(callers, repeats=repeats, rng=self.rng, warm_ups=warm_ups, block=block, keep=self._keep),
            "warm calls",
            list(functions),
        )

    def paced(
        self, function: str, *, experiment: str, rate_per_s: float, count: int, event: Any = None, variant: str = ""
    ) -> pd.DataFrame:
        """Call a function `rate_per_s` times a second, on time, and return one row per call. See `plans.paced`."""
        caller = self._callers({variant: function}, experiment, event)[variant]
        return self._measured(
            plans.paced(partial(caller, variant=variant), rate_per_s=rate_per_s, count=count, keep=self._keep),
            "paced calls",
            [variant],
        )

    def closed(
        self, function: str, *, experiment: str, callers: int, count: int, event: Any = None, variant: str = ""
    ) -> pd.DataFrame:
        """Have callers call a function again as soon as they are answered, and return one row per call. See `plans.closed`."""
        caller = self._callers({variant: function}, experiment, event)[variant]
        return self._measured(
            plans.closed(partial(caller, variant=variant), callers=callers, count=count, keep=self._keep),
            "calls in a closed loop",
            [variant],
        )

    def burst(
        self, function: str, *, experiment: str, callers: int, event: Any = None, variant: str = ""
    ) -> pd.DataFrame:
        """Have several callers call a function at the same moment, and return one row per call."""
        self.target.measured_client("lambda")  # made now, as all of them would wait for it
        caller = self._callers({variant: function}, experiment, event)[variant]
        return self._measured(
            plans.burst(partial(caller, variant=variant), callers=callers, keep=self._keep), "calls", [variant]
        )

    def tune(
        self,
        functions: Mapping[int, str],
        goal: tuner.Goal | str = "cost",
        *,
        experiment: str,
        event: Any = None,
        budget: int | None = None,
    ) -> tuner.Tuning:
        """Find the memory size that is best for a goal, by warm calls in turns, and return it with how sure it is.

        `functions` maps a memory size in MB to the function that has it, whose answer names its log stream. A size at which
        a call fails is out: what can fail there isn't to run there. See `tuner.tune`.

        Raises:
            ParameterError: a function has another memory size, or they have different architectures; or as `Goal`,
                `Rates.of` and `tuner.tune` do.
        """
        goal = goal if isinstance(goal, tuner.Goal) else tuner.Goal(goal)
        rates = tuner.Rates.of(self.target.region, self._architecture(functions))
        callers = self._callers({f"{size} MB": function for size, function in functions.items()}, experiment, event)
        judge, records = plans.Judge("warm"), []

        def measure(sizes: Sequence[int], number: int) -> dict[int, list[float | None]]:
            warm_ups = 0 if records else 1
            made = plans.warm(
                {f"{size} MB": callers[f"{size} MB"] for size in sizes},
                repeats=number - warm_ups,
                warm_ups=warm_ups,
                rng=self.rng,
                keep=self._keep,
                judge=judge,
            )
            records.extend(made)
            return {size: _durations([record for record in made if record.variant == f"{size} MB"]) for size in sizes}

        tuning = tuner.tune(
            list(functions), goal, measure, rates=rates, provenance=str(self.target.provenance), budget=budget
        )
        self._measured(records, "warm calls", list(callers))
        return tuning

    def get(self, url: str, *, function: str, experiment: str, **labels: Any) -> calls.Call:
        """Send a signed GET to an HTTP API, keep the record, and return the call. See `calls.request`."""
        own = {"function": function, "run_id": self.run_id, "experiment": experiment, "via": "http_api", **labels}
        return self._kept(calls.request(self.target, "GET", url, **own))

    def reported(self, answered: Sequence[calls.Call]) -> pd.DataFrame:
        """Return one row per call of one function, completed by the REPORT lines in its log. See `calls.with_reports`."""
        records = [call.record for call in answered]
        completed = calls.with_reports(self.target, records)
        for before, after in zip(records, completed, strict=True):
            if after != before:
                self._keep(after)
        missing = sum(record.duration_ms is None for record in completed)
        print(f"{len(completed) - missing} of {len(completed)} calls met their REPORT line.")
        return frame(completed)

    def logged(self, function: str, pattern: str, *, at_least: int = 0, timeout_s: float = 300) -> list[str]:
        """Return the messages in a function's log that hold these words, oldest first, as far as they have arrived.

        AWS delivers them late, so `at_least` so many are waited for.

        Raises:
            TargetError: so many haven't arrived within `timeout_s` seconds.
            botocore.exceptions.ClientError: the function has no log group, or it may not be read.
        """
        if at_least:

            def arrived() -> list[str]:
                messages = self.logged(function, pattern)
                return messages if len(messages) >= at_least else []

            return self.until(arrived, what=f"{at_least} log lines with {pattern!r}", timeout_s=timeout_s)
        pages = self.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=f"/aws/lambda/{function}", filterPattern=f'"{pattern}"')
        events = sorted((event for page in found for event in page["events"]), key=lambda event: event["timestamp"])
        # LocalStack's free edition takes the pattern and returns every line
        return [event["message"] for event in events if pattern in event["message"]]

    def until(self, condition: Callable[[], Any], *, what: str, timeout_s: float = 30) -> Any:
        """Ask until the condition holds, and return what it returned.

        Raises:
            TargetError: it didn't hold within `timeout_s` seconds.
        """
        deadline, pause_s = time.monotonic() + timeout_s, 0.05
        while not (answer := condition()):
            if time.monotonic() > deadline:
                raise TargetError(
                    f"Waited {timeout_s:g} s in vain for {what}.",
                    why="What follows needs it.",
                    fix="Run the notebook again; if it stays so, look into the emulator's log.",
                )
            time.sleep(pause_s)
            if not targets.is_started_here(self.target.name):
                pause_s = min(1.5 * pause_s, 2.0)  # others share what answers there, and bill for asking
        return answer

    @property
    def restored(self) -> str:
        """What to call the provenance of a behaviour that, on the embedded target, a correction supplies."""
        is_corrected = targets.is_started_here(self.target.name)
        return "restored from documentation" if is_corrected else str(self.target.provenance)

    # what a learner does

    def guess(self, question: str, value: float | None, *, unit: str) -> Guess:
        """Keep a guess that is made before the run; None means no guess.

        Raises:
            ParameterError: the guess is neither a number nor None.
        """
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not is_number:
            raise ParameterError(
                f"A guess is one number; this is {value!r}.",
                why="It is to be set beside what is seen.",
                fix=f"Write a number of {unit}, such as guess = 10, or None for no guess.",
            )
        self.note("guess", question=question, value=value, unit=unit)
        return Guess(question, value, unit, str(self.target.provenance))

    def check(self, exercise: str, answer: Any) -> Check:
        """Return what is to be said of an answer, and keep it. See `exercises.check`."""
        result = check(exercise, answer)
        self.note("check", exercise=exercise, outcome=str(result.outcome), message=result.message)
        return result

    def saw(
        self,
        statement: str,
        holds: bool,
        *,
        provenance: str | None = None,
        documented: str | None = None,
        needs: str | None = None,
    ) -> None:
        """Print a conclusion that was tested in this notebook, with its provenance, and keep it.

        `provenance` is the target's, unless the conclusion rests on other numbers. `documented` is the address of the page on which AWS states the same. What an emulator shows is how this run
        behaved; that AWS does so rests on that page. On a target without the capability that it `needs`, nothing is
        concluded.

        Raises:
            NotebookError: it doesn't hold, so the lesson may not conclude it.
        """
        if needs and needs not in self.target.capabilities:
            reason = self.target.lack(needs)
            self.note("not concluded", statement=statement, needs=needs, reason=reason)
            print(f"○ Not tested here: {statement} {reason}")
            return
        provenance = provenance or str(self.target.provenance)
        self.note(
            "conclusion", statement=statement, holds=bool(holds), documented=documented, provenance=str(provenance)
        )
        if not holds:
            raise NotebookError(
                f"Not seen in this run: {statement!r}",
                why="A lesson concludes only what it has seen.",
                fix="Run the notebook again from the top; if it stays so, the target behaves differently.",
            )
        print(f"✔ {statement} ({provenance})")
        if documented:
            print(f"  AWS documents it: {documented}")

    def evidence(
        self, claim: str, finding: str, holds: bool | None, *, provenance: str | None = None, **facts: Any
    ) -> claims.Evidence:
        """Return what this lesson found out about a claim, and keep it for the verdict. See `claims.weigh`.

        Raises:
            ParameterError: there is no such claim, or an emulated number would decide one about AWS's magnitudes.
        """
        found = claims.weigh(claim, finding, holds, provenance=provenance or str(self.target.provenance), **facts)
        self.note("evidence", **found.to_row())
        return found

    def beside(self, subject: str, observed: Mapping[tuple[str, str], str]) -> pd.DataFrame:
        """Return what was observed beside what AWS documents, and keep it. See `behaviours.beside`.

        Raises:
            ParameterError: there is no such subject, or no such case of it.
        """
        table = behaviours.beside(subject, observed, self.target)
        for row in json.loads(table.to_json(orient="records")):
            self.note("behaviour", subject=subject, **row)
        return table

    def need(self, capability: str) -> None:
        """Go on only if the target has a capability.

        Raises:
            TargetError: it has not; the runner then counts the notebook as skipped.
        """
        if capability not in self.target.capabilities:
            reason = self.target.lack(capability)
            self.note("skip", needs=capability, reason=reason)
            raise TargetError(reason, why="This lesson is about it.")

    def close(self) -> None:
        """Take away everything that this sitting made, as the journal knows it, and say what went."""
        ended = self._end_database()
        if self.target.meter:
            self.target.meter.read_reports(self.target)
        own = [sitting for sitting in pending(self._journal) if sitting.opened["at"] == self._opened_at]
        removed = [thing for sitting in own for thing in undo(self._journal, sitting, self.target)]
        if not (ended or removed):
            print("There was nothing left to remove.")
        if self.target.meter and PLANNED not in os.environ:  # a run says it once, at its end
            print(meter.spent(self.folder))

    def _end_database(self) -> bool:
        """End this lab's database server and return whether there was one."""
        if self._database is None:
            return False
        self._database.stop()
        self._database = None
        print("ended the database server")
        return True

    def _remember(self, entry: dict[str, Any]) -> None:
        self.note("undo", of=self._opened_at, entry=entry)

    def _keep(self, record: Record) -> None:
        append_line(self._records, record.to_row())

    def _kept(self, call: calls.Call) -> calls.Call:
        self._keep(call.record)
        return call

    def _callers(
        self, functions: Mapping[str, str | calls.Door], experiment: str, event: Any
    ) -> dict[str, plans.Caller]:
        """Return what calls each function once, by its variant's name, and returns the record without keeping it.

        The event of an invocation is an empty one unless there is another.
        """
        event = {} if event is None else event

        def call(way: str | calls.Door, **labels: Any) -> Record:
            own = {"run_id": self.run_id, "experiment": experiment, **labels}
            if isinstance(way, calls.Door):
                return calls.request(self.target, "GET", way.url, function=way.function, via=way.via, **own).record
            return calls.invoke(self.target, way, event, **own).record

        return {variant: partial(call, way) for variant, way in functions.items()}

    def _architecture(self, functions: Mapping[int, str]) -> str:
        """Return the architecture of functions, each of which has the memory size that it stands for."""
        client = self.client("lambda")
        settings = {size: client.get_function_configuration(FunctionName=name) for size, name in functions.items()}
        for size, setting in settings.items():
            if setting["MemorySize"] != size:
                raise ParameterError(
                    f"{functions[size]} has {setting['MemorySize']} MB, not {size!r}.",
                    why="It would be priced as another size than it runs at.",
                    fix="Map each memory size in MB to a function that is deployed with it.",
                )
        found = sorted({setting.get("Architectures", ["x86_64"])[0] for setting in settings.values()}) or ["x86_64"]
        if len(found) > 1:
            raise ParameterError(
                f"The functions are for {' and '.join(found)}.",
                why="Architectures differ in speed and in price, and that would pass for an effect of memory.",
                fix="Deploy all of them for one architecture.",
            )
        return found[0]

    def _measured(self, records: list[Record], what: str, variants: list[str]) -> pd.DataFrame:
        """Say how many of a plan's calls count, and return them all, variant by variant."""
        counts = Counter(record.counts_as for record in records)
        said = [
            f"{counts.pop('result', 0)} {what} count",
            *(f"{count} set apart: {kind}" for kind, count in counts.items()),
        ]
        print("; ".join(said) + ".")
        return frame(sorted(records, key=lambda record: variants.index(record.variant)))


def _durations(records: Sequence[Record]) -> list[float | None]:
    """Return the durations of one function's calls, in milliseconds; None for what doesn't count, and for all if one failed."""
    if any(record.error_type for record in records):
        return [None] * len(records)
    return [record.duration_ms if record.counts_as == "result" else None for record in records]


def open_lab(lesson: str, *, target: str = "embedded", run_id: str = "", seed: int = 1) -> Lab:
    """Open a lesson on a target and return the lab; what an earlier start of the lesson left behind is removed first.

    The runner tells a kernel its run folder, its emulator and what was found out about it by environment variables.
    Without them, as in JupyterLab, the emulator that is running there is used, or one is started that ends with JupyterLab;
    what a LocalStack can do is tried out.

    Raises:
        ParameterError: the run id can't stand in a name, there is no such target, or the spending cap is not a number.
        SetupError: the emulator can't be started, or the run folder can't be written.
        TargetError: the endpoint is not what the target's name says, LocalStack doesn't answer or can't run a function, or
            the account is not allowed, as `targets.connect` and `account.admit` say; or the plan of the lesson is above
            the spending cap.
    """
    run_id = run_id or new_run_id()
    if not (isinstance(run_id, str) and _RUN_ID.fullmatch(run_id)):
        raise ParameterError(
            f"run_id = {run_id!r} can't be used.",
            why="It stands in the names of functions and buckets: lower-case letters, digits and hyphens, at most 24.",
            fix='Choose another, or leave it empty: run_id = "".',
        )
    endpoint = None
    if targets.is_started_here(target) and "WORKBOOK_ENDPOINT" not in os.environ:
        endpoint = _shared_emulator().endpoint
    connected = capabilities.known(targets.configured(target, endpoint=endpoint))
    folder = Path(os.environ.get("WORKBOOK_RUN_FOLDER") or RESULTS / run_id)
    if connected.name == "aws":
        if PLANNED not in os.environ:
            planned = forecast.plan([lessons.find(lesson)], connected.region)
            print(f"{planned}\n")
            planned.agree(connected, already=meter.spent(folder))
        connected = meter.metered(connected, folder, lesson, forecast.template(lesson))
    lab = Lab(lesson, connected, folder, run_id, seed)
    lab.open()
    print(lab)
    if lab.account:
        print(lab.account)
    return lab


def _shared_emulator() -> emulator.Emulator:
    """Return the emulator of this JupyterLab: the running one, or a new one that ends with JupyterLab."""
    owner = int(os.environ.get("JPY_PARENT_PID") or os.getpid())
    log = RESULTS / "emulator.log"
    return emulator.start(log=log, owner_pid=owner, registry=REGISTRY)
