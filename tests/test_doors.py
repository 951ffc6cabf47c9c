"""A new API is waited for until it answers, and no function is called for that."""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import rehearsals
from served import served
from stacks import deployed

from workbook import doors
from workbook.errors import DeployError
from workbook.meter import FOLDER, Meter, called
from workbook.targets import Target, configured

GET_ROUTES = {"items": [{"routeId": "r", "routeKey": "GET /hello", "authorizationType": "AWS_IAM"}]}


def test_all_doors_of_a_lesson_open_without_a_call_of_its_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On the target aws a deployment ends when a REST API and an HTTP API answer; the function's log is still empty."""
    with rehearsals.account(tmp_path) as emulator:
        for name, value in rehearsals.principal(emulator).items():
            monkeypatch.setenv(name, value)
        there = configured("aws")
        for outputs in deployed(there, "02_front_door"):
            logs = there.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{outputs['FunctionName']}")
            assert [] == logs["logStreams"]
            assert 200 == there.send("GET", f"{outputs['RestUrl']}/x").status


class Gateway(BaseHTTPRequestHandler):
    """An API Gateway that knows an API and its routes, whose doors open one after the other as it is asked."""

    asked: list[str]

    def do_GET(self) -> None:
        if self.path.startswith("/v2/apis/ab12/routes"):
            return self.answer(200, GET_ROUTES)
        if self.path.startswith("/v2/apis/ab12"):
            return self.answer(200, {"apiEndpoint": "https://ab12.execute-api.us-east-1.amazonaws.com"})
        if self.path.startswith("/restapis/ab12/stages"):
            return self.answer(200, {"item": [{"stageName": "prod"}]})
        self.asked.append(self.path)
        return self.answer(*self.door(len(self.asked), self.path))

    def door(self, times: int, path: str) -> tuple[int, dict]:
        """Return what an API answers that becomes known at the third request, and its route at the sixth."""
        if times < 3:
            return 403, {"message": "Forbidden"}
        if path.endswith("/hello"):
            return (403, {"message": "Forbidden"}) if times > 5 else (404, {"message": "Not Found"})
        if "/prod/" in path:
            return 403, {"message": "Missing Authentication Token"}
        return 404, {"message": "Not Found"}

    def answer(self, status: int, said: dict) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(("kind", "requests"), [("AWS::ApiGatewayV2::Api", 6), ("AWS::ApiGateway::RestApi", 3)])
def test_a_route_that_is_not_known_yet_is_waited_for(kind: str, requests: int):
    """First the API isn't known, then its route isn't; both are told from a door that is there and locked."""
    handler = type("Slow", (Gateway,), {"asked": []})
    with served(handler) as endpoint:
        doors.wait_until_open(Target("embedded", endpoint), {"ab12": kind})
    assert requests <= len(handler.asked)
    assert all(path.startswith("/_aws/execute-api/ab12/") for path in handler.asked)


def test_no_meter_takes_a_look_for_an_invocation(tmp_path: Path):
    """Nothing is invoked by it, so no REPORT would ever take the place of the guess; what is asked of API Gateway is counted."""
    handler = type("Open", (Gateway,), {"asked": [], "door": lambda self, *_: Gateway.door(self, 6, self.path)})
    with served(handler) as endpoint:
        there = Target("embedded", endpoint, meter=Meter(tmp_path / FOLDER / "a.jsonl", region="us-east-1"))
        doors.wait_until_open(there, {"ab12": "AWS::ApiGatewayV2::Api"})
    assert 2 == len(handler.asked)
    assert {"apigatewayv2 GetApi": 1, "apigatewayv2 GetRoutes": 1} == called(tmp_path, "a")


def test_waiting_for_a_door_has_an_end(monkeypatch: pytest.MonkeyPatch):
    """An API that never answers is named."""
    handler = type("Never", (Gateway,), {"asked": [], "door": lambda *_: (403, {"message": "Forbidden"})})
    monkeypatch.setattr(doors, "_LIMIT_S", 0.05)
    with served(handler) as endpoint, pytest.raises(DeployError, match=r"Waited 0\.05 s for the API ab12 to answer"):
        doors.wait_until_open(Target("embedded", endpoint), {"ab12": "AWS::ApiGatewayV2::Api"})
