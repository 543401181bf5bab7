"""Tags of resources: their conversion, the owner that they name, and reading them one resource at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.gone import DeletionConfirmer
from ploy_connector_aws.aws.identity_center.read_context import is_about
from ploy_connector_aws.aws.records import take
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
"""Names of tags that name an owner, the most reliable first, without case, separators and prefixes."""


def to_tags(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Convert a list of tags; EC2 and RDS write ``Key``, ECS writes ``key``. A tag may have no value.

    The result is sorted: AWS documents no order, and another one must not look like a change.

    Raises:
        TemporaryError: A tag has no name.
    """
    tags = (
        (take(row, "key" if "key" in row else "Key", "a tag"), row.get("Value", row.get("value", ""))) for row in rows
    )
    return dict(sorted(tags))


def find_owner(tags: Mapping[str, str]) -> str | None:
    """Return the owner that the tags name; None if they name none."""
    named = {_plain(name): value.strip() for name, value in sorted(tags.items(), reverse=True) if value.strip()}
    return next((named[name] for name in OWNER_TAGS if name in named), None)


def _plain(name: str) -> str:
    # Companies prefix their name: "acme:owner", "acme.example/owner".
    return re.sub(r"[^a-z0-9]", "", re.split(r"[:/]", name.lower())[-1])


@dataclass
class SingleTags:
    """Reads the tags of resources one by one, if their description lacks them.

    Args:
        client: The client of the service.
        operation: The call, in AWS's own spelling.
        parameter: The call's parameter for the resource's ARN.
        member: The member of the response that holds the tags.
        kind: The kind of resource in AWS's not-found error.
        deletion_confirmer: For the list that the resources are from.
        read_ids: Reads that list again.
    """

    client: BaseClient
    operation: str
    parameter: str
    member: str
    kind: str
    deletion_confirmer: DeletionConfirmer
    read_ids: Callable[[], Iterable[str]]
    _error: ConnectorError | None = field(default=None, init=False)

    def read(self, arn: str) -> list[dict[str, Any]] | None:
        """Read the tags of one resource; None if that failed, and ``check`` raises why.

        Raises:
            NotFoundError: This resource does not exist, and is no longer listed.
            AuthenticationError: Nothing else can be read either.
        """
        if isinstance(self._error, PermissionDeniedError):
            # The permission is missing for the next ones, too.
            return None
        try:
            rows = read(self.client, self.operation, **{self.parameter: arn}).get(self.member)
            if not isinstance(rows, list):
                raise TemporaryError(f"The response to {self.operation} has no {self.member}.")
        except AuthenticationError:
            raise
        except ConnectorError as error:
            if isinstance(error, NotFoundError) and is_about(error, self.kind, arn):
                uncertainty = self._find_uncertainty(arn)
                if uncertainty is None:
                    raise
                error = uncertainty
            self._error = self._error or error
            return None
        return rows

    def _find_uncertainty(self, arn: str) -> ConnectorError | None:
        """Return why a resource that AWS reported missing may exist all the same."""
        try:
            self.deletion_confirmer.confirm_gone(arn, self.read_ids)
        except AuthenticationError:
            raise
        except ConnectorError as error:
            return error
        return None

    def check(self) -> None:
        """Raise, once everything else was read, if some tags could not be read.

        Raises:
            ConnectorError: The first error.
        """
        if self._error is not None:
            raise self._error
