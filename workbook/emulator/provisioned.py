"""Provisioned concurrency: environments of a version that are initialised ahead of the calls, and kept.

    allocation   all that are missing start at once; Allocated counts those that finished their init phase
    lease        a call to the version or alias gets a free one, and otherwise an environment on demand
    loss         one whose process ended is replaced; Available is lower until the new one is ready
    end          when the configuration, the alias, the version or the function goes; a call under way is finished first

https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
"""

import threading
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from workbook.emulator.invocations import qualifier_of
from workbook.emulator.workers import EnvironmentWorker

Function = dict[str, Any]  # MiniStack's record of a function or version
State = dict[str, Any]  # what GetProvisionedConcurrencyConfig answers with, where MiniStack keeps it

INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"
_TRIES = 2  # how often AWS tries an init phase before it gives up, it doesn't say


class Pool:
    """The environments that are provisioned for one version or alias. It keeps the numbers in `state` right."""

    def __init__(self, version: Function, state: State) -> None:
        self.version, self.state = version["config"]["Version"], state
        self._function = version
        self._lock = threading.Lock()  # never held while an environment is started or ended
        self._ready: list[EnvironmentWorker] = []
        self._starting: list[threading.Thread] = []
        self._wanted = self._allocated = 0

    def resize(self, wanted: int) -> None:
        """Start as many environments as are missing, or end as many as are too many, free ones first."""
        with self._lock:
            self._wanted, self._allocated = wanted, len(self._ready)
            self.state.pop("StatusReason", None)
            self._ready.sort(key=lambda worker: not worker.in_use)
            surplus, self._ready = self._ready[wanted:], self._ready[:wanted]
            self._tell()
            self._start_missing()
        lambda_runtime.kill_workers(surplus)

    def lease(self) -> EnvironmentWorker | None:
        """Return a free environment, which is the caller's until MiniStack's pool releases it. None if there is none."""
        with self._lock:
            for worker in self._ready:
                if worker.alive and not worker.in_use:
                    worker.in_use = True
                    return worker
        return None

    def in_use(self) -> int:
        """Return how many of the environments have a call at this moment."""
        with self._lock:
            return sum(worker.in_use for worker in self._ready)

    def wait(self) -> None:
        """Wait until no environment is being started. Every start ends, as its init phase is limited."""
        while starting := list(self._starting):
            for thread in starting:
                thread.join()

    def _start_missing(self) -> None:
        for _ in range(self._wanted - len(self._ready) - len(self._starting)):
            thread = threading.Thread(
                target=lambda_svc._run_with_function_config_scope, args=(self._function, self._start), daemon=True
            )
            self._starting.append(thread)
            thread.start()

    def _start(self) -> None:
        """Initialise one environment, in a thread of its own, and take it in if it is still wanted."""
        worker = None
        try:
            worker = self._initialised()
        finally:
            with self._lock:
                self._starting.remove(threading.current_thread())
                if worker is None:
                    self.state["StatusReason"] = INIT_FAILURE
                elif worker.alive and len(self._ready) < self._wanted:
                    self._ready.append(worker)
                    worker = None
                self._tell()
        if worker:
            lambda_runtime.kill_workers([worker])

    def _initialised(self) -> EnvironmentWorker | None:
        """Return an environment after its init phase, None if none could be had. The log tells why."""
        config = self._function["config"]
        for _ in range(_TRIES):
            worker = lambda_runtime._worker_class_for(config)(
                config["FunctionName"],
                config,
                self._function["code_zip"],
                initialization_type="provisioned-concurrency",
                on_loss=self._replace,
            )
            lambda_runtime.ensure_spawned(worker)
            if worker.alive:
                return worker
            lambda_svc._emit_lambda_logs(self._function, "", "", True, 0, log_source=worker.init_log())
            lambda_runtime.kill_workers([worker])
        return None

    def _replace(self, worker: EnvironmentWorker) -> None:
        """Start another environment for one whose process ended. The thread that says so must not be kept waiting."""

        def replace() -> None:
            with self._lock:
                if worker not in self._ready:  # it didn't finish its init phase, or is too many
                    return
                self._ready.remove(worker)
                self._tell()
                self._start_missing()
            lambda_runtime.kill_workers([worker])

        threading.Thread(target=replace, daemon=True).start()

    def _tell(self) -> None:
        """Write the numbers and the status. A lost environment lowers what is available, not what is allocated."""
        ready = len(self._ready)
        failed = "StatusReason" in self.state
        self._allocated = ready if failed else min(self._wanted, max(self._allocated, ready))
        self.state["AvailableProvisionedConcurrentExecutions"] = ready
        self.state["AllocatedProvisionedConcurrentExecutions"] = self._allocated
        self.state["Status"] = "FAILED" if failed else "READY" if self._allocated == self._wanted else "IN_PROGRESS"


_pools: dict[str, Pool] = {}  # by the ARN of the version or alias
_changes = threading.RLock()


def provide(arn: str, wanted: int) -> State:
    """Have that many environments for a version or alias, and return its configuration, in which allocation has begun."""
    with _changes:
        function, version = _find(arn)
        configs = function.setdefault("provisioned_concurrency", {})
        state = configs.setdefault(qualifier_of({"FunctionArn": arn}), {})
        state["RequestedProvisionedConcurrentExecutions"] = wanted
        state["LastModified"] = lambda_svc._now_iso()
        if arn not in _pools:
            _pools[arn] = Pool(version, state)
        answer = (
            {
                "AvailableProvisionedConcurrentExecutions": 0,
                "AllocatedProvisionedConcurrentExecutions": 0,
            }
            | state
            | {"Status": "IN_PROGRESS"}
        )
        _pools[arn].resize(wanted)
    return answer


def settle() -> None:
    """End what was provisioned for a version or alias that has no configuration any more, and follow an alias that moved."""
    with _changes:
        for arn, pool in list(_pools.items()):
            function, version = _find(arn)
            configs = (function or {}).get("provisioned_concurrency") or {}
            qualifier = qualifier_of({"FunctionArn": arn})
            stays = configs.get(qualifier) is pool.state
            if stays and version and version["config"]["Version"] == pool.version:
                continue
            del _pools[arn]
            pool.resize(0)
            if not stays:
                continue
            if version is None or version["config"]["Version"] == "$LATEST":
                del configs[qualifier]
            else:
                _pools[arn] = Pool(version, pool.state)
                _pools[arn].resize(pool.state["RequestedProvisionedConcurrentExecutions"])


def reason_after_allocation(arn: str) -> str | None:
    """Wait until the allocation for a version or alias ended, and return why it failed, None if it didn't."""
    pool = _pools[arn]
    pool.wait()
    return pool.state.get("StatusReason")


def pool_of(config: dict[str, Any]) -> Pool | None:
    """Return what is provisioned for an invocation: by the name that it was called by, of the version that it runs."""
    pool = _pools.get(config["FunctionArn"])
    return pool if pool and pool.version == config["Version"] else None


def _find(arn: str) -> tuple[Function | None, Function | None]:
    """Return the function of an ARN, and the version that it names by number or alias, as they are now."""
    account, region = lambda_svc._lambda_function_account_region_from_arn(arn)
    name, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(arn)
    function = lambda_svc._functions.get_scoped(account, region, name)
    version, _ = lambda_svc._effective_func_record_for_qualifier(function, qualifier)
    return function, version
