"""Where orders are looked up: the read session, the instance, and the groups with who manages them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.client.session import INTERACTIVE, ReadSession
from ploy_connector_aws.aws.identity_center.directory import to_group
from ploy_connector_aws.aws.identity_center.instance import Instance, read_instance
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import ConnectorContext, Entitlement, NotFoundError, RejectedError, TemporaryError

from .clock import Clock

INSTANCE_KEPT = timedelta(minutes=5)
"""How long the instance is believed to be the same: an integration's hardly ever changes."""

GROUP_KEPT = timedelta(seconds=60)
"""How long it is believed who manages a group."""

_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class _Kept(Generic[_Thing]):
    thing: _Thing
    until: datetime


class Site:
    """One integration's instance, entered with a session that cannot write.

    Args:
        config: The integration's settings.
        clock: The time.
        context: The organisation it works for, and counters of its calls.
    """

    def __init__(self, config: AwsConfig, clock: Clock, context: ConnectorContext | None = None) -> None:
        self.config = config
        self._clock = clock
        self._session = ReadSession(config, "access", INTERACTIVE, context=context)
        self._instance: _Kept[Instance] | None = None
        self._groups: dict[str, _Kept[Entitlement]] = {}

    def enter(self) -> None:
        """Find the instance, unless it was found a short while ago.

        Raises:
            NotFoundError: The role sees none.
            ConnectorError: It could not be found out.
        """
        now = self.now()
        if self._instance is not None and now < self._instance.until:
            return
        self._instance = None
        self._session.open()
        found = read_instance(self._session)
        if found is None:
            raise NotFoundError(
                "The AWS account sees no IAM Identity Center instance in any Region.",
                kind="INSTANCE",
                fix="Use the organization's management account, or a delegated administrator of IAM Identity Center.",
            )
        self._instance = _Kept(found, now + INSTANCE_KEPT)

    def now(self) -> datetime:
        """The moment."""
        return self._clock.now()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.wait(seconds)

    @property
    def was_entered(self) -> bool:
        """Whether an instance is known, maybe from an earlier order."""
        return self._instance is not None

    @property
    def instance(self) -> Instance:
        """The instance of IAM Identity Center; the same during one order."""
        if self._instance is None:
            raise TemporaryError("The instance of IAM Identity Center is not known.")
        return self._instance.thing

    @property
    def session(self) -> ReadSession:
        """The session in which things are looked up; what is done beside it shares its rate budgets."""
        return self._session

    @property
    def identity_store(self) -> BaseClient:
        """The client that reads people and groups."""
        return self._session.client("identitystore", self.instance.primary_region)

    @property
    def sso_admin(self) -> BaseClient:
        """The client that reads permission sets and assignments."""
        return self._session.client("sso-admin", self.instance.primary_region)

    @property
    def store(self) -> dict[str, str]:
        """The parameter that names the store."""
        return {"IdentityStoreId": self.instance.identity_store_id}

    def read_group(self, group_id: str, known_name: str | None, *, anew: bool = False) -> Entitlement:
        """Read a group, as the lists emit it.

        Args:
            group_id: The group.
            known_name: Its name as far as known: then one call is enough.
            anew: Also if it was read a short while ago.

        Raises:
            NotFoundError: The store has no such group.
            ConnectorError: It could not be read.
        """
        now = self.now()
        self._groups = {id_: kept for id_, kept in self._groups.items() if kept.until > now}
        if anew or group_id not in self._groups:
            self._groups[group_id] = _Kept(self._find_group(group_id, known_name), now + GROUP_KEPT)
        return self._groups[group_id].thing

    def forget(self) -> None:
        """Believe nothing any more of what was read before."""
        self._instance = None
        self._groups.clear()

    def close(self) -> None:
        """Leave the AWS account."""
        self._session.close()

    def _find_group(self, group_id: str, known_name: str | None) -> Entitlement:
        named = self._read_named(known_name) if known_name else iter(())
        for found in (named, self._read_groups()):
            for group in found:
                if group["GroupId"] == group_id:
                    return to_group(group, self.config)
        raise NotFoundError("AWS has no such group (any more).", kind="GROUP", id=group_id)

    def _read_named(self, name: str) -> Iterator[dict[str, Any]]:
        try:
            # Deprecated but served (AWS.md section 1.2); what is there to replace it is not in the guide's policy.
            yield from self._read_groups(Filters=[{"AttributePath": "DisplayName", "AttributeValue": name}])
        except RejectedError:
            # The filter was a short cut: without it the whole list is read.
            return

    def _read_groups(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        for groups in read_pages(self.identity_store, "ListGroups", "Groups", **self.store, **parameters):
            yield from groups
