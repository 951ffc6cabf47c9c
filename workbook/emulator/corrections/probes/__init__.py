"""One probe a correction: does AWS's behaviour show at this target?

A probe makes what it needs, looks, and takes everything away again. Tests run the probes against plain MiniStack, where
they say no, and against ours, where they say yes; `make upstream` runs them against the newest MiniStack.
"""

from collections.abc import Callable

from workbook.emulator.corrections.probes.asynchronous import async_destinations, async_throttles, dead_letters
from workbook.emulator.corrections.probes.concurrency import (
    alias_weights,
    lambda_metrics,
    provisioned_concurrency,
    reserved_concurrency,
)
from workbook.emulator.corrections.probes.core import http_api_body, invoke_request_id, log_streams
from workbook.emulator.corrections.probes.function_url import function_url_answers, function_url_events
from workbook.emulator.corrections.probes.http_api import (
    http_api_answers,
    http_api_cors,
    http_api_events,
    integration_timeouts,
)
from workbook.emulator.corrections.probes.rest_api import rest_api_answers, rest_api_events, rest_api_routes
from workbook.emulator.corrections.probes.templates import dead_letter_config
from workbook.targets import Target

PROBES: dict[str, Callable[[Target], bool]] = {
    probe.__name__: probe
    for probe in (
        log_streams,
        invoke_request_id,
        http_api_body,
        http_api_events,
        http_api_answers,
        http_api_cors,
        rest_api_routes,
        rest_api_events,
        rest_api_answers,
        function_url_events,
        function_url_answers,
        integration_timeouts,
        dead_letter_config,
        async_throttles,
        async_destinations,
        dead_letters,
        reserved_concurrency,
        provisioned_concurrency,
        lambda_metrics,
        alias_weights,
    )
}
