"""Where plain MiniStack departs from AWS in something that a lesson shows, and how that is put right.

Each correction is a module here of the name below. Its `apply()` replaces a function of MiniStack's when the emulator
starts; its probe in `probes` tells, against any endpoint, whether AWS's behaviour shows. The probe fails on plain
MiniStack and passes on ours: that is its test, and `make upstream` asks the newest MiniStack the same. A correction
restores behaviour that AWS documents and a lesson needs; it never builds a service.
"""

from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Correction:
    """One departure from AWS that is put right."""

    name: str  # of the module
    restores: str
    lesson: str  # the first that needs it
    documentation: str  # what AWS says


CORRECTIONS = (
    Correction(
        name="log_streams",
        restores="One log stream an execution environment, with Lambda's own lines as Lambda writes them.",
        lesson="01_first_function",
        documentation="https://docs.aws.amazon.com/lambda/latest/operatorguide/log-structure.html",
    ),
    Correction(
        name="invoke_request_id",
        restores="Invoke answers with the request id that the function sees, also across the retries of an event.",
        lesson="01_first_function",
        documentation="https://docs.aws.amazon.com/lambda/latest/operatorguide/log-structure.html",
    ),
    Correction(
        name="http_api_body",
        restores="An HTTP API gets the routes, integrations and IAM authorization of the OpenAPI body in its template.",
        lesson="00_start_here",
        documentation="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigatewayv2-api.html",
    ),
)


def apply() -> None:
    """Put every correction in place. Called once, in the emulator's process, before it serves."""
    for correction in CORRECTIONS:
        import_module(f"{__name__}.{correction.name}").apply()
