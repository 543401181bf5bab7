"""How every AWS call is made: errors in the words of the specification, lists page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient

from ploy_connector_aws.spec import TemporaryError

from .api_errors import Call
from .errors import to_connector_error
from .shapes import find_wrong_type


@dataclass(frozen=True)
class Paging:
    """How a service cuts its lists: the names of the parameters, and the most that it gives at once."""

    size: str
    most: int
    token: str
    next_token: str
    more: str | None = None
    """The member that says whether there is more, where the token alone does not."""


DEFAULT_PAGING = Paging("MaxResults", 100, "NextToken", "NextToken")
"""As identitystore and sso-admin have it."""

PAGING_OF_SERVICE: dict[str, Paging] = {
    "dynamodb": Paging("Limit", 100, "ExclusiveStartTableName", "LastEvaluatedTableName"),
    # Without a size EC2 counts the call against a smaller quota (AWS.md section 2.1).
    "ec2": Paging("MaxResults", 1000, "NextToken", "NextToken"),
    "ecs": Paging("maxResults", 100, "nextToken", "nextToken"),
    # AWS.md section 1.1; IAM may give fewer than asked for although there are more.
    "iam": Paging("MaxItems", 1000, "Marker", "Marker", "IsTruncated"),
    # Lambda takes 10,000 and gives 50 (AWS.md section 1.1).
    "lambda": Paging("MaxItems", 50, "Marker", "NextMarker"),
    "rds": Paging("MaxRecords", 100, "Marker", "Marker"),
    # Without a parameter S3 leaves out the buckets' Regions (AWS.md section 1.2). It would give 10,000 at once.
    "s3": Paging("MaxBuckets", 1000, "ContinuationToken", "ContinuationToken"),
    # Without a size SQS cuts the list at 1,000 and gives no token (AWS.md section 1.2).
    "sqs": Paging("MaxResults", 1000, "NextToken", "NextToken"),
}
"""By service, where it differs."""


def read(client: BaseClient, operation: str, **parameters: Any) -> dict[str, Any]:
    """Make one call that changes nothing; else as ``call``."""
    return call(client, operation, **parameters)


def call(client: BaseClient, operation: str, **parameters: Any) -> dict[str, Any]:
    """Make one call.

    Args:
        client: The client of the service.
        operation: The call's name in AWS's own spelling, e.g. ``ListUsers``.
        parameters: The call's parameters.

    Raises:
        ConnectorError: Whatever went wrong.
    """
    called = Call(client.meta.service_model.service_name, operation, parameters)
    try:
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
    except Exception as error:  # noqa: BLE001 - a strange answer makes botocore's parsers raise anything at all
        failure = to_connector_error(error, called)
    else:
        shape = client.meta.service_model.operation_model(operation).output_shape
        wrong = find_wrong_type(answer, shape) if shape else None
        if wrong is None:
            return answer
        failure = TemporaryError(
            f"The answer to the call {called} cannot be understood: its {wrong} is of another type than AWS documents.",
            request_id=find_request_id(answer),
        )
    # Outside of the except block, as AWS's own text may hold secrets and must not come along as the context.
    raise failure


def read_pages(client: BaseClient, operation: str, member: str, **parameters: Any) -> Iterator[list[Any]]:
    """Read a list to its end, page by page. A page that is empty but has a token is not the end.

    Args:
        client: The client of the service.
        operation: The call's name in AWS's own spelling.
        member: The member of the answer that holds the list.
        parameters: The call's parameters, without those for paging.

    Raises:
        ConnectorError: Whatever went wrong; an answer without the list, and a token that was seen before, too.
    """
    for answer in read_answers(client, operation, (member,), **parameters):
        yield answer[member]


def read_answers(
    client: BaseClient, operation: str, members: tuple[str, ...], **parameters: Any
) -> Iterator[dict[str, Any]]:
    """Read lists that share one token to their end, answer by answer.

    Args:
        client: The client of the service.
        operation: The call's name in AWS's own spelling.
        members: The members of an answer that may hold a list; each answer has at least one of them.
        parameters: The call's parameters, without those for paging.

    Raises:
        ConnectorError: Whatever went wrong; an answer without a list, and a token that is missing or was seen before,
            too.
    """
    paging = PAGING_OF_SERVICE.get(client.meta.service_model.service_name, DEFAULT_PAGING)
    seen: set[bytes] = set()
    token: dict[str, str] = {}
    while True:
        answer = read(client, operation, **parameters, **{paging.size: paging.most}, **token)
        if not any(isinstance(answer.get(member), list) for member in members):
            # An empty list is an answer; no list is none, and would look as if everything had been deleted.
            raise TemporaryError(
                f"The answer to the call {operation} has no {' or '.join(members)}.", request_id=find_request_id(answer)
            )
        yield answer
        next_token = answer.get(paging.next_token)
        has_more = answer.get(paging.more, next_token) if paging.more else next_token
        if not has_more:
            return
        if not next_token:
            raise TemporaryError(
                f"AWS said that {operation} has more to give, but not how to go on.", request_id=find_request_id(answer)
            )
        digest = blake2b(next_token.encode(), digest_size=16).digest()
        if digest in seen:
            raise TemporaryError(
                f"AWS gave the same page of {operation} again, so the list has no end.",
                request_id=find_request_id(answer),
            )
        seen.add(digest)
        token = {paging.token: next_token}


def find_request_id(answer: dict[str, Any]) -> str | None:
    """Find AWS's id of the request that was answered."""
    request_id = answer.get("ResponseMetadata", {}).get("RequestId")
    return str(request_id) if request_id else None
