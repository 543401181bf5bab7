"""What AWS's errors mean: each becomes one error of the hook specification, in one sentence, with its fix.

AWS's own text is never repeated: a rejected signature quotes the session token, a rejected parameter the external id.
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

from .api_errors import NAMED_BY_CODE, SERVER_CODES, THROTTLED_CODES, Answer, Call, find_missing
from .assume_role import assume_role_failed
from .response_check import FLAWED_FIX, FLAWS

_SCP_FIX = "A person who manages the organization must let the role's calls through that policy."


class DeniedByOtherPolicyError(PermissionDeniedError):
    """A call was denied, and AWS says by what: something else than that the role's own policies do not allow it."""


class DeniedByOrganizationError(DeniedByOtherPolicyError):
    """A call was denied by something that no change of the role mends."""


class RegionNotEnabledError(AuthenticationError):
    """AWS does not know the credentials in one Region: it is not enabled for the account, or they were revoked."""


class NotAppliedError(TemporaryError):
    """What was asked had no effect for certain, but may have later: AWS turned it away as it throttles or is busy."""


class AlreadyExistsError(TemporaryError):
    """AWS did not make what was asked for, as it is there already. It may be gone again a moment later."""


def to_connector_error(error: Exception, call: Call) -> ConnectorError:
    """Say in the words of the hook specification what went wrong with a call.

    Args:
        error: What botocore, or anything below it, raised.
        call: What was being called.
    """
    if isinstance(error, ConnectorError):
        return error
    if isinstance(error, ClientError):
        answer = Answer.from_error(error)
        # Credentials are fetched inside whatever call comes next, so the role can be refused inside any call.
        if error.operation_name == "AssumeRole":
            return assume_role_failed(answer)
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


def _denied(answer: Answer, call: Call) -> ConnectorError:
    # identitystore says KMS_ACCESS_DENIED, sso-admin KMS_AccessDeniedException (botocore's service models).
    if answer.reason.startswith("KMS") or KMS_DECRYPT in answer.text:
        return PermissionDeniedError(
            f"The call {call} was denied because the role may not use the customer managed key that encrypts "
            "IAM Identity Center.",
            actions=(KMS_DECRYPT,),
            fix=f"Add this statement to the role's policy, and let the key's policy allow the role: "
            f"{render_statement([KMS_DECRYPT])}",
            request_id=answer.request_id,
        )
    action = call.iam_action
    kind, cause, fix = next(
        ((kind, cause, fix) for words, kind, cause, fix in _DENIED_ELSEWHERE if words in answer.text.lower()),
        (PermissionDeniedError, None, f"Add this statement to the role's policy: {render_statement([action])}"),
    )
    if cause is None and action.startswith("sso:") and action != "sso:ListInstances":
        # AWS.md 3.1: a plain member account is denied whatever its policies say.
        fix += (
            ". If it is there already: AWS allows this call only to the organization's management account or a "
            "delegated administrator of IAM Identity Center"
        )
    because = f" by {cause}" if cause else ""
    return kind(
        f"The role may not call {action}: AWS denied it{because}.",
        actions=(action,),
        fix=fix,
        request_id=answer.request_id,
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
        "Take the Deny statement out of the role's policies; an Allow cannot outweigh it.",
    ),
    (
        "vpc endpoint policy",
        DeniedByOrganizationError,
        "the policy of a VPC endpoint",
        "The operator must allow the call in the endpoint's policy.",
    ),
)
"""Words of AWS's denials that name another place than the role's own policy, with the place and the fix."""


def _throttled(answer: Answer, call: Call) -> ConnectorError:
    return NotAppliedError(
        f"AWS throttled the call {call}, also after all retries.",
        retry_after_seconds=answer.retry_after_seconds,
        fix="Nothing: the next sync tries again. If it stays, something else in the account uses up the quota.",
        request_id=answer.request_id,
    )


def _server_trouble(answer: Answer, call: Call) -> ConnectorError:
    return TemporaryError(
        f"AWS had an internal error in the call {call}, also after all retries.",
        retry_after_seconds=answer.retry_after_seconds,
        request_id=answer.request_id,
    )


def _not_found(answer: Answer, call: Call) -> ConnectorError:
    if answer.reason.startswith("KMS"):
        return _key_unusable(answer, call)
    kind, id_ = find_missing(answer, call)
    return NotFoundError(
        f"AWS says that what {call} asked about does not exist" + (f" ({kind} {id_})." if id_ else "."),
        kind=kind,
        id=id_,
        request_id=answer.request_id,
    )


def _key_unusable(answer: Answer, call: Call) -> ConnectorError:
    return RejectedError(
        f"The call {call} failed because the customer managed key that encrypts IAM Identity Center cannot be used.",
        reason="kms_key_unusable",
        fix="Enable or restore the key in AWS KMS.",
        request_id=answer.request_id,
    )


def _invalid(answer: Answer, call: Call) -> ConnectorError:
    return _key_unusable(answer, call) if answer.reason.startswith("KMS") else _invalid_request(call, answer.request_id)


def _invalid_request(call: Call, request_id: str | None = None) -> ConnectorError:
    return RejectedError(
        f"AWS does not take the call {call} as it was made.", reason="invalid_request", request_id=request_id
    )


def _credentials_unknown(answer: Answer, call: Call) -> ConnectorError:
    return RegionNotEnabledError(
        f"AWS did not know the session's credentials in the call {call}: the Region is not enabled for the AWS "
        "account, or the role's sessions were revoked.",
        fix="Enable the Region for the account, or name an enabled one in the settings.",
        request_id=answer.request_id,
    )


def _credentials_rejected(answer: Answer, call: Call) -> ConnectorError:
    return AuthenticationError(
        f"AWS rejected the session's signature or token in the call {call}.",
        fix="Check the clock of the machine that runs the connector, then try again.",
        request_id=answer.request_id,
    )


def _conflict(answer: Answer, call: Call) -> ConnectorError:
    if answer.reason == "UNIQUENESS_CONSTRAINT_VIOLATION":
        return AlreadyExistsError(f"What {call} was to make is there already.", request_id=answer.request_id)
    # identitystore says CONCURRENT_MODIFICATION; sso-admin says nothing, and means a write that is still spreading.
    return NotAppliedError(f"AWS was changing what {call} asked about.", request_id=answer.request_id)


def _quota_exceeded(answer: Answer, call: Call) -> ConnectorError:
    return RejectedError(
        f"AWS refused the call {call}, as a quota of IAM Identity Center is used up.",
        reason="quota_exceeded",
        fix="Make room, or ask AWS for a higher quota; a group and a user can have so many memberships only.",
        request_id=answer.request_id,
    )


def _flawed(answer: Answer, call: Call) -> ConnectorError:
    return TemporaryError(
        f"The answer to the call {call} {FLAWS[answer.code]}, also after all retries.",
        fix=FLAWED_FIX,
        request_id=answer.request_id,
    )


def _unknown_answer(answer: Answer, call: Call) -> ConnectorError:
    return TemporaryError(f"AWS answered the call {call} with an error ({answer.code}).", request_id=answer.request_id)


_MEANINGS: dict[str, Callable[[Answer, Call], ConnectorError]] = {
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), _denied),
    **dict.fromkeys(THROTTLED_CODES, _throttled),
    **dict.fromkeys(SERVER_CODES, _server_trouble),
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
        _credentials_unknown,
    ),
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
    **dict.fromkeys(FLAWS, _flawed),
    "ConflictException": _conflict,
    "ServiceQuotaExceededException": _quota_exceeded,
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
