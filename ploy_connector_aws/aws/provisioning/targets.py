"""Targets and plans of grants and revokes: what a request is about, from its ids, and what has to change. Pure.

Ids go into ARNs and policies, so only ids in exactly AWS's own format are accepted (AWS.md section 1.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.spec import AccessRequest, Grant, RejectedError

Direction = Literal["grant", "revoke"]

_DIRECTORY_ID = re.compile(r"(?:[0-9a-f]{10}-)?[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}", re.ASCII)
"""Format of the ids of people and of groups."""

_PERMISSION_SET = (
    r"arn:aws(?:-[a-z]{1,5}){0,3}:sso:::permissionSet/(?P<instance>(?:sso)?ins-[a-zA-Z0-9.-]{16})/(?:sso)?ps-"
    r"[a-zA-Z0-9./-]{16}"
)

_ACCOUNT_ROLE = re.compile(rf"(?P<account>\d{{12}})/(?P<permission_set>{_PERMISSION_SET})", re.ASCII)

_NOT_GRANTABLE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(_PERMISSION_SET, re.ASCII), grantability.PERMISSION_SET),
    (re.compile(r"\d{12}/[A-Z0-9]{16,128}/inline/.+", re.ASCII | re.DOTALL), grantability.IAM_INLINE_POLICY),
    (re.compile(r"\d{12}/AGPA[A-Z0-9]{12,124}", re.ASCII), grantability.IAM_GROUP),
    (re.compile(r"\d{12}/AROA[A-Z0-9]{12,124}", re.ASCII), grantability.IAM_ROLE),
    (re.compile(r"\d{12}/[A-Z0-9]{16,128}", re.ASCII), grantability.IAM_POLICY),
    (re.compile(r"arn:aws[a-z-]*:iam::(?:aws|\d{12}):policy/.+", re.ASCII), grantability.IAM_POLICY),
)
"""Formats of the ids of all other entitlements, with the reason why they cannot be granted."""

_IAM_ACCOUNT = re.compile(r"\d{12}(?:/.+)?|arn:.+", re.ASCII | re.DOTALL)
"""Formats of the ids of IAM users and roles, and of principals outside of the AWS account."""


@dataclass(frozen=True)
class Membership:
    """A person in a group."""

    user_id: str
    group_id: str


@dataclass(frozen=True)
class DirectAssignment:
    """A person assigned to a permission set in an AWS account, without a group."""

    user_id: str
    account_id: str
    permission_set_arn: str
    instance_id: str


Target = Membership | DirectAssignment


@dataclass(frozen=True)
class Observation:
    """What one read of AWS showed."""

    held: Grant | None
    """The record of what is held, as the lists emit it; None if AWS reports that it is not held."""
    at: datetime
    request_id: str | None = None


@dataclass(frozen=True)
class Plan:
    """What to add or to remove; at most one of the two is not empty."""

    added: tuple[Grant, ...] = ()
    removed: tuple[Grant, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.added or self.removed)


def is_in_effect(direction: Direction, observation: Observation) -> bool:
    """Whether the observation is what the request asks for."""
    return (observation.held is not None) == (direction == "grant")


def plan_change(direction: Direction, expected: Grant, observation: Observation) -> Plan:
    """Decide what to change.

    Args:
        direction: The kind of request.
        expected: The grant that the request is about, without the attributes that only AWS knows.
        observation: The current state.
    """
    if is_in_effect(direction, observation):
        return Plan()
    return Plan(added=(expected,)) if observation.held is None else Plan(removed=(observation.held,))


def to_target(request: AccessRequest, *, change_groups: bool, direct_assignments: bool) -> Target:
    """Return what a request is about.

    Args:
        request: The request.
        change_groups: Whether the settings allow changes of group memberships.
        direct_assignments: Whether the settings allow direct assignments.

    Raises:
        RejectedError: The target cannot be granted, or its ids are not in the format of this connector's records.
    """
    if not _DIRECTORY_ID.fullmatch(request.account_id):
        if _IAM_ACCOUNT.fullmatch(request.account_id):
            raise to_rejection(grantability.IAM_ACCOUNT)
        raise _invalid("account")
    if _DIRECTORY_ID.fullmatch(request.entitlement_id):
        if not change_groups:
            raise to_rejection(grantability.GROUP)
        return Membership(request.account_id, request.entitlement_id)
    if role := _ACCOUNT_ROLE.fullmatch(request.entitlement_id):
        if not direct_assignments:
            raise to_rejection(grantability.ACCOUNT_ROLE)
        return DirectAssignment(request.account_id, role["account"], role["permission_set"], role["instance"])
    for pattern, reason in _NOT_GRANTABLE:
        if pattern.fullmatch(request.entitlement_id):
            raise to_rejection(reason)
    raise _invalid("entitlement")


def is_group(entitlement_id: str) -> bool:
    """Whether an entitlement is a group of the identity store."""
    return _DIRECTORY_ID.fullmatch(entitlement_id) is not None


def to_permission_set(account_role: str) -> str:
    """Return the permission set's ARN from the id of an account role."""
    return account_role.partition("/")[2]


def to_rejection(not_grantable: str, reason: str = "not_grantable") -> RejectedError:
    """Return the error for a target that cannot be granted; its first sentence is the message, the rest the fix.

    Args:
        not_grantable: One of the messages of ``grantability``.
        reason: The code of the error.
    """
    message, _, fix = not_grantable.partition(". ")
    return RejectedError(f"{message}.", reason=reason, fix=fix)


def _invalid(what: str) -> RejectedError:
    return RejectedError(
        f"The id of the {what} is not in a format that AWS uses, so the connector made no call.",
        reason="invalid_id",
        fix="Use an id from the lists that this connector reads.",
    )
