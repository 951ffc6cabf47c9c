"""Waits until the APIs of a new stack answer: on AWS a new route isn't known everywhere at once.

Nothing here reaches a function, which would make its next call a warm one: a request without a signature is refused at a
locked route, and one to a path that has no route isn't passed on. So no meter sees them, which would count invocations.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from workbook.errors import TargetError
from workbook.removal import until
from workbook.targets import Target

_LIMIT_S = 120  # seconds are usual
_NOWHERE = "workbook-looks-whether-it-is-there"


def wait_until_open(target: Target, apis: Mapping[str, str]) -> None:
    """Return when each API answers, and an HTTP API at each route that is locked and read. `apis` maps an API's id to its CloudFormation type.

    A new role needs no such wait: CloudFormation checks what it made for consistency before it calls it complete
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-resource-configuration-complete.html).

    Raises:
        DeployError: one didn't within two minutes.
    """
    unmetered = replace(target, meter=None)
    for api, kind in apis.items():
        asked = list(_http_routes(target, api) if kind == "AWS::ApiGatewayV2::Api" else _rest_stages(target, api))
        until(
            lambda asked=asked: all(_answers(unmetered, url, signs) for url, signs in asked),
            f"the API {api} to answer",
            deadline_s=_LIMIT_S,
        )


def _http_routes(target: Target, api: str) -> Iterator[tuple[str, str]]:
    """Yield an address of each locked route of an HTTP API, and what its answer has to match."""
    gateway = target.client("apigatewayv2")
    url = gateway.get_api(ApiId=api)["ApiEndpoint"]
    routes = [route for page in gateway.get_paginator("get_routes").paginate(ApiId=api) for route in page["Items"]]
    if not any(route["RouteKey"] == "$default" for route in routes):
        yield f"{url}/{_NOWHERE}", "404 .*"  # an API that isn't known there is forbidden
    for route in routes:
        method, _, path = route["RouteKey"].partition(" ")
        if method == "GET" and route.get("AuthorizationType", "NONE") != "NONE":
            yield url + re.sub(r"\{[^}]*\}", _NOWHERE, path), "40[13] .*"


def _rest_stages(target: Target, api: str) -> Iterator[tuple[str, str]]:
    """Yield an address of each stage of a REST API, and what its answer has to match.

    There is nothing at a stage's own path, and that is said in these words; an API that isn't known is forbidden.
    """
    suffix = "amazonaws.com.cn" if target.region.startswith("cn-") else "amazonaws.com"
    for stage in target.client("apigateway").get_stages(restApiId=api)["item"]:
        address = f"https://{api}.execute-api.{target.region}.{suffix}/{stage['stageName']}/{_NOWHERE}"
        yield address, ".*Missing Authentication Token.*"


def _answers(target: Target, url: str, signs: str) -> bool:
    """Return whether a request without a signature is answered as by an API that is there."""
    with suppress(TargetError):  # its name may not be known yet
        answer = target.send("GET", url, sign=False, timeout_s=10)
        return re.fullmatch(signs, f"{answer.status} {answer.body.decode()}", re.DOTALL) is not None
    return False
