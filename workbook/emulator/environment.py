"""Execution environments: one process each, under a runtime client, frozen between invocations.

What happens when is AWS's life cycle (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html):

    init phase     the runtime starts, imports the handler, and asks for its first invocation; limited to 10 s
    invocation     frozen until one comes, then thawed; limited to the function's timeout, and to its memory's share of a
                   processor (see `governor`)
    reset          a runtime that timed out, ended, or never finished its init phase is gone; the next invocation runs
                   the init phase again, inside its own time, in the same environment with the same temporary folder
    shutdown       everything is killed; AWS too gives a runtime without extensions no time to say goodbye

The memory limit holds in the init phase and in invocations. It is watched: ten times a second, and once more when the
answer is there, against the peak that Linux keeps, so that a handler that goes over and comes back is found too. One that
is over is killed, as on AWS. A control group for memory would do it at the moment itself; but that counts files that were
only read, swaps instead of killing where it can, and needs rights that few have: this is the same everywhere. At 128 MB a
process that has its share of the CPU gets at most some tens of MB beyond the limit before it is seen. Its error is
`Runtime.OutOfMemory`, as others saw on AWS, whose pages name no type: https://github.com/DataDog/datadog-lambda-extension/pull/776
"""

import json
import re
import selectors
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from workbook.emulator.governor import Allowance, Governor, Unlimited, share
from workbook.emulator.process_group import ProcessGroup
from workbook.emulator.runtime_api import Invocation, RuntimeApi
from workbook.emulator.spec import EnvironmentSpec
from workbook.emulator.usage import peak_memory_bytes

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
INIT_LIMIT_S = 10
PREPARED_INIT_LIMIT_S = 130  # or the function's timeout, if that is longer: for provisioned concurrency
_LOOK_S = 0.1  # between two looks at the memory


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an invocation ended, as the function's caller and its log see it.

    `kind` is `response` (the handler returned), `error` (it raised), `timeout` (it was cut off at the function's
    timeout) or `exit` (the runtime ended before it answered, maybe while it started). After the last two the process is
    gone; after the first two it is usually there, and `Environment.alive` knows.
    """

    kind: Literal["response", "error", "timeout", "exit"]
    payload: bytes  # the handler's answer, or AWS's error object
    duration_ms: float  # with the init phase, where the invocation had to run it again
    log: str  # what was written during the invocation
    max_memory_mb: int | None  # the highest seen so far in this process; None where it ended before the first look
    init_log: str = ""  # of an init phase inside the invocation; AWS shows it before the START line


class InitFailed(Exception):  # noqa: N818 -- named for what happened; AWS calls it a failure
    """The init phase ended without the runtime asking for an invocation.

    `error` is AWS's error object, `log` what was written, closed by AWS's INIT_REPORT line, `max_memory_mb` as in Outcome.
    """

    def __init__(
        self,
        error: dict[str, Any],
        *,
        status: Literal["error", "timeout"],
        init_ms: float,
        log: str,
        max_memory_mb: int | None,
    ) -> None:
        super().__init__(f"{error['errorType']}: {error['errorMessage']}")
        self.error, self.status, self.init_ms, self.log = error, status, init_ms, log
        self.max_memory_mb = max_memory_mb


def reported_error_type(error_type: str) -> str:
    """Return the error type that INIT_REPORT and REPORT show: Lambda's own types by name, all others as unknown.

    So the caller reads `RuntimeError`, and the log `Runtime.Unknown`. The rule is that of AWS's emulator of the runtime
    interface: https://github.com/aws/aws-lambda-runtime-interface-emulator
    """
    if re.fullmatch(r"(Runtime|Function)\.[A-Z][a-zA-Z]+", error_type):
        return error_type
    return "Function.Unknown" if error_type.startswith("Function.") else "Runtime.Unknown"


class Environment:
    """One execution environment. It handles one invocation at a time; a second caller waits for the first.

    `log_stream` is its identity. `init_ms` is the length of its latest successful init phase, from the start of the
    process to the first request for an invocation.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        *,
        governor: Governor = Unlimited(),  # noqa: B008 -- it has no state
        on_spawn: Callable[[int], None] = lambda _group: None,
        on_exit: Callable[[int], None] = lambda _group: None,
    ) -> None:
        """Prepare an environment; nothing is started yet.

        `governor` holds its processes to their share of the CPU. `on_spawn` is called with the id of each process group that is started, `on_exit`, from a thread of its own,
        when that group is dead.

        Raises:
            SetupError: there is no interpreter for the handler.
            DeployError: the function names a runtime that has no stand-in here.
        """
        self.spec = spec
        self._command = spec.command()  # now, because the first look for an interpreter takes its time
        self.log_stream = f"{datetime.now(UTC):%Y/%m/%d}/[{spec.version}]{uuid.uuid4().hex}"
        self.init_ms: float | None = None
        self._governor, self._on_spawn, self._on_exit = governor, on_spawn, on_exit
        self._folder = Path(tempfile.mkdtemp(prefix="environment-", dir=spec.scratch))
        self._runtime: _Runtime | None = None
        self._turn = threading.Lock()
        self._stopped = False

    @property
    def alive(self) -> bool:
        """Return whether there is a process, so that the next invocation is a warm one."""
        return self._runtime is not None and self._runtime.processes.alive

    def start(self) -> str:
        """Run the init phase and return what was written meanwhile.

        Raises:
            InitFailed: it ended or took too long. The environment may be used all the same: as on AWS, the first
                invocation tries again.
        """
        limit_s = INIT_LIMIT_S if self._on_demand else max(PREPARED_INIT_LIMIT_S, self.spec.timeout_s)
        with self._turn:
            return self._init(limit_s)

    def invoke(
        self,
        request_id: str,
        payload: bytes,
        *,
        arn: str,
        trace_id: str | None = None,
        client_context: str | None = None,
    ) -> Outcome:
        """Run one invocation within the function's timeout and return how it ended.

        `payload` is the event as JSON, `client_context` JSON too. Without a process (see the life cycle above) the init
        phase comes first.
        """
        with self._turn:
            started = time.perf_counter()
            invocation = Invocation(
                request_id=request_id,
                payload=payload,
                deadline_ms=int((time.time() + self.spec.timeout_s) * 1000),
                arn=arn,
                trace_id=trace_id,
                client_context=client_context,
            )
            init_log = ""
            if not self.alive:
                try:
                    init_log = self._init(self.spec.timeout_s, request_id)
                except InitFailed as failure:
                    timed_out = failure.status == "timeout"
                    return Outcome(
                        kind="timeout" if timed_out else "exit",
                        payload=json.dumps(failure.error).encode(),
                        duration_ms=self.spec.timeout_s * 1000 if timed_out else _milliseconds_since(started),
                        log="",
                        max_memory_mb=failure.max_memory_mb,
                        init_log=failure.log,
                    )
            return self._run(invocation, started, init_log)

    def stop(self) -> None:
        """Kill every process and remove the temporary folder. An invocation under way ends as `exit`. Twice is fine."""
        self._stopped = True
        if runtime := self._runtime:
            runtime.processes.kill()
        with self._turn:
            self._reset()
            # a handler may have left what can't be removed: that is its own affair, and no reason not to stop
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _on_demand(self) -> bool:
        return self.spec.initialization_type == "on-demand"

    def _init(self, limit_s: float, request_id: str | None = None) -> str:
        """Start the runtime, wait until it asks for an invocation, freeze it, and return what it wrote.

        `request_id` is that of the invocation that runs this init phase, if one does.
        """
        if self._stopped:
            raise RuntimeError(f"The environment {self.log_stream} was stopped.")
        self._reset()
        variables = self.spec.environment_variables(
            self.log_stream, temporary=self._folder, interpreter=Path(self._command[0])
        )
        started = time.perf_counter()
        self._runtime = runtime = _Runtime(
            self._command, self.spec.code_folder, variables, self._on_exit, memory_mb=self.spec.memory_mb
        )
        self._on_spawn(runtime.processes.id)
        runtime.allowance = self._governor.admit(runtime.processes.id, share(self.spec.memory_mb))
        if not self._on_demand:
            runtime.allowance.run()
        api = runtime.api
        runtime.serve_until(lambda: api.asked or api.init_error or runtime.ended, started + limit_s)
        init_ms = _milliseconds_since(started)
        within_memory = runtime.within_memory()
        if within_memory and api.asked:
            runtime.freeze()
            self.init_ms = init_ms
            return runtime.processes.take_output()

        runtime.processes.kill()
        reported = within_memory and api.init_error
        error = json.loads(reported) if reported else runtime.failure(limit_s, request_id)
        status = "error" if reported or runtime.ended else "timeout"
        phase = "invoke" if request_id else "init"
        report = f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: {phase}\tStatus: {status}"
        if status == "error":
            report += f"\tError Type: {reported_error_type(error['errorType'])}"
        log = f"{runtime.processes.take_output()}{report}\n"
        raise InitFailed(error, status=status, init_ms=init_ms, log=log, max_memory_mb=runtime.max_memory_mb)

    def _run(self, invocation: Invocation, started: float, init_log: str) -> Outcome:
        """Deliver an invocation, wait for its answer, and freeze the runtime when it asks for the next one."""
        runtime, deadline = self._runtime, started + self.spec.timeout_s
        runtime.thaw()
        runtime.api.deliver(invocation)
        runtime.serve_until(lambda: runtime.api.answer or runtime.ended, deadline)
        duration_ms = _milliseconds_since(started)
        if runtime.within_memory() and (answer := runtime.api.answer):
            kind, payload = answer
        else:
            kind = "exit" if runtime.ended else "timeout"
            payload = json.dumps(runtime.failure(self.spec.timeout_s, invocation.request_id)).encode()
        if kind == "timeout":
            runtime.processes.kill()
            # it was cut off at its limit; what it took to notice isn't the function's
            duration_ms = self.spec.timeout_s * 1000
        outcome = Outcome(
            kind=kind,
            payload=payload,
            duration_ms=duration_ms,
            log=runtime.processes.take_output(),
            max_memory_mb=runtime.max_memory_mb,
            init_log=init_log,
        )
        if runtime.serve_until(lambda: runtime.api.asked or runtime.ended, deadline):
            runtime.freeze()
        else:
            runtime.processes.kill()
        return outcome

    def _reset(self) -> None:
        if runtime := self._runtime:
            self._runtime = None
            runtime.close()


class _Runtime:
    """One life of a runtime: its processes, what they may use, and the Runtime API that they talk to."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        variables: dict[str, str],
        on_exit: Callable[[int], None],
        *,
        memory_mb: int,
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self.api = RuntimeApi(self._selector)
        try:
            self.processes = ProcessGroup(
                command,
                folder=folder,
                variables={**variables, "AWS_LAMBDA_RUNTIME_API": self.api.address},
                on_end=on_exit,
            )
        except OSError:
            self.api.close()
            self._selector.close()
            raise
        self.ended = False
        self.allowance: Allowance = Unlimited()
        self.max_memory_mb: int | None = None  # the highest seen so far
        self._memory_mb, self._looked_at, self._was_over = memory_mb, time.perf_counter(), False
        self._selector.register(self.processes.output, selectors.EVENT_READ, self._read_log)
        self._selector.register(self.processes.ended, selectors.EVENT_READ, self._note_end)

    def serve_until(self, done: Callable[[], object], deadline: float) -> bool:
        """Serve the Runtime API, collect the log and watch the memory until `done()`; return False if the deadline came first."""
        while not done():
            now = time.perf_counter()
            if now >= deadline:
                return False
            if now >= self._looked_at + _LOOK_S:
                self.within_memory()
            for key, ready in self._selector.select(min(deadline, self._looked_at + _LOOK_S) - now):
                key.data(ready)
        return True

    def within_memory(self) -> bool:
        """Return whether the memory limit was kept so far. Processes that are over it are killed, as by AWS."""
        self._looked_at = time.perf_counter()
        peak = peak_memory_bytes(self.processes.id) or 0
        if peak > self._memory_mb << 20:
            self.processes.kill()
            self.ended = self._was_over = True
        if peak:
            self.max_memory_mb = min(max(self.max_memory_mb or 0, peak >> 20), self._memory_mb)
        return peak <= self._memory_mb << 20

    def freeze(self) -> None:
        """Stop every process where it stands."""
        self.processes.freeze()
        self.allowance.rest()

    def thaw(self) -> None:
        """Let every process go on, at its share."""
        self.processes.thaw()
        self.allowance.run()

    def failure(self, limit_s: float, request_id: str | None) -> dict[str, str]:
        """Return AWS's error object for a runtime that ended by itself or, failing that, took longer than `limit_s`."""
        if self.ended:
            how = self.processes.how_it_ended()
            error_type = "Runtime.OutOfMemory" if self._was_over else "Runtime.ExitError"
            message = (
                f"Runtime exited {'without providing a reason' if how == 'exit status 0' else f'with error: {how}'}"
            )
        else:
            error_type, message = "Sandbox.Timedout", f"Task timed out after {limit_s:.2f} seconds"
        return {
            "errorType": error_type,
            "errorMessage": f"RequestId: {request_id} Error: {message}" if request_id else message,
        }

    def close(self) -> None:
        """Kill the processes and close every descriptor."""
        self.processes.close()
        self.allowance.end()
        self.api.close()
        self._selector.close()

    def _read_log(self, _ready: int) -> None:
        if not self.processes.read_output():
            self._selector.unregister(self.processes.output)

    def _note_end(self, _ready: int) -> None:
        self.ended = True
        self._selector.unregister(self.processes.ended)


def _milliseconds_since(moment: float) -> float:
    """Return the milliseconds since `moment`, a reading of `time.perf_counter()`."""
    return (time.perf_counter() - moment) * 1000
