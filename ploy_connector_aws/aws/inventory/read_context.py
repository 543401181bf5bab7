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
"""Whether a role is named by its own ARN or by that of its instance profile."""

TAGS_UNKNOWN = {"tags_known": False}
"""Attribute of what AWS lists without its tags, where no permission would read them: none known is not none."""

_ROLE_UNKNOWN = {"role_known": False}


class Roles(Protocol):
    """What IAM's reader knows of the roles by now."""

    @property
    def knowledge_of_roles(self) -> Knowledge:
        """What it means that a role was not found."""

    def find_roles(self, named_by: NamedBy, arns: Iterable[str]) -> Mapping[str, str]:
        """Look up the ids of roles; those that were not found are not in the answer."""


@dataclass(frozen=True)
class Inventory:
    """One reading of one AWS account in one Region."""

    session: ReadSession
    roles: Roles

    def to_role(self, named_by: NamedBy, arn: str | None) -> dict[str, Any]:
        """Name the role that something acts as, by the id of its record. Not known is said, and is not "none"."""
        if arn is None:
            return {}
        found = self.roles.find_roles(named_by, [arn])
        if arn in found:
            return {"role_id": found[arn]}
        return {} if self.roles.knowledge_of_roles == "all" else _ROLE_UNKNOWN

    def is_partial(self, record: Resource) -> bool:
        """Whether a record lacks its role because IAM failed in this run: another run may name it."""
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
        """The ARN of something in this account and Region (AWS.md section 9)."""
        return f"arn:{PLOY_PARTITION}:{service}:{self.region}:{self.account_id}:{resource}"


@dataclass(frozen=True)
class Found:
    """What one page of a service's list has; of the partial ones AWS did not let everything be read."""

    records: tuple[Resource, ...] = ()
    partial: tuple[Resource, ...] = ()


def without_unknown(**attributes: Any) -> dict[str, Any]:
    """Attributes of which AWS said something."""
    return {name: value for name, value in attributes.items() if value is not None}
