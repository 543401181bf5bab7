"""What the readers of one instance share: its clients, what was read so far, and how a deletion is confirmed."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read, read_pages
from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.gone import DeletionConfirmer, contradiction_error
from ploy_connector_aws.aws.policy.effective_permissions import ManagedPolicies
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.records import take
from ploy_connector_aws.aws.spool import Spool
from ploy_connector_aws.spec import NotFoundError

from .instance import Instance
from .read_ahead import ReadAhead

Missing = Literal["USER", "GROUP", "PERMISSION_SET"]
"""What a call reports missing, in AWS's terms."""


class KeyedLock:
    """One lock per id, so that concurrent readers describe each user and permission set once."""

    def __init__(self) -> None:
        self._creating = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, id_: str) -> threading.Lock:
        """Return the lock of one id: the same one to every thread."""
        with self._creating:
            return self._locks[id_]


@dataclass(frozen=True)
class ReadContext:
    """One read of one instance."""

    session: ReadSession
    instance: Instance
    spool: Spool
    managed_policies: ManagedPolicies | None = None
    """What managed policies allow, by IAM or by the connector's copy; None: permission sets are not judged."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """On permission sets, by ARN. An instance has at most 3,500 of them (AWS.md section 2.1)."""
    created: dict[str, datetime] = field(default_factory=dict)
    """When permission sets were created, by ARN, as far as AWS stated it."""
    ahead: ReadAhead = field(default_factory=ReadAhead)
    """The calls that were made before they were needed."""
    locks: KeyedLock = field(default_factory=KeyedLock)
    """For users and permission sets that no list had and that several readers may need at the same time."""
    deletion_confirmers: Mapping[str, DeletionConfirmer] = field(
        default_factory=lambda: {
            "GROUP": DeletionConfirmer("group"),
            "PERMISSION_SET": DeletionConfirmer("permission set"),
        }
    )
    """By AWS's name of the kind: the lists that are read again before anything is retracted."""

    def has_partial_verdict(self, arn: str) -> bool:
        """Whether the verdict on a permission set lacks policies that IAM failed to return in this run."""
        return arn in self.verdicts and self.verdicts[arn].is_partial

    @property
    def identity_store(self) -> BaseClient:
        """The client that reads people and groups."""
        return self.session.client("identitystore", self.instance.primary_region)

    @property
    def store_id(self) -> dict[str, str]:
        """The parameter that names the identity store."""
        return {"IdentityStoreId": self.instance.identity_store_id}

    @property
    def sso_admin(self) -> BaseClient:
        """The client that reads permission sets and assignments."""
        return self.session.client("sso-admin", self.instance.primary_region)

    def confirm_gone(self, missing: Missing, id_: str) -> None:
        """Make a second call about a resource that one call reports missing.

        Args:
            missing: The kind of resource.
            id_: Its id.

        Raises:
            ConnectorError: The second call failed, so nothing is confirmed.
            TemporaryError: The second call still has the resource.
        """
        if missing == "USER":
            self._confirm_user_gone(id_)
        else:
            read_ids = self._read_group_ids if missing == "GROUP" else self._read_permission_set_arns
            self.deletion_confirmers[missing].confirm_gone(id_, read_ids)

    def _confirm_user_gone(self, user_id: str) -> None:
        # One call, where the list of users may be long. The permissions of Ploy's guide do not allow describing groups,
        # and for a permission set it was the description that failed.
        try:
            read(self.identity_store, "DescribeUser", **self.store_id, UserId=user_id)
        except NotFoundError as error:
            if not is_about(error, "USER", user_id):
                raise
        else:
            raise contradiction_error("user", user_id)

    def _read_group_ids(self) -> Iterator[str]:
        for groups in read_pages(self.identity_store, "ListGroups", "Groups", **self.store_id):
            yield from (take(group, "GroupId", "a group") for group in groups)

    def _read_permission_set_arns(self) -> Iterator[str]:
        for arns in read_pages(self.sso_admin, "ListPermissionSets", "PermissionSets", InstanceArn=self.instance.arn):
            yield from arns


def is_about(error: NotFoundError, kind: str, id_: str) -> bool:
    """Whether AWS reports this very resource missing, and not something around it."""
    return (error.kind, error.id) == (kind, id_)
