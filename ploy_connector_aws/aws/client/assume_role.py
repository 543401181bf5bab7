"""Why AWS did not let Ploy assume the customer's role."""

from __future__ import annotations

from typing import TypeAlias

from ploy_connector_aws.config import PLOY_ACCOUNT_ID
from ploy_connector_aws.spec import AuthenticationError, ConnectorError, TemporaryError

from .api_errors import SERVER_CODES, THROTTLED_CODES, ErrorResponse
from .response_check import FLAWED_FIX, FLAWS


class RoleDeniedError(AuthenticationError):
    """AWS denied AssumeRole. It does not state why, or does so in its text only."""


class NotTrustedError(RoleDeniedError):
    """AWS denied AssumeRole without a reason, so the role itself may be the cause."""


class DeniedByCallerAccountError(RoleDeniedError):
    """Ploy's own account denied AssumeRole, which proves nothing about the role."""


def assume_role_failed(response: ErrorResponse) -> ConnectorError:
    """Return the error for a failed AssumeRole."""
    if response.code in THROTTLED_CODES:
        return TemporaryError("AWS throttled the request to assume the role.", request_id=response.request_id)
    if response.code in SERVER_CODES:
        return TemporaryError("AWS had an internal error in AssumeRole.", request_id=response.request_id)
    if response.code in FLAWS:
        return TemporaryError(
            f"AWS's response to AssumeRole {FLAWS[response.code]}, also after all retries.",
            fix=FLAWED_FIX,
            request_id=response.request_id,
        )
    if response.code in _DENIED_CODES:
        text = response.text.lower()
        denied, why, remedy = next((denial for phrase, denial in _DENIED_BY if phrase in text), _NOT_TRUSTED)
        return denied(why, fix=remedy, request_id=response.request_id)
    message, fix = _FAILURES.get(response.code, (f"The role could not be assumed ({response.code}).", None))
    return AuthenticationError(message, fix=fix, request_id=response.request_id)


_DENIED_CODES = ("AccessDenied", "AccessDeniedException")

_Denial: TypeAlias = tuple[type[RoleDeniedError], str, str]

_NOT_TRUSTED: _Denial = (
    NotTrustedError,
    "AWS did not let Ploy assume the role. AWS does not state which of these is the cause: the role does not exist; it "
    f"does not trust Ploy's account {PLOY_ACCOUNT_ID}; its trust policy requires another external ID; its trust policy "
    "denies Ploy or requires something that Ploy does not provide (such as MFA or an IP address); Ploy's own account "
    "does not allow it.",
    f"Compare the role ARN, the trusted account {PLOY_ACCOUNT_ID} and the external ID with the settings. A change in "
    "IAM takes up to a minute to take effect.",
)


def _by_caller_account(what: str) -> _Denial:
    return (
        DeniedByCallerAccountError,
        f"{what} denies AssumeRole; nothing is wrong with the role.",
        "The operator of the connector must let its AWS credentials call sts:AssumeRole.",
    )


_DENIED_BY: tuple[tuple[str, _Denial], ...] = (
    (
        "resource control policy",
        (
            RoleDeniedError,
            "A resource control policy of the customer's organization denies Ploy's AssumeRole.",
            f"A person who manages the organization must let Ploy's account {PLOY_ACCOUNT_ID} assume this role.",
        ),
    ),
    ("service control policy", _by_caller_account("A service control policy of Ploy's own organization")),
    ("identity-based policy", _by_caller_account("A policy of Ploy's own AWS account")),
    ("permissions boundary", _by_caller_account("The permissions boundary of Ploy's own credentials")),
    ("session policy", _by_caller_account("The session policy of Ploy's own credentials")),
    ("vpc endpoint policy", _by_caller_account("The policy of a VPC endpoint in Ploy's own network")),
)
"""Phrases of AWS's denials that state who denied it. Most denials have none (AWS.md section 4).

The policies of its own account bind a cross-account caller; its trust policy and those for resources bind the role (IAM
user guide, "Cross-account policy evaluation logic").
"""

_OWN_CREDENTIALS_WRONG = (
    "AWS rejected Ploy's own credentials; nothing is wrong with the role.",
    "The operator of the connector must renew its AWS credentials and check its clock.",
)
_REQUEST_INVALID = (
    "AWS rejected AssumeRole as invalid: the role's maximum session duration may be under one hour.",
    "Set the role's maximum session duration to one hour or more.",
)

_FAILURES: dict[str, tuple[str, str | None]] = {
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
    "ValidationError": _REQUEST_INVALID,
    "RegionDisabledException": (
        "AWS STS is switched off for the AWS account in the Region of the settings, or the Region is not enabled.",
        "Enable the Region and STS in it for the AWS account, or name another Region in the settings.",
    ),
}
