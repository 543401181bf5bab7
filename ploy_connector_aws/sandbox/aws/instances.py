"""The Identity Center instances there are, with what moto's state has no room for.

In moto every account and Region has an instance of its own, with ids that AWS's patterns refuse. Here
an instance exists once it was put here; its users, groups, sets and assignments stay in moto's backends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.identitystore.models import IdentityStoreData, identitystore_backends
from moto.ssoadmin.models import Instance as MotoInstance
from moto.ssoadmin.models import SSOAdminBackend, ssoadmin_backends

from ploy_connector_aws.sandbox.aws.assignment_jobs import AssignmentJobs


@dataclass(frozen=True)
class CustomerKey:
    """The customer's own key that encrypts an instance: whoever calls needs `kms:Decrypt` on it.

    `policy_lets_in` says whether the key's own policy allows it, as that of the role must, too (AWS.md 3.5).
    """

    arn: str
    policy_lets_in: bool = True


@dataclass
class Instance:
    """One instance of IAM Identity Center.

    `details` holds, by the id of a user, group or membership, the members that moto's models lack; `assigning` the
    assignments that are being made or deleted.
    """

    moto: MotoInstance
    primary_region: str
    has_permission_sets: bool
    member_account_ids: frozenset[str]
    delegated_administrators: frozenset[str] = frozenset()
    customer_key: CustomerKey | None = None
    details: dict[str, dict[str, Any]] = field(default_factory=dict)
    assigning: AssignmentJobs = field(default_factory=AssignmentJobs)

    @property
    def arn(self) -> str:
        """The instance ARN; it holds no Region and no account."""
        return self.moto.instance_arn

    @property
    def identity_store_id(self) -> str:
        """The id of the one identity store."""
        return self.moto.identity_store_id

    @property
    def owner_account_id(self) -> str:
        """The management account, or for an account instance the account it is in."""
        return self.moto.account_id

    @property
    def store_arn(self) -> str:
        """The ARN of the identity store."""
        return f"arn:aws:identitystore::{self.owner_account_id}:identitystore/{self.identity_store_id}"

    @property
    def store(self) -> IdentityStoreData:
        """moto's users, groups and memberships."""
        return identitystore_backends[self.owner_account_id][self.primary_region].identity_stores[
            self.identity_store_id
        ]

    @property
    def admin(self) -> SSOAdminBackend:
        """moto's permission sets and assignments."""
        return ssoadmin_backends[self.owner_account_id][self.primary_region]

    def is_visible_to(self, account_id: str) -> bool:
        """Member accounts see the organization's instance (AWS.md 3.3)."""
        return account_id == self.owner_account_id or account_id in self.member_account_ids

    def is_administered_by(self, account_id: str) -> bool:
        """The owner and its delegated administrators; other members may only read the directory (AWS.md 3.3)."""
        return account_id == self.owner_account_id or account_id in self.delegated_administrators


class Instances:
    """All instances of this local AWS."""

    def __init__(self) -> None:
        self._by_arn: dict[str, Instance] = {}

    def add(self, instance: Instance) -> None:
        """Puts an instance in."""
        self._by_arn[instance.arn] = instance

    def remove(self, instance: Instance) -> None:
        """Takes an instance out; moto's state of it stays behind, unreachable."""
        self._by_arn.pop(instance.arn, None)

    def __iter__(self) -> Iterator[Instance]:
        """Every instance, whoever sees it."""
        return iter(list(self._by_arn.values()))

    def visible_to(self, account_id: str) -> list[Instance]:
        """The instances that an account owns or shares."""
        return [instance for instance in self if instance.is_visible_to(account_id)]

    def by_arn(self, arn: str, account_id: str, region: str) -> Instance | None:
        """The instance if this account sees it in this Region."""
        return self._served(self._by_arn.get(arn), account_id, region)

    def by_store(self, identity_store_id: str, account_id: str, region: str) -> Instance | None:
        """The instance of a store if this account sees it in this Region."""
        # An id may also be given as an ARN (AWS.md 1.3).
        bare = identity_store_id.rpartition("/")[2]
        found = next((instance for instance in self if instance.identity_store_id == bare), None)
        return self._served(found, account_id, region)

    def _served(self, instance: Instance | None, account_id: str, region: str) -> Instance | None:
        if instance is None or instance.primary_region != region or not instance.is_visible_to(account_id):
            return None
        return instance
