"""An organisation as plain data: people, groups, permission sets and assignments."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from .iam_account import IamAccount
from .inventory.resources import Resources


@dataclass(frozen=True)
class ExternalId:
    """The identity of a user or group at the identity provider that manages it."""

    issuer: str
    id: str


@dataclass(frozen=True)
class Person:
    """A user of the identity store. What is None, AWS leaves out of its answers.

    The last four members are personal data that AWS sends unasked.
    """

    user_name: str | None
    given_name: str = "Given"
    family_name: str = "Family"
    display_name: str | None = None
    email: str | None = None
    title: str | None = None
    status: Literal["ENABLED", "DISABLED"] | None = "ENABLED"
    external_ids: tuple[ExternalId, ...] = ()
    created_at: datetime | None = datetime(2025, 1, 15, 9, tzinfo=UTC)
    birthdate: str | None = None
    address: str | None = None
    phone: str | None = None
    photo: str | None = None

    @property
    def key(self) -> str:
        """What the organisation's other parts call this person by."""
        return self.user_name or f"{self.given_name} {self.family_name}"


@dataclass(frozen=True)
class Group:
    """A group of the identity store; `members` are keys of people."""

    name: str
    description: str | None = None
    members: tuple[str, ...] = ()
    external_ids: tuple[ExternalId, ...] = ()
    created_at: datetime | None = datetime(2025, 1, 10, 9, tzinfo=UTC)


@dataclass(frozen=True)
class CustomerManagedPolicy:
    """A reference by name to a policy that must exist in each account."""

    name: str
    path: str = "/"


@dataclass(frozen=True)
class PermissionSet:
    """A permission set; `managed_policies` are ARNs of AWS's policies."""

    name: str
    description: str | None = None
    session_duration: str = "PT1H"
    managed_policies: tuple[str, ...] = ()
    customer_managed_policies: tuple[CustomerManagedPolicy, ...] = ()
    relay_state: str | None = None
    created_at: datetime = datetime(2025, 1, 12, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Account:
    """An AWS account of the organisation."""

    id: str
    name: str


@dataclass(frozen=True)
class Assignment:
    """A permission set given in one account to a person or, with `to_group`, to a group."""

    account_id: str
    permission_set: str
    principal: str
    to_group: bool = True


@dataclass(frozen=True)
class Organisation:
    """A whole organisation with one instance of IAM Identity Center.

    An `account` instance has users and groups but neither permission sets nor assignments. `iam` is that of the
    owner's account; the resources are those of that account in the primary Region. `delegated_administrators` are ids
    of `accounts` that administer the instance for the owner.
    """

    owner_account_id: str
    primary_region: str = "eu-west-1"
    people: tuple[Person, ...] = ()
    groups: tuple[Group, ...] = ()
    permission_sets: tuple[PermissionSet, ...] = ()
    accounts: tuple[Account, ...] = ()
    delegated_administrators: tuple[str, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    kind: Literal["organization", "account"] = "organization"
    iam: IamAccount = field(default_factory=IamAccount)
    instance_name: str | None = None
    instance_status: str = "ACTIVE"
    created_at: datetime = datetime(2025, 1, 10, 8, tzinfo=UTC)
    resources: Resources = field(default_factory=Resources)
