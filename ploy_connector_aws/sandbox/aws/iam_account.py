"""The IAM of one AWS account as plain data: users, groups, roles and customer managed policies, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Document = Mapping[str, Any]

OWN_ACCOUNT = "000000000000"
"""Stands for the account's own id in documents and ARNs."""


@dataclass(frozen=True)
class IamPolicy:
    """A customer managed policy."""

    name: str
    document: Document
    path: str = "/"
    description: str | None = None
    created_at: datetime = datetime(2025, 1, 11, 9, tzinfo=UTC)


@dataclass(frozen=True)
class IamGroup:
    """A group; `managed_policies` are ARNs of AWS's policies or names of the account's own."""

    name: str
    path: str = "/"
    managed_policies: tuple[str, ...] = ()
    inline_policies: Mapping[str, Document] = field(default_factory=dict)
    created_at: datetime = datetime(2025, 1, 11, 9, tzinfo=UTC)


@dataclass(frozen=True)
class IamUser:
    """A user; `groups` are names, `boundary` is like one of the `managed_policies`."""

    name: str
    path: str = "/"
    groups: tuple[str, ...] = ()
    managed_policies: tuple[str, ...] = ()
    inline_policies: Mapping[str, Document] = field(default_factory=dict)
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime = datetime(2025, 1, 11, 9, tzinfo=UTC)
    password_last_used: datetime | None = None


@dataclass(frozen=True)
class IamRole:
    """A role with its trust policy; `instance_profiles` are names of those that hold it."""

    name: str
    trust: Document
    path: str = "/"
    description: str | None = None
    managed_policies: tuple[str, ...] = ()
    inline_policies: Mapping[str, Document] = field(default_factory=dict)
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime = datetime(2025, 1, 11, 9, tzinfo=UTC)
    last_used: datetime | None = None
    last_used_region: str = "eu-west-1"
    max_session_seconds: int = 3600
    instance_profiles: tuple[str, ...] = ()


@dataclass(frozen=True)
class IamAccount:
    """All that is seeded into the IAM of one account."""

    policies: tuple[IamPolicy, ...] = ()
    groups: tuple[IamGroup, ...] = ()
    users: tuple[IamUser, ...] = ()
    roles: tuple[IamRole, ...] = ()


def trusting(*statements: Document, **principal: str | tuple[str, ...]) -> Document:
    """A trust policy: of these statements, or of one that lets principals (`AWS=…`, `Service=…`) assume the role."""
    if principal:
        named = {kind: list(who) if isinstance(who, tuple) else who for kind, who in principal.items()}
        statements = (*statements, {"Effect": "Allow", "Principal": named, "Action": "sts:AssumeRole"})
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allowing(*actions: str, resource: str | tuple[str, ...] = "*") -> Document:
    """A permission policy that allows these actions."""
    resources = list(resource) if isinstance(resource, tuple) else resource
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
    return {"Version": "2012-10-17", "Statement": [statement]}


def provisioned_role(
    permission_set: str, region: str = "eu-west-1", provider: str = "a1b2c3d4e5f60718", **more: Any
) -> IamRole:
    """The role that Identity Center makes in an account for a permission set (AWS.md 3.3).

    All roles of one instance trust the one SAML provider that it made in the account, and those of an instance in
    us-east-1 have no Region in their path.
    """
    suffix = f"{provider[:8]}{sum(map(ord, permission_set)):08x}"
    provider_arn = f"arn:aws:iam::{OWN_ACCOUNT}:saml-provider/AWSSSO_{provider}_DO_NOT_DELETE"
    # A role is made after its permission set.
    created_at = more.pop("created_at", datetime(2025, 1, 13, 9, tzinfo=UTC))
    return IamRole(
        name=f"AWSReservedSSO_{permission_set}_{suffix}",
        path=f"/aws-reserved/sso.amazonaws.com/{'' if region == 'us-east-1' else f'{region}/'}",
        created_at=created_at,
        trust=trusting(
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
                "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
            }
        ),
        max_session_seconds=43200,
        **more,
    )
