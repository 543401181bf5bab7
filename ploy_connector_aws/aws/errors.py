"""What AWS's errors mean: each becomes one error of the hook specification, in one sentence, with its fix.

AWS's own text is never repeated: a rejected signature quotes the session token, a rejected parameter the external id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from ploy_connector_aws.config import PLOY_ACCOUNT_ID
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    NotFound,
    PermissionMissing,
    Refused,
    TemporaryError,
)

from .permissions import KMS_DECRYPT, find_action, render_statement

THROTTLED_CODES = frozenset(
    {
        "Throttling",  # iam, sts, rds
        "ThrottlingException",  # identitystore, sso-admin, ecs, dynamodb
        "ThrottledException",
        "RequestLimitExceeded",  # ec2
        "EC2ThrottledException",
        "RequestThrottled",  # sqs
        "RequestThrottledException",
        "TooManyRequestsException",  # lambda
        "SlowDown",  # s3
        "503 Slow Down",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
    }
)
"""Every code that means "too many calls" (AWS.md section 2.2 and botocore's standard retries)."""

_SCP_FIX = (
    "A person who manages the organization must let the role's calls through that policy; the role's own is in order."
)


class RegionNotEnabled(AuthenticationError):
    """AWS does not know the credentials in one Region: it is not enabled for the account, or they were revoked."""


@dataclass(frozen=True)
class Call:
    """One call as it was made: for naming the permission it needs, and the thing that does not exist."""

    client: str
    operation: str
    parameters: Mapping[str, Any]

    def __str__(self) -> str:
        """Name the call in a sentence."""
        return f"{self.operation} of {self.client}"

    @property
    def iam_action(self) -> str:
        """The IAM action that allows the call."""
        action = find_action(self.client, self.operation)
        return action.iam if action else f"{self.client}:{self.operation}"


@dataclass(frozen=True)
class _Answer:
    """The parts of an error answer that decide what it means. Codes decide, never the HTTP status (AWS.md 1.5)."""

    code: str
    reason: str
    text: str
    body: Mapping[str, Any]
    request_id: str | None

    @property
    def retry_after_seconds(self) -> float | None:
        seconds = self.body.get("RetryAfterSeconds")
        return float(seconds) if seconds is not None else None


def to_connector_error(error: Exception, call: Call) -> ConnectorError:
    """Say in the words of the hook specification what went wrong with a call.

    Args:
        error: What botocore, or anything below it, raised.
        call: What was being called.
    """
    if isinstance(error, ConnectorError):
        return error
    if isinstance(error, ClientError):
        answer = _to_answer(error)
        # Credentials are fetched inside whatever call comes next, so the role can be refused inside any call.
        if error.operation_name == "AssumeRole":
            return _assume_role_failed(answer)
        return _MEANINGS.get(answer.code, _unknown_answer)(answer, call)
    if isinstance(error, _OWN_CREDENTIALS_MISSING):
        return AuthenticationError(
            "Ploy's own AWS credentials could not be found or are incomplete, so the role was not even asked for.",
            fix="The operator of the connector must provide AWS credentials in one of AWS's standard ways.",
        )
    if isinstance(error, botocore_errors.ParamValidationError):
        return _invalid_request(call)
    if isinstance(error, BotoCoreError):
        what, fix = next(
            ((what, fix) for kinds, what, fix in _CONNECTION_TROUBLE if isinstance(error, kinds)),
            (f"could not be made ({type(error).__name__})", None),
        )
        return TemporaryError(f"The call {call} {what}.", fix=fix)
    return TemporaryError(f"The answer to the call {call} could not be understood ({type(error).__name__}).")


def _to_answer(error: ClientError) -> _Answer:
    body = error.response
    details = body.get("Error", {})
    metadata = body.get("ResponseMetadata", {})
    return _Answer(
        code=code if re.fullmatch(r"[\w .:-]{1,80}", code := str(details.get("Code"))) else "no code",
        reason=str(body.get("Reason", "")),
        text=str(details.get("Message", "")),
        body=body,
        request_id=metadata.get("RequestId"),
    )


def _denied(answer: _Answer, call: Call) -> ConnectorError:
    # identitystore says KMS_ACCESS_DENIED, sso-admin KMS_AccessDeniedException (botocore's service models).
    if answer.reason.startswith("KMS") or KMS_DECRYPT in answer.text:
        return PermissionMissing(
            f"The call {call} was denied because the role may not use the customer managed key that encrypts "
            "IAM Identity Center.",
            actions=(KMS_DECRYPT,),
            fix=f"Add this statement to the role's policy, and let the key's policy allow the role: "
            f"{render_statement([KMS_DECRYPT])}",
            request_id=answer.request_id,
        )
    action = call.iam_action
    cause, fix = next(
        ((cause, fix) for words, cause, fix in _DENIED_ELSEWHERE if words in answer.text.lower()),
        (None, f"Add this statement to the role's policy: {render_statement([action])}"),
    )
    if cause is None and action.startswith("sso:") and action != "sso:ListInstances":
        # AWS.md 3.1: a plain member account is denied whatever its policies say.
        fix += (
            ". If it is there already: AWS allows this call only to the organization's management account or a "
            "delegated administrator of IAM Identity Center"
        )
    because = f" by {cause}" if cause else ""
    return PermissionMissing(
        f"The role may not call {action}: AWS denied it{because}.",
        actions=(action,),
        fix=fix,
        request_id=answer.request_id,
    )


_DENIED_ELSEWHERE = (
    ("service control policy", "a service control policy of the organization", _SCP_FIX),
    ("resource control policy", "a resource control policy of the organization", _SCP_FIX),
    ("permissions boundary", "the role's permissions boundary", "Allow the action in the role's permissions boundary."),
    (
        "explicit deny in an identity-based policy",
        "a Deny statement in the role's own policies",
        "Take the Deny statement out of the role's policies; an Allow cannot outweigh it.",
    ),
    (
        "vpc endpoint policy",
        "the policy of a VPC endpoint",
        "The operator must allow the call in the endpoint's policy.",
    ),
)
"""Words of AWS's denials that name another place than the role's own policy, with the place and the fix."""


def _throttled(answer: _Answer, call: Call) -> ConnectorError:
    return TemporaryError(
        f"AWS throttled the call {call}, also after all retries.",
        retry_after_seconds=answer.retry_after_seconds,
        fix="Nothing: the next sync tries again. If it stays, something else in the account uses up the quota.",
        request_id=answer.request_id,
    )


def _server_trouble(answer: _Answer, call: Call) -> ConnectorError:
    return TemporaryError(
        f"AWS had an internal error in the call {call}, also after all retries.",
        retry_after_seconds=answer.retry_after_seconds,
        request_id=answer.request_id,
    )


def _not_found(answer: _Answer, call: Call) -> ConnectorError:
    if answer.reason.startswith("KMS"):
        return _key_unusable(answer, call)
    kind, id_ = _find_what(answer, call)
    return NotFound(
        f"AWS says that what {call} asked about does not exist" + (f" ({kind} {id_})." if id_ else "."),
        kind=kind,
        id=id_,
        request_id=answer.request_id,
    )


def _find_what(answer: _Answer, call: Call) -> tuple[str | None, str | None]:
    """Tell what exactly does not exist: identitystore has fields for it, sso-admin at best names it in its text."""
    if "ResourceType" in answer.body:
        id_ = answer.body.get("ResourceId")
        return str(answer.body["ResourceType"]), str(id_).rpartition("/")[2] if id_ else None
    for parameter, kind in (
        ("PrincipalId", str(call.parameters.get("PrincipalType"))),
        ("PermissionSetArn", "PERMISSION_SET"),
        ("InstanceArn", "INSTANCE"),
    ):
        asked = call.parameters.get(parameter)
        if asked and re.search(rf"(?<![\w-]){re.escape(asked.rpartition('/')[2])}(?![\w-])", answer.text):
            return kind, asked
    return None, None


def _key_unusable(answer: _Answer, call: Call) -> ConnectorError:
    return Refused(
        f"The call {call} failed because the customer managed key that encrypts IAM Identity Center cannot be used.",
        reason="kms_key_unusable",
        fix="Enable or restore the key in AWS KMS.",
        request_id=answer.request_id,
    )


def _invalid(answer: _Answer, call: Call) -> ConnectorError:
    return _key_unusable(answer, call) if answer.reason.startswith("KMS") else _invalid_request(call, answer.request_id)


def _invalid_request(call: Call, request_id: str | None = None) -> ConnectorError:
    return Refused(
        f"AWS does not take the call {call} as it was made.", reason="invalid_request", request_id=request_id
    )


def _credentials_unknown(answer: _Answer, call: Call) -> ConnectorError:
    return RegionNotEnabled(
        f"AWS did not know the session's credentials in the call {call}: the Region is not enabled for the AWS "
        "account, or the role's sessions were revoked.",
        fix="Enable the Region for the account, or name an enabled one in the settings.",
        request_id=answer.request_id,
    )


def _credentials_rejected(answer: _Answer, call: Call) -> ConnectorError:
    return AuthenticationError(
        f"AWS rejected the session's signature or token in the call {call}.",
        fix="Check the clock of the machine that runs the connector, then try again.",
        request_id=answer.request_id,
    )


def _conflict(answer: _Answer, call: Call) -> ConnectorError:
    return TemporaryError(f"AWS was changing what {call} asked about.", request_id=answer.request_id)


def _unknown_answer(answer: _Answer, call: Call) -> ConnectorError:
    return TemporaryError(f"AWS answered the call {call} with an error ({answer.code}).", request_id=answer.request_id)


def _assume_role_failed(answer: _Answer) -> ConnectorError:
    if answer.code in THROTTLED_CODES:
        return TemporaryError("AWS throttled the request to assume the role.", request_id=answer.request_id)
    if answer.code in _SERVER_CODES:
        return TemporaryError("AWS had an internal error in assuming the role.", request_id=answer.request_id)
    message, fix = _ASSUME_ROLE_FAILURES.get(answer.code, (f"The role could not be assumed ({answer.code}).", None))
    return AuthenticationError(message, fix=fix, request_id=answer.request_id)


_NOT_TRUSTED = (
    "AWS did not let Ploy assume the role. AWS does not say which of these it is: the role does not exist, it does not "
    f"trust Ploy's account {PLOY_ACCOUNT_ID}, its trust policy requires another external ID, or Ploy's own account "
    "does not allow it.",
    f"Compare the role ARN, the trusted account {PLOY_ACCOUNT_ID} and the external ID with the settings. A change in "
    "IAM takes a minute to work.",
)
_OWN_CREDENTIALS_WRONG = (
    "AWS rejected Ploy's own credentials, before the role was looked at; nothing is wrong with the role.",
    "The operator of the connector must renew its AWS credentials and check its clock.",
)
_ROLE_REFUSES_REQUEST = (
    "AWS does not take the request to assume the role: its maximum session duration may be under one hour.",
    "Set the role's maximum session duration to one hour or more.",
)

_ASSUME_ROLE_FAILURES: dict[str, tuple[str, str | None]] = {
    "AccessDenied": _NOT_TRUSTED,
    "AccessDeniedException": _NOT_TRUSTED,
    **dict.fromkeys(
        (
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        _OWN_CREDENTIALS_WRONG,
    ),
    "ValidationError": _ROLE_REFUSES_REQUEST,
    "RegionDisabledException": (
        "AWS STS is switched off for the AWS account in the Region of the settings.",
        "Switch it on for that Region, or name another Region in the settings.",
    ),
}

_SERVER_CODES = (
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "ServerException",
    "ServiceException",
    "ServiceFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "500",
    "502",
    "503",
    "504",
)

_MEANINGS: dict[str, Callable[[_Answer, Call], ConnectorError]] = {
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), _denied),
    **dict.fromkeys(THROTTLED_CODES, _throttled),
    **dict.fromkeys(_SERVER_CODES, _server_trouble),
    **dict.fromkeys(("ResourceNotFoundException",), _not_found),
    **dict.fromkeys(("ValidationException", "ValidationError", "InvalidParameterException"), _invalid),
    **dict.fromkeys(("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"), _credentials_unknown),
    **dict.fromkeys(
        (
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
        ),
        _credentials_rejected,
    ),
    "ConflictException": _conflict,
}

_OWN_CREDENTIALS_MISSING = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.ConfigNotFound,
    botocore_errors.ConfigParseError,
    botocore_errors.InvalidConfigError,
    botocore_errors.ProfileNotFound,
    botocore_errors.MetadataRetrievalError,
    botocore_errors.SSOError,
    botocore_errors.TokenRetrievalError,
    botocore_errors.RefreshWithMFAUnsupportedError,
)

_CONNECTION_TROUBLE: tuple[tuple[tuple[type[BotoCoreError], ...], str, str | None], ...] = (
    (
        (botocore_errors.SSLError,),
        "failed because the server's certificate was not accepted",
        "The operator must check the proxy and the certificate authorities (AWS_CA_BUNDLE).",
    ),
    (
        (botocore_errors.ProxyConnectionError,),
        "failed because the proxy could not be reached",
        "The operator must check HTTPS_PROXY.",
    ),
    (
        (botocore_errors.ReadTimeoutError, botocore_errors.ConnectTimeoutError),
        "took too long, also after all retries",
        None,
    ),
    (
        (botocore_errors.EndpointConnectionError,),
        "failed because AWS could not be reached",
        "The operator must check that the connector's network reaches AWS in that Region.",
    ),
    ((botocore_errors.HTTPClientError,), "failed because the connection broke, also after all retries", None),
)
