"""Who may assume a role: the principals of its trust policy as holders of the role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.policy.principals import PrincipalKind
from ploy_connector_aws.aws.policy.trust import Trust, TrustedPrincipal
from ploy_connector_aws.aws.spool import Edge, Kind
from ploy_connector_aws.spec import Account, Grant, Record

from .accounts import SOURCE

_LISTED: dict[PrincipalKind, Kind] = {"user": "user", "role": "role"}
"""Principals that, in the account itself, are records of their own and found by ARN."""

_KINDS: dict[PrincipalKind, Literal["service", "unknown"]] = {"service": "service", "unknown": "unknown"}
"""The kind of account of principals that are neither of the AWS account nor of another one."""


def to_edges(trust: Trust, role_id: str) -> Iterator[Edge]:
    """Pick the principals that this account has records of; their ids may be known only later."""
    roles = {each.id.rpartition("/")[2] for each in _own(trust, "role")}
    for trusted in trust.trusted:
        if trusted.is_own_account and trusted.kind in _LISTED:
            yield Edge("assuming", _LISTED[trusted.kind], trusted.id, role_id, trusted.to_attributes())
        elif trusted.is_own_account and trusted.kind == "session" and (name := _role_of(trusted)) not in roles:
            # One session of a role is trusted, and not the role: that is said, as no record is narrower than a role.
            attributes = {**trusted.to_attributes(), "only_session": trusted.id}
            yield Edge("assuming", "role_name", name, role_id, attributes)


def to_outsiders(trust: Trust, role_id: str) -> Iterator[Record]:
    """Make records of the other principals, each with its grant. A deleted one holds nothing any more."""
    for trusted in trust.trusted:
        is_recorded = trusted.is_own_account and (trusted.kind in _LISTED or trusted.kind == "session")
        if not is_recorded and trusted.kind != "deleted":
            yield to_outsider(trusted)
            yield Grant(
                principal_kind="account",
                principal_id=trusted.id,
                entitlement_id=role_id,
                attributes=trusted.to_attributes(),
            )


def to_outsider(trusted: TrustedPrincipal) -> Account:
    """Convert a principal that the account has no record of: another account or its people, a service, anyone."""
    kind: Literal["external", "root", "service", "unknown"] = _KINDS.get(trusted.kind, "external")
    if trusted.is_own_account:
        # The account's root stands for all of its users and roles whose own policies let them assume the role.
        kind = {"account": "root", "federated_user": "unknown"}.get(trusted.kind, kind)  # type: ignore[assignment]
    attributes = {
        "principal": trusted.kind,
        "aws_account_id": trusted.account,
        "arn": trusted.id if trusted.id.startswith("arn:") else None,
    }
    return Account(
        id=trusted.id,
        kind=kind,
        username=trusted.id,
        source=SOURCE,
        not_grantable_reason=grantability.IAM_ACCOUNT,
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def to_assuming(edge: Edge, found_id: str) -> Grant:
    """Make the grant of a principal that was found. A role holds by its entitlement, so that chains can be followed."""
    return Grant(
        principal_kind="account" if edge.named == "user" else "entitlement",
        principal_id=found_id,
        entitlement_id=edge.known_id,
        attributes=edge.attributes,
    )


def _own(trust: Trust, kind: PrincipalKind) -> Iterator[TrustedPrincipal]:
    return (each for each in trust.trusted if each.is_own_account and each.kind == kind)


def _role_of(session: TrustedPrincipal) -> str:
    """``arn:aws:sts::<account>:assumed-role/<role>/<session>``: the role's path is not in it."""
    return session.id.split("/")[1]
