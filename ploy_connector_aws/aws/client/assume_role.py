"""Why AWS did not let Ploy assume the customer's role."""

from __future__ import annotations

from ploy_connector_aws.config import PLOY_ACCOUNT_ID
from ploy_connector_aws.spec import AuthenticationError, ConnectorError, TemporaryError

from .api_errors import SERVER_CODES, SIGNATURE_CODES, THROTTLED_CODES, ErrorMeaning, ErrorResponse
from .response_check import FLAWED_FIX, FLAWS


class RoleDeniedError(AuthenticationError):
    """AWS denied AssumeRole. It does not state why, or does so in its text only."""


class NotTrustedError(RoleDeniedError):
    """AWS denied AssumeRole without a reason, so the role itself may be the cause."""


class DeniedByCallerAccountError(RoleDeniedError):
    """Ploy's own account denied AssumeRole, which proves nothing about the role."""


def assume_role_failed(response: ErrorResponse) -> ConnectorError:
    """Return the error for a failed AssumeRole."""
    meaning = _FAILURES.get(response.code, _UNKNOWN_FAILURE)
    if response.code in _DENIED_CODES:
        text = response.text.lower()
        meaning = next((denial for phrase, denial in _DENIED_BY if phrase in text), _NOT_TRUSTED)
    return meaning.to_error(response, "AssumeRole")


_DENIED_CODES = ("AccessDenied", "AccessDeniedException")

_NOT_TRUSTED = ErrorMeaning(
    NotTrustedError,
    "AWS did not let Ploy assume the role. AWS does not state which of these is the cause: the role does not exist; it "
    f"does not trust Ploy's account {PLOY_ACCOUNT_ID}; its trust policy requires another external ID; its trust policy "
    "denies Ploy or requires something that Ploy does not provide (such as MFA or an IP address); Ploy's own account "
    "does not allow it.",
    f"Compare the role ARN, the trusted account {PLOY_ACCOUNT_ID} and the external ID with the settings. A change in "
    "IAM takes up to a minute to take effect.",
)


def _by_caller_account(what: str) -> ErrorMeaning:
    return ErrorMeaning(
        DeniedByCallerAccountError,
        f"{what} denies AssumeRole; nothing is wrong with the role.",
        "The operator of the connector must let its AWS credentials call sts:AssumeRole.",
    )


_DENIED_BY: tuple[tuple[str, ErrorMeaning], ...] = (
    (
        "resource control policy",
        ErrorMeaning(
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

_UNKNOWN_FAILURE = ErrorMeaning(AuthenticationError, "The role could not be assumed ({code}).")

_FAILURES: dict[str, ErrorMeaning] = {
    **dict.fromkeys(THROTTLED_CODES, ErrorMeaning(TemporaryError, "AWS throttled the request to assume the role.")),
    **dict.fromkeys(SERVER_CODES, ErrorMeaning(TemporaryError, "AWS had an internal error in {call}.")),
    **{
        code: ErrorMeaning(TemporaryError, f"AWS's response to {{call}} {what}, also after all retries.", FLAWED_FIX)
        for code, what in FLAWS.items()
    },
    **dict.fromkeys(
        (*SIGNATURE_CODES, "InvalidClientTokenId", "UnrecognizedClientException"),
        ErrorMeaning(
            AuthenticationError,
            "AWS rejected Ploy's own credentials; nothing is wrong with the role.",
            "The operator of the connector must renew its AWS credentials and check its clock.",
        ),
    ),
    "ValidationError": ErrorMeaning(
        AuthenticationError,
        "AWS rejected {call} as invalid: the role's maximum session duration may be under one hour.",
        "Set the role's maximum session duration to one hour or more.",
    ),
    "RegionDisabledException": ErrorMeaning(
        AuthenticationError,
        "AWS STS is switched off for the AWS account in the Region of the settings, or the Region is not enabled.",
        "Enable the Region and STS in it for the AWS account, or name another Region in the settings.",
    ),
}
