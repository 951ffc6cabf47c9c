"""LocalStack's Lambda without Docker: it runs functions in the workbook's own execution environments.

LocalStack stays in charge: it decides which invocation gets which environment, retries, throttles, keeps the log and tells
destinations. Where it would start a container, it starts one of our environments. It takes this executor by
LAMBDA_RUNTIME_EXECUTOR=workbook. Layers and container images have no place here.
"""

import tempfile
from pathlib import Path
from typing import Any

from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from workbook.emulator.environment import Environment, InitFailed
from workbook.emulator.guard import Guard
from workbook.emulator.spec import EnvironmentSpec
from workbook.emulator.system_log import invocation_log

HOST = "127.0.0.1"
_SCRATCH = Path(tempfile.mkdtemp(prefix="environments-"))
_GUARD = Guard(_SCRATCH)  # ends frozen environments when LocalStack ends, in whatever way


class WorkbookExecutor(RuntimeExecutor):
    """One execution environment, as LocalStack knows it."""

    def start(self, env_vars: dict[str, str]) -> None:
        """Run the init phase. A failed one is run again by the invocation, as on AWS."""
        config = self.function_version.config
        credentials = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        spec = EnvironmentSpec(
            function_name=env_vars["AWS_LAMBDA_FUNCTION_NAME"],
            version=env_vars["AWS_LAMBDA_FUNCTION_VERSION"],
            handler=config.handler,
            runtime=config.runtime,
            code_folder=config.code.get_unzipped_code_location(),
            memory_mb=config.memory_size,
            timeout_s=config.timeout,
            region=env_vars["AWS_REGION"],
            credentials={name: env_vars[name] for name in credentials},
            variables=config.environment or {},
            endpoint=env_vars["AWS_ENDPOINT_URL"],
            scratch=_SCRATCH,
            log_group=env_vars["AWS_LAMBDA_LOG_GROUP_NAME"],
            initialization_type=env_vars["AWS_LAMBDA_INITIALIZATION_TYPE"],
        )
        self._environment = Environment(spec, on_spawn=_GUARD.watch, on_exit=_GUARD.forget)
        self._environment.log_stream = env_vars["AWS_LAMBDA_LOG_STREAM_NAME"]  # LocalStack writes to this one
        self._init_ms: float | None = None
        try:
            self._init_log = self._environment.start()
            self._init_ms = self._environment.init_ms
        except InitFailed as failure:
            self._init_log = failure.log

    def stop(self) -> None:
        """Kill the environment; an invocation under way ends as one whose runtime exited."""
        self._environment.stop()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Run one invocation and return its answer, with the log that belongs to it."""
        init_log, init_ms = self._init_log, self._init_ms
        self._init_log, self._init_ms = "", None
        request_id = payload["invoke-id"]
        outcome = self._environment.invoke(
            request_id,
            payload["payload"].encode(),
            arn=payload["invoked-function-arn"],
            trace_id=payload["trace-id"],
        )
        log = invocation_log(
            outcome,
            stream=self._environment.log_stream,
            request_id=request_id,
            version=self._environment.spec.version,
            memory_mb=self._environment.spec.memory_mb,
            init_log=init_log,
            init_ms=init_ms,
        )
        return InvocationResult(request_id, outcome.payload, is_error=outcome.kind != "response", logs=log.text)

    def get_address(self) -> str:
        """Return where environments are."""
        return HOST

    def get_endpoint_from_executor(self) -> str:
        """Return where LocalStack is, as environments see it."""
        return HOST

    def get_runtime_endpoint(self) -> str:
        """Return an address that nobody asks: our environments have a Runtime API of their own."""
        return f"http://{HOST}"

    def get_logs(self) -> str:
        """Return nothing more: each invocation's log goes with its answer."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code. A function that can't be run becomes Failed, with the reason that is raised here."""
        config = function_version.config
        if config.layers or not config.code:
            raise NotImplementedError("Functions with layers or container images are not run here.")
        config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Leave the code: LocalStack itself removes it."""


class WorkbookExecutorPlugin(RuntimeExecutorPlugin):
    """What LocalStack finds by the entry point."""

    name = "workbook"

    def load(self, *_: Any, **__: Any) -> type[RuntimeExecutor]:
        """Return the executor."""
        return WorkbookExecutor
