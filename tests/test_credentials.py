"""Whether each way in which a caller can be wrong gets its own sentence, with what to do and without a secret."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from fake_aws import ACCOUNT_ID, FakeAws, Reply, fake_aws, identity, json_error, query_error, s3_error

from workbook import credentials
from workbook.errors import TargetError
from workbook.targets import Target, configured

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for this "
    f"request should have been\n'POST\n/\n\nhost:x\nx-amz-date:20261122T000000Z\nx-amz-security-token:{TOKEN}\n'"
)
OLD = "Signature expired: 20261122T000000Z is now earlier than 20261122T001500Z (20261122T002000Z - 5 min.)"
YOUNG = "Signature not yet current: 20261122T003000Z is still later than 20261122T002500Z (20261122T002000Z + 5 min.)"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """A listener in AWS's place, and a shell that agrees to use it, with temporary credentials."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with fake_aws() as fake:
        for name, value in fake.shell(AWS_SESSION_TOKEN=TOKEN).items():
            monkeypatch.setenv(name, value)
        yield fake


REFUSALS = {
    "expired": (query_error("ExpiredToken", "The security token included in the request is expired"), "have expired", "aws sso login"),
    "unknown key": (query_error("InvalidClientTokenId", "The security token included in the request is invalid."), "doesn't know this access key", "aws sso login"),
    "wrong secret": (query_error("SignatureDoesNotMatch", MISMATCH), "secret access key doesn't belong", "both from one source"),
    "no subscription": (query_error("OptInRequired", "The AWS Access Key Id needs a subscription for the service"), "eu-west-1 or a service in it isn't enabled", "Account → AWS Regions"),
    "organisation": (query_error("AccessDenied", f"User: arn:aws:iam::{ACCOUNT_ID}:user/ada is not authorized to perform: sts:GetCallerIdentity with an explicit deny in a service control policy"), "organisation doesn't allow sts:GetCallerIdentity", "Ask the organisation's administrator"),
    "something else": (query_error("InternalFailure", "no more is known", 400), "doesn't say whose credentials these are", "aws sts get-caller-identity"),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "what", "fix"), REFUSALS.values(), ids=REFUSALS)
def test_each_refusal_of_a_caller_has_its_sentence_and_its_remedy(aws: FakeAws, reply: Reply, what: str, fix: str):
    """Who connects is told what is wrong with the credentials, and what to do."""
    aws.says["sts"] = reply
    with pytest.raises(TargetError) as caught:
        configured("aws")
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert TOKEN not in f"{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [(930, r"9(29|30|31) s \(15\.5 min\) behind AWS's"), (-420, r"4(19|20|21) s \(7\.0 min\) ahead of AWS's")],
)
@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired"])
def test_a_clock_that_is_off_is_told_by_how_much(aws: FakeAws, ahead_s: float, words: str, code: str):
    """The date of AWS's answer is what this machine's clock is compared with, whatever AWS calls the error."""
    aws.ahead_s = ahead_s
    aws.says["sts"] = query_error(code, OLD if ahead_s > 0 else YOUNG)
    with pytest.raises(TargetError, match=words) as caught:
        configured("aws")
    assert "Set the clock" in caught.value.fix


@pytest.mark.parametrize(
    ("message", "words"),
    [(OLD, r"1200 s \(20.0 min\) behind"), (YOUNG, r"600 s \(10.0 min\) ahead"), ("Signature expired", "clock is off")],
)
def test_without_a_date_the_times_in_the_message_tell(message: str, words: str):
    """AWS names the time of the signature and its own."""
    error = ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": message}}, "GetCallerIdentity")
    with pytest.raises(TargetError, match=words):
        raise credentials.explain(error)


def test_a_header_that_is_no_date_says_nothing():
    """A clock is compared with a date, and with nothing else."""
    now = datetime(2026, 11, 22, 0, 0, 30, tzinfo=UTC)
    assert 30 == credentials.clock_off_s({"date": "Sun, 22 Nov 2026 00:00:00 GMT"}, now=now)
    assert None is credentials.clock_off_s({"Date": "soon"})
    assert None is credentials.clock_off_s({})


def test_a_region_that_is_not_enabled_is_told_from_a_wrong_key(aws: FakeAws):
    """Both are answered the same; but a good key is known in us-east-1, which every account has."""
    aws.says["sts eu-west-1"] = query_error(
        "InvalidClientTokenId", "The security token included in the request is invalid"
    )
    with pytest.raises(TargetError, match="The region eu-west-1 or a service in it isn't enabled in this account"):
        configured("aws")


def test_the_root_user_is_refused(aws: FakeAws):
    """Nobody needs root for a lesson."""
    aws.says["sts"] = identity(f"arn:aws:iam::{ACCOUNT_ID}:root")
    with pytest.raises(TargetError, match=r"root user\..*infra/learner-policy\.json"):
        configured("aws")


def test_a_caller_has_a_short_name():
    """A user is called by the name alone, a role by its session's."""
    names = ["user/ada", "user/school/ada", "assumed-role/Learner/ada", "root"]
    assert ["ada", "ada", "ada", "root"] == [credentials.Caller("1", f"arn:aws:iam::1:{name}").name for name in names]


IN_THE_MIDDLE = {
    "expired": (json_error("ExpiredTokenException", "The security token included in the request is expired"), "have expired"),
    "unknown": (json_error("UnrecognizedClientException", "The security token included in the request is invalid."), "doesn't know this access key"),
    "wrong secret": (json_error("InvalidSignatureException", MISMATCH), "secret access key"),
    "clock": (json_error("InvalidSignatureException", OLD), "clock is"),
    "organisation": (json_error("AccessDeniedException", "User: u is not authorized to perform: lambda:ListFunctions because no service control policy allows the lambda:ListFunctions action"), "organisation doesn't allow lambda:ListFunctions"),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "what"), IN_THE_MIDDLE.values(), ids=IN_THE_MIDDLE)
@pytest.mark.parametrize("kind", ["client", "measured_client"])
def test_what_goes_wrong_in_the_middle_of_a_lesson_is_said_in_a_sentence(
    aws: FakeAws, reply: Reply, what: str, kind: str
):
    """Credentials that expire while a notebook runs end it with a sentence, whichever client finds out."""
    there = configured("aws")
    aws.says["lambda"] = reply
    with pytest.raises(TargetError, match=what) as caught:
        getattr(there, kind)("lambda").list_functions()
    assert TOKEN not in f"{caught.value}{caught.value.__cause__}"


def test_a_gateway_that_refuses_the_signature_is_understood_too(aws: FakeAws):
    """A request to an API is signed with the same credentials; other refusals stay answers."""
    there = configured("aws")
    aws.says["execute-api"] = Reply(403, MISMATCH, "InvalidSignatureException")
    with pytest.raises(TargetError, match="secret access key") as caught:
        there.send("GET", f"{aws.endpoint}/x")
    assert TOKEN not in str(caught.value)
    aws.says["execute-api"] = Reply(403, '{"message":"Forbidden"}', "ForbiddenException")
    assert 403 == there.send("GET", f"{aws.endpoint}/x").status


def test_a_missing_right_stays_what_botocore_makes_of_it(aws: FakeAws):
    """Lessons provoke it; who wants a sentence asks for one, which names action and resource."""
    there = configured("aws")
    said = f"User: u is not authorized to perform: lambda:ListFunctions on resource: arn:aws:lambda:eu-west-1:{ACCOUNT_ID}:function:* because no identity-based policy allows the lambda:ListFunctions action"
    aws.says["lambda"] = json_error("AccessDeniedException", said)
    with pytest.raises(ClientError) as caught:
        there.client("lambda").list_functions()
    explained = credentials.explain(caught.value)
    assert (
        f"The caller may not do lambda:ListFunctions on arn:aws:lambda:eu-west-1:{ACCOUNT_ID}:function:*."
        == explained.what
    )
    assert "infra/learner-policy.json" in explained.fix


def test_what_s3_quotes_of_a_request_is_not_passed_on(aws: FakeAws):
    """S3 sends back the key's id and the request that it expected."""
    there = configured("aws")
    aws.says["s3"] = s3_error(
        "SignatureDoesNotMatch", "It does not match.", AWSAccessKeyId="AKIA", CanonicalRequest=MISMATCH
    )
    with pytest.raises(TargetError) as caught:
        there.client("s3").list_buckets()
    assert TOKEN not in f"{caught.value}{vars(caught.value)}"


HERE = {
    "none": (NoCredentialsError(), "There are no credentials.", "AWS_ACCESS_KEY_ID"),
    "half": (PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), "missing: AWS_SECRET_ACCESS_KEY", "aws sts get-caller-identity"),
    "no profile": (ProfileNotFound(profile="ghost"), "profile (ghost)", "AWS_PROFILE"),
    "a program": (CredentialRetrievalError(provider="custom-process", error_msg=f"printed {TOKEN}"), "could not be had from custom-process.", "aws sts"),
    "sso, no token": (SSOTokenLoadError(error_msg=TOKEN), "have expired", "aws sso login"),
    "sso, old token": (TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"), "have expired", "aws sso login"),
    "sso, refused": (UnauthorizedSSOTokenError(), "have expired", "aws sso login"),
    "no such host": (EndpointConnectionError(endpoint_url="https://lambda.eu-west-9.amazonaws.com/"), "lambda.eu-west-9.amazonaws.com", "name another region"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "what", "fix"), HERE.values(), ids=HERE)
def test_what_is_wrong_before_anybody_answers_has_its_sentence_too(error: Exception, what: str, fix: str):
    """It is found on this machine, and said with what to do."""
    explained = credentials.explain(error, region="eu-west-9")
    assert what in explained.what
    assert fix in explained.fix
    assert TOKEN not in str(explained)


DENIALS = {
    "a stack's event": ("User: u is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::1:role/r (Service: Iam, Status Code: 403)", "The caller may not do iam:CreateRole on arn:aws:iam::1:role/r."),
    "an explicit deny above": ("User: u is not authorized to perform: s3:CreateBucket on resource: \"arn:aws:s3:::b\" with an explicit deny in a service control policy", "The account's organisation doesn't allow s3:CreateBucket on arn:aws:s3:::b."),
    "a resource control policy": ("User: u is not authorized to perform: s3:PutObject on resource: x with an explicit deny in a resource control policy", "The account's organisation doesn't allow s3:PutObject on x."),
    "a boundary": ("User: u is not authorized to perform: sqs:createqueue because no permissions boundary allows the sqs:createqueue action", "The caller's permissions boundary doesn't allow sqs:createqueue."),
}  # fmt: skip


@pytest.mark.parametrize(("message", "what"), DENIALS.values(), ids=DENIALS)
def test_a_denial_names_who_denies_what(message: str, what: str):
    """AWS says which kind of policy it was, and each has another person to go to."""
    assert what == credentials.denied(message).what


def test_what_has_another_cause_is_left_alone():
    """A throttle is none of these, nor is an error that isn't AWS's."""
    throttle = ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "Rate exceeded"}}, "Invoke")
    assert [None, None, None] == [
        credentials.explain(throttle),
        credentials.explain(ValueError()),
        credentials.denied("no"),
    ]


def test_only_the_target_aws_is_explained(aws: FakeAws):
    """On an emulator an error is an emulator's, and its words are wanted as they are."""
    aws.says["lambda"] = json_error("ExpiredTokenException", "The security token included in the request is expired")
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        Target("embedded", aws.endpoint).client("lambda").list_functions()
