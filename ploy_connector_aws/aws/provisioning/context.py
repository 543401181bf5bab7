"""Access context of one integration: its read session, its instance, its group cache, and the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.client.session import INTERACTIVE, ReadSession
from ploy_connector_aws.aws.identity_center.directory import to_group
from ploy_connector_aws.aws.identity_center.instance import Instance, read_instance
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import ConnectorContext, Entitlement, NotFoundError, RejectedError, TemporaryError

INSTANCE_TTL = timedelta(minutes=5)
"""How long the instance is cached: that of an integration hardly ever changes."""

GROUP_TTL = timedelta(seconds=60)
"""How long a group is cached, with who manages it."""


class Clock:
    """The clock of this machine; tests replace it."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


class AccessContext:
    """One integration's instance, in a session that cannot write.

    Args:
        config: The integration's settings.
        clock: The clock.
        context: The organisation that the connector works for, and counters of its calls.
    """

    def __init__(self, config: AwsConfig, clock: Clock, context: ConnectorContext | None = None) -> None:
        self.config = config
        self.clock = clock
        self.session = ReadSession(config, "access", INTERACTIVE, context=context)
        """The read session; sessions with it as their parent share its rate limiters."""
        self._instance: Instance | None = None
        self._instance_expires_at = datetime.min.replace(tzinfo=UTC)
        self._groups: dict[str, tuple[Entitlement, datetime]] = {}
        """By group, the record and when it expires."""

    def open(self) -> None:
        """Find the instance, unless it is cached.

        Raises:
            NotFoundError: The role sees no instance.
            ConnectorError: The instance could not be read.
        """
        now = self.clock.now()
        if self._instance is not None and now < self._instance_expires_at:
            return
        self._instance = None
        self.session.open()
        found = read_instance(self.session)
        if found is None:
            raise NotFoundError(
                "The AWS account sees no IAM Identity Center instance in any Region.",
                kind="INSTANCE",
                fix="Use the organization's management account, or a delegated administrator of IAM Identity Center.",
            )
        self._instance, self._instance_expires_at = found, now + INSTANCE_TTL

    @property
    def is_open(self) -> bool:
        """Whether an instance is known, maybe from an earlier request."""
        return self._instance is not None

    @property
    def instance(self) -> Instance:
        """The instance of IAM Identity Center; it stays the same during one request."""
        if self._instance is None:
            raise TemporaryError("The instance of IAM Identity Center is unknown.")
        return self._instance

    @property
    def identity_store(self) -> BaseClient:
        """The client that reads people and groups."""
        return self.session.client("identitystore", self.instance.primary_region)

    @property
    def sso_admin(self) -> BaseClient:
        """The client that reads permission sets and assignments."""
        return self.session.client("sso-admin", self.instance.primary_region)

    @property
    def store(self) -> dict[str, str]:
        """The parameter that names the identity store."""
        return {"IdentityStoreId": self.instance.identity_store_id}

    def read_group(self, group_id: str, known_name: str | None, *, refresh: bool = False) -> Entitlement:
        """Read a group, as the lists emit it.

        Args:
            group_id: The group.
            known_name: Its name, if the host knows it: then one call is enough.
            refresh: Ignore the cache.

        Raises:
            NotFoundError: The store has no such group.
            ConnectorError: The group could not be read.
        """
        now = self.clock.now()
        self._groups = {id_: cached for id_, cached in self._groups.items() if cached[1] > now}
        if refresh or group_id not in self._groups:
            self._groups[group_id] = (self._find_group(group_id, known_name), now + GROUP_TTL)
        return self._groups[group_id][0]

    def clear(self) -> None:
        """Drop everything that is cached."""
        self._instance = None
        self._groups.clear()

    def close(self) -> None:
        """Close the read session."""
        self.session.close()

    def _find_group(self, group_id: str, known_name: str | None) -> Entitlement:
        named = self._read_named(known_name) if known_name else iter(())
        for found in (named, self._read_groups()):
            for group in found:
                if group["GroupId"] == group_id:
                    return to_group(group, self.config)
        raise NotFoundError("AWS has no such group (any more).", kind="GROUP", id=group_id)

    def _read_named(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            # Deprecated but served (AWS.md section 1.2); its replacement is not in the guide's policy.
            yield from self._read_groups(Filters=[{"AttributePath": "DisplayName", "AttributeValue": name}])
        except RejectedError:
            # The filter only saves calls: without it, the whole list is read.
            return

    def _read_groups(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        for groups in read_pages(self.identity_store, "ListGroups", "Groups", **self.store, **parameters):
            yield from groups
