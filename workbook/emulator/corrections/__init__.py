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
    Correction(
        name="http_api_events",
        restores="A function behind an HTTP API gets its event in the integration's payload format, 1.0 or 2.0, with every field.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
    ),
    Correction(
        name="http_api_answers",
        restores="An HTTP API reads a function's answer by the payload format, and tells nothing of a function that has none.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
    ),
    Correction(
        name="http_api_cors",
        restores="An HTTP API has its template's CORS configuration, answers preflights by it, and ignores the function's own headers.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html",
    ),
    Correction(
        name="rest_api_routes",
        restores="A REST API has all of its template's OpenAPI body: any method, its own answers without a function, and binary types.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-any-method.html",
    ),
    Correction(
        name="rest_api_events",
        restores="A function behind a REST API gets the request as its client sent it, and is told all that API Gateway knows of it.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html",
    ),
    Correction(
        name="rest_api_answers",
        restores="A REST API takes a function's answer in one shape only, and says of everything else that an internal error happened.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html",
    ),
    Correction(
        name="function_url_events",
        restores="A function URL's event names the caller who signed, the cookies, and the invocation by the id that the function sees.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html",
    ),
    Correction(
        name="function_url_answers",
        restores="A function URL answers with whatever JSON a function returns, and doesn't tell a caller why a function failed.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html",
    ),
    # After those that change what an integration gets or answers: it limits all that they do.
    Correction(
        name="integration_timeouts",
        restores="A client gets its answer when an integration's time is up, while the function behind it runs on.",
        lesson="02_front_door",
        documentation="https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html",
    ),
    Correction(
        name="dead_letter_config",
        restores="A function keeps the dead-letter queue that its template gives it.",
        lesson="05_sync_vs_async",
        documentation="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html",
    ),
    Correction(
        name="async_throttles",
        restores="A throttled event waits until it can run or is too old, and a retry runs the function as it is by then.",
        lesson="05_sync_vs_async",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html",
    ),
    Correction(
        name="async_destinations",
        restores="The record of an asynchronous invocation goes to the destination for its success or failure, with AWS's fields.",
        lesson="05_sync_vs_async",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
    ),
    Correction(
        name="dead_letters",
        restores="A dead-letter queue or topic gets the event itself, with the request id and the error as message attributes.",
        lesson="05_sync_vs_async",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
    ),
    Correction(
        name="reserved_concurrency",
        restores="Reserved concurrency limits a function with all its versions, is kept free of other functions, and stands in templates.",
        lesson="07_concurrency",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html",
    ),
    Correction(
        name="provisioned_concurrency",
        restores="Provisioned concurrency is environments that are ready before a call comes, and calls beyond them run on demand.",
        lesson="07_concurrency",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html",
    ),
    # After those that let an invocation in or refuse it: it counts what they do.
    Correction(
        name="lambda_metrics",
        restores="CloudWatch counts every invocation of a function, whatever called it, with the concurrency that it met.",
        lesson="07_concurrency",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
    ),
    # Last of these: they concern the version that it draws.
    Correction(
        name="alias_weights",
        restores="An alias with weights sends each invocation to one of its two versions, by chance, and the answer says which one ran.",
        lesson="06_power_tuning",
        documentation="https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html",
    ),
)


def apply() -> None:
    """Put every correction in place. Called once, in the emulator's process, before it serves."""
    for correction in CORRECTIONS:
        import_module(f"{__name__}.{correction.name}").apply()
