"""What an order is about, told by the ids alone: a membership, an assignment, or something that cannot be granted.

Ids go into ARNs and policies, so nothing is taken that does not look exactly like AWS's own (AWS.md section 1.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.spec import AccessRequest, RejectedError

_DIRECTORY_ID = r"(?:[0-9a-f]{10}-)?[A-Fa-f0-9]{8}(?:-[A-Fa-f0-9]{4}){3}-[A-Fa-f0-9]{12}"
_PERMISSION_SET = (
    r"arn:aws(?:-[a-z]{1,5}){0,3}:sso:::permissionSet/(?P<instance>(?:sso)?ins-[a-zA-Z0-9.-]{16})/(?:sso)?ps-"
    r"[a-zA-Z0-9./-]{16}"
)

_PERSON = re.compile(_DIRECTORY_ID, re.ASCII)
_GROUP = re.compile(_DIRECTORY_ID, re.ASCII)
_ACCOUNT_ROLE = re.compile(rf"(?P<account>\d{{12}})/(?P<permission_set>{_PERMISSION_SET})", re.ASCII)

_NOT_GRANTABLE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(_PERMISSION_SET, re.ASCII), grantability.PERMISSION_SET),
    (re.compile(r"\d{12}/[A-Z0-9]{16,128}/inline/.+", re.ASCII | re.DOTALL), grantability.IAM_INLINE_POLICY),
    (re.compile(r"\d{12}/AGPA[A-Z0-9]{12,124}", re.ASCII), grantability.IAM_GROUP),
    (re.compile(r"\d{12}/AROA[A-Z0-9]{12,124}", re.ASCII), grantability.IAM_ROLE),
    (re.compile(r"\d{12}/[A-Z0-9]{16,128}", re.ASCII), grantability.IAM_POLICY),
    (re.compile(r"arn:aws[a-z-]*:iam::(?:aws|\d{12}):policy/.+", re.ASCII), grantability.IAM_POLICY),
)
"""Shapes of the ids of all other entitlements, with why they cannot be granted."""

_OF_IAM = re.compile(r"\d{12}(?:/.+)?|arn:.+", re.ASCII | re.DOTALL)
"""Shapes of the ids of IAM's users and roles, and of principals outside of the AWS account."""


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


def to_target(
    request: AccessRequest, *, change_groups: bool, direct_assignments: bool
) -> Membership | DirectAssignment:
    """Tell what a request is about.

    Args:
        request: The request.
        change_groups: Whether the settings let people be put into groups and taken out.
        direct_assignments: Whether the settings let people be assigned directly.

    Raises:
        RejectedError: It cannot be granted, or the ids are none that this connector gives.
    """
    if not _PERSON.fullmatch(request.account_id):
        if _OF_IAM.fullmatch(request.account_id):
            raise _not_grantable(grantability.IAM_ACCOUNT)
        raise _invalid("account")
    if _GROUP.fullmatch(request.entitlement_id):
        if not change_groups:
            raise _not_grantable(grantability.GROUP)
        return Membership(request.account_id, request.entitlement_id)
    if role := _ACCOUNT_ROLE.fullmatch(request.entitlement_id):
        if not direct_assignments:
            raise _not_grantable(grantability.ACCOUNT_ROLE)
        return DirectAssignment(request.account_id, role["account"], role["permission_set"], role["instance"])
    for shape, why in _NOT_GRANTABLE:
        if shape.fullmatch(request.entitlement_id):
            raise _not_grantable(why)
    raise _invalid("entitlement")


def is_group(entitlement_id: str) -> bool:
    """Whether an entitlement is a group of the identity store."""
    return _GROUP.fullmatch(entitlement_id) is not None


def is_account_role(entitlement_id: str) -> bool:
    """Whether an entitlement is a permission set in one AWS account."""
    return _ACCOUNT_ROLE.fullmatch(entitlement_id) is not None


def to_permission_set(account_role: str) -> str:
    """Take the permission set's ARN out of the id of an account role."""
    return account_role.partition("/")[2]


def _not_grantable(why: str) -> RejectedError:
    sentence, _, fix = why.partition(". ")
    return RejectedError(f"{sentence}.", reason="not_grantable", fix=fix)


def _invalid(what: str) -> RejectedError:
    return RejectedError(
        f"The id of the {what} does not look like any that AWS gives, so nothing was asked of AWS.",
        reason="invalid_id",
        fix="Take the id from the lists that this connector reads.",
    )
