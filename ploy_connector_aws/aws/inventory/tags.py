"""Tags as AWS writes them, the owner they name, and the last way to read them: one thing at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.gone import ListedAgain
from ploy_connector_aws.aws.identity_center.read_context import is_about
from ploy_connector_aws.aws.scopes import take
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    TemporaryError,
)

OWNER_TAGS = (
    "owner",
    "owneremail",
    "ownername",
    "ownedby",
    "resourceowner",
    "serviceowner",
    "applicationowner",
    "appowner",
    "technicalowner",
    "techowner",
    "businessowner",
    "dataowner",
    "maintainer",
    "maintainedby",
    "team",
    "teamname",
    "owningteam",
    "squad",
    "contact",
    "contactemail",
)
"""Names of tags that say who a thing belongs to, the surest first, without case, separators and prefixes."""


def to_tags(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Convert a list of tags; EC2 and RDS write ``Key``, ECS writes ``key``. A tag may have no value.

    They are sorted: AWS documents no order, and another one must not look like a change.

    Raises:
        TemporaryError: A tag has no name.
    """
    tags = (
        (take(row, "key" if "key" in row else "Key", "a tag"), row.get("Value", row.get("value", ""))) for row in rows
    )
    return dict(sorted(tags))


def find_owner(tags: Mapping[str, str]) -> str | None:
    """Tell who the tags say a thing belongs to; None where they do not say."""
    named = {_plain(name): value.strip() for name, value in sorted(tags.items(), reverse=True) if value.strip()}
    return next((named[name] for name in OWNER_TAGS if name in named), None)


def _plain(name: str) -> str:
    # Companies put their name before it: "acme:owner", "acme.example/owner".
    return re.sub(r"[^a-z0-9]", "", re.split(r"[:/]", name.lower())[-1])


@dataclass
class SingleTags:
    """Asks for the tags of one thing after the other, for those whose description came without.

    Args:
        client: The client of the service.
        operation: The call, in AWS's own spelling.
        parameter: The call's parameter for the thing's ARN.
        member: The member of the answer that holds the tags.
        kind: What the thing is called where AWS says that it does not exist.
        listed_again: The list that the things are from.
        read_ids: Reads that list again.
    """

    client: BaseClient
    operation: str
    parameter: str
    member: str
    kind: str
    listed_again: ListedAgain
    read_ids: Callable[[], Iterable[str]]
    _error: ConnectorError | None = field(default=None, init=False)

    def read(self, arn: str) -> list[dict[str, Any]] | None:
        """Read the tags of one thing; None where that was not possible, and ``check`` says why.

        Raises:
            NotFoundError: AWS says that this very thing does not exist, and lists it no more.
            AuthenticationError: Nothing else can be read either.
        """
        if isinstance(self._error, PermissionDeniedError):
            # It would be missing for the next ones, too.
            return None
        try:
            rows = read(self.client, self.operation, **{self.parameter: arn}).get(self.member)
            if not isinstance(rows, list):
                raise TemporaryError(f"The answer to the call {self.operation} has no {self.member}.")
        except AuthenticationError:
            raise
        except ConnectorError as error:
            if isinstance(error, NotFoundError) and is_about(error, self.kind, arn):
                doubt = self._doubt(arn)
                if doubt is None:
                    raise
                error = doubt
            self._error = self._error or error
            return None
        return rows

    def _doubt(self, arn: str) -> ConnectorError | None:
        """Why a thing that AWS said does not exist may exist all the same."""
        try:
            self.listed_again.confirm_gone(arn, self.read_ids)
        except AuthenticationError:
            raise
        except ConnectorError as error:
            return error
        return None

    def check(self) -> None:
        """Say, once everything else was read, that some tags were not.

        Raises:
            ConnectorError: Why the first of them was not.
        """
        if self._error is not None:
            raise self._error
