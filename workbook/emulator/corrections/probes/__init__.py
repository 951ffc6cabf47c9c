"""One probe a correction: does AWS's behaviour show at this target?

A probe makes what it needs, looks, and takes everything away again. Tests run the probes against plain MiniStack, where
they say no, and against ours, where they say yes; `make upstream` runs them against the newest MiniStack.
"""

from collections.abc import Callable

from workbook.emulator.corrections.probes.core import http_api_body, invoke_request_id, log_streams
from workbook.targets import Target

PROBES: dict[str, Callable[[Target], bool]] = {
    probe.__name__: probe for probe in (log_streams, invoke_request_id, http_api_body)
}
