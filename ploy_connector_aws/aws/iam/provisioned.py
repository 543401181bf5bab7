"""Leads from a permission set to the role that Identity Center made for it in this very AWS account."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ploy_connector_aws.aws.identity_center.assignments import to_account_role
from ploy_connector_aws.aws.identity_center.seen import Seen
from ploy_connector_aws.spec import Grant, Page, Resource, TemporaryError

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


def read_permission_set_roles(reading: Reading, permission_sets: Iterable[Seen]) -> Iterator[Page]:
    """Read the links: what is assigned in this account is the role, and with it the role's policies.

    Args:
        reading: The reading; its roles were read.
        permission_sets: Those of the instance.

    Raises:
        TemporaryError: Of a permission set not even the name is known.
    """
    by_name = defaultdict(list)
    unnamed = 0
    for permission_set in permission_sets:
        if permission_set.state == "read":
            by_name[permission_set.name].append(permission_set.id)
        elif permission_set.state != "gone":
            unnamed += 1
    page = Gathered()
    for role_id, name in reading.findings.each("provisioned"):
        for arn in by_name.get(name, ()):
            account_role = to_account_role(reading.account_id, arn, name)
            page.add(
                Resource(id=reading.account_id, kind="aws_account", name=reading.account_id),
                account_role,
                # AWS says nowhere which role belongs to which permission set but in the role's name.
                Grant(
                    principal_kind="entitlement",
                    principal_id=account_role.id,
                    entitlement_id=role_id,
                    attributes={"matched_by": "name"},
                ),
            )
    yield from page.to_pages(PERMISSION_SET_ROLES)
    if unnamed:
        raise TemporaryError("A permission set could not be described, so its role in this account is not known.")
