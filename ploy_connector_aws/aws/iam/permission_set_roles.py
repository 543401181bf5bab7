"""Links from permission sets to the roles that Identity Center created for them in this AWS account.

AWS names the instance of such a role nowhere. Each instance creates one SAML provider in an account, and its roles
trust only that one. So the first step finds the instance's provider, the second the role with the permission set's
name among the roles of that provider.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ploy_connector_aws.aws.policy.documents import to_policy
from ploy_connector_aws.aws.records import RecordBuffer, to_utc
from ploy_connector_aws.spec import Entitlement, Grant, Page, RejectedError

from .read_context import ReadContext
from .records import IDENTITY_CENTER_PATH

PERMISSION_SET_ROLES = "iam/permission-set-roles"

REGION_WITHOUT_PATH = "us-east-1"
"""Roles of instances in this Region have no Region in their path (AWS.md section 3.3)."""

_ROLE_NAME = re.compile(r"AWSReservedSSO_(?P<permission_set>.+)_[0-9a-f]{16}")
_PROVIDER = re.compile(r"arn:[\w-]+:iam::\d{12}:saml-provider/(AWSSSO_[0-9a-f]+_DO_NOT_DELETE)")


@dataclass(frozen=True)
class ProvisionedRole:
    """A role that an instance of Identity Center created, with the evidence of which instance.

    `provider` is the SAML provider that it trusts, None where it does not trust exactly one; `created` an ISO moment.
    """

    permission_set: str
    name: str
    region: str
    provider: str | None = None
    created: str | None = None

    def to_json(self) -> str:
        """The role as text for the spool."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class NamedRole:
    """A permission set as the role of this AWS account, with the permission set's name and creation time."""

    permission_set: str
    role: Entitlement
    is_partial: bool
    """Whether not all of the record could be read."""
    created: datetime | None = None


@dataclass(frozen=True)
class CenterInstance:
    """What must agree with a role: the instance's Region and creation time, each None where AWS does not state it."""

    region: str | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class Links:
    """The ids of the roles, by permission set; and why others are undecided."""

    by_permission_set: Mapping[str, str]
    undecided: str | None = None


def find_provisioned_role(role: Mapping[str, Any]) -> ProvisionedRole | None:
    """Find a role's permission set and the evidence of its instance; None where Identity Center did not create it.

    Only Identity Center can create a role under this path (AWS.md section 3.3), so its name is reliable.
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
    """Decide which role of the account belongs to which permission set of the instance.

    Args:
        roles: The roles, by id.
        permission_sets: The creation time of each permission set of the instance, by name.
        instance: The instance.
    """
    in_region = {id_: role for id_, role in roles.items() if instance.region in (None, role.region)}
    ruled_out = {role.provider for role in in_region.values() if _is_older(role, instance.created)}
    by_provider: dict[str, list[tuple[str, ProvisionedRole]]] = {}
    for id_, role in sorted(in_region.items(), key=lambda each: (each[1].permission_set, each[0])):
        if role.provider not in ruled_out and not _is_older(role, permission_sets.get(role.permission_set)):
            by_provider.setdefault(role.provider or "", []).append((id_, role))
    candidates = {
        provider: group
        for provider, group in by_provider.items()
        if any(role.permission_set in permission_sets for _, role in group)
    }
    if len(candidates) > 1:
        # The instance has no role for a permission set that it does not have.
        complete = {
            provider: group
            for provider, group in candidates.items()
            if all(role.permission_set in permission_sets for _, role in group)
        }
        candidates = complete if len(complete) == 1 else candidates
    if len(candidates) > 1 or "" in candidates:
        return Links({}, _describe_undecided([role for group in candidates.values() for _, role in group]))
    if not candidates:
        # All roles of these names are older than their permission sets: the instance may not have created its own yet.
        named_alike = [role for role in in_region.values() if role.permission_set in permission_sets]
        return Links({}, _describe_undecided(named_alike) if named_alike else None)
    (group,) = candidates.values()
    named = [(id_, role) for id_, role in group if role.permission_set in permission_sets]
    counts = Counter(role.permission_set for _, role in named)
    duplicates = [role for _, role in named if counts[role.permission_set] > 1]
    return Links(
        {role.permission_set: id_ for id_, role in named if counts[role.permission_set] == 1},
        _describe_undecided(duplicates) if duplicates else None,
    )


def read_permission_set_roles(
    context: ReadContext, account_roles: Callable[[], Iterable[NamedRole]], instance: CenterInstance
) -> Iterator[Page]:
    """Read the links: what is assigned in this account is the role, and with it the role's policies.

    Args:
        context: The read, with its roles.
        account_roles: Returns what each permission set of the instance is in this account, or raises why that was not
            read. Called only if the account has roles of permission sets: otherwise there is nothing to link.
        instance: The instance of the permission sets.
    """
    provisioned = {each.id: ProvisionedRole(**json.loads(each.value)) for each in context.spool.each("provisioned")}
    by_name = {named.permission_set: named for named in account_roles()} if provisioned else {}
    links = plan_links(provisioned, {name: named.created for name, named in by_name.items()}, instance)
    page = RecordBuffer()
    for name, role_id in links.by_permission_set.items():
        named = by_name[name]
        page.add(named.role, is_partial=named.is_partial)
        page.add_aws_account(context.account_id, context.session.config)
        page.add(
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
    """Whether a role is older than the permission set or instance that it would belong to."""
    return created is not None and role.created is not None and datetime.fromisoformat(role.created) < created


def _describe_undecided(roles: list[ProvisionedRole]) -> str:
    named = "; ".join(sorted(f"{role.name} (SAML provider {role.provider or 'unknown'})" for role in roles))
    return (
        "AWS does not state which instance of IAM Identity Center made these roles, so none of them was linked to a "
        f"permission set: {named}."
    )
