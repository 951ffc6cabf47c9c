"""Where AWS calls go: session, clients, signing, account guard, and what a target can do.

There are three targets and one code path: `embedded` and `localstack` are emulators behind an endpoint, `aws` is a real
account. What differs between them stands in this module and nowhere else.
"""

import base64
import functools
import io
import ipaddress
import json
import math
import os
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import boto3
import botocore.session
import localstack_client.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSPreparedRequest,
    AWSRequest,
    AWSResponse,
)
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, UnknownRegionError
from botocore.exceptions import ConnectionError as NotConnected
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPHeaderDict

from workbook import credentials, localstack
from workbook.errors import ParameterError, TargetError
from workbook.records import Provenance

# What lessons need and not every target has. "freeze": an environment stands still between invocations. "cpu_share": a
# function gets CPU in proportion to its memory. "database": a function can reach a server on this machine.
_CAPABILITIES = {
    "embedded": frozenset({"http_api", "freeze", "database"}),  # and cpu_share, if its emulator says so
    "localstack": frozenset(),  # for certain; what else the one that runs has is found out by trying: see `capabilities`
    "aws": frozenset({"http_api", "freeze", "cpu_share"}),
}
_WHAT_TO_DO = {
    "embedded": "Run the setup cell again: it starts an emulator if none is running.",
    "localstack": f"Start LocalStack ({localstack.START}) or name it in LOCALSTACK_HOST, then run the cell again.",
    "aws": "Check the network and the region, then run the cell again.",
}
_CONTROL_ATTEMPTS = 3  # what standard mode does by default; backing off between them stays under four seconds
# An account's quotas of control-plane calls are small and shared. Standard mode waits a random part of 1, 2, 4, 8, 16, 20
# and 20 s between eight attempts, 71 s at most: https://docs.aws.amazon.com/boto3/latest/guide/retries.html
_AWS_CONTROL_ATTEMPTS = 8
# The default quota of invocations at once, which new accounts may be below; so no call has to share a connection:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_CONNECTIONS = 1000
# The first call finds out soon whether anybody is there: a misspelt region has no address.
_FIRST_CALL = {"retries": {"mode": "standard", "total_max_attempts": 2}, "connect_timeout": 5, "read_timeout": 20}
BOUNDARY = "workbook-boundary"  # the name that infra/learner-policy.json asks for, too
_NO_ANSWER = (NotConnected, HTTPClientError)  # botocore's two families: never connected, and lost or timed out since
_client_creation = threading.Lock()  # a boto3 session must not create two clients at the same time
_clock = threading.local()  # each thread's last departure, and its last measured answer
_MEASURED_LIMIT_S = 120
_NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a body waits 40 ms for the headers to be acknowledged


_SHARED = "caller, emulator and functions share this machine's processors, and no network lies between them"
_UNLIMITED = "code runs at this machine's speed, whatever the function's memory size"
_LIMITED = (
    "code gets its memory's share of one of this machine's processors, or all of it under WORKBOOK_CPU=full; "
    "how fast the processor is remains this machine's affair"
)
_ARTEFACTS = {
    "embedded": {
        "client_ms": f"On the embedded target {_SHARED}.",
        "init_ms": "On the embedded target a process starts, at full speed whatever its memory size, where AWS starts a small machine; no code is downloaded.",
        "duration_ms": f"On the embedded target {_LIMITED}.",
        "handler_ms": f"On the embedded target {_LIMITED}.",
        "billed_ms": f"On the embedded target {_LIMITED}.",
    },
    "localstack": {
        "client_ms": f"On LocalStack {_SHARED}.",
        "init_ms": "On LocalStack a container starts where AWS starts a small machine; no code is downloaded.",
        "duration_ms": f"On LocalStack {_UNLIMITED}.",
        "handler_ms": f"On LocalStack {_UNLIMITED}.",
        "billed_ms": f"On LocalStack {_UNLIMITED}.",
    },
    "aws": {"client_ms": "On AWS it holds the way from this machine to the region and back."},
}


@dataclass(frozen=True)
class HttpAnswer:
    """What came back over HTTP, when the request went out, and how long the answer took. Header names are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: datetime
    took_ms: float


class Meter(Protocol):
    """What sees every call of a target before it goes, and may refuse it; what it returns is told the answer."""

    def ask(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Any:
        """Count a call, or raise TargetError. The service of a request to an API or a function URL is "http"."""

    def read_reports(self, target: "Target") -> None:
        """Count what functions did by themselves, from their logs."""


@dataclass(frozen=True)
class Target:
    """One place that AWS calls go to. `connect` makes it and checks it."""

    name: str
    endpoint: str | None  # None: where boto3 finds AWS
    region: str = "us-east-1"
    account_id: str = "000000000000"
    provenance: Provenance = Provenance.EMULATED
    cap_usd: float | None = None  # what the learner agreed to spend; on aws only
    found: localstack.Found | None = field(default=None, compare=False)  # by trying; on localstack only
    meter: Meter | None = field(default=None, compare=False)  # on aws only
    owner: str = "learner"  # whose credentials these are, as a tag can hold it

    @property
    def capabilities(self) -> frozenset[str]:
        """Return the names of what this target has, out of "http_api", "freeze", "database" and "cpu_share"."""
        shares = self.limits.get("cpu", "full") != "full"
        found = self.found.has if self.found else ()
        return capabilities(self.name).union(found, ["cpu_share"] if shares else [])

    @property
    def boundary_arn(self) -> str | None:
        """Return the ARN of the permissions boundary that every role has to have; None where no role needs one.

        It is made once by the account's owner, from `infra/permissions-boundary.json`.
        """
        if self.name != "aws":
            return None
        partition = self._session.get_partition_for_region(self.region)
        return f"arn:{partition}:iam::{self.account_id}:policy/{BOUNDARY}"

    def lack(self, capability: str) -> str:
        """Return in words that this target lacks a capability, and what to do about it."""
        known = self.found.lacks if self.found else {}
        is_off = (self.name, capability) == ("embedded", "cpu_share")
        remedy = "Run it without WORKBOOK_CPU=full." if is_off else "Run it with --target embedded."
        return known.get(capability, f"The target {self.name} has no {capability}. {remedy}")

    @functools.cached_property
    def limits(self) -> dict[str, str]:
        """Return what really limits execution environments on the embedded target; nothing is known of other targets.

        "cpu" is the way in which they are held to their memory's share of a processor: "cgroup v1", "cgroup v2", "signals",
        or "full" if they aren't. "memory" is "watched".
        """
        if self.name != "embedded" or self.endpoint is None:
            return {}
        answer = self.send("GET", f"{self.endpoint}/_workbook/limits", sign=False)
        return json.loads(answer.body) if answer.status == 200 else {}  # an emulator that isn't the workbook's has none

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client for managing resources, the same one each time: it backs off and retries.

        `config` are options of botocore's `Config`, such as `read_timeout=5`; with them the client is a new one. A call that
        gets no answer raises TargetError.
        """
        attempts = _AWS_CONTROL_ATTEMPTS if self.name == "aws" else _CONTROL_ATTEMPTS
        retries = {"mode": "standard", "total_max_attempts": attempts}
        if config:
            return self._create_client(service, Config(**{"retries": retries, **config}))
        if service not in self._clients:
            self._clients[service] = self._create_client(service, Config(retries=retries))
        return self._clients[service]

    def measured_client(self, service: str) -> Any:
        """Return the boto3 client for measured calls: it never retries, and waits 120 s for an answer.

        It is the same client at every call, so that a second measurement finds the connection of the first one open. A
        call that gets no answer raises TargetError.
        """
        if service not in self._measured_clients:
            # The option named max_attempts counts retries; total_max_attempts counts attempts, so 1 is the first and last.
            config = Config(retries={"mode": "standard", "total_max_attempts": 1})
            client = self._measured_clients[service] = self._create_client(service, config)
            client.meta.events.register_last("before-send", self._send_measured)
        return self._measured_clients[service]

    def url(self, url: str) -> str:
        """Return the address at which this target answers for a URL that AWS would give an API or a function.

        On an emulator that is a path on its endpoint, which needs no DNS; on AWS the URL itself, as for any other URL.

        >>> Target("embedded", "http://127.0.0.1:4566").url("https://ab12.execute-api.us-east-1.amazonaws.com/prod/hello")
        'http://127.0.0.1:4566/_aws/execute-api/ab12/prod/hello'
        """
        parts = urlsplit(url)
        identifier, _, domain = (parts.hostname or "").partition(".")
        kind = domain.partition(".")[0]
        # An API's domain differs (amazonaws.com, localhost, LocalStack's own), and all have this path. A function's
        # URL is only rewritten if it is AWS's: for LocalStack's own see `send`.
        if self.endpoint is None or not (kind == "execute-api" or domain.endswith(".on.aws")):
            return url
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.endpoint}/_aws/{kind}/{identifier}{parts.path}{query}"

    def send(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Mapping[str, str | list[str]] | None = None,
        params: Mapping[str, Any] | None = None,
        sign: bool = True,
        timeout_s: float = 60,
    ) -> HttpAnswer:
        """Send one HTTP request to an API or a function URL, signed with this target's credentials, and return the answer.

        `url` is what AWS or a stack's output says, percent-encoded. `body` is bytes, text, or anything that JSON can hold.
        `params` become the query string. A list stands for a repeated key, among the headers too. Any status is an answer,
        403 and 500 too.

        Raises:
            TargetError: nothing answers there, or not within `timeout_s`.
        """
        address, host = self._door(url)
        headers = {**host, **(headers or {})}
        repeated = {name: values for name, values in headers.items() if isinstance(values, list)}
        request = AWSRequest(method, _with_query(address, params), data=_encode(body))
        for name, value in headers.items():
            for one in repeated.get(name, [value]):
                request.headers.add_header(name, one)
        if request.data and not isinstance(body, bytes | str) and "Content-Type" not in request.headers:
            request.headers["Content-Type"] = "application/json"
        if sign:
            own = self._session.get_credentials().get_frozen_credentials()
            SigV4Auth(own, _signing_name(url), self.region).add_auth(request)
        asked = {"url": url, "size_bytes": len(request.data)}
        ticket = self.meter.ask("http", method, asked) if self.meter else None
        try:
            answer = self._exchange(_prepared(request, repeated), timeout_s)
        except _NO_ANSWER as error:
            raise self._no_answer(error) from error
        if ticket:
            ticket.answered(answer.status, len(answer.body))
        if sign:
            self._refuse_wrong_caller(answer)
        return answer

    def _door(self, url: str) -> tuple[str, dict[str, str]]:
        """Return where a request for a URL goes, and the headers that it needs on its way.

        LocalStack tells function URLs apart by the host's name alone. So the name goes along as a header: to look it up
        takes a name server that resolves localhost.localstack.cloud.
        """
        parts = urlsplit(url)
        if self.name == "localstack" and ".lambda-url." in (parts.hostname or ""):
            return f"{self.endpoint}{urlunsplit(('', '', parts.path, parts.query, ''))}", {"Host": parts.netloc}
        return self.url(url), {}

    def _exchange(self, request: AWSPreparedRequest, timeout_s: float) -> HttpAnswer:
        """Send a request and read its answer to the end: the one place where the client's clock runs."""
        request.stream_output = False  # botocore then reads the body itself, and names what goes wrong meanwhile
        answer = _connections(timeout_s, through_proxy=self.endpoint is None).send(request)
        body, ended = answer.content, time.perf_counter()
        sent_at, start = _clock.departure
        return HttpAnswer(answer.status_code, answer.headers, body, sent_at, (ended - start) * 1000)

    def _send_measured(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Send a call in botocore's place, which asks before it sends, and remember the answer with its clock."""
        _clock.answer = answer = self._exchange(request, _MEASURED_LIMIT_S)
        return AWSResponse(request.url, answer.status, answer.headers, _ReadBody(answer.body))

    @functools.cached_property
    def _session(self) -> Any:
        if self.name == "aws":
            return boto3.Session(region_name=self.region)
        return _EmulatorSession(self.region, self.account_id)

    @functools.cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    @functools.cached_property
    def _measured_clients(self) -> dict[str, Any]:
        return {}

    def _create_client(self, service: str, config: Config) -> Any:
        # Endpoints that the shell or ~/.aws configures would send a call elsewhere, and provenance would be a lie.
        config = Config(ignore_configured_endpoint_urls=True).merge(config)
        with _client_creation:
            client = self._session.client(service, endpoint_url=self.endpoint, config=config)
        client.meta.events.register("after-call-error", self._on_call_error)
        if self.meter:
            client.meta.events.register("provide-client-params", self._on_call)
            client.meta.events.register("after-call", self._on_answer)
        client.meta.events.register("after-call", self._on_refusal)
        return client

    def _on_call(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        """Ask the meter before a call is built, so that what it refuses never goes."""
        context["ticket"] = self.meter.ask(model.service_model.service_name, model.name, params)

    def _on_answer(self, http_response: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        size_bytes = int(http_response.headers.get("content-length") or 0)
        log = base64.b64decode(parsed.get("LogResult") or "").decode(errors="replace")
        context["ticket"].answered(http_response.status_code, size_bytes, log)

    def _on_call_error(self, exception: Exception, **_: Any) -> None:
        """Put one sentence in the place of an error that nobody answered. botocore asks this once, after the last attempt."""
        if self.name == "aws" and (explained := credentials.explain(exception, region=self._asked_region)):
            raise explained from None
        if isinstance(exception, _NO_ANSWER):
            raise self._no_answer(exception) from exception

    def _on_refusal(self, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        """Put one sentence in the place of an answer that every call would get, such as that credentials have expired."""
        if self.name == "aws" and "Error" in parsed:
            self._refuse(ClientError(parsed, model.name))

    def _refuse_wrong_caller(self, answer: HttpAnswer) -> None:
        """Do the same for a gateway's answer, which has the kind of error in a header.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
        """
        kind = answer.headers.get("x-amzn-ErrorType", "").partition(":")[0]
        if self.name == "aws" and answer.status == 403 and kind:
            parsed = {
                "Error": {"Code": kind, "Message": answer.body.decode(errors="replace")},
                "ResponseMetadata": {"HTTPHeaders": dict(answer.headers)},
            }
            self._refuse(ClientError(parsed, "execute-api:Invoke"))

    def _refuse(self, error: ClientError) -> None:
        if explained := credentials.explain_for_all_calls(error, region=self.region):
            raise explained from None

    @property
    def _asked_region(self) -> str | None:
        return self.region if self.endpoint is None else None

    def _no_answer(self, error: Exception) -> TargetError:
        return TargetError(
            f"The target {self.name} gave no answer: {str(error).rstrip('.')}.",
            why="Every lesson talks to its target.",
            fix=_WHAT_TO_DO[self.name],
        )


def connect(
    name: str,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    account_id: str | None = None,
    cap_usd: float | None = None,
) -> Target:
    """Return the target of that name: "embedded", "localstack" or "aws".

    An emulator is found at `endpoint` (LocalStack by default at its usual port) and takes any 12 digits for its account,
    and any region (us-east-1 by default). AWS needs the account, the region and a spending cap in US dollars, and is asked
    whether the credentials belong to that account. An `endpoint` named for aws rehearses it on an emulator. Numbers are `measured` only if AWS itself answers.

    Raises:
        ParameterError: there is no such target, the account isn't 12 digits, or the cap isn't an amount above zero.
        TargetError: the endpoint is not what the name says, consent is missing, or the credentials are missing, wrong, the
            root user's, or another account's.
    """
    if name not in _CAPABILITIES:
        raise ParameterError(
            f"There is no target {name!r}.",
            why="The target decides who answers, and what the numbers may be called.",
            fix=f"Name one of: {', '.join(_CAPABILITIES)}.",
        )
    if account_id is not None and not re.fullmatch(r"[0-9]{12}", account_id):
        raise ParameterError(
            f"The account {account_id!r} is not 12 digits.",
            why="That is what AWS calls an account, leading zeros included.",
            fix="Name it as text without hyphens, such as 123456789012.",
        )
    if name == "localstack" and endpoint is None:
        endpoint = "http://127.0.0.1:4566"
    if name == "aws":
        return _connect_aws(endpoint, region, account_id, cap_usd)
    _refuse_unless_emulator(name, endpoint)
    return Target(name, endpoint.rstrip("/"), region or "us-east-1", account_id or "000000000000")


def configured(name: str, *, endpoint: str | None = None) -> Target:
    """Return the target of that name, at the address and with the consent that variables of the environment give.

    WORKBOOK_ENDPOINT is the address of an emulator, unless `endpoint` is given, and LOCALSTACK_HOST that of LocalStack;
    WORKBOOK_ACCOUNT and WORKBOOK_MAX_USD are the consent to use a real account, and AWS_REGION or AWS_DEFAULT_REGION names
    its region. AWS_ENDPOINT_URL may name an emulator on this machine, to rehearse what would happen there.

    Raises:
        ParameterError: there is no such target, the amount isn't a number, or LOCALSTACK_HOST is no address.
        TargetError: as `connect` does.
    """
    cap = os.environ.get("WORKBOOK_MAX_USD")
    try:
        cap_usd = float(cap) if cap else None
    except ValueError as error:
        raise _no_amount(cap) from error
    if name == "aws":
        return connect(
            name,
            endpoint=os.environ.get("AWS_ENDPOINT_URL") or None,
            region=named_region(),
            account_id=os.environ.get("WORKBOOK_ACCOUNT") or None,
            cap_usd=cap_usd,
        )
    if name == "localstack":
        return connect(name, endpoint=endpoint or localstack.address())
    return connect(name, endpoint=endpoint or os.environ.get("WORKBOOK_ENDPOINT"))


def named_region() -> str | None:
    """Return the region that the environment names for AWS, or None."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def artefact(name: str, clock: str) -> str | None:
    """Return what the target of that name does to the values of a clock such as "init_ms", or None for nothing known."""
    return _ARTEFACTS[name].get(clock)


def measured_answer() -> HttpAnswer:
    """Return what this thread's last call by a measured client was answered, with its clock.

    The clock leaves out boto3's own work, such as checking and signing the call before, and parsing the answer after.
    """
    return _clock.answer


def is_started_here(name: str) -> bool:
    """Return whether the workbook itself starts and ends what answers on the target of that name."""
    return name == "embedded"


def capabilities(name: str) -> frozenset[str]:
    """Return the names of what the target of that name always has, out of "http_api", "freeze", "database" and "cpu_share"."""
    return _CAPABILITIES[name]


class _Clocked:
    """A connection that notes when a request goes out over it. A TLS connection has been opened by then."""

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        _clock.departure = datetime.now(UTC), time.perf_counter()
        super().endheaders(*args, **kwargs)


class _ClockedHTTP(_Clocked, AWSHTTPConnection):
    pass


class _ClockedHTTPS(_Clocked, AWSHTTPSConnection):
    pass


class _ClockedHTTPPool(AWSHTTPConnectionPool):
    ConnectionCls = _ClockedHTTP


class _ClockedHTTPSPool(AWSHTTPSConnectionPool):
    ConnectionCls = _ClockedHTTPS


class _ClockedSession(URLLib3Session):
    """botocore's pool of connections, with clocks on them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pool_classes_by_scheme |= {"http": _ClockedHTTPPool, "https": _ClockedHTTPSPool}


class _ReadBody(io.BytesIO):
    """A body that has been read, in the shape in which botocore reads one."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def _connect_aws(endpoint: str | None, region: str | None, account_id: str | None, cap_usd: float | None) -> Target:
    if endpoint is not None:
        _refuse_unless_emulator("aws", endpoint)
    _refuse_without_consent(region, account_id, cap_usd)
    target = replace(unconsented(region, endpoint), account_id=account_id, cap_usd=cap_usd)
    caller = identify(target)
    if caller.account_id != account_id:
        raise TargetError(
            f"The credentials belong to account {caller.account_id}, not to {account_id}.",
            why="Resources would be made, and paid for, in another account than the one that you named.",
            fix="Use the credentials of that account, or name the other one.",
        )
    if caller.is_root:
        raise credentials.root()
    return replace(target, owner=caller.name)


def unconsented(region: str, endpoint: str | None = None) -> Target:
    """Return the target aws of no account yet, to be looked at by who asked for nothing more; a rehearsal at an `endpoint`.

    Raises:
        TargetError: there is no such region, or the endpoint isn't on this machine.
    """
    if endpoint is not None:
        _refuse_unless_emulator("aws", endpoint)
    _refuse_unless_region(region)
    provenance = Provenance.MEASURED if endpoint is None else Provenance.EMULATED
    return Target("aws", endpoint and endpoint.rstrip("/"), region, provenance=provenance)


def identify(target: Target) -> credentials.Caller:
    """Return who AWS says is calling.

    Raises:
        TargetError: credentials are missing or wrong, the clock is off, the region isn't enabled, or nothing answers.
    """
    try:
        said = target.client("sts", **_FIRST_CALL).get_caller_identity()
    except credentials.UnknownKeyError:
        raise _not_enabled(target) from None
    except (BotoCoreError, ClientError) as error:
        explained = credentials.explain(error, region=target.region)
        raise explained or TargetError(
            f"AWS doesn't say whose credentials these are: {str(error).rstrip('.')}.",
            why="Without that answer the workbook can't tell whether this is the account that you named.",
            fix="Sign in as you do for the AWS command line, and try `aws sts get-caller-identity`.",
        ) from None
    return credentials.Caller(said["Account"], said["Arn"])


def _not_enabled(target: Target) -> TargetError:
    """Return why a key isn't known in a region: a region that isn't enabled says the same of a good key as others of a bad one.

    us-east-1 is enabled in every account: https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
    """
    try:
        replace(target, region="us-east-1").client("sts").get_caller_identity()
    except TargetError as error:
        return error
    return credentials.not_enabled(target.region)


def _refuse_without_consent(region: str | None, account_id: str | None, cap_usd: float | None) -> None:
    """Raise unless all that makes consent is given. Nothing is asked of AWS before."""
    if cap_usd is not None and not (math.isfinite(cap_usd) and cap_usd > 0):
        raise _no_amount(cap_usd)
    given = {"WORKBOOK_ACCOUNT": account_id, "WORKBOOK_MAX_USD": cap_usd, "AWS_REGION": region}
    if missing := [name for name, value in given.items() if value is None]:
        raise TargetError(
            f"The target aws was named without {', '.join(missing)}.",
            why="A real account costs money, so nothing is touched before the account, a cap and the region are all named.",
            fix=f"Name {'it' if len(missing) == 1 else 'them'}, such as make run TARGET=aws WORKBOOK_ACCOUNT=123456789012 WORKBOOK_MAX_USD=1 "
            "AWS_REGION=eu-west-1, or use the target embedded, which costs nothing.",
        )


def _no_amount(cap: object) -> ParameterError:
    return ParameterError(
        f"WORKBOOK_MAX_USD={cap} is not an amount above zero.",
        why="It says what you agree to spend.",
        fix="Give US dollars, such as 2.50.",
    )


def _refuse_unless_region(region: str) -> None:
    """Raise TargetError unless that can be the name of a region for everybody: not of China's or a government's."""
    try:
        partition = boto3.Session(botocore_session=_isolated()).get_partition_for_region(region)
    except UnknownRegionError:
        partition = None
    if partition != "aws":
        raise TargetError(
            f"{region!r} is none of AWS's regions for everybody.",
            why="All that a lesson makes is made in one region, and must be found there again.",
            fix="Name one in AWS_REGION, such as AWS_REGION=eu-west-1.",
        )


def _refuse_unless_emulator(name: str, endpoint: str | None) -> None:
    """Raise TargetError unless the endpoint can be that of an emulator; only LocalStack may be on another machine."""
    parts = urlsplit(endpoint or "")
    host = parts.hostname or ""
    is_aws = "amazonaws" in host or host.endswith(".aws")
    if parts.scheme != "http" or is_aws or (name != "localstack" and not _is_loopback(host)):
        raise TargetError(
            f"The endpoint {endpoint!r} can't be the target {name}.",
            why="Calls meant for an emulator must never reach AWS, nor its numbers stand under another name.",
            fix="Name the address of an emulator on this machine, such as http://127.0.0.1:4566"
            f"{', in AWS_ENDPOINT_URL, or unset that to reach AWS' if name == 'aws' else ''}.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _isolated() -> botocore.session.Session:
    """Return a session that reads no file of the user's."""
    no_files = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return botocore.session.Session(no_files)


class _EmulatorSession(localstack_client.session.Session):
    """A session of localstack-client whose clients go where they are told, whatever the shell says.

    By itself such a session prefers `AWS_ENDPOINT_URL` to its own host, overrides a client's region, refuses services that
    aren't on its list, and creates its clients in boto3's default session, which reads ~/.aws and stumbles over an
    `AWS_PROFILE` that doesn't exist.
    """

    def __init__(self, region: str, account_id: str) -> None:
        # The access key is the account: emulators look up whose resources a signed request means by it.
        super().__init__(
            aws_access_key_id=account_id,
            aws_secret_access_key="emulated",
            aws_session_token=None,
            region_name=region,
            localstack_host="localhost",  # never used, but without it LOCALSTACK_HOST is parsed
        )
        self._isolated = boto3.Session(botocore_session=_isolated())

    def client(self, service_name: str, **kwargs: Any) -> Any:
        guards = Config(
            proxies={},  # a proxy for the internet knows nothing of this machine's loopback
            inject_host_prefix=False,  # "sync-127.0.0.1" is no host
        )
        kwargs["config"] = guards.merge(kwargs.get("config"))
        return self._isolated.client(service_name, **{**self.common_protected_kwargs, **kwargs})


def _signing_name(url: str) -> str:
    """Return the service that a signature has to name: a function URL belongs to Lambda, everything else to an API.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    parts = urlsplit(url)
    is_function_url = ".lambda-url." in (parts.hostname or "") or parts.path.startswith("/_aws/lambda-url/")
    return "lambda" if is_function_url else "execute-api"


def _with_query(url: str, params: Mapping[str, Any] | None) -> str:
    """Return the URL with the parameters in its query string, encoded as a signature counts them: a space is %20.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params, doseq=True, quote_via=quote, safe='-_.~')}"


def _prepared(request: AWSRequest, repeated: Mapping[str, list[str]]) -> AWSPreparedRequest:
    """Return the request as it goes out, with all values of its repeated headers, of which botocore keeps one each."""
    prepared = request.prepare()
    prepared.headers = HTTPHeaderDict(prepared.headers)
    for name, values in repeated.items():
        prepared.headers.discard(name)
        for value in values:
            prepared.headers.add(name, value)
    return prepared


def _encode(body: Any) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    return (body if isinstance(body, str) else json.dumps(body)).encode()


@functools.cache
def _connections(timeout_s: float, *, through_proxy: bool) -> URLLib3Session:
    """Return the pool of kept-alive connections for requests with that time limit."""
    return _ClockedSession(
        timeout=timeout_s,
        socket_options=[_NO_DELAY],
        verify=os.environ.get("AWS_CA_BUNDLE") or True,
        proxies=urllib.request.getproxies() if through_proxy else None,
        max_pool_connections=_CONNECTIONS,
    )
