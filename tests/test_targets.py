"""Where calls go, as whom, and what happens if nobody is there."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import localstack_client.session
import pytest
import rehearsals
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from fake_aws import ACCOUNT_ID, fake_aws
from served import served

from workbook.errors import ParameterError, TargetError
from workbook.records import Provenance
from workbook.targets import Target, artefact, configured, connect, measured_answer


@dataclass
class Listener:
    """A real HTTP server on the loopback that notes what reaches it."""

    endpoint: str
    status: int = 200
    pause_s: float = 0
    seen: list[dict] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            note.seen.append(
                {
                    "path": self.path,
                    "headers": dict(self.headers),
                    "lines": self.headers.items(),
                    "body": body,
                    "method": self.command,
                }
            )
            time.sleep(note.pause_s)
            with suppress(BrokenPipeError):  # whoever asked may not have waited
                self.send_response(note.status)
                self.send_header("X-Colour", "green")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with served(Handler) as endpoint:
        note = Listener(endpoint)
        yield note


@pytest.fixture
def nobody() -> str:
    """The address of a port at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


# the guards around localstack-client

MISLEADING = {
    "an endpoint": {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    "a service's endpoint": {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"},
    "a profile that isn't there": {"AWS_PROFILE": "ghost"},
    "another account": {"AWS_ACCESS_KEY_ID": "999999999999", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "x"},
    "another region": {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"},
    "another LocalStack": {"LOCALSTACK_HOST": "localstack.example:none", "USE_SSL": "1"},
    "a proxy": {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""},
    "FIPS endpoints": {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
}


@pytest.mark.parametrize("shell", MISLEADING.values(), ids=MISLEADING)
def test_the_shell_does_not_lead_astray(target: Target, shell: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """Whatever the shell says of AWS, a call reaches the named endpoint, as the named account."""
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    there = connect("embedded", endpoint=target.endpoint, account_id="111111111111")

    assert "111111111111" == there.client("sts").get_caller_identity()["Account"]


@pytest.mark.parametrize("file", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_the_aws_files_are_not_read(target: Target, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What stands in ~/.aws is not for an emulator, and need not even make sense."""
    path = tmp_path / "file"
    path.write_text("neither a section nor a key")
    monkeypatch.setenv(file, str(path))
    there = connect("embedded", endpoint=target.endpoint)

    assert "000000000000" == there.client("sts").get_caller_identity()["Account"]


def test_a_region_is_honoured(target: Target):
    """What is made in a region is there, and not in another."""
    ireland = connect("embedded", endpoint=target.endpoint, region="eu-west-1").client("sqs")
    url = ireland.create_queue(QueueName="in-ireland")["QueueUrl"]
    try:
        arn = ireland.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        assert "arn:aws:sqs:eu-west-1:000000000000:in-ireland" == arn
        assert not target.client("sqs").list_queues(QueueNamePrefix="in-ireland").get("QueueUrls")
    finally:
        ireland.delete_queue(QueueUrl=url)


def test_a_service_that_localstack_client_does_not_know_has_a_client(target: Target):
    """Its list of services ends somewhere; ours is boto3's."""
    with pytest.raises(Exception, match="not supported by this mock session"):
        localstack_client.session.Session().client("pricing")

    assert target.endpoint == target.client("pricing").meta.endpoint_url


@pytest.mark.parametrize(
    ("service", "operation"), [("apigatewayv2", "get_apis"), ("scheduler", "list_schedules"), ("s3", "list_buckets")]
)
def test_a_service_answers(target: Target, service: str, operation: str):
    """Services of every protocol are reached, without a warning."""
    answer = getattr(target.client(service), operation)()
    assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_name_in_front_of_the_host_is_left_out(target: Target):
    """Where AWS puts a word before its host, an emulator has no such host: the call arrives all the same."""
    client = target.client("stepfunctions")
    with pytest.raises(client.exceptions.StateMachineDoesNotExist):
        client.start_sync_execution(stateMachineArn="arn:aws:states:us-east-1:000000000000:stateMachine:never-made")


def test_accounts_are_apart(target: Target):
    """The access key is the account, so what one account makes another one doesn't see."""
    other = connect("embedded", endpoint=target.endpoint, account_id="222222222222")
    topic = other.client("sns").create_topic(Name="theirs")["TopicArn"]
    try:
        assert ":222222222222:theirs" in topic
        assert topic not in [t["TopicArn"] for t in target.client("sns").list_topics()["Topics"]]
    finally:
        other.client("sns").delete_topic(TopicArn=topic)


# retries


@pytest.mark.parametrize("attempts", ["1", "7"])
def test_a_measured_call_is_never_retried(listener: Listener, attempts: str, monkeypatch: pytest.MonkeyPatch):
    """A failure is a result; managing resources, the same failure is tried three times, whatever the shell says."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", attempts)
    listener.status = 503
    there = Target("embedded", listener.endpoint)
    measured, managing = there.measured_client("lambda"), there.client("lambda")
    with pytest.raises(measured.exceptions.ClientError):
        measured.list_functions()
    assert 1 == len(listener.seen)
    with pytest.raises(managing.exceptions.ClientError):
        managing.list_functions()
    assert 1 + 3 == len(listener.seen)


def test_the_measured_client_is_always_the_same(target: Target):
    """A second measurement finds the connection of the first one open."""
    assert target.measured_client("lambda") is target.measured_client("lambda")


# nobody there


@pytest.mark.parametrize("kind", ["client", "measured_client"])
def test_a_client_says_in_a_sentence_that_nobody_answers(nobody: str, kind: str):
    """A lost emulator ends in what to do, whichever client finds out."""
    client = getattr(Target("embedded", nobody), kind)("lambda")
    with pytest.raises(TargetError, match=rf"embedded gave no answer: .*{nobody}.* Run the setup cell again"):
        client.list_functions()


def test_a_request_says_in_a_sentence_that_nobody_answers(nobody: str):
    """The same holds for HTTP."""
    with pytest.raises(TargetError, match=r"The target localstack gave no answer: .* Start LocalStack"):
        Target("localstack", nobody).send("GET", f"{nobody}/x")


def test_a_request_waits_no_longer_than_told(listener: Listener):
    """A server that doesn't answer in time is one that doesn't answer."""
    listener.pause_s = 0.5
    with pytest.raises(TargetError, match="Read timeout"):
        Target("embedded", listener.endpoint).send("GET", listener.endpoint, timeout_s=0.05)


# HTTP

AWKWARD = {"name": "Ada & Grace", "sum": "1+1=2", "sign": "ü~*", "many": ["b", "a"], "empty": ""}


@pytest.mark.parametrize("body", [None, b"\x00\xff", "text", {"a": [1]}], ids=["none", "bytes", "text", "json"])
def test_what_is_signed_is_what_is_sent(listener: Listener, body: object):
    """A server that signs the request again, as it came over the wire, finds the signature that came with it."""
    there = Target("embedded", listener.endpoint, account_id="123456789012")
    there.send("POST", f"{listener.endpoint}/a%20b/c?z=1", body=body, params=AWKWARD)
    (seen,) = listener.seen
    came = {name.lower(): value for name, value in seen["headers"].items()}
    again = AWSRequest("POST", listener.endpoint + seen["path"], {"x-amz-date": came["x-amz-date"]}, seen["body"])
    if "content-type" in came:
        again.headers["content-type"] = came["content-type"]
    again.context["timestamp"] = came["x-amz-date"]
    auth = SigV4Auth(Credentials("123456789012", "emulated"), "execute-api", "us-east-1")
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)

    assert came["authorization"].endswith(f"Signature={signature}")
    assert [("z", "1"), *_pairs(AWKWARD)] == parse_qsl(urlsplit(seen["path"]).query, keep_blank_values=True)
    assert "+" not in seen["path"]


def _pairs(params: dict) -> list[tuple[str, str]]:
    return [(key, one) for key, value in params.items() for one in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [({"a": 1}, b'{"a": 1}', "application/json"), ("ü", "ü".encode(), None), (b"x", b"x", None), (None, b"", None)],
    ids=["json", "text", "bytes", "none"],
)
def test_a_body_travels_as_what_it_is(listener: Listener, body: object, sent: bytes, kind: str | None):
    """Bytes and text go as they are, anything else as JSON."""
    Target("embedded", listener.endpoint).send("POST", listener.endpoint, body=body)
    assert (sent, kind) == (listener.seen[0]["body"], listener.seen[0]["headers"].get("Content-Type"))


def test_a_content_type_of_ones_own_stays(listener: Listener):
    """Who names a type, in any case, knows better."""
    headers = {"content-type": "application/cloudevents+json"}
    Target("embedded", listener.endpoint).send("POST", listener.endpoint, body={}, headers=headers)
    types = [value for name, value in listener.seen[0]["headers"].items() if name.lower() == "content-type"]
    assert ["application/cloudevents+json"] == types


def test_an_unsigned_request_carries_no_signature(listener: Listener):
    """A lesson about the lock has to be able to come without a key."""
    Target("embedded", listener.endpoint).send("GET", listener.endpoint, sign=False)
    assert "Authorization" not in listener.seen[0]["headers"]


@pytest.mark.parametrize("status", [200, 403, 503])
def test_any_status_is_an_answer(listener: Listener, status: int):
    """What a server refuses is a result, and its headers are found in any case."""
    listener.status = status
    answer = Target("embedded", listener.endpoint).send("GET", listener.endpoint)
    assert (status, "green", b"{}") == (answer.status, answer.headers["x-COLOUR"], answer.body)


def test_a_function_url_is_signed_for_lambda(listener: Listener):
    """Lambda checks the signatures of function URLs, API Gateway those of its APIs; the path form changes nothing."""
    there = Target("embedded", listener.endpoint)
    function_url = "https://abc.lambda-url.us-east-1.on.aws/"
    for url in (function_url, there.url(function_url), "https://abc.execute-api.us-east-1.amazonaws.com/"):
        there.send("GET", url)
    services = [seen["headers"]["Authorization"].split("/")[3] for seen in listener.seen]
    assert ["lambda", "lambda", "execute-api"] == services


URLS = [
    (
        "https://ab12.execute-api.us-east-1.amazonaws.com/prod/a%20b?x=1&y=2",
        "/_aws/execute-api/ab12/prod/a%20b?x=1&y=2",
    ),
    ("https://ab12.execute-api.us-east-1.amazonaws.com", "/_aws/execute-api/ab12"),
    ("http://ab12.execute-api.localhost:4566/hello", "/_aws/execute-api/ab12/hello"),
    ("https://ab12.execute-api.localhost.localstack.cloud:4566/prod/x", "/_aws/execute-api/ab12/prod/x"),
    ("https://ab12.lambda-url.eu-west-1.on.aws/x?y=1", "/_aws/lambda-url/ab12/x?y=1"),
]


@pytest.mark.parametrize(("url", "path"), URLS)
def test_an_address_of_aws_is_found_on_the_emulator(url: str, path: str):
    """An API or a function is reached by a path on the endpoint, for which no name has to be resolved."""
    assert f"http://127.0.0.1:4566{path}" == Target("embedded", "http://127.0.0.1:4566").url(url)


@pytest.mark.parametrize("url", ["https://ab12.execute-api.us-east-1.amazonaws.com/prod/x", "https://example.org/x"])
def test_on_aws_an_address_is_what_it_is(url: str):
    """AWS answers at its own addresses."""
    assert url == Target("aws", None).url(url)


@pytest.mark.parametrize(
    "url", ["https://example.org/x", "http://ab12.lambda-url.us-east-1.localhost.localstack.cloud:4566/x"]
)
def test_any_other_address_stays(url: str):
    """What isn't AWS's to answer is left alone, and so is an address that LocalStack knows a function by."""
    assert url == Target("localstack", "http://127.0.0.1:4566").url(url)


def test_localstacks_function_url_needs_no_name_server(listener: Listener):
    """The request goes to the endpoint under the name that LocalStack knows the function by, and is signed for that."""
    name = "ab12.lambda-url.us-east-1.localhost.localstack.cloud:4566"
    Target("localstack", listener.endpoint).send("GET", f"http://{name}/x?y=1")
    [seen] = listener.seen
    assert ("/x?y=1", name) == (seen["path"], seen["headers"]["Host"])
    assert "/lambda/aws4_request, SignedHeaders=host;" in seen["headers"]["Authorization"]


def test_an_emulated_address_is_not_rewritten_twice():
    """A URL may be shown first and sent then."""
    there = Target("embedded", "http://127.0.0.1:4566")
    once = there.url("https://ab12.execute-api.us-east-1.amazonaws.com/x")
    assert once == there.url(once)


def test_a_signed_request_reaches_the_api_of_its_account(target: Target, listener: Listener):
    """An emulator finds an API by the account in the signature: with it the API answers, without it nothing is found."""
    there = connect("embedded", endpoint=target.endpoint, account_id="333333333333")
    gateway = there.client("apigatewayv2")
    api = gateway.create_api(Name="theirs", ProtocolType="HTTP")["ApiId"]
    try:
        integration = gateway.create_integration(
            ApiId=api,
            IntegrationType="HTTP_PROXY",
            IntegrationMethod="GET",
            IntegrationUri=listener.endpoint,
            PayloadFormatVersion="1.0",
        )
        gateway.create_route(ApiId=api, RouteKey="GET /health", Target=f"integrations/{integration['IntegrationId']}")
        gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
        url = f"https://{api}.execute-api.us-east-1.amazonaws.com/health"

        assert 200 == there.send("GET", url).status
        assert 404 == there.send("GET", url, sign=False).status
    finally:
        gateway.delete_api(ApiId=api)


def test_a_signed_request_opens_the_door(target: Target, outputs_00: dict[str, str]):
    """The first lesson's API answers whoever signs, under the address that its stack tells, and refuses whoever doesn't."""
    answer = target.send("GET", outputs_00["ApiUrl"], params={"name": "Ada & Grace"})
    assert (200, "Hello, Ada & Grace!") == (answer.status, json.loads(answer.body)["greeting"])
    assert 403 == target.send("GET", outputs_00["ApiUrl"], sign=False).status


# which target, and whose account


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("embedded", None),
        ("embedded", "http://192.0.2.1:4566"),
        ("embedded", "http://127.0.0.1.example.org:4566"),
        ("embedded", "https://127.0.0.1:4566"),
        ("embedded", "127.0.0.1:4566"),
        ("localstack", "http://lambda.us-east-1.amazonaws.com"),
        ("localstack", "http://abc.lambda-url.us-east-1.on.aws"),
        ("aws", "http://192.0.2.1:4566"),
    ],
)
def test_an_endpoint_has_to_be_what_the_name_says(name: str, endpoint: str | None):
    """The embedded emulator is on this machine, so is the rehearsal of aws, and no emulator is AWS."""
    with pytest.raises(TargetError, match=f"can't be the target {name}"):
        connect(name, endpoint=endpoint)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1.2.3"])
def test_any_loopback_address_may_be_embedded(host: str):
    """There is more than one name for this machine."""
    assert f"http://{host}:4566" == connect("embedded", endpoint=f"http://{host}:4566/").endpoint


def test_localstack_is_found_at_its_usual_port():
    """Who started LocalStack in the usual way names nothing."""
    there = connect("localstack")
    assert ("http://127.0.0.1:4566", Provenance.EMULATED) == (there.endpoint, there.provenance)


@pytest.mark.parametrize("wrong", [{"name": "azure"}, {"name": "localstack", "account_id": "42"}])
def test_an_unknown_name_or_account_is_refused(wrong: dict[str, str]):
    """A slip is answered with what would be right."""
    with pytest.raises(ParameterError, match=r"embedded, localstack, aws|12 digits"):
        connect(**wrong)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the shell that belong to the root of account 444444444444 on the emulator."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "444444444444")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")


def test_aws_connects_as_the_named_account(monkeypatch: pytest.MonkeyPatch):
    """Account and cap are named and the credentials agree; the numbers are emulated as long as an emulator answers."""
    with fake_aws() as fake:
        for name, value in fake.shell().items():
            monkeypatch.setenv(name, value)
        there = connect("aws", endpoint=fake.endpoint, region="us-east-1", account_id=ACCOUNT_ID, cap_usd=1.5)
    assert ("aws", 1.5, Provenance.EMULATED) == (there.name, there.cap_usd, there.provenance)
    assert "never-to-be-seen" not in repr(there)


@pytest.mark.usefixtures("credentials")
def test_aws_refuses_the_root_user_of_an_emulator_too(target: Target):
    """A rehearsal goes as the real thing would."""
    with pytest.raises(TargetError, match="root user"):
        connect("aws", endpoint=target.endpoint, region="us-east-1", account_id="444444444444", cap_usd=1)


@pytest.mark.usefixtures("credentials")
def test_aws_refuses_credentials_of_another_account(target: Target):
    """Nothing is made in an account that nobody named."""
    with pytest.raises(TargetError, match="belong to account 444444444444, not to 555555555555"):
        connect("aws", endpoint=target.endpoint, region="us-east-1", account_id="555555555555", cap_usd=1)


CONSENT = {"WORKBOOK_ACCOUNT": "444444444444", "WORKBOOK_MAX_USD": "1", "AWS_REGION": "eu-west-1"}


@pytest.fixture
def consent(listener: Listener, monkeypatch: pytest.MonkeyPatch, credentials: None) -> None:
    """A shell that gives its consent, to a listener in AWS's place."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    for name, value in {**CONSENT, "AWS_ENDPOINT_URL": listener.endpoint}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("consent")
@pytest.mark.parametrize("nothing", ["unset", ""])
@pytest.mark.parametrize("missing", [*([name] for name in CONSENT), [*CONSENT]], ids=",".join)
def test_aws_is_not_touched_without_consent(
    listener: Listener, missing: list[str], nothing: str, monkeypatch: pytest.MonkeyPatch
):
    """What is missing is named by its variable, and no call is made at all."""
    for name in missing:
        monkeypatch.delenv(name) if nothing == "unset" else monkeypatch.setenv(name, "")
    with pytest.raises(TargetError, match=f"without {', '.join(missing)}\\."):
        configured("aws")
    assert [] == listener.seen


@pytest.mark.usefixtures("consent")
def test_the_region_may_have_its_other_name(monkeypatch: pytest.MonkeyPatch):
    """boto3 reads both, and AWS_REGION counts first."""
    with fake_aws() as fake:
        for name, value in fake.shell(AWS_REGION="", AWS_DEFAULT_REGION="eu-north-1").items():
            monkeypatch.setenv(name, value)
        assert "eu-north-1" == configured("aws").region
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        assert "eu-west-1" == configured("aws").region


@pytest.mark.usefixtures("consent")
@pytest.mark.parametrize("amount", ["nan", "inf", "-1", "0", "-0", "five", "1e999", "5 USD"])
def test_a_cap_is_an_amount(listener: Listener, amount: str, monkeypatch: pytest.MonkeyPatch):
    """What nobody can compare a cost with is no cap."""
    monkeypatch.setenv("WORKBOOK_MAX_USD", amount)
    with pytest.raises(ParameterError, match=r"WORKBOOK_MAX_USD=.* is not an amount above zero"):
        configured("aws")
    assert [] == listener.seen


@pytest.mark.usefixtures("consent")
@pytest.mark.parametrize(
    "endpoint", ["https://lambda.eu-west-1.amazonaws.com", "http://192.0.2.1:4566", "localhost:4566"]
)
def test_a_rehearsal_stays_on_this_machine(listener: Listener, endpoint: str, monkeypatch: pytest.MonkeyPatch):
    """Signed requests go to AWS or to this machine, and the variable that sends them elsewhere is named."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(TargetError, match=r"can't be the target aws.*AWS_ENDPOINT_URL"):
        configured("aws")


@pytest.mark.usefixtures("consent")
@pytest.mark.parametrize("region", ["mars-1", "eu_west_1", "cn-north-1", "us-gov-west-1"])
def test_a_region_is_one_of_those_for_everybody(listener: Listener, region: str, monkeypatch: pytest.MonkeyPatch):
    """A slip in a region's name ends before anything is asked."""
    monkeypatch.setenv("AWS_REGION", region)
    with pytest.raises(TargetError, match=f"'{region}' is none of AWS's regions"):
        configured("aws")
    assert [] == listener.seen


def test_aws_without_credentials_says_so(listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who isn't signed in is told how to find out, and no call is made."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(TargetError, match=r"There are no credentials\..* `aws sts get-caller-identity"):
        connect("aws", endpoint=listener.endpoint, region="us-east-1", account_id="444444444444", cap_usd=1)
    assert [] == listener.seen


@pytest.mark.usefixtures("credentials")
def test_on_aws_no_setting_redirects_a_call(monkeypatch: pytest.MonkeyPatch):
    """A number is only called measured if AWS answers, so a configured endpoint is not followed."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    client = Target("aws", None, "eu-west-1").client("lambda")
    assert "https://lambda.eu-west-1.amazonaws.com" == client.meta.endpoint_url


def test_a_target_says_what_it_has():
    """A lesson that needs an HTTP API can't run where there is none."""
    names = ("embedded", "localstack", "aws")
    assert [True, False, True] == ["http_api" in Target(name, None).capabilities for name in names]
    assert [True, False, False] == ["database" in Target(name, None).capabilities for name in names]


def test_an_answer_can_be_read(target: Target):
    """A body is bytes, whatever came."""
    answer = target.send("GET", f"{target.endpoint}/_ministack/health")
    assert "services" in json.loads(answer.body)


def test_an_answer_says_when_it_was_asked_for_and_how_long_it_took(listener: Listener):
    """The clock of a request runs while the other side works, and begins when the request goes out."""
    listener.pause_s = 0.2
    before = datetime.now(UTC)
    answer = connect("embedded", endpoint=listener.endpoint).send("POST", f"{listener.endpoint}/x", body=b"y")
    assert answer.took_ms >= 200
    assert before <= answer.sent_at <= datetime.now(UTC) - timedelta(milliseconds=200)


def test_each_thread_knows_its_own_measured_answer(target: Target):
    """Calls made side by side share a client, and each is told its own clock."""
    client, answers = target.measured_client("sts"), []

    def call() -> None:
        client.get_caller_identity()
        answers.append(measured_answer())

    for _ in range(2):
        thread = Thread(target=call)
        thread.start()
        thread.join()
    assert answers[0].sent_at < answers[1].sent_at
    assert [200, 200] == [answer.status for answer in answers]


def test_a_measured_call_is_understood_by_boto3(target: Target):
    """What boto3 makes of an answer is the same, whoever sent the call: values, streams and errors."""
    client = target.measured_client("s3")
    client.create_bucket(Bucket="measured")
    client.put_object(Bucket="measured", Key="key", Body=b"content")
    assert b"content" == client.get_object(Bucket="measured", Key="key")["Body"].read()
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="measured", Key="other")


@pytest.mark.parametrize(
    ("name", "clock", "words"),
    [
        ("embedded", "init_ms", "no code is downloaded"),
        ("embedded", "client_ms", "no network lies between them"),
        ("embedded", "duration_ms", "its memory's share of one of this machine's processors"),
        ("localstack", "duration_ms", "whatever the function's memory size"),
        ("aws", "client_ms", "from this machine to the region"),
    ],
)
def test_what_a_target_does_to_a_clock_can_be_said(name: str, clock: str, words: str):
    """What remains of an emulator in a number stands beside the number."""
    assert words in artefact(name, clock)


def test_nothing_is_known_against_aws_s_own_report():
    """What AWS reports of itself needs no remark."""
    assert artefact("aws", "init_ms") is None


def test_a_repeated_header_goes_out_as_two_lines_under_one_signature(listener: Listener):
    """A list among the headers stands for a repeated one, and the signature covers its values joined by a comma."""
    there = Target("embedded", listener.endpoint)
    there.send("GET", listener.endpoint, headers={"X-Shelf": ["top", "bottom"], "X-Row": "3"})
    (seen,) = listener.seen
    assert ["top", "bottom"] == [value for name, value in seen["lines"] if name.lower() == "x-shelf"]
    came = {name.lower(): value for name, value in seen["headers"].items()}
    signed = {"x-amz-date": came["x-amz-date"], "x-row": "3", "x-shelf": "top,bottom"}
    again = AWSRequest("GET", f"{listener.endpoint}/", signed)
    again.context["timestamp"] = came["x-amz-date"]
    auth = SigV4Auth(Credentials("000000000000", "emulated"), "execute-api", "us-east-1")
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert came["authorization"].endswith(f"Signature={signature}")


def test_a_rehearsal_enforces_what_a_policy_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On an emulator that enforces IAM, the target aws may do what its principal's policy allows, and nothing else."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}]}
    with rehearsals.account(tmp_path) as emulator:
        for name, value in rehearsals.principal(emulator, policy).items():
            monkeypatch.setenv(name, value)
        there = configured("aws")
        assert ("aws", rehearsals.ACCOUNT_ID, Provenance.EMULATED) == (there.name, there.account_id, there.provenance)
        there.client("sqs").list_queues()
        with pytest.raises(ClientError, match="AccessDenied"):
            there.client("sqs").create_queue(QueueName="q")


@pytest.mark.parametrize(
    ("arn", "owner"),
    [
        ("arn:aws:iam::123456789012:user/alice", "alice"),
        ("arn:aws:iam::123456789012:user/team/o'neill", "o-neill"),
        ("arn:aws:sts::123456789012:assumed-role/Teaching/alice@example.org", "alice@example.org"),
        ("arn:aws:sts::123456789012:assumed-role/Teaching/botocore-session-1792000000", "Teaching"),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_aws_says_whose_credentials_these_are(arn: str, owner: str):
    """What a learner makes carries their name, in characters that a tag may hold, and it is the same tomorrow."""

    class Sts(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            said = f"<GetCallerIdentityResult><Arn>{arn}</Arn><Account>123456789012</Account></GetCallerIdentityResult>"
            body = f"<GetCallerIdentityResponse>{said}</GetCallerIdentityResponse>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with served(Sts) as endpoint:
        there = connect("aws", endpoint=endpoint, region="us-east-1", account_id="123456789012", cap_usd=1)
    assert owner == there.owner


def test_a_boundary_is_only_needed_on_aws():
    """Its ARN is that of the account, in the region's own partition."""
    names = ("us-east-1", "cn-north-1")
    boundaries = [Target("aws", None, region, "123456789012").boundary_arn for region in names]
    assert [f"arn:{part}:iam::123456789012:policy/workbook-boundary" for part in ("aws", "aws-cn")] == boundaries
    assert Target("embedded", None).boundary_arn is None


@pytest.mark.usefixtures("credentials")
def test_on_aws_managing_is_tried_more_often_and_measuring_never_again():
    """An account's quotas for managing things are small; its throttles of measured calls are results."""
    attempts = {
        name: [
            client.meta.config.retries["total_max_attempts"]
            for client in (there.client("sqs"), there.measured_client("sqs"))
        ]
        for name in ("aws", "embedded")
        for there in [Target(name, None if name == "aws" else "http://127.0.0.1:9", "us-east-1")]
    }
    assert {"aws": [8, 1], "embedded": [3, 1]} == attempts
