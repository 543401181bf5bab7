"""What it means when AWS does not let Ploy assume the customer's role."""

from __future__ import annotations

from typing import TypeAlias

from ploy_connector_aws.config import PLOY_ACCOUNT_ID
from ploy_connector_aws.spec import AuthenticationError, ConnectorError, TemporaryError

from .api_errors import SERVER_CODES, THROTTLED_CODES, Answer
from .response_check import FLAWED_FIX, FLAWS


class RoleDeniedError(AuthenticationError):
    """AWS did not let Ploy assume the role, for a reason that it does not say, or says in words only."""


class NotTrustedError(RoleDeniedError):
    """Nothing says that it is not the role which does not let Ploy in."""


class DeniedByCallerAccountError(RoleDeniedError):
    """Ploy's own account kept Ploy from assuming the role, so nothing was learnt of whom the role lets in."""


def assume_role_failed(answer: Answer) -> ConnectorError:
    """Say why the role could not be assumed."""
    if answer.code in THROTTLED_CODES:
        return TemporaryError("AWS throttled the request to assume the role.", request_id=answer.request_id)
    if answer.code in SERVER_CODES:
        return TemporaryError("AWS had an internal error in assuming the role.", request_id=answer.request_id)
    if answer.code in FLAWS:
        return TemporaryError(
            f"The answer to the request to assume the role {FLAWS[answer.code]}, also after all retries.",
            fix=FLAWED_FIX,
            request_id=answer.request_id,
        )
    if answer.code in _DENIED_CODES:
        text = answer.text.lower()
        denied, why, mend = next((said for words, said in _DENIED_BY if words in text), _NOT_TRUSTED)
        return denied(why, fix=mend, request_id=answer.request_id)
    message, fix = _FAILURES.get(answer.code, (f"The role could not be assumed ({answer.code}).", None))
    return AuthenticationError(message, fix=fix, request_id=answer.request_id)


_DENIED_CODES = ("AccessDenied", "AccessDeniedException")

_Said: TypeAlias = tuple[type[RoleDeniedError], str, str]

_NOT_TRUSTED: _Said = (
    NotTrustedError,
    "AWS did not let Ploy assume the role. AWS does not say which of these it is: the role does not exist, it does not "
    f"trust Ploy's account {PLOY_ACCOUNT_ID}, its trust policy requires another external ID, its trust policy denies "
    "Ploy or asks for something that Ploy does not bring (such as MFA or an IP address), or Ploy's own account does "
    "not allow it.",
    f"Compare the role ARN, the trusted account {PLOY_ACCOUNT_ID} and the external ID with the settings. A change in "
    "IAM takes a minute to work.",
)


def _of_ours(what: str) -> _Said:
    return (
        DeniedByCallerAccountError,
        f"{what} keeps the connector from assuming the role; nothing is wrong with the role.",
        "The operator of the connector must let its AWS credentials call sts:AssumeRole.",
    )


_DENIED_BY: tuple[tuple[str, _Said], ...] = (
    (
        "resource control policy",
        (
            RoleDeniedError,
            "A resource control policy of the customer's organization denies that Ploy assumes the role.",
            f"A person who manages the organization must let Ploy's account {PLOY_ACCOUNT_ID} assume this role.",
        ),
    ),
    ("service control policy", _of_ours("A service control policy of Ploy's own organization")),
    ("identity-based policy", _of_ours("A policy of Ploy's own AWS account")),
    ("permissions boundary", _of_ours("The permissions boundary of Ploy's own credentials")),
    ("session policy", _of_ours("The session policy of Ploy's own credentials")),
    ("vpc endpoint policy", _of_ours("The policy of a VPC endpoint in Ploy's own network")),
)
"""Words of AWS's denials that say who denied it. In most there are none (AWS.md section 4).

Who calls across accounts is bound by the policies of its own account, and the role by its trust policy and by those for
resources (IAM user guide, "Cross-account policy evaluation logic").
"""

_OWN_CREDENTIALS_WRONG = (
    "AWS rejected Ploy's own credentials, before the role was looked at; nothing is wrong with the role.",
    "The operator of the connector must renew its AWS credentials and check its clock.",
)
_ROLE_REFUSES_REQUEST = (
    "AWS does not take the request to assume the role: its maximum session duration may be under one hour.",
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
    "ValidationError": _ROLE_REFUSES_REQUEST,
    "RegionDisabledException": (
        "AWS STS is switched off for the AWS account in the Region of the settings, or the Region is not enabled.",
        "Enable the Region and STS in it for the AWS account, or name another Region in the settings.",
    ),
}
