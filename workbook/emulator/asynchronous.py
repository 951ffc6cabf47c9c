"""An asynchronous event from when Lambda takes it to its end: what the corrections of asynchronous invocation share.

MiniStack's own loop runs an event with the code that the function had when the event came, counts a throttle as an
attempt, and tells nobody of a success. Ours takes its place. It keeps MiniStack's scale of time: what is a minute on AWS
is `LAMBDA_ASYNC_RETRY_BASE_SECONDS` here, one second. How old an event may become isn't shortened.
"""

import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.services import lambda_svc

from workbook.emulator.corrections.invoke_request_id import invocation_id

# Without settings: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
_RETRIES = 2
_AGE_S = 6 * 60 * 60


@dataclass(frozen=True)
class Ended:
    """How an event ended."""

    request_id: str
    function: str  # the ARN of the version or alias that was invoked
    event: Any
    condition: str  # Success, RetriesExhausted, EventAgeExceeded or ZeroReservedConcurrency
    invocations: int  # attempts that reached the function
    version: str  # that the last attempt ran, or was meant for
    answer: dict[str, Any] | None  # MiniStack's to the last attempt; none where reserved concurrency forbids it
    destinations: dict[str, Any]  # of the version or alias
    dead_letters: str | None  # the ARN of the function's queue or topic


receivers: list[Callable[[Ended], None]] = []  # each is told every end, in the event's thread, account and region


def install() -> None:
    """Have MiniStack hand us its asynchronous events, and keep the settings of an unqualified function as $LATEST's."""
    if lambda_svc.invoke_async_with_retry is accept:
        return
    lambda_svc.invoke_async_with_retry = accept
    for name in ("_put_event_invoke_config", "_get_event_invoke_config", "_delete_event_invoke_config"):
        setattr(lambda_svc, name, _of_latest(getattr(lambda_svc, name)))


def accept(func: dict[str, Any], event: Any) -> None:
    """Take an event for a function, as MiniStack executes it, and run it in a thread of its own."""
    config = func.get("config") or func
    threading.Thread(
        target=contextvars.copy_context().run,
        args=(lambda_svc._run_with_function_config_scope, config, _see_to, config, event),
        daemon=True,
    ).start()


def _see_to(config: dict[str, Any], event: Any) -> None:
    """Run an event under one request id, that of the call that brought it or a new one, and tell the receivers its end."""
    request_id = lambda_svc.new_uuid()
    invocation_id.set(request_id)
    ended = Attempts(config, event, request_id).run()
    invocation_id.set(None)  # a function that is invoked with the outcome gets an id of its own
    if ended is None:
        return
    for receive in receivers:
        try:
            receive(ended)
        except Exception as error:  # nobody waits for it, and the other receivers have theirs to do
            lambda_svc.logger.error("The end of an event of %s was not delivered: %r", ended.function, error)


class Attempts:
    """The attempts to run one event."""

    def __init__(self, config: dict[str, Any], event: Any, request_id: str) -> None:
        self._event, self._request_id = event, request_id
        self._name, self._arn = config["FunctionName"], config["FunctionArn"]
        _, qualifier = lambda_svc._lambda_function_name_and_qualifier_from_arn(self._arn)
        self._qualifier = qualifier or config["Version"]
        self._function = lambda_svc._functions.get(self._name)
        self._taken = time.monotonic()
        self._invocations = 0

    def run(self) -> Ended | None:
        """Make attempts until the event ends, and return how. None if the function, version or alias is gone by then."""
        minute_s = lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS
        throttled_s = minute_s / 60
        while record := self._record():
            if lambda_svc._reserved_concurrency(record, record["config"]) == 0:
                return self._ended("ZeroReservedConcurrency", record)
            answer = lambda_svc._execute_function(record, self._event)
            if answer.get("throttle"):
                wait_s, throttled_s = throttled_s, min(2 * throttled_s, 5 * minute_s)
            else:
                self._invocations += 1
                if not answer.get("error"):
                    return self._ended("Success", record, answer)
                if self._invocations > int(self._settings().get("MaximumRetryAttempts", _RETRIES)):
                    return self._ended("RetriesExhausted", record, answer)
                wait_s = self._invocations * minute_s
            age_s = time.monotonic() - self._taken
            if age_s + wait_s > int(self._settings().get("MaximumEventAgeInSeconds", _AGE_S)):
                return self._ended("EventAgeExceeded", record, answer)
            time.sleep(wait_s)
        return None

    def _record(self) -> dict[str, Any] | None:
        """Return what is to be invoked, as it is now and as MiniStack executes it. None if it is gone.

        Reserved concurrency holds for the function as a whole, with all its versions.
        https://docs.aws.amazon.com/goto/WebAPI/lambda/PutFunctionConcurrency
        """
        function = lambda_svc._functions.get(self._name)
        if function is None or function is not self._function:
            return None
        record, config = lambda_svc._effective_func_record_for_qualifier(function, self._qualifier)
        if record is None:
            return None
        return record | {"config": config | {"FunctionArn": self._arn}, "concurrency": function.get("concurrency")}

    def _settings(self) -> dict[str, Any]:
        """Return the settings for asynchronous invocation, as they are now."""
        return (self._function.get("event_invoke_configs") or {}).get(self._qualifier) or {}

    def _ended(self, condition: str, record: dict[str, Any], answer: dict[str, Any] | None = None) -> Ended:
        return Ended(
            request_id=self._request_id,
            function=f"{lambda_svc._func_arn(self._name)}:{self._qualifier}",
            event=self._event,
            condition=condition,
            invocations=self._invocations,
            version=(answer or {}).get("executed_version", record["config"]["Version"]),
            answer=answer,
            destinations=self._settings().get("DestinationConfig") or {},
            dead_letters=(self._function["config"].get("DeadLetterConfig") or {}).get("TargetArn"),
        )


def _of_latest(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of MiniStack's for settings that takes no qualifier for $LATEST, as AWS's own answers do."""
    return lambda function, qualifier=None, *data: stock(function, qualifier or "$LATEST", *data)
