"""Roles that AWS Organizations, Control Tower and StackSets make in member accounts, and whom each trusts.

They ask for no external ID, as only the own organization is to use them. Not among them is what customers make from
AWS's templates, as AWSCloudFormationStackSetExecutionRole: a person chose the account that it trusts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .principals import Principal

Origin: TypeAlias = Literal["organization", "unproven", "other"]
"""Whether a foreign principal is trusted as AWS's own service left it; `unproven` where the account may be any."""


@dataclass(frozen=True)
class _OrganizationRole:
    """`principal` is the ARN without partition and account; `is_management` where the management account is meant."""

    name: re.Pattern[str]
    principal: str
    is_management: bool = True
    is_service_linked: bool = False


# AWS Organizations user guide, "Accessing member accounts"; CloudFormation user guide, "StackSets: service-managed
# permissions"; Control Tower user guide, "How AWS Control Tower works with roles".
_ROLES = (
    _OrganizationRole(re.compile(r"OrganizationAccountAccessRole|AWSControlTowerExecution"), "root"),
    _OrganizationRole(
        re.compile(r"stacksets-exec-[0-9a-f]+"),
        "role/aws-service-role/stacksets.cloudformation.amazonaws.com/AWSServiceRoleForCloudFormationStackSetsOrgAdmin",
        # Only AWS can make a role under this path.
        is_service_linked=True,
    ),
    _OrganizationRole(
        re.compile(r"aws-controltower-AdministratorExecutionRole"),
        "role/aws-controltower-AuditAdministratorRole",
        is_management=False,
    ),
    _OrganizationRole(
        re.compile(r"aws-controltower-ReadOnlyExecutionRole"),
        "role/aws-controltower-AuditReadOnlyRole",
        is_management=False,
    ),
)


def find_origin(role_arn: str, principal: Principal, management_account: str | None) -> Origin:
    """Decide whether a role trusts a principal of another account because a service of AWS made it so.

    Args:
        role_arn: The role.
        principal: Whom it trusts.
        management_account: The organization's management account, where it is known.
    """
    name, trusted = role_arn.partition(":role/")[2], principal.id.split(":", 5)[-1]
    found = next((each for each in _ROLES if each.name.fullmatch(name) and each.principal == trusted), None)
    if found is None:
        return "other"
    if not found.is_management:
        return "unproven"
    if management_account is None:
        return "organization" if found.is_service_linked else "unproven"
    return "organization" if principal.account == management_account else "other"
