"""A failed API call and AWS's error response: what a code means, and which resource is reported missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ploy_connector_aws.aws.permissions import find_action
from ploy_connector_aws.spec import ConnectorError, TemporaryError
from ploy_connector_aws.spec.bounds import to_pause_seconds

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
"""Every code for throttling (AWS.md section 2.2 and botocore's standard retries)."""

SERVER_CODES = (
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
"""Codes for a failure on AWS's side."""

SIGNATURE_CODES = (
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
)
"""Codes for a signature or a token that AWS does not accept."""

LONGEST_PAUSE_SECONDS = 300
"""AWS's quotas refill within seconds (AWS.md section 2.1), so a longer pause is cut to this."""

NAMED_BY_CODE = {
    "DBInstanceNotFound": ("DB_INSTANCE", "ResourceName"),
    "ClusterNotFoundException": ("CLUSTER", "resourceArn"),
}
"""Codes for a missing resource, with its kind and the parameter that named the only one asked about."""


@dataclass(frozen=True)
class ApiCall:
    """One call with its parameters: names the permission it needs, and the resource that does not exist."""

    client: str
    operation: str
    parameters: Mapping[str, Any]

    def __str__(self) -> str:
        """Name the call in a message."""
        return f"{self.client}:{self.operation}"

    @property
    def iam_action(self) -> str:
        """The IAM action that allows the call."""
        action = find_action(self.client, self.operation)
        return action.iam if action else f"{self.client}:{self.operation}"


@dataclass(frozen=True)
class ErrorResponse:
    """The parts of an error response that decide its meaning. Codes decide, never the HTTP status (AWS.md 1.5)."""

    code: str
    reason: str
    text: str
    body: Mapping[str, Any]
    request_id: str | None

    @property
    def retry_after_seconds(self) -> float | None:
        """The pause that AWS asks for; only identitystore has it in the body."""
        return to_pause_seconds(self.body.get("RetryAfterSeconds"), LONGEST_PAUSE_SECONDS)

    @classmethod
    def from_error(cls, error: ClientError) -> ErrorResponse:
        """Convert botocore's exception."""
        body = error.response
        details = body.get("Error", {})
        metadata = body.get("ResponseMetadata", {})
        return cls(
            code=code if re.fullmatch(r"[\w .:-]{1,80}", code := str(details.get("Code"))) else "no code",
            reason=str(body.get("Reason", "")),
            text=str(details.get("Message", "")),
            body=body,
            request_id=metadata.get("RequestId"),
        )


@dataclass(frozen=True)
class ErrorMeaning:
    """The error of the hook specification that a code stands for."""

    kind: type[ConnectorError]
    message: str
    """``{call}`` stands for the call, and ``{code}`` for the code."""
    fix: str | None = None
    reason: str | None = None
    """That of a ``RejectedError``."""

    def to_error(self, response: ErrorResponse, call: object) -> ConnectorError:
        """Make the error of one response."""
        more: dict[str, Any] = {} if self.reason is None else {"reason": self.reason}
        if issubclass(self.kind, TemporaryError):
            more["retry_after_seconds"] = response.retry_after_seconds
        message = self.message.format(call=call, code=response.code)
        return self.kind(message, fix=self.fix, request_id=response.request_id, **more)


_NOT_FOUND_TERMS = frozenset(
    {"a", "an", "arn", "be", "cannot", "could", "does", "exist", "exists", "find", "found", "id", "is", "no", "not"}
    | {"such", "the", "was", "with"}
)

_NAMING_PARAMETERS: tuple[tuple[str, str | None, frozenset[str]], ...] = (
    ("PrincipalId", None, frozenset({"principal"})),  # a USER or a GROUP, whichever was asked about
    ("PermissionSetArn", "PERMISSION_SET", frozenset({"permission", "permissionset", "set"})),
    ("InstanceArn", "INSTANCE", frozenset({"instance"})),
)
"""Parameters that name one resource, its kind, and the terms that AWS's texts use for it."""


def missing_resource(response: ErrorResponse, call: ApiCall) -> tuple[str | None, str | None]:
    """Return the kind and the requested id of the resource that a not-found error reports missing.

    identitystore has fields for it, and rds and ecs have codes. sso-admin at best names it in its text, which AWS does
    not document. The text counts only if it states that this one resource was not found, and nothing else: in "instance
    A was not found for principal B" and "the directory of user B does not exist", B may well exist.
    """
    kind, id_ = response.body.get("ResourceType"), response.body.get("ResourceId")
    if kind or id_:
        return str(kind) if kind else None, str(id_).rpartition("/")[2] if id_ else None
    if response.code in NAMED_BY_CODE:
        kind, parameter = NAMED_BY_CODE[response.code]
        return kind, call.parameters.get(parameter)
    for parameter, fixed_kind, terms in _NAMING_PARAMETERS:
        requested = call.parameters.get(parameter)
        if not requested:
            continue
        kind = fixed_kind or str(call.parameters.get("PrincipalType"))
        rest = _without(_without(response.text, requested), requested.rpartition("/")[2])
        if rest != response.text and set(re.findall(r"\w+", rest.lower())) <= _NOT_FOUND_TERMS | terms | {kind.lower()}:
            return kind, requested
    return None, None


def _without(text: str, name: str) -> str:
    """Remove a name from a text, except where it is part of a longer name."""
    rest, at = "", 0
    while name and (found := text.find(name, at)) >= 0:
        end = found + len(name)
        is_part = _is_name_character(text[max(found - 1, 0) : found]) or _is_name_character(text[end : end + 1])
        rest += text[at:found] + (name if is_part else " ")
        at = end
    return rest + text[at:]


def _is_name_character(character: str) -> bool:
    return character.isalnum() or character in ("_", "-")
