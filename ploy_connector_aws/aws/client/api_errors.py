"""An error answer of AWS and the call it belongs to: what decides its meaning, and what it says is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ploy_connector_aws.aws.permissions import find_action
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
"""Every code that means "too many calls" (AWS.md section 2.2 and botocore's standard retries)."""

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
"""Codes that mean trouble on AWS's side."""


LONGEST_PAUSE_SECONDS = 300
"""AWS's quotas refill within seconds (AWS.md section 2.1): a longer pause than this is not believed."""

NAMED_BY_CODE = {
    "DBInstanceNotFound": ("DB_INSTANCE", "ResourceName"),
    "ClusterNotFoundException": ("CLUSTER", "resourceArn"),
}
"""Codes that say what kind of thing does not exist, with the parameter that named the only one asked about."""


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
class Answer:
    """The parts of an error answer that decide what it means. Codes decide, never the HTTP status (AWS.md 1.5)."""

    code: str
    reason: str
    text: str
    body: Mapping[str, Any]
    request_id: str | None

    @property
    def retry_after_seconds(self) -> float | None:
        """How long AWS asks to wait; only identitystore says it in the body."""
        return to_pause_seconds(self.body.get("RetryAfterSeconds"), LONGEST_PAUSE_SECONDS)

    @classmethod
    def from_error(cls, error: ClientError) -> Answer:
        """Take an answer out of botocore's exception."""
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


_NOT_FOUND_WORDS = frozenset(
    {"a", "an", "arn", "be", "cannot", "could", "does", "exist", "exists", "find", "found", "id", "is", "no", "not"}
    | {"such", "the", "was", "with"}
)

_ASKED: tuple[tuple[str, str | None, frozenset[str]], ...] = (
    ("PrincipalId", None, frozenset({"principal"})),  # a USER or a GROUP, whichever was asked about
    ("PermissionSetArn", "PERMISSION_SET", frozenset({"permission", "permissionset", "set"})),
    ("InstanceArn", "INSTANCE", frozenset({"instance"})),
)
"""Parameters that name one thing, the kind of the thing, and the words for it."""


def find_missing(answer: Answer, call: Call) -> tuple[str | None, str | None]:
    """Tell what exactly a not-found says does not exist: its kind, and its id as it was asked for.

    identitystore has fields for it, and rds and ecs have codes. sso-admin at best names it in its text, of which AWS
    documents nothing. It is believed only where it says of that one thing that it is not found, and not a word more: in
    "instance A was not found for principal B" and "the directory of user B does not exist", B may well exist.
    """
    kind, id_ = answer.body.get("ResourceType"), answer.body.get("ResourceId")
    if kind or id_:
        return str(kind) if kind else None, str(id_).rpartition("/")[2] if id_ else None
    if answer.code in NAMED_BY_CODE:
        kind, parameter = NAMED_BY_CODE[answer.code]
        return kind, call.parameters.get(parameter)
    for parameter, fixed_kind, words in _ASKED:
        asked = call.parameters.get(parameter)
        if not asked:
            continue
        kind = fixed_kind or str(call.parameters.get("PrincipalType"))
        rest = _without(_without(answer.text, asked), asked.rpartition("/")[2])
        if rest != answer.text and set(re.findall(r"\w+", rest.lower())) <= _NOT_FOUND_WORDS | words | {kind.lower()}:
            return kind, asked
    return None, None


def _without(text: str, name: str) -> str:
    """Take a name out of a text, wherever it is not a part of a longer one."""
    rest, at = "", 0
    while name and (found := text.find(name, at)) >= 0:
        end = found + len(name)
        is_part = _is_of_a_name(text[max(found - 1, 0) : found]) or _is_of_a_name(text[end : end + 1])
        rest += text[at:found] + (name if is_part else " ")
        at = end
    return rest + text[at:]


def _is_of_a_name(character: str) -> bool:
    return character.isalnum() or character in ("_", "-")
