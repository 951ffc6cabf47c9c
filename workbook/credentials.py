"""Who calls AWS, and one sentence with a remedy for each way in which a caller can be the wrong one.

    missing · incomplete · expired · unknown to AWS · signed wrongly · signed by a clock that is off · root ·
    denied by an organisation · without a right · in a region that isn't enabled or doesn't exist

A sentence never holds what AWS says of a wrong signature: AWS quotes the request that it expected, session token included.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from workbook.errors import TargetError

POLICY = "infra/learner-policy.json and infra/learner-policy-services.json"  # what a caller has to be allowed
_SIGN_IN = (
    "Sign in anew with `aws sso login` or `aws login`, or set new keys as you set the old ones; then do the same again."
)
# The words for one thing differ from service to service:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/CommonErrors.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-errors.html
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken", "AuthFailure"}
_SIGNATURE = {
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "IncompleteSignatureException",
}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_NOT_ENABLED = {"OptInRequired", "SubscriptionRequiredException", "NotSignedUp"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "403"}
_STAMP = re.compile(r"\d{8}T\d{6}Z")
_OFF_S = 240  # AWS takes a request that is up to 5 minutes old, S3 up to 15
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_ACTION = re.compile(r"not authorized to perform:? (?P<action>[\w-]+:\w+)(?: on resource: (?P<resource>[^\s,]+))?")
_ORGANISATION = ("service control policy", "resource control policy")
_SIGNED_OUT = (
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
    exceptions.LoginError,
    exceptions.RefreshWithMFAUnsupportedError,
)


@dataclass(frozen=True)
class Caller:
    """Who AWS says is calling."""

    account_id: str
    arn: str

    @property
    def name(self) -> str:
        """Who is behind the credentials: a user, a role's session, or "root"; with the characters that every tag may hold.

        A session that boto3 named itself has another name each time, so the role's name stands for it.
        https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
        """
        *path, name = self.arn.rpartition(":")[2].split("/")
        if path and re.fullmatch(r"botocore-session-\d+", name):
            name = path[-1]
        return re.sub(r"[^\w .:/=+@-]", "-", name)

    @property
    def is_root(self) -> bool:
        """Whether these are the root user's credentials."""
        return self.arn.endswith(":root")


class DeniedError(TargetError):
    """The caller may not do what was asked for."""


class UnknownKeyError(TargetError):
    """AWS doesn't know the access key: it is wrong, or the region isn't enabled."""


def explain(error: Exception, *, region: str | None = None) -> TargetError | None:
    """Return what to say of an error of botocore's if the caller, a right, the clock or the region is behind it, else None.

    `region` is the one that the call went to. No secret stands in what is returned, even if one stands in the error; so raise
    it `from None`.
    """
    if isinstance(error, TargetError):
        return error
    if isinstance(error, ClientError):
        return _of_answer(error, region)
    return _of_client(error, region) if isinstance(error, BotoCoreError) else None


def explain_for_all_calls(error: Exception, *, region: str | None = None) -> TargetError | None:
    """Return what `explain` does, but None for a missing right, which may well be what a lesson is about.

    What remains is the same for every call: nothing would go on from here.
    """
    explained = explain(error, region=region)
    is_of_one_call = isinstance(explained, DeniedError) and not _is_of_organisation(error)
    return None if is_of_one_call else explained


def denied(message: str, *, action: str | None = None) -> DeniedError | None:
    """Return what to say of a refusal in AWS's words, such as the reason of a stack's event, or None if it is none.

    `action` is what was tried, in case that the words don't name it.
    """
    found = _ACTION.search(message)
    if found is None and action is None:
        return None
    action = found["action"] if found else action
    resource = found["resource"].strip("\"'.") if found and found["resource"] else None
    tried = f"{action} on {resource}" if resource and resource != "*" else action
    if any(words in message for words in _ORGANISATION):
        return DeniedError(
            f"The account's organisation doesn't allow {tried}.",
            why="A policy of an organisation stands above everything that an account allows.",
            fix=f"Ask the organisation's administrator to allow {action}, or use an account outside of it.",
        )
    if "permissions boundary" in message:
        return DeniedError(
            f"The caller's permissions boundary doesn't allow {tried}.",
            why="A boundary limits what policies can allow.",
            fix=f"Have its administrator allow in the boundary what {POLICY} hold.",
        )
    return DeniedError(
        f"The caller may not do {tried}.",
        why="A lesson needs it.",
        fix=f"Attach {POLICY} as they are now to the user or role that you sign in as; if both are attached, another policy denies it.",
    )


def root() -> TargetError:
    """Return the refusal of the root user's credentials."""
    return TargetError(
        "These are the credentials of the account's root user.",
        why="Root may do everything, closing the account included, and no policy limits it.",
        fix=f"Make a user or a role that has only {POLICY}, as docs/aws.md shows, and use its credentials; "
        "if root has access keys, delete them.",
    )


def clock_off_s(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return by how many seconds this machine's clock is ahead of the Date header of an answer; below 0 it is behind.

    The header counts whole seconds. None if there is no such header.
    """
    date = next((value for name, value in headers.items() if name.lower() == "date"), None)
    try:
        there = parsedate_to_datetime(date) if date else None
    except ValueError:
        return None
    return ((now or datetime.now(UTC)) - there).total_seconds() if there else None


def clock(off_s: float | None) -> TargetError:
    """Return what to say of a clock that is off by so many seconds; None: nobody knows by how many."""
    amount = "off"
    if off_s is not None:
        amount = f"{abs(off_s):.0f} s ({abs(off_s) / 60:.1f} min) {'ahead of' if off_s > 0 else 'behind'} AWS's"
    return TargetError(
        f"This machine's clock is {amount}.",
        why="AWS refuses a signature that is more than five minutes old or from the future.",
        fix="Set the clock by the network (`timedatectl set-ntp true` on Linux, `wsl --shutdown` from Windows under WSL2), then do the same again.",
    )


def _of_answer(error: ClientError, region: str | None) -> TargetError | None:
    """Return what is to be said of an error that AWS answered."""
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message") or ""
    if code in _CLOCK or "Signature expired" in message or "Signature not yet current" in message:
        return clock(_off_s(error.response, message))
    if code in _EXPIRED:
        return _expired()
    if code in _SIGNATURE:
        off_s = _off_s(error.response, message)
        return clock(off_s) if off_s is not None and abs(off_s) > _OFF_S else _signed_wrongly()
    if code in _UNKNOWN:
        return _unknown_key(region)
    if code in _NOT_ENABLED:
        return not_enabled(region)
    return denied(message, action=error.operation_name) if code in _DENIED else None


def _of_client(error: BotoCoreError, region: str | None) -> TargetError | None:
    """Return what is to be said of an error that botocore found before AWS answered anything."""
    if isinstance(error, _SIGNED_OUT):
        return _expired()
    if isinstance(error, exceptions.NoCredentialsError):
        return _missing("There are no credentials.")
    if isinstance(error, exceptions.PartialCredentialsError | exceptions.ProfileNotFound):
        return _missing(f"{str(error).rstrip('.')}.")
    if isinstance(error, exceptions.CredentialRetrievalError):  # its reason may be what a program of the user's printed
        return _missing(f"The credentials could not be had from {error.kwargs['provider']}.")
    if isinstance(error, exceptions.EndpointConnectionError) and region and f".{region}." in str(error):
        return TargetError(
            f"Nothing answers at {error.kwargs['endpoint_url']}.",
            why=f"Either the network is down, or the region {region} is misspelt or lacks this service.",
            fix="Try `aws sts get-caller-identity`; if that answers, name another region, such as AWS_REGION=eu-west-1.",
        )
    return None


def _is_of_organisation(error: Exception) -> bool:
    message = error.response["Error"].get("Message") or "" if isinstance(error, ClientError) else ""
    return any(words in message for words in _ORGANISATION)


def _off_s(answer: Mapping[str, Any], message: str) -> float | None:
    """Return by how much the clock is off: by the answer's date, or else by the two times that AWS names."""
    off_s = clock_off_s(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}))
    stamps = [datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for stamp in _STAMP.findall(message)]
    if (
        off_s is None and len(stamps) > 2
    ):  # "20260101T000000Z is now earlier than 20260101T001000Z (20260101T001500Z - 5 min.)"
        return (stamps[0] - stamps[-1]).total_seconds()
    return off_s


def _expired() -> TargetError:
    return TargetError(
        "The credentials have expired.",
        why="AWS answers nothing more until you sign in again; what was made stays, and is remembered.",
        fix=_SIGN_IN,
    )


def _missing(what: str) -> TargetError:
    return TargetError(
        what,
        why="Every call to AWS is signed with credentials.",
        fix="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of the AWS command line in AWS_PROFILE, and try "
        "`aws sts get-caller-identity`.",
    )


def _unknown_key(region: str | None) -> UnknownKeyError:
    return UnknownKeyError(
        f"AWS doesn't know this access key or session token{f' in {region}' if region else ''}.",
        why="It is misspelt, deleted or of another partition, or the session token that belongs to it is missing; "
        "a region that isn't enabled in the account says the same.",
        fix=_SIGN_IN,
    )


def _signed_wrongly() -> TargetError:
    return TargetError(
        "The secret access key doesn't belong to the access key.",
        why="AWS can't verify the signature that was made with it.",
        fix="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY anew, both from one source, and AWS_SESSION_TOKEN if one came with them; "
        "if not, unset it.",
    )


def not_enabled(region: str | None) -> TargetError:
    """Return what to say of a region, or a service in it, that the account hasn't got enabled."""
    return TargetError(
        f"The region {region} or a service in it isn't enabled in this account.",
        why="Newer regions are off until somebody enables them, and a new account takes up to a day until all services work.",
        fix="Enable the region in the console under Account → AWS Regions, or name another, such as AWS_REGION=us-east-1.",
    )
