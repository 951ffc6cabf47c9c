"""A third opinion on our corrections: what both emulators say to one question, and what AWS's documentation says.

Our own tests hold our emulator to AWS's pages as we read them. LocalStack's authors read the same pages, and try theirs on
AWS too. So where both agree, two have read alike; where they differ, the page decides, and the table keeps the judgement.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from workbook.emulator.corrections.probes import PROBES
from workbook.emulator.corrections.probes.asynchronous import received
from workbook.emulator.corrections.probes.made import function, queue
from workbook.emulator.corrections.probes.rest_api import rest_api
from workbook.targets import Target

BOTH, OURS, LOCALSTACK = "both agree", "ours as documented", "LocalStack as documented"
LAMBDA = "https://docs.aws.amazon.com/lambda/latest"
GATEWAY = "https://docs.aws.amazon.com/apigateway/latest/developerguide"

ECHO = """
def handler(event, context):
    return {"statusCode": 200, "body": "here"}
"""
FAILS = """
def handler(event, context):
    raise ValueError("as requested")
"""


@dataclass(frozen=True)
class Question:
    """Something to ask either emulator, what AWS's page says to it, and who says the same."""

    asks: str
    ask: Callable[[Target], object]
    documented: object
    page: str
    verdict: str


def outcome_of_an_event(target: Target, source: str, *, reserved: int | None = None) -> tuple[object, ...]:
    """Return what the record of an asynchronous invocation says: how it ended, after how many attempts, if of this event."""
    service = target.client("lambda")
    with queue(target) as (url, arn), function(target, source) as name:
        config = {outcome: {"Destination": arn} for outcome in ("OnSuccess", "OnFailure")}
        service.put_function_event_invoke_config(FunctionName=name, DestinationConfig=config)
        if reserved is not None:
            service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
        answer = service.invoke(FunctionName=name, InvocationType="Event")
        context = json.loads(received(target, url)["Body"])["requestContext"]
    same = context["requestId"] == answer["ResponseMetadata"]["RequestId"]
    return context["condition"], context["approximateInvokeCount"], same


def refusal(ask: Callable[[], object]) -> object:
    """Return what is answered, or the code of the error with which the call is refused."""
    try:
        return ask()
    except ClientError as error:
        return error.response["Error"]["Code"]


def alias(target: Target, version: str, weight: float) -> object:
    """Return the weights of an alias that gives version 2 some of another version's calls, or the error's code."""
    service, routing = target.client("lambda"), {"AdditionalVersionWeights": {"2": weight}}
    with function(target, ECHO, Publish=True) as name:
        service.update_function_configuration(FunctionName=name, Description="another version")
        service.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
        service.publish_version(FunctionName=name)
        wanted = {"FunctionName": name, "Name": "live", "FunctionVersion": version, "RoutingConfig": routing}
        return refusal(lambda: service.create_alias(**wanted)["RoutingConfig"]["AdditionalVersionWeights"])


def deleted_version_of_an_alias(target: Target) -> object:
    service = target.client("lambda")
    with function(target, ECHO, Publish=True) as name:
        service.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        return refusal(lambda: service.delete_function(FunctionName=name, Qualifier="1"))


def provisioned_latest(target: Target) -> object:
    service = target.client("lambda")
    with function(target, ECHO) as name:
        wanted = {"FunctionName": name, "Qualifier": "$LATEST", "ProvisionedConcurrentExecutions": 1}
        return refusal(lambda: service.put_provisioned_concurrency_config(**wanted))


def reserved_below_provisioned(target: Target) -> object:
    service = target.client("lambda")
    with function(target, ECHO, Publish=True) as name:
        service.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=2)
        return refusal(lambda: service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1))


def reserved_beyond_the_account(target: Target) -> object:
    service = target.client("lambda")
    with function(target, ECHO) as name:
        return refusal(lambda: service.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=901))


def path_before_and_after_its_deployment(target: Target) -> list[int]:
    """Add a method to a REST API that is deployed; return the status with which it answers before and after the next one."""
    service, statuses = target.client("apigateway"), []
    with function(target, ECHO) as name, rest_api(target, name) as url:
        api = {"restApiId": url.removeprefix("https://").partition(".")[0]}
        [root] = [item for item in service.get_resources(**api)["items"] if item["path"] == "/"]
        method = {**api, "resourceId": root["id"], "httpMethod": "GET"}
        service.put_method(**method, authorizationType="NONE")
        service.put_integration(
            **method, type="MOCK", requestTemplates={"application/json": json.dumps({"statusCode": 200})}
        )
        service.put_method_response(**method, statusCode="200")
        service.put_integration_response(**method, statusCode="200")
        statuses.append(target.send("GET", f"{url}/", sign=False).status)
        service.create_deployment(**api, stageName="probe")
        statuses.append(target.send("GET", f"{url}/", sign=False).status)
    return statuses


def unsigned_request(target: Target) -> int:
    with function(target, ECHO) as name, rest_api(target, name) as url:
        return target.send("GET", f"{url}/orders", sign=False).status


QUESTIONS = (
    Question(
        "How does an event end whose function always fails?",
        lambda target: outcome_of_an_event(target, FAILS),
        ("RetriesExhausted", 3, True),
        f"{LAMBDA}/dg/invocation-async-error-handling.html",
        BOTH,
    ),
    Question(
        "How does one end whose function succeeds?",
        lambda target: outcome_of_an_event(target, ECHO),
        ("Success", 1, True),
        f"{LAMBDA}/dg/invocation-async-retain-records.html",
        BOTH,
    ),
    Question(
        "How does one end that meets a reserved concurrency of zero?",
        lambda target: outcome_of_an_event(target, ECHO, reserved=0),
        ("ZeroReservedConcurrency", 0, True),
        f"{LAMBDA}/dg/invocation-async-retain-records.html",
        BOTH,
    ),
    Question(
        "Do events that are throttled all run in the end?",
        PROBES["async_throttles"],
        True,
        f"{LAMBDA}/dg/invocation-async-error-handling.html",
        BOTH,
    ),
    Question(
        "Does the record of a failure, and that of a success, say what it is about?",
        PROBES["async_destinations"],
        True,
        f"{LAMBDA}/dg/invocation-async-retain-records.html",
        BOTH,
    ),
    Question(
        "Does a dead letter name the request id that stands in the function's log?",  # LocalStack's names another one
        PROBES["dead_letters"],
        True,
        f"{LAMBDA}/dg/invocation-async-retain-records.html",
        OURS,
    ),
    Question(
        "Does an alias send calls by weight, and does the answer say which version ran?",
        PROBES["alias_weights"],
        True,
        f"{LAMBDA}/dg/configuring-alias-routing.html",
        BOTH,
    ),
    Question(
        "May an alias give one version all the weight?",  # LocalStack refuses 1.0, in words that allow it
        lambda target: alias(target, "1", 1.0),
        {"2": 1.0},
        f"{LAMBDA}/api/API_AliasRoutingConfiguration.html",
        OURS,
    ),
    Question(
        "May an alias share its calls between $LATEST and a version?",
        lambda target: alias(target, "$LATEST", 0.5),
        "InvalidParameterValueException",
        f"{LAMBDA}/dg/configuring-alias-routing.html",
        LOCALSTACK,
    ),
    Question(
        "May a version go while an alias points to it?",
        deleted_version_of_an_alias,
        "ResourceConflictException",
        f"{LAMBDA}/api/API_DeleteFunction.html",
        OURS,
    ),
    Question(
        "Does a call run in the environment that was provisioned for it?",
        PROBES["provisioned_concurrency"],
        True,
        f"{LAMBDA}/dg/provisioned-concurrency.html",
        BOTH,
    ),
    Question(
        "May concurrency be provisioned for $LATEST?",
        provisioned_latest,
        "InvalidParameterValueException",
        f"{LAMBDA}/api/API_PutProvisionedConcurrencyConfig.html",
        BOTH,
    ),
    Question(
        "May less be reserved than is provisioned?",
        reserved_below_provisioned,
        "InvalidParameterValueException",
        f"{LAMBDA}/dg/provisioned-concurrency.html",
        BOTH,
    ),
    Question(
        "May so much be reserved that fewer than 100 are left to all others?",
        reserved_beyond_the_account,
        "InvalidParameterValueException",
        f"{LAMBDA}/dg/configuration-concurrency.html",
        BOTH,
    ),
    Question(
        "Is a call refused to a version of a function that reserves nothing?",
        PROBES["reserved_concurrency"],
        True,
        f"{LAMBDA}/api/API_PutFunctionConcurrency.html",
        BOTH,
    ),
    Question(
        "Does a REST API serve a new method before it is deployed?",
        path_before_and_after_its_deployment,
        [403, 200],
        f"{GATEWAY}/how-to-deploy-api.html",
        LOCALSTACK,
    ),
    Question(
        "How does a REST API answer an unsigned request for a method that asks for a signature?",
        unsigned_request,
        403,
        f"{GATEWAY}/permissions.html",
        OURS,  # LocalStack's free edition checks no signature
    ),
    Question(
        "Are a failing, a misshapen and a throttled function internal errors with AWS's statuses?",
        PROBES["rest_api_answers"],
        True,
        f"{LAMBDA}/dg/services-apigateway-errors.html",
        OURS,  # LocalStack answers 502 for the throttled one as well
    ),
    Question(
        "Does a REST API's event have what the client sent, and where it came in?",
        PROBES["rest_api_events"],
        True,
        f"{GATEWAY}/set-up-lambda-proxy-integrations.html",
        BOTH,
    ),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.asks)
def test_who_answers_as_documented(question: Question, target: Target, localstack: Target) -> None:
    """Where the two differ, AWS's page decides, and the table says for whom."""
    answers = {OURS: refusal(lambda: question.ask(target)), LOCALSTACK: refusal(lambda: question.ask(localstack))}
    documented = [who for who, answer in answers.items() if answer == question.documented]
    assert [question.verdict] == ([BOTH] if len(documented) == 2 else documented), f"{answers}; see {question.page}"
