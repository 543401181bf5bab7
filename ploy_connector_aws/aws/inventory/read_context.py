"""What the readers of the seven services share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.iam.read_context import Knowledge
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import Resource

NamedBy: TypeAlias = Literal["role", "instance_profile"]
"""Whether the ARN is that of the role or of its instance profile."""

_ROLE_UNKNOWN = {"role_known": False}


class Roles(Protocol):
    """What IAM's reader knows about roles."""

    @property
    def knowledge_of_roles(self) -> Knowledge:
        """What it means that a role was not found."""

    def find_roles(self, named_by: NamedBy, arns: Iterable[str]) -> Mapping[str, str]:
        """Look up the ids of roles; the result lacks those that were not found."""


@dataclass(frozen=True)
class Inventory:
    """One read of one AWS account in one Region."""

    session: ReadSession
    roles: Roles

    def to_role(self, named_by: NamedBy, arn: str | None) -> dict[str, Any]:
        """Return the attributes for a resource's role: its record id, or that it is unknown, which is not "none"."""
        if arn is None:
            return {}
        found = self.roles.find_roles(named_by, [arn])
        if arn in found:
            return {"role_id": found[arn]}
        return {} if self.roles.knowledge_of_roles == "all" else _ROLE_UNKNOWN

    def is_partial(self, record: Resource) -> bool:
        """Whether a record lacks its role because IAM failed in this run; another run may find it."""
        return self.roles.knowledge_of_roles == "part" and record.attributes.items() >= _ROLE_UNKNOWN.items()

    @property
    def account_id(self) -> str:
        """The AWS account of the role."""
        return self.session.config.account_id

    @property
    def region(self) -> str:
        """The Region of the settings."""
        return self.session.config.region

    def client(self, service: str) -> BaseClient:
        """The client of a service in that Region."""
        return self.session.client(service)

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and Region (AWS.md section 9)."""
        return f"arn:{PLOY_PARTITION}:{service}:{self.region}:{self.account_id}:{resource}"


@dataclass(frozen=True)
class Found:
    """The records of one page of a service's list; of partial ones something could not be read."""

    records: tuple[Resource, ...] = ()
    partial: tuple[Resource, ...] = ()


def without_unknown(**attributes: Any) -> dict[str, Any]:
    """Return the attributes that are not None."""
    return {name: value for name, value in attributes.items() if value is not None}
