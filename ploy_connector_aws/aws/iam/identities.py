"""Reads users, groups and roles, what each holds, and who may assume which role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from ploy_connector_aws.aws.client.calls import read_pages, read_responses
from ploy_connector_aws.aws.policy.effective_permissions import (
    NO_PERMISSIONS,
    EffectivePermissions,
    to_permissions,
    unread_policy,
)
from ploy_connector_aws.aws.policy.privileges import judge
from ploy_connector_aws.aws.policy.trust import to_trust
from ploy_connector_aws.aws.scopes import RecordBuffer, take, to_aws_account
from ploy_connector_aws.aws.spool import Edge, EdgeKind
from ploy_connector_aws.spec import (
    AuthenticationError,
    Entitlement,
    Grant,
    Page,
    RejectedError,
    TemporaryError,
)

from .accounts import to_id, to_instance_profiles, to_role_account, to_tags, to_user
from .entitlements import is_aws_managed, to_group, to_inline_policy, to_role, to_unlisted_policy
from .opening import MOST_OPENED, Holder, TooManyOpenedError, Undecided
from .permission_set_roles import find_provisioned
from .read_context import DETAILS, GROUPS, ROLES, TRUST, USERS, Reading
from .trust_grants import to_assuming, to_edges, to_outsiders

_FILTER = {"UserDetailList": "User", "RoleDetailList": "Role"}
"""What is asked for, by the member of the answer that gives it."""

_SCOPES = {"UserDetailList": (USERS,), "RoleDetailList": (ROLES, TRUST)}
"""The scopes that such a member fills."""


def read_holders(reading: Reading) -> Iterator[Page]:
    """Read groups, then users and roles in one walk: one marker goes through both, and any page may lack either.

    Args:
        reading: The reading; its managed policies were read, and the groups with them.

    Raises:
        AuthenticationError: Nothing else could be read either.
    """
    _read_list(reading, "ListUsers", "Users", USERS, _remember_users)
    _read_list(reading, "ListRoles", "Roles", ROLES, _remember_roles)
    # Their policies are policies of their users too.
    yield from _to_pages(reading, reading.groups, _add_group, GROUPS)
    reading.groups.clear()
    never_given = set(_FILTER)
    try:
        for answer in read_responses(reading.client, DETAILS, tuple(_FILTER), Filter=list(_FILTER.values())):
            never_given -= answer.keys()
            for member, add in _ADD.items():
                yield from _to_pages(reading, answer.get(member, []), add, *_SCOPES[member])
    except AuthenticationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not look like the end of the lists
        reading.fail(error, USERS, ROLES, TRUST)
    else:
        for member in sorted(never_given):
            # An empty list is an answer; no list is none.
            reading.fail(TemporaryError(f"AWS gave no {member}."), *_SCOPES[member])
    _add_openings(reading)
    yield from _read_edges(reading, "membership", USERS, _to_membership)
    yield from _read_edges(reading, "assuming", TRUST, to_assuming)
    yield from (reading.end(scope) for scope in (USERS, GROUPS, ROLES, TRUST))


def _add_openings(reading: Reading) -> None:
    """Add who can assume the roles that trust their own account, once all users and roles were read."""
    openings = reading.openings
    if openings.is_any and openings.lost is not None:
        reading.fail(openings.lost, TRUST)
    try:
        for found in openings.find_opened():
            if isinstance(found, Undecided):
                reading.fail(_opening_undecided(found), TRUST)
                continue
            holder, role = found.holder, found.role
            if holder.kind == "role":
                # The whole role is more than one session of it.
                reading.findings.remove_edge("assuming", "role_name", holder.name, role.id)
            reading.findings.add_edges([Edge("assuming", holder.kind, holder.arn, role.id, found.to_attributes())])
    except TooManyOpenedError:
        reading.fail(_too_many_opened(), TRUST)


def _read_list(
    reading: Reading, operation: str, member: str, scope: str, remember: Callable[[Reading, list[Any]], None]
) -> None:
    """Remember what only the plain list says. Without it nobody's record is full, and the scope is not complete."""
    try:
        for rows in read_pages(reading.client, operation, member):
            remember(reading, rows)
    except AuthenticationError:
        raise
    except Exception as error:  # noqa: BLE001 - that they exist is read all the same
        reading.fail(error, scope)


def _remember_users(reading: Reading, users: list[Any]) -> None:
    used = ((take(user, "UserId", "a user"), user.get("PasswordLastUsed")) for user in users)
    reading.findings.add("listed_user", ((id_, moment.isoformat() if moment else "") for id_, moment in used))


def _remember_roles(reading: Reading, roles: list[Any]) -> None:
    kept = ("Description", "MaxSessionDuration")
    reading.findings.add(
        "listed_role",
        (
            (take(role, "RoleId", "a role"), json.dumps({name: role[name] for name in kept if name in role}))
            for role in roles
        ),
    )


Add = Callable[[Reading, dict[str, RecordBuffer], dict[str, Any]], None]


def _to_pages(reading: Reading, rows: list[Any], add: Add, *scopes: str) -> Iterator[Page]:
    """Convert one list of an answer. A row that cannot be converted fails its scopes, and the others go on."""
    pages = {scope: RecordBuffer() for scope in scopes}
    for row in rows:
        try:
            add(reading, pages, row)
        except Exception as error:  # noqa: BLE001 - whatever it is, it says nothing about the other rows
            reading.fail(error, *scopes)
            reading.openings.lost = reading.openings.lost or error
    for scope, page in pages.items():
        yield from page.to_pages(scope)


def _add_user(reading: Reading, pages: dict[str, RecordBuffer], user: dict[str, Any]) -> None:
    _require(user, "a user", "UserId", "Arn")
    page = pages[USERS]
    id_ = to_id(reading.account_id, user["UserId"])
    reading.findings.add("user", [(user["Arn"], id_)])
    listed = reading.findings.find_values("listed_user", [user["UserId"]]).get(user["UserId"])
    last_used = {"PasswordLastUsed": datetime.fromisoformat(listed)} if listed else {}
    powers = _add_policies(reading, page, "account", id_, user, "UserPolicyList")
    for group in user.get("GroupList", ()):
        powers += reading.group_powers.get(group) or [_unread_group(group)]
    boundary = _find_boundary(reading, user)
    verdict = judge(powers, boundary)
    page.add(
        to_user(reading.account_id, user, last_used, verdict),
        is_partial=listed is None or verdict.is_partial,
    )
    tags = tuple(to_tags(user).items())
    reading.openings.add_holder(
        Holder("user", user["Arn"], user.get("UserName", ""), user["UserId"], tags), powers, boundary
    )
    reading.findings.add_edges(Edge("membership", "group", group, id_, {}) for group in user.get("GroupList", ()))


def _add_group(reading: Reading, pages: dict[str, RecordBuffer], group: dict[str, Any]) -> None:
    _require(group, "a group", "GroupId", "GroupName")
    page = pages[GROUPS]
    id_ = to_id(reading.account_id, group["GroupId"])
    reading.findings.add("group", [(group["GroupName"], id_)])
    powers = _add_policies(reading, page, "entitlement", id_, group, "GroupPolicyList")
    reading.group_powers[group["GroupName"]] = powers or [NO_PERMISSIONS]
    verdict = judge(powers)
    page.add(to_group(reading.account_id, group, verdict), is_partial=verdict.is_partial)


def _add_role(reading: Reading, pages: dict[str, RecordBuffer], role: dict[str, Any]) -> None:
    _require(role, "a role", "RoleId", "RoleName", "Arn")
    page = pages[ROLES]
    id_ = to_id(reading.account_id, role["RoleId"])
    reading.findings.add("role", [(role["Arn"], id_)])
    reading.findings.add("role_name", [(role["RoleName"], id_)])
    reading.findings.add("instance_profile", ((arn, id_) for arn in to_instance_profiles(role)))
    provisioned = find_provisioned(role)
    if provisioned is not None:
        reading.findings.add("provisioned", [(id_, provisioned.to_json())])
    found = reading.findings.find_values("listed_role", [role["RoleId"]]).get(role["RoleId"])
    listed = json.loads(found) if found else {}
    trust = to_trust(role.get("AssumeRolePolicyDocument"), role["Arn"], reading.management_account)
    powers = _add_policies(reading, page, "entitlement", id_, role, "RolePolicyList")
    boundary = _find_boundary(reading, role)
    verdict = judge(powers, boundary)
    page.add(
        to_role_account(reading.account_id, role, listed, verdict),
        is_partial=found is None or verdict.is_partial,
    )
    page.add(to_role(reading.account_id, role, listed, trust, verdict), is_partial=found is None or verdict.is_partial)
    page.add(
        to_aws_account(reading.account_id),
        # Whoever acts as the role has what the role has: this leads from the one record of the role to the other.
        Grant(principal_kind="account", principal_id=id_, entitlement_id=id_),
    )
    pages[TRUST].add(*to_outsiders(trust, id_))
    reading.findings.add_edges(to_edges(trust, id_))
    reading.openings.add_role(role["Arn"], id_, role.get("AssumeRolePolicyDocument"), trust)
    reading.openings.add_holder(Holder("role", role["Arn"], role["RoleName"], role["RoleId"]), powers, boundary)
    if trust.undecided:
        reading.fail(_trust_undecided(role["RoleName"]), TRUST)


_ADD: dict[str, Add] = {"UserDetailList": _add_user, "RoleDetailList": _add_role}


def _add_policies(
    reading: Reading,
    page: RecordBuffer,
    holder_kind: Literal["account", "entitlement"],
    holder_id: str,
    holder: Mapping[str, Any],
    inline: str,
) -> list[EffectivePermissions]:
    """Add what a user, group or role holds, and give the powers of all of it."""
    powers: list[EffectivePermissions] = []
    held: list[str] = []
    arns = [take(policy, "PolicyArn", "an attached policy") for policy in holder.get("AttachedManagedPolicies", ())]
    known, unattached = reading.findings.find_values("policy", arns), reading.findings.find_values("unattached", arns)
    for arn in arns:
        powers.append(reading.powers.permissions_of(arn))
        held.append(known.get(arn, arn))
        if arn in unattached:
            page.add(Entitlement.model_validate_json(unattached[arn]))
        elif arn not in known and is_aws_managed(arn):
            page.add(to_unlisted_policy(arn, judge(powers[-1:])), is_partial=True)
        elif arn not in known:
            raise TemporaryError("A policy is held that was not read: it may have been made meanwhile.")
    for policy in holder.get(inline, ()):
        powers.append(to_permissions(policy.get("PolicyDocument")))
        name = take(policy, "PolicyName", "an inline policy")
        entitlement = to_inline_policy(holder_id, name, judge(powers[-1:]))
        held.append(entitlement.id)
        page.add(entitlement)
    page.add(*(Grant(principal_kind=holder_kind, principal_id=holder_id, entitlement_id=id_) for id_ in held))
    return powers


def _find_boundary(reading: Reading, holder: Mapping[str, Any]) -> EffectivePermissions | None:
    arn = holder.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return reading.powers.permissions_of(arn) if arn else None


def _unread_group(name: str) -> EffectivePermissions:
    return unread_policy(f"The policies of the group {name} were not read.", is_partial=True)


def _read_edges(reading: Reading, kind: EdgeKind, scope: str, to_grant: Callable[[Edge, str], Grant]) -> Iterator[Page]:
    """Make the grants that waited until everything was seen."""
    for edges in reading.findings.edges(kind):
        yield Page(scope=scope, records=tuple(to_grant(edge, found) for edge, found in edges if found is not None))
        for edge, found in edges:
            if found is None:
                reading.fail(
                    TemporaryError(f"{edge.name} is named, but was not read: it may have been made meanwhile."), scope
                )


def _to_membership(edge: Edge, group_id: str) -> Grant:
    return Grant(principal_kind="account", principal_id=edge.known_id, entitlement_id=group_id)


def _require(row: Mapping[str, Any], what: str, *members: str) -> None:
    for member in members:
        take(row, member, what)


def _trust_undecided(role_name: str) -> RejectedError:
    return RejectedError(
        f"The trust policy of the role {role_name} has a part that this version of the connector does not understand, "
        "so that somebody who may assume the role may be missing.",
        reason="trust_undecided",
        fix="Look at the role's trust policy; update the connector.",
    )


def _opening_undecided(found: Undecided) -> RejectedError:
    return RejectedError(
        f"Whether {found.holder.arn} can assume the role {found.role.arn} is not known: the role trusts its own AWS "
        "account, and a policy of that user or role was not read or not understood.",
        reason="trust_undecided",
        fix="Look at the policies of that user or role; update the connector.",
    )


def _too_many_opened() -> RejectedError:
    return RejectedError(
        f"More than {MOST_OPENED:,} pairs of a user or role and a role that trusts its own AWS account were found or "
        "had to be compared, so that some of those who can assume such roles are missing.",
        reason="too_many_holders",
        fix="Limit sts:AssumeRole in the policies of users and roles to the roles that they need.",
    )
