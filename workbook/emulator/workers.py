"""Puts execution environments of our own where MiniStack expects its worker processes.

MiniStack's pool stays in charge: it leases a worker to each invocation, so that invocations at the same time get
environments of their own, retires workers when a function is updated or deleted, and reaps idle ones. Only the worker
itself is ours, for the runtimes that we have a client for. Custom runtimes, images and durable functions keep MiniStack's.
"""

import io
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from workbook.emulator.environment import Environment, InitFailed, Outcome
from workbook.emulator.governor import Governor
from workbook.emulator.guard import Guard
from workbook.emulator.lineage import inbound_depth, with_lineage
from workbook.emulator.server import HOST
from workbook.emulator.spec import EnvironmentSpec, no_stand_in
from workbook.emulator.system_log import InvocationLog, invocation_log, records

# In JSON: an escaped half of a surrogate pair, whether or not the other half is there too
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


class EnvironmentWorker(lambda_runtime.Worker):  # type: ignore[misc]
    """One execution environment, as MiniStack's pool knows a worker. The pool finds no process in it to signal."""

    def __init__(
        self,
        func_name: str,
        config: dict[str, Any],
        code_zip: bytes,
        *,
        guard: Guard,
        scratch: Path,
        governor: Governor,
        initialization_type: str = "on-demand",
        on_loss: Callable[["EnvironmentWorker"], None] = lambda _worker: None,
    ) -> None:
        """Prepare a worker. `on_loss` is called, from a thread of its own, when a process ends that was not retired."""
        super().__init__(func_name, config, code_zip)
        self._guard, self._scratch, self._governor = guard, scratch, governor
        self._initialization_type, self._on_loss = initialization_type, on_loss
        self._environment: Environment | None = None
        self._init_log, self._init_ms = "", None
        self._retired = False

    @property
    def alive(self) -> bool:
        """Return whether the init phase succeeded and the process is still there."""
        return self._environment is not None and self._environment.alive

    def init_log(self) -> InvocationLog:
        """Return what was written in the init phase, for an environment that no invocation will come to."""
        return InvocationLog(self._environment.log_stream, tuple(records(self._init_log)))

    def _spawn(self) -> None:
        """Make the environment and run its init phase, the first time. A failed one is run again by the invocation."""
        if self._environment is not None:
            return
        self._environment = Environment(
            self._spec(), governor=self._governor, on_spawn=self._guard.watch, on_exit=self._forget
        )
        try:
            self._init_log = self._environment.start()
            self._init_ms = self._environment.init_ms
        except InitFailed as failure:
            self._init_log = failure.log

    def invoke(
        self,
        event: object,
        request_id: str,
        *,
        trace_id: str | None = None,
        depth: int = 0,
        invoked_function_arn: str = "",
    ) -> dict[str, Any]:
        """Run one invocation and say how it ended, in the form of MiniStack's workers, but for a log that knows its stream."""
        arn = invoked_function_arn or self.config["FunctionArn"]
        with self._lock:
            self._spawn()
            init_log, init_ms = self._init_log, self._init_ms
            self._init_log, self._init_ms = "", None
            outcome = self._environment.invoke(
                request_id, json.dumps(event).encode(), arn=arn, trace_id=with_lineage(trace_id, arn, depth)
            )
        outcome, answer = readable(outcome)
        log = invocation_log(
            outcome,
            stream=self._environment.log_stream,
            request_id=request_id,
            version=self.config["Version"],
            memory_mb=self.config["MemorySize"],
            init_log=init_log,
            init_ms=init_ms,
        )
        end = {"log": log, "duration_ms": outcome.duration_ms}
        if outcome.kind == "response":
            return end | {"status": "ok", "result": answer}
        return end | {"status": "error", "error": answer}

    def _discard_tmpdir(self) -> None:
        """Retire: the pool's last word to a worker."""
        self._retired = True
        self.settle()

    def settle(self) -> None:
        """Stop the environment if the pool has retired it and no invocation has it: one under way is finished first."""
        if self._retired and not self.in_use:
            if self._environment is not None:
                self._environment.stop()
            super()._discard_tmpdir()

    def _forget(self, group: int) -> None:
        self._guard.forget(group)
        if not self._retired:
            self._on_loss(self)

    def _spec(self) -> EnvironmentSpec:
        config = self.config
        credentials = lambda_runtime.execution_credentials(config)
        return EnvironmentSpec(
            function_name=config["FunctionName"],
            version=config["Version"],
            handler=config["Handler"],
            runtime=config["Runtime"],
            code_folder=Path(lambda_svc._provided_runtime_code_dir(self.code_zip)),
            layers=self._merged_layers(),
            memory_mb=config["MemorySize"],
            timeout_s=config["Timeout"],
            region=lambda_svc.get_region(),
            credentials={name: value for name, value in credentials.items() if value},
            variables=lambda_svc._runtime_env_vars(config),
            endpoint=f"http://{HOST}:{os.environ['GATEWAY_PORT']}",
            scratch=self._scratch,
            log_group=log_group(config),
            initialization_type=self._initialization_type,
        )

    def _merged_layers(self) -> Path | None:
        """Return a folder with the contents of all layers, later ones over earlier ones, as AWS shows them under /opt."""
        archives = [lambda_svc._resolve_layer_zip(layer) for layer in self.config.get("Layers") or []]
        if not archives:
            return None
        self._tmpdir = tempfile.mkdtemp(prefix="layers-")  # removed by the superclass
        for archive in filter(None, archives):
            with zipfile.ZipFile(io.BytesIO(archive)) as contents:
                contents.extractall(self._tmpdir)
        return Path(self._tmpdir)


def install(guard: Guard, folder: Path, governor: Governor) -> None:
    """Have MiniStack run Python and Node functions in execution environments of ours, below the emulator's folder.

    The guard hears of every process group, and the governor holds it to its share of the CPU.
    """
    scratch = folder / "environments"
    scratch.mkdir()
    lambda_svc._PROVIDED_CODE_CACHE = str(folder / "code")  # short: its files stand in every traceback
    ours = partial(EnvironmentWorker, guard=guard, scratch=scratch, governor=governor)
    stock_class, stock_execute = lambda_runtime._worker_class_for, lambda_svc._execute_function_warm
    lambda_runtime._worker_class_for = lambda config: ours if is_ours(config) else stock_class(config)
    lambda_svc._execute_function_warm = partial(_execute, stock_execute)
    lambda_svc._execute_function_docker = partial(_execute_image, lambda_svc._execute_function_docker)
    lambda_svc._inbound_invoke_depth = inbound_depth


def readable(outcome: Outcome) -> tuple[Outcome, Any]:
    """Return an outcome and what its payload says, both as they can be passed on to the caller.

    A payload that isn't JSON, such as the bytes that a Python handler may return, makes the outcome an error. What UTF-8
    can't carry, such as half a surrogate pair in a JavaScript string, becomes the replacement character.
    """
    text = (outcome.payload or b"null").decode(errors="replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:  # the second: JSON, but deeper than this process can follow
        message = f"Unable to marshal response: it can't be read as JSON ({error}). It begins with {text[:40]!r}."
        answer = {"errorType": "Runtime.MarshalError", "errorMessage": message}
        return replace(outcome, kind="error", payload=json.dumps(answer).encode()), answer
    if _HALF_PAIR.search(text):
        utf16 = json.dumps(answer, ensure_ascii=False).encode("utf-16", "surrogatepass")
        answer = json.loads(utf16.decode("utf-16", "replace"))
    return outcome, answer


def log_group(config: dict[str, Any]) -> str:
    """Return the name of the log group that a function writes to."""
    return (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"


def is_ours(config: dict[str, Any]) -> bool:
    """Return whether a function runs in environments of ours."""
    durable = (config.get("DurableConfig") or {}).get("Enabled")
    return config.get("Runtime", "").startswith(("python", "nodejs")) and not durable


def _execute(
    stock: Callable[..., dict[str, Any]], func: dict[str, Any], event: object, request_id: str
) -> dict[str, Any]:
    """Run one invocation for MiniStack's dispatcher, which passes `log_source` on to what writes the log.

    It runs in the function's `environment`, if one was leased to it, and otherwise in one of the pool's.
    """
    config = func.get("config") or func
    if not is_ours(config) or not func.get("code_zip"):
        return stock(func, event, request_id)
    lambda_svc._ensure_reaper_thread()
    worker = func.get("environment")
    if worker is None:
        worker, _ = lambda_runtime.acquire_worker(
            config["FunctionName"], config, func["code_zip"], qualifier=config["Version"]
        )
    try:
        end = worker.invoke(
            event,
            request_id,
            trace_id=lambda_svc._xray_trace_id_for_invocation(config),
            depth=lambda_svc._invoke_depth.get(),
            invoked_function_arn=config["FunctionArn"],
        )
    finally:
        lambda_runtime.release_worker(worker)
        worker.settle()
    result = {"log": end["log"].text, "log_source": end["log"], "duration_ms": end["duration_ms"]}
    if end["status"] == "ok":
        return result | {"body": end["result"]}
    return result | {"body": end["error"], "error": True, "function_error": "Unhandled"}


def _execute_image(
    stock: Callable[..., dict[str, Any]], func: dict[str, Any], event: object, request_id: str
) -> dict[str, Any]:
    """Run one invocation of an image as MiniStack does.

    Whatever has no other place comes here too, such as Ruby and Java. MiniStack would answer 200 with a mock, as if the
    function had run; here the caller gets an error that says what can be done.
    """
    config = func.get("config") or func
    if config.get("PackageType") == "Image":
        return stock(func, event, request_id)
    error = no_stand_in(config["FunctionName"], config["Runtime"])
    body = {"errorType": "Runtime.InvalidRuntime", "errorMessage": str(error)}
    return {"body": body, "error": True, "function_error": "Unhandled", "log": f"{error}\n"}
