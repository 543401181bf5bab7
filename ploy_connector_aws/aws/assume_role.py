"""What it means when AWS does not let Ploy assume the customer's role."""

from __future__ import annotations

from ploy_connector_aws.config import PLOY_ACCOUNT_ID
from ploy_connector_aws.spec import AuthenticationError, ConnectorError, TemporaryError

from .answers import SERVER_CODES, THROTTLED_CODES, Answer


def assume_role_failed(answer: Answer) -> ConnectorError:
    """Say why the role could not be assumed."""
    if answer.code in THROTTLED_CODES:
        return TemporaryError("AWS throttled the request to assume the role.", request_id=answer.request_id)
    if answer.code in SERVER_CODES:
        return TemporaryError("AWS had an internal error in assuming the role.", request_id=answer.request_id)
    message, fix = _FAILURES.get(answer.code, (f"The role could not be assumed ({answer.code}).", None))
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

_FAILURES: dict[str, tuple[str, str | None]] = {
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
