"""Makes every AWS call, converts its errors to those of the specification, and isolates them to a scope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient

from ploy_connector_aws.spec import AuthenticationError, Failure, Page, TemporaryError

from .api_errors import ApiCall
from .errors import to_connector_error
from .shapes import find_wrong_type


@dataclass(frozen=True)
class Paging:
    """How a service pages its lists: the names of the members, and the largest page."""

    size: str
    most: int
    token: str
    next_token: str
    more: str | None = None
    """The member that states whether there is more, where the token alone does not."""


DEFAULT_PAGING = Paging("MaxResults", 100, "NextToken", "NextToken")
"""That of identitystore and sso-admin."""

PAGING_OF_SERVICE: dict[str, Paging] = {
    "dynamodb": Paging("Limit", 100, "ExclusiveStartTableName", "LastEvaluatedTableName"),
    # Without a size EC2 counts the call against a smaller quota (AWS.md section 2.1).
    "ec2": Paging("MaxResults", 1000, "NextToken", "NextToken"),
    "ecs": Paging("maxResults", 100, "nextToken", "nextToken"),
    # AWS.md section 1.1; IAM may return fewer than requested although there are more.
    "iam": Paging("MaxItems", 1000, "Marker", "Marker", "IsTruncated"),
    # Lambda accepts 10,000 and returns 50 (AWS.md section 1.1).
    "lambda": Paging("MaxItems", 50, "Marker", "NextMarker"),
    "organizations": Paging("MaxResults", 20, "NextToken", "NextToken"),
    "rds": Paging("MaxRecords", 100, "Marker", "Marker"),
    # Without a parameter S3 omits the buckets' Regions (AWS.md section 1.2). It would return 10,000 at once.
    "s3": Paging("MaxBuckets", 1000, "ContinuationToken", "ContinuationToken"),
    # Without a size SQS truncates the list at 1,000 and returns no token (AWS.md section 1.2).
    "sqs": Paging("MaxResults", 1000, "NextToken", "NextToken"),
}
"""By service, where it differs from the default."""


def read(client: BaseClient, operation: str, **parameters: Any) -> dict[str, Any]:
    """Make one call that changes nothing; otherwise like ``call``."""
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
    api_call = ApiCall(client.meta.service_model.service_name, operation, parameters)
    try:
        response: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
    except Exception as error:  # noqa: BLE001 - botocore's parsers may raise anything on an unexpected response
        failure = to_connector_error(error, api_call)
    else:
        shape = client.meta.service_model.operation_model(operation).output_shape
        wrong = find_wrong_type(response, shape) if shape else None
        if wrong is None:
            return response
        failure = TemporaryError(
            f"The response to {api_call} cannot be parsed: its {wrong} has another type than AWS documents.",
            request_id=find_request_id(response),
        )
    # Outside of the except block: AWS's own text may hold secrets and must not become the exception's context.
    raise failure


def read_pages(client: BaseClient, operation: str, member: str, **parameters: Any) -> Iterator[list[Any]]:
    """Read a list to its end, page by page. A page that is empty but has a token is not the end.

    Args:
        client: The client of the service.
        operation: The call's name in AWS's own spelling.
        member: The member of the response that holds the list.
        parameters: The call's parameters, without those for paging.

    Raises:
        ConnectorError: Any failure, including a response without the list and a repeated token.
    """
    for response in read_responses(client, operation, (member,), **parameters):
        yield response[member]


def read_responses(
    client: BaseClient, operation: str, members: tuple[str, ...], **parameters: Any
) -> Iterator[dict[str, Any]]:
    """Read lists that share one token to their end, response by response.

    Args:
        client: The client of the service.
        operation: The call's name in AWS's own spelling.
        members: The members of a response that may hold a list; each response has at least one of them.
        parameters: The call's parameters, without those for paging.

    Raises:
        ConnectorError: Any failure, including a response without a list and a missing or repeated token.
    """
    paging = PAGING_OF_SERVICE.get(client.meta.service_model.service_name, DEFAULT_PAGING)
    seen: set[bytes] = set()
    token: dict[str, str] = {}
    while True:
        response = read(client, operation, **parameters, **{paging.size: paging.most}, **token)
        if not any(isinstance(response.get(member), list) for member in members):
            # An empty list is a result; a missing list is none, and would look as if everything had been deleted.
            raise TemporaryError(
                f"The response to {operation} has no {' or '.join(members)}.", request_id=find_request_id(response)
            )
        yield response
        next_token = response.get(paging.next_token)
        has_more = response.get(paging.more, next_token) if paging.more else next_token
        if not has_more:
            return
        if not next_token:
            raise TemporaryError(
                f"The response to {operation} is truncated, but has no token.", request_id=find_request_id(response)
            )
        digest = blake2b(next_token.encode(), digest_size=16).digest()
        if digest in seen:
            raise TemporaryError(
                f"AWS repeated a page of {operation}, so the list has no end.",
                request_id=find_request_id(response),
            )
        seen.add(digest)
        token = {paging.token: next_token}


def isolate_failure(scope: str, pages: Iterator[Page]) -> Iterator[Page]:
    """Turn an error of a scope into a failure of that scope alone.

    Args:
        scope: The scope of the pages.
        pages: The pages; the scope is announced before they can fail.

    Raises:
        AuthenticationError: Nothing else can be read either.
    """
    try:
        yield from pages
    except AuthenticationError:
        raise
    except Exception as error:  # noqa: BLE001 - no error proves anything about the other scopes
        yield Page(scope=scope, failure=Failure.from_error(error))


def find_request_id(response: dict[str, Any]) -> str | None:
    """Find AWS's id of the request."""
    request_id = response.get("ResponseMetadata", {}).get("RequestId")
    return str(request_id) if request_id else None
