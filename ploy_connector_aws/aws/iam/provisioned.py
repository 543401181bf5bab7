"""Leads from a permission set to the role that Identity Center made for it in this very AWS account."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ploy_connector_aws.aws.parts import to_aws_account
from ploy_connector_aws.spec import Entitlement, Grant, Page

from .accounts import IDENTITY_CENTER_PATH
from .reading import Gathered, Reading

PERMISSION_SET_ROLES = "iam/permission-set-roles"

_ROLE_NAME = re.compile(r"AWSReservedSSO_(?P<permission_set>.+)_[0-9a-f]{16}")


def find_permission_set(role: Mapping[str, Any]) -> str | None:
    """Name the permission set that a role was made for; None where it is no such role.

    Only Identity Center can make a role under this path (AWS.md section 3.3), so its name is to be believed.
    """
    named = _ROLE_NAME.fullmatch(role.get("RoleName", ""))
    return named["permission_set"] if named and role.get("Path", "").startswith(IDENTITY_CENTER_PATH) else None


@dataclass(frozen=True)
class NamedRole:
    """What a permission set is in this AWS account, with the permission set's name."""

    permission_set: str
    role: Entitlement
    is_partial: bool
    """Whether not all of the record could be read."""


def read_permission_set_roles(reading: Reading, account_roles: Callable[[], Iterable[NamedRole]]) -> Iterator[Page]:
    """Read the links: what is assigned in this account is the role, and with it the role's policies.

    Args:
        reading: The reading; its roles were read.
        account_roles: Gives what each permission set of the instance is in this account, or raises what kept them from
            being read. Not called where no role was made for a permission set: there is nothing to link then.
    """
    provisioned = list(reading.findings.each("provisioned"))
    by_name = {named.permission_set: named for named in account_roles()} if provisioned else {}
    page = Gathered()
    for role_id, name in provisioned:
        if name in by_name:
            named = by_name[name]
            page.add(named.role, is_partial=named.is_partial)
            page.add(
                to_aws_account(reading.account_id),
                # AWS says nowhere which role belongs to which permission set but in the role's name.
                Grant(
                    principal_kind="entitlement",
                    principal_id=named.role.id,
                    entitlement_id=role_id,
                    attributes={"matched_by": "name"},
                ),
            )
    yield from page.to_pages(PERMISSION_SET_ROLES)
