"""CloudWatch counts every invocation of a function, whatever called it, with the concurrency that it met.

Needed by 07_concurrency, which reads throttles, concurrency and spill-over as an operator would. Plain MiniStack counts what
comes through Invoke only: a throttle as an invocation, and an event as a success when it is taken, whatever becomes of it.

AWS: what is counted when, and that "Invocations aren't recorded if the invocation request is throttled":
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
By function; by function and resource, which is the version or alias that was called; for an alias also by the version that
ran; and without a dimension for all functions:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
AWS keeps a sum for each minute. Here equal values in a row, within a minute, are kept as one with its count.
"""

import threading
import time
from collections import Counter
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, lambda_svc

from workbook.emulator import provisioned
from workbook.emulator.invocations import Execute, Function, keep_qualifiers, qualifier_of, surround

Dimensions = dict[str, str]

_UNITS = {"Duration": "Milliseconds", "ProvisionedConcurrencyUtilization": "None"}  # all others are counts

_running: Counter[tuple[Any, ...]] = Counter()  # invocations at this moment, by account, region and dimensions
_lock = threading.Lock()


class _Exactly(dict[str, str]):
    """Dimensions that are asked for. They are true if there are none, too, which MiniStack would take for any."""

    def __bool__(self) -> bool:
        return True


def apply() -> None:
    """Replace what MiniStack counts, and let a question without dimensions be one for the metric that has none."""
    stock_dispatch, stock_accept = lambda_svc._execute_function_dispatch, lambda_svc.invoke_async_with_retry
    stock_dimensions = cloudwatch._dims_from_list

    def dispatch(function: Function, config: dict[str, Any], *more: Any) -> dict[str, Any]:
        pool, is_provisioned = provisioned.pool_of(config), "environment" in function
        usage = _usage(pool, is_provisioned) if pool else {}
        started = time.perf_counter()
        concurrent = _count(dimensions_of(config), 1)
        try:
            result = stock_dispatch(function, config, *more)
        finally:
            _count([dimensions for dimensions, _ in concurrent], -1)
        outcome = {
            "Invocations": 1,
            "Errors": int(bool(result.get("error"))),
            "Throttles": 0,
            "Duration": result.get("duration_ms", (time.perf_counter() - started) * 1000),
        }
        for dimensions, running in concurrent:
            more_of_it = usage if "Resource" in dimensions else {}
            _record(dimensions, ConcurrentExecutions=running, **outcome, **more_of_it)
        return result

    def accept(function: Function, event: Any) -> None:
        _record_all(function, AsyncEventsReceived=1)
        stock_accept(function, event)

    lambda_svc._execute_function_dispatch, lambda_svc.invoke_async_with_retry = dispatch, accept
    lambda_svc._emit_lambda_metrics = lambda *_numbers, **_more: None
    cloudwatch._dims_from_list = lambda dimensions: _Exactly(stock_dimensions(dimensions))
    keep_qualifiers()
    surround(count_throttle)


def count_throttle(function: Function, event: Any, proceed: Execute) -> dict[str, Any]:
    """Run an invocation, and count it if it was refused."""
    result = proceed(function, event)
    if result.get("throttle"):
        _record_all(function, Throttles=1)
    return result


def dimensions_of(config: dict[str, Any]) -> list[Dimensions]:
    """Return the sets of dimensions that an invocation is counted under."""
    name, qualifier, version = config["FunctionName"], qualifier_of(config), config["Version"]
    function = {"FunctionName": name}
    resource = function | {"Resource": f"{name}:{qualifier}" if qualifier else name}
    found = [{}, function, resource]
    if qualifier not in (None, version):
        found.append(resource | {"ExecutedVersion": version})
    return found


def _usage(pool: provisioned.Pool, is_provisioned: bool) -> dict[str, float]:
    """Return what an invocation says of the concurrency that is provisioned for the name that it was called by."""
    allocated = pool.state["AllocatedProvisionedConcurrentExecutions"]
    if not allocated:
        return {}
    in_use = pool.in_use()
    return {
        "ProvisionedConcurrencyInvocations": int(is_provisioned),
        "ProvisionedConcurrencySpilloverInvocations": int(not is_provisioned),
        "ProvisionedConcurrentExecutions": in_use,
        "ProvisionedConcurrencyUtilization": in_use / allocated,
    }


def _count(places: list[Dimensions], change: int) -> list[tuple[Dimensions, int]]:
    """Count an invocation that begins or ends, and return how many there are now, for each set of dimensions."""
    scope, counted = (get_account_id(), get_region()), []
    with _lock:
        for dimensions in places:
            place = (*scope, *dimensions.values())
            _running[place] += change
            counted.append((dimensions, _running[place]))
    return counted


def _record_all(function: Function, **values: float) -> None:
    for dimensions in dimensions_of(function.get("config") or function):
        _record(dimensions, **values)


def _record(dimensions: Dimensions, **values: float) -> None:
    now, key = time.time(), cloudwatch._dims_key(dimensions)
    with _lock:
        for name, value in values.items():
            points = cloudwatch._metric_bucket(("AWS/Lambda", name, key))
            last = points[-1] if points else None
            if last and (last["Value"], last["Timestamp"] // 60) == (value, now // 60):
                last |= {"Timestamp": now, "Count": last["Count"] + 1}
            else:
                unit = _UNITS.get(name, "Count")
                points.append(
                    {"Timestamp": now, "Value": float(value), "Count": 1.0, "Unit": unit, "Dimensions": dimensions}
                )
