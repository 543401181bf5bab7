"""Converts AWS's errors: each becomes one error of the hook specification, with a message and a fix.

Messages never repeat AWS's own text: it may quote the session token or the external ID.
"""

from __future__ import annotations

from collections.abc import Callable

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from ploy_connector_aws.aws.permissions import KMS_DECRYPT, render_statement
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)

from .api_errors import (
    NAMED_BY_CODE,
    SERVER_CODES,
    SIGNATURE_CODES,
    THROTTLED_CODES,
    ApiCall,
    ErrorMeaning,
    ErrorResponse,
    missing_resource,
)
from .assume_role import assume_role_failed
from .response_check import FLAWED_FIX, FLAWS

_SCP_FIX = "A person who manages the organization must let the role's calls through that policy."


class DeniedByOtherPolicyError(PermissionDeniedError):
    """AWS states that something other than a missing Allow in the role's own policies denied the call."""


class DeniedByOrganizationError(DeniedByOtherPolicyError):
    """The organization or a VPC endpoint denied the call; no change of the role fixes that."""


class RegionNotEnabledError(AuthenticationError):
    """AWS does not know the credentials in one Region: the Region is not enabled, or they were revoked."""


class NotAppliedError(TemporaryError):
    """The call certainly had no effect, and may have one when it is repeated: AWS throttles or is busy."""


class AlreadyExistsError(TemporaryError):
    """AWS created nothing, as it already exists. It may be gone again a moment later."""


def to_connector_error(error: Exception, call: ApiCall) -> ConnectorError:
    """Convert an exception of a call to an error of the hook specification.

    Args:
        error: The exception of botocore, or of anything below it.
        call: The call.
    """
    if isinstance(error, ConnectorError):
        return error
    if isinstance(error, ClientError):
        response = ErrorResponse.from_error(error)
        # botocore fetches credentials inside the next call, so AssumeRole can fail inside any call.
        if error.operation_name == "AssumeRole":
            return assume_role_failed(response)
        return _MEANINGS.get(response.code, _UNKNOWN_ERROR)(response, call)
    if isinstance(error, _OWN_CREDENTIALS_MISSING):
        return AuthenticationError(
            "Ploy's own AWS credentials could not be found or are incomplete, so the role was not requested.",
            fix="The operator of the connector must provide AWS credentials by one of AWS's standard methods.",
        )
    if isinstance(error, botocore_errors.ParamValidationError):
        return _invalid_request(call)
    if isinstance(error, BotoCoreError):
        what, fix = next(
            ((what, fix) for kinds, what, fix in _CONNECTION_ERRORS if isinstance(error, kinds)),
            (f"failed ({type(error).__name__})", None),
        )
        return TemporaryError(f"{call} {what}.", fix=fix)
    return TemporaryError(f"The response to {call} could not be parsed ({type(error).__name__}).")


def _denied(response: ErrorResponse, call: ApiCall) -> ConnectorError:
    # identitystore returns KMS_ACCESS_DENIED, sso-admin KMS_AccessDeniedException (botocore's service models).
    if response.reason.startswith("KMS") or KMS_DECRYPT in response.text:
        return PermissionDeniedError(
            f"AWS denied {call} because the role may not use the customer managed key that encrypts "
            "IAM Identity Center.",
            actions=(KMS_DECRYPT,),
            fix=f"Add this statement to the role's policy, and let the key's policy allow the role: "
            f"{render_statement([KMS_DECRYPT])}",
            request_id=response.request_id,
        )
    action = call.iam_action
    kind, cause, fix = next(
        ((kind, cause, fix) for phrase, kind, cause, fix in _DENIED_ELSEWHERE if phrase in response.text.lower()),
        (PermissionDeniedError, None, f"Add this statement to the role's policy: {render_statement([action])}"),
    )
    if cause is None and action.startswith("sso:") and action != "sso:ListInstances":
        # AWS.md 3.1: a plain member account is denied whatever its policies say.
        fix += (
            ". If the statement is there already: AWS allows this call only to the organization's management account "
            "or a delegated administrator of IAM Identity Center"
        )
    if cause is None and action.startswith("organizations:"):
        fix += (
            ". If the statement is there already: AWS allows this call only to the organization's management account "
            "or a delegated administrator of a service; elsewhere, enter the names in the settings"
        )
    because = f" by {cause}" if cause else ""
    return kind(
        f"The role may not call {action}: AWS denied it{because}.",
        actions=(action,),
        fix=fix,
        request_id=response.request_id,
    )


_DENIED_ELSEWHERE: tuple[tuple[str, type[PermissionDeniedError], str | None, str], ...] = (
    ("service control policy", DeniedByOrganizationError, "a service control policy of the organization", _SCP_FIX),
    ("resource control policy", DeniedByOrganizationError, "a resource control policy of the organization", _SCP_FIX),
    (
        "permissions boundary",
        DeniedByOtherPolicyError,
        "the role's permissions boundary",
        "Allow the action in the role's permissions boundary.",
    ),
    (
        "explicit deny in an identity-based policy",
        DeniedByOtherPolicyError,
        "a Deny statement in the role's own policies",
        "Remove the Deny statement from the role's policies; an Allow cannot override it.",
    ),
    (
        "vpc endpoint policy",
        DeniedByOrganizationError,
        "the policy of a VPC endpoint",
        "The operator must allow the call in the endpoint's policy.",
    ),
)
"""Phrases of AWS's denials that name another cause than a missing Allow, with the cause and the fix."""


def _not_found(response: ErrorResponse, call: ApiCall) -> ConnectorError:
    if response.reason.startswith("KMS"):
        return _key_unusable(response, call)
    kind, id_ = missing_resource(response, call)
    return NotFoundError(
        f"{call}: AWS reports that " + (f"{kind} {id_} does not exist." if id_ else "the resource does not exist."),
        kind=kind,
        id=id_,
        request_id=response.request_id,
    )


_key_unusable = ErrorMeaning(
    RejectedError,
    "{call} failed because the customer managed key that encrypts IAM Identity Center cannot be used.",
    fix="Enable or restore the key in AWS KMS.",
    reason="kms_key_unusable",
).to_error


def _invalid(response: ErrorResponse, call: ApiCall) -> ConnectorError:
    if response.reason.startswith("KMS"):
        return _key_unusable(response, call)
    return _invalid_request(call, response.request_id)


def _invalid_request(call: ApiCall, request_id: str | None = None) -> ConnectorError:
    return RejectedError(f"AWS rejected {call} as invalid.", reason="invalid_request", request_id=request_id)


def _conflict(response: ErrorResponse, call: ApiCall) -> ConnectorError:
    if response.reason == "UNIQUENESS_CONSTRAINT_VIOLATION":
        return AlreadyExistsError(f"{call}: already exists.", request_id=response.request_id)
    # identitystore returns CONCURRENT_MODIFICATION; sso-admin gives no reason, and means an earlier write in progress.
    return NotAppliedError(f"{call}: conflicting change in progress.", request_id=response.request_id)


_MEANINGS: dict[str, Callable[[ErrorResponse, ApiCall], ConnectorError]] = {
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), _denied),
    **dict.fromkeys(
        THROTTLED_CODES,
        ErrorMeaning(
            NotAppliedError,
            "AWS throttled {call}, also after all retries.",
            fix="None needed: the next sync tries again. If this continues, something else in the account uses the "
            "quota.",
        ).to_error,
    ),
    **dict.fromkeys(
        SERVER_CODES,
        ErrorMeaning(TemporaryError, "AWS had an internal error in {call}, also after all retries.").to_error,
    ),
    **dict.fromkeys(("ResourceNotFoundException", *NAMED_BY_CODE), _not_found),
    **dict.fromkeys(
        (
            "InvalidArgument",  # s3
            "InvalidParameterException",
            "InvalidParameterValue",  # ec2, rds, sqs
            "InvalidParameterValueException",  # lambda
            "ValidationError",
            "ValidationException",
        ),
        _invalid,
    ),
    **dict.fromkeys(
        (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "AuthFailure",  # ec2
            "InvalidAccessKeyId",  # s3
            "InvalidToken",  # s3
        ),
        ErrorMeaning(
            RegionNotEnabledError,
            "AWS did not recognise the session's credentials in {call}: the Region is not enabled for the AWS account, "
            "or the role's sessions were revoked.",
            fix="Enable the Region for the account, or name an enabled one in the settings.",
        ).to_error,
    ),
    **dict.fromkeys(
        SIGNATURE_CODES,
        ErrorMeaning(
            AuthenticationError,
            "AWS rejected the session's signature or token in {call}.",
            fix="Check the clock of the machine that runs the connector, then try again.",
        ).to_error,
    ),
    **{
        code: ErrorMeaning(
            TemporaryError, f"The response to {{call}} {what}, also after all retries.", fix=FLAWED_FIX
        ).to_error
        for code, what in FLAWS.items()
    },
    "ConflictException": _conflict,
    "AWSOrganizationsNotInUseException": ErrorMeaning(
        RejectedError,
        "AWS rejected {call}: the AWS account belongs to no organization.",
        fix="Switch off reading the names of AWS accounts, and enter them in the settings.",
        reason="no_organization",
    ).to_error,
    "ServiceQuotaExceededException": ErrorMeaning(
        RejectedError,
        "AWS rejected {call}: a quota of IAM Identity Center is used up.",
        fix="Free some of it, or ask AWS for a higher one; a group and a user have a limited number of memberships.",
        reason="quota_exceeded",
    ).to_error,
}

_UNKNOWN_ERROR = ErrorMeaning(TemporaryError, "AWS rejected {call} with the unknown error {code}.").to_error

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

_CONNECTION_ERRORS: tuple[tuple[tuple[type[BotoCoreError], ...], str, str | None], ...] = (
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
