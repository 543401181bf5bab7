"""Facts of IAM from moto's own state, and the same facts from a snapshot; neither uses our readers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.backends import get_backend

from tests.aws.snapshot import Snapshot

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass(frozen=True)
class IamFacts:
    """Accounts, entitlements, and who holds which."""

    accounts: frozenset[tuple[object, ...]]
    entitlements: frozenset[tuple[object, ...]]
    edges: frozenset[tuple[str, str, str]]


def facts_in_aws(account_id: str, permission_sets: dict[str, str]) -> IamFacts:
    """The facts in moto; `permission_sets` has ARNs by name."""
    backend: Any = get_backend("iam")[account_id]["aws"]
    users, groups, roles = list(backend.users.values()), list(backend.groups.values()), list(backend.roles.values())
    ids = {each.arn: f"{account_id}/{each.id}" for each in (*users, *groups, *roles)}
    attached = {
        policy.arn: policy for holder in (*users, *groups, *roles) for policy in holder.managed_policies.values()
    }
    ids |= {arn: arn if ":aws:policy/" in arn else f"{account_id}/{policy.id}" for arn, policy in attached.items()}
    edges: set[tuple[str, str, str]] = set()
    inline: set[tuple[object, ...]] = set()
    for kind, holder in (
        *(("account", each) for each in users),
        *(("entitlement", each) for each in (*groups, *roles)),
    ):
        own_id = ids[holder.arn]
        edges |= {(kind, own_id, ids[arn]) for arn in holder.managed_policies}
        edges |= {(kind, own_id, f"{own_id}/inline/{name}") for name in holder.policies}
        inline |= {(f"{own_id}/inline/{name}", "policy", name, None) for name in holder.policies}
    edges |= {("account", ids[user.arn], ids[group.arn]) for group in groups for user in group.users}
    edges |= {("account", ids[role.arn], ids[role.arn]) for role in roles}
    external: set[tuple[object, ...]] = set()
    provisioned: set[tuple[object, ...]] = set()
    root = f"arn:aws:iam::{account_id}:root"
    for role in roles:
        for principal in _principals(json.loads(role.assume_role_policy_document)):
            if principal in ids:
                edges.add(("account" if ":user/" in principal else "entitlement", ids[principal], ids[role.arn]))
            else:
                edges.add(("account", principal, ids[role.arn]))
                external.add((principal, principal, None, frozenset(), None))
            if principal == root:
                edges |= {
                    ("account" if ":user/" in each.arn else "entitlement", ids[each.arn], ids[role.arn])
                    for each in (*users, *roles)
                    if each is not role and _may_assume_any_role(each, groups)
                }
        if (match := re.match(r"AWSReservedSSO_(\w+)_\w{16}$", role.name)) and match[1] in permission_sets:
            account_role = f"{account_id}/{permission_sets[match[1]]}"
            edges.add(("entitlement", account_role, ids[role.arn]))
            provisioned.add((account_role, "account_role", f"{match[1]} in {account_id}", None))
    return IamFacts(
        accounts=frozenset(
            {
                *(
                    (ids[each.arn], each.name, each.password_last_used, _tags(each.tags), each.permissions_boundary_arn)
                    for each in users
                ),
                *((ids[each.arn], each.name, None, _tags(each.tags), each.permissions_boundary_arn) for each in roles),
                *external,
            }
        ),
        entitlements=frozenset(
            {
                *((ids[each.arn], "group", each.name, None) for each in groups),
                *((ids[each.arn], "role", each.name, each.description or None) for each in roles),
                *((ids[arn], "policy", each.name, each.description or None) for arn, each in attached.items()),
                *inline,
                *provisioned,
            }
        ),
        edges=frozenset(edges),
    )


def facts_in(snapshot: Snapshot) -> IamFacts:
    """The facts in a snapshot about IAM, and about roles that Identity Center created there."""
    ours = {id_ for id_, each in snapshot.of("account").items() if each.source == "iam"}
    entitlements = {
        id_: each
        for id_, each in snapshot.of("entitlement").items()
        if each.kind == "account_role" or not id_.startswith("arn:aws:sso:")
    }
    return IamFacts(
        accounts=frozenset(
            (
                each.id,
                each.username,
                each.last_login_at,
                frozenset(each.tags.items()),
                each.attributes.get("permissions_boundary"),
            )
            for id_, each in snapshot.of("account").items()
            if id_ in ours
        ),
        entitlements=frozenset((each.id, each.kind, each.name, each.description) for each in entitlements.values()),
        edges=frozenset(
            (each.principal_kind, each.principal_id, each.entitlement_id) for each in snapshot.of("grant").values()
        ),
    )


def _may_assume_any_role(holder: Any, groups: list[Any]) -> bool:
    """Of the policies in random accounts, only AdministratorAccess allows to assume roles."""
    sources = [holder, *(group for group in groups if holder in group.users)]
    is_held = any(ADMINISTRATOR in source.managed_policies for source in sources)
    return is_held and holder.permissions_boundary_arn in (None, "", ADMINISTRATOR)


def _principals(trust: dict[str, Any]) -> Iterator[str]:
    for statement in trust["Statement"]:
        for named in statement["Principal"].values():
            yield from [named] if isinstance(named, str) else named


def _tags(tags: list[dict[str, str]] | None) -> frozenset[tuple[str, str]]:
    return frozenset((tag["Key"], tag["Value"]) for tag in tags or ())
