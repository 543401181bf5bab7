"""Links from a permission set to the role that Identity Center made for it in this very AWS account.

AWS names the instance of such a role nowhere. Each instance makes one SAML provider in an account, and its roles trust
that one alone: so the instance's provider is found first, and among its roles the one with the permission set's name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from ploy_connector_aws.aws.policy.documents import to_policy
from ploy_connector_aws.aws.scopes import RecordBuffer, to_aws_account, to_utc
from ploy_connector_aws.spec import Entitlement, Grant, Page, RejectedError

from .accounts import IDENTITY_CENTER_PATH
from .read_context import Reading

PERMISSION_SET_ROLES = "iam/permission-set-roles"

REGION_WITHOUT_PATH = "us-east-1"
"""Of instances in this Region the roles have no Region in their path (AWS.md section 3.3)."""

_ROLE_NAME = re.compile(r"AWSReservedSSO_(?P<permission_set>.+)_[0-9a-f]{16}")
_PROVIDER = re.compile(r"arn:[\w-]+:iam::\d{12}:saml-provider/(AWSSSO_[0-9a-f]+_DO_NOT_DELETE)")


@dataclass(frozen=True)
class ProvisionedRole:
    """A role that an instance of Identity Center made, with the evidence of which instance.

    `provider` is the SAML provider that it trusts, None where it does not trust exactly one; `created` an ISO moment.
    """

    permission_set: str
    name: str
    region: str
    provider: str | None = None
    created: str | None = None

    def to_json(self) -> str:
        """The role as text, to be remembered."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class NamedRole:
    """What a permission set is in this AWS account, with the permission set's name and when it was created."""

    permission_set: str
    role: Entitlement
    is_partial: bool
    """Whether not all of the record could be read."""
    created: datetime | None = None


@dataclass(frozen=True)
class CenterInstance:
    """What must agree with a role: where the instance is, and since when. Each is None where AWS does not state it."""

    region: str | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class Links:
    """The ids of the roles, by permission set; and why no more could be decided."""

    by_permission_set: Mapping[str, str]
    undecided: str | None = None


def find_provisioned(role: Mapping[str, Any]) -> ProvisionedRole | None:
    """Read a role's permission set and the evidence of its instance; None where Identity Center did not make it.

    Only Identity Center can make a role under this path (AWS.md section 3.3), so its name is reliable.
    """
    name, path = role.get("RoleName", ""), role.get("Path", "")
    named = _ROLE_NAME.fullmatch(name)
    if named is None or not path.startswith(IDENTITY_CENTER_PATH):
        return None
    created = to_utc(role.get("CreateDate"))
    return ProvisionedRole(
        permission_set=named["permission_set"],
        name=name,
        region=path.removeprefix(IDENTITY_CENTER_PATH).strip("/") or REGION_WITHOUT_PATH,
        provider=_find_provider(role.get("AssumeRolePolicyDocument")),
        created=created.isoformat() if created else None,
    )


def plan_links(
    roles: Mapping[str, ProvisionedRole], permission_sets: Mapping[str, datetime | None], instance: CenterInstance
) -> Links:
    """Decide which role of the account is which permission set of the instance.

    Args:
        roles: The roles, by id.
        permission_sets: When each permission set of the instance was created, by name.
        instance: The instance.
    """
    in_region = {id_: role for id_, role in roles.items() if instance.region in (None, role.region)}
    ruled_out = {role.provider for role in in_region.values() if _is_older(role, instance.created)}
    possible = [
        (role.provider or "", role.permission_set, id_, role)
        for id_, role in in_region.items()
        if role.provider not in ruled_out and not _is_older(role, permission_sets.get(role.permission_set))
    ]
    by_provider = {
        provider: [(name, id_, role) for _, name, id_, role in group]
        for provider, group in groupby(sorted(possible, key=lambda each: each[:3]), key=lambda each: each[0])
    }
    candidates = {
        provider: group
        for provider, group in by_provider.items()
        if any(name in permission_sets for name, _, _ in group)
    }
    if len(candidates) > 1:
        # The instance has no role for a permission set that it does not have.
        whole = {
            provider: group
            for provider, group in candidates.items()
            if all(name in permission_sets for name, _, _ in group)
        }
        candidates = whole if len(whole) == 1 else candidates
    if len(candidates) > 1 or "" in candidates:
        return Links({}, _describe_undecided([role for group in candidates.values() for _, _, role in group]))
    if not candidates:
        # All roles of these names are older than what they would be made for: the instance's own may still be made.
        named_alike = [role for role in in_region.values() if role.permission_set in permission_sets]
        return Links({}, _describe_undecided(named_alike) if named_alike else None)
    group = next(iter(candidates.values()))
    named = [(name, id_, role) for name, id_, role in group if name in permission_sets]
    counts = Counter(name for name, _, _ in named)
    twice = [role for name, _, role in named if counts[name] > 1]
    return Links(
        {name: id_ for name, id_, _ in named if counts[name] == 1}, _describe_undecided(twice) if twice else None
    )


def read_permission_set_roles(
    reading: Reading, account_roles: Callable[[], Iterable[NamedRole]], instance: CenterInstance
) -> Iterator[Page]:
    """Read the links: what is assigned in this account is the role, and with it the role's policies.

    Args:
        reading: The reading; its roles were read.
        account_roles: Gives what each permission set of the instance is in this account, or raises what kept them from
            being read. Not called where no role was made for a permission set: there is nothing to link then.
        instance: The instance that the permission sets are of.
    """
    provisioned = {each.id: ProvisionedRole(**json.loads(each.value)) for each in reading.findings.each("provisioned")}
    by_name = {named.permission_set: named for named in account_roles()} if provisioned else {}
    links = plan_links(provisioned, {name: named.created for name, named in by_name.items()}, instance)
    page = RecordBuffer()
    for name, role_id in links.by_permission_set.items():
        named = by_name[name]
        page.add(named.role, is_partial=named.is_partial)
        page.add(
            to_aws_account(reading.account_id),
            Grant(
                principal_kind="entitlement",
                principal_id=named.role.id,
                entitlement_id=role_id,
                # By the name, among the roles of the instance's own SAML provider.
                attributes={"matched_by": "name"},
            ),
        )
    yield from page.to_pages(PERMISSION_SET_ROLES)
    if links.undecided is not None:
        raise RejectedError(
            links.undecided,
            reason="permission_set_role_undecided",
            fix="Delete the roles and the SAML provider of a former instance of IAM Identity Center, if there was one.",
        )


def _find_provider(document: object) -> str | None:
    named = {
        text
        for statement in to_policy(document, is_trust=True).statements
        for _, text in (statement.principals.pairs if statement.is_allow and statement.principals else ())
    }
    found = _PROVIDER.fullmatch(next(iter(named))) if len(named) == 1 else None
    return found[1] if found else None


def _is_older(role: ProvisionedRole, created: datetime | None) -> bool:
    """Whether a role was created before the thing that it would be made for."""
    return created is not None and role.created is not None and datetime.fromisoformat(role.created) < created


def _describe_undecided(roles: list[ProvisionedRole]) -> str:
    named = "; ".join(sorted(f"{role.name} (SAML provider {role.provider or 'unknown'})" for role in roles))
    return (
        "AWS does not state which instance of IAM Identity Center made these roles, so none of them was linked to a "
        f"permission set: {named}."
    )
