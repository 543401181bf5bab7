"""How every AWS call is made: errors in the words of the specification, lists page by page."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient

from ploy_connector_aws.spec import TemporaryError

from .answers import Call
from .errors import to_connector_error

PAGE_SIZE = 100
"""The most that identitystore and sso-admin give at once."""


def read(client: BaseClient, operation: str, **parameters: Any) -> dict[str, Any]:
    """Make one call.

    Args:
        client: The client of the service.
        operation: The call's name in AWS's own spelling, e.g. ``ListUsers``.
        parameters: The call's parameters.

    Raises:
        ConnectorError: Whatever went wrong.
    """
    call = Call(client.meta.service_model.service_name, operation, parameters)
    try:
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
    except Exception as error:  # noqa: BLE001 - a strange answer makes botocore's parsers raise anything at all
        failure = to_connector_error(error, call)
    else:
        return answer
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
    seen: set[bytes] = set()
    token: dict[str, str] = {}
    while True:
        answer = read(client, operation, **parameters, MaxResults=PAGE_SIZE, **token)
        if not isinstance(answer.get(member), list):
            # An empty list is an answer; no list is none, and would look as if everything had been deleted.
            raise TemporaryError(f"The answer to the call {operation} has no {member}.", request_id=_request_id(answer))
        yield answer[member]
        next_token = answer.get("NextToken")
        if not next_token:
            return
        digest = blake2b(next_token.encode(), digest_size=16).digest()
        if digest in seen:
            raise TemporaryError(
                f"AWS gave the same page of {operation} again, so the list has no end.", request_id=_request_id(answer)
            )
        seen.add(digest)
        token = {"NextToken": next_token}


def _request_id(answer: dict[str, Any]) -> str | None:
    request_id = answer.get("ResponseMetadata", {}).get("RequestId")
    return str(request_id) if request_id else None
