"""Reader of users, groups and roles, what each holds, and who may assume which role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from ploy_connector_aws.aws.client.calls import read_pages, read_responses
from ploy_connector_aws.aws.policy.effective_permissions import (
    EffectivePermissions,
    to_permissions,
    unread_policy,
)
from ploy_connector_aws.aws.policy.privileges import judge
from ploy_connector_aws.aws.policy.trust import to_trust
from ploy_connector_aws.aws.records import RecordBuffer, take
from ploy_connector_aws.aws.spool import Edge, EdgeKind
from ploy_connector_aws.spec import Entitlement, Grant, Page, RejectedError, TemporaryError

from .findings import find_role_findings
from .permission_set_roles import find_provisioned_role
from .read_context import DETAILS, DORMANT_USERS, GROUPS, ROLES, TRUST, USERS, ReadContext
from .records import (
    is_aws_managed,
    to_group,
    to_id,
    to_inline_policy,
    to_instance_profiles,
    to_policy,
    to_role,
    to_role_account,
    to_tags,
    to_user,
)
from .trust_grants import (
    MAX_GRANTS,
    Holder,
    RoleAccess,
    TooManyGrantsError,
    to_edges,
    to_external_records,
    to_grant,
)

_FILTER = {"UserDetailList": "User", "RoleDetailList": "Role"}
"""The filter of the request, by the member of the response that it fills."""

_ROWS_PER_PAGE = 100
"""A response has up to 1,000 rows, and a role has several records."""

_SCOPES = {"UserDetailList": (USERS,), "RoleDetailList": (ROLES, TRUST)}
"""The scopes of such a member."""


def read_identities(context: ReadContext) -> Iterator[Page]:
    """Read groups, then users and roles in one pagination: one marker covers both, and any page may lack either.

    Args:
        context: The read, with its managed policies and groups.

    Raises:
        AuthenticationError: Nothing else could be read either.
    """
    _read_list(context, "ListUsers", "Users", USERS, _store_users)
    _read_list(context, "ListRoles", "Roles", ROLES, _store_roles)
    # The policies of groups are those of their users too.
    yield from _to_pages(context, context.groups, _add_group, GROUPS)
    context.groups.clear()
    missing = set(_FILTER)
    with context.isolate_failure(USERS, ROLES, TRUST):
        for response in read_responses(context.client, DETAILS, tuple(_FILTER), Filter=list(_FILTER.values())):
            missing -= response.keys()
            for member, add in _ADD.items():
                yield from _to_pages(context, response.get(member, []), add, *_SCOPES[member])
        for member in sorted(missing):
            # An empty list is an answer; no list is none.
            context.fail(TemporaryError(f"AWS gave no {member}."), *_SCOPES[member])
    _add_role_access(context)
    yield from _read_edges(context, "membership", USERS, _to_membership)
    yield from _read_edges(context, "assuming", TRUST, to_grant)
    yield from (context.end(scope) for scope in (USERS, GROUPS, ROLES, TRUST))
    failures = filter(None, map(context.failure_of, (GROUPS, ROLES, TRUST)))
    assuming = context.spool.edges("assuming")
    yield from context.sign_ins.to_pages(DORMANT_USERS, assuming, context.failure_of(USERS), next(failures, None))


def _add_role_access(context: ReadContext) -> None:
    """Add who can assume the roles that trust their own account, once all users and roles were read."""
    roles = context.assumable_roles
    if roles.has_roles and roles.error is not None:
        context.fail(roles.error, TRUST)
    try:
        for access in roles.find_access():
            if access.decision is None:
                context.fail(_access_undecided(access), TRUST)
                continue
            holder, role = access.holder, access.role
            if holder.kind == "role":
                # Access of the whole role includes that of one of its sessions.
                context.spool.remove_edge("assuming", "role_name", holder.name, role.id)
            context.spool.add_edges([Edge("assuming", holder.kind, holder.arn, role.id, access.to_attributes())])
    except TooManyGrantsError:
        context.fail(_too_many_grants(), TRUST)


def _read_list(
    context: ReadContext, operation: str, member: str, scope: str, store: Callable[[ReadContext, list[Any]], None]
) -> None:
    """Store what only the plain list has. Without it no record is full, and the scope is incomplete."""
    with context.isolate_failure(scope):
        for rows in read_pages(context.client, operation, member):
            store(context, rows)


def _store_users(context: ReadContext, users: list[Any]) -> None:
    used = ((take(user, "UserId", "a user"), user.get("PasswordLastUsed")) for user in users)
    context.spool.add("listed_user", ((id_, moment.isoformat() if moment else "") for id_, moment in used))


def _store_roles(context: ReadContext, roles: list[Any]) -> None:
    kept = ("Description", "MaxSessionDuration")
    rows = (
        (take(role, "RoleId", "a role"), json.dumps({name: role[name] for name in kept if name in role}))
        for role in roles
    )
    context.spool.add("listed_role", rows)


Add = Callable[[ReadContext, dict[str, RecordBuffer], dict[str, Any]], None]


def _to_pages(context: ReadContext, rows: list[Any], add: Add, *scopes: str) -> Iterator[Page]:
    """Convert one list of a response. A row that cannot be converted fails its scopes, and the others continue."""
    for start in range(0, len(rows), _ROWS_PER_PAGE):
        pages = {scope: RecordBuffer() for scope in scopes}
        for row in rows[start : start + _ROWS_PER_PAGE]:
            try:
                add(context, pages, row)
            except Exception as error:  # noqa: BLE001 - whatever it is, it proves nothing about the other rows
                context.fail(error, *scopes)
                context.assumable_roles.error = context.assumable_roles.error or error
        for scope, page in pages.items():
            yield from page.to_pages(scope)


def _add_user(context: ReadContext, pages: dict[str, RecordBuffer], user: dict[str, Any]) -> None:
    _require(user, "a user", "UserId", "Arn")
    page = pages[USERS]
    id_ = to_id(context.account_id, user["UserId"])
    context.spool.add("user", [(user["Arn"], id_)])
    listed = context.spool.find_values("listed_user", [user["UserId"]]).get(user["UserId"])
    last_used = {"PasswordLastUsed": datetime.fromisoformat(listed)} if listed else {}
    groups = user.get("GroupList", ())
    permissions = _add_policies(context, page, "account", id_, user, "UserPolicyList")
    for group in groups:
        unread = unread_policy(f"The policies of the group {group} were not read.", is_partial=True)
        permissions += context.group_permissions.get(group, [unread])
    boundary = _find_boundary(context, user)
    verdict = judge(permissions, boundary)
    page.add(
        to_user(context.account_id, user, last_used, verdict),
        is_partial=listed is None or verdict.is_partial,
    )
    signed_in = last_used.get("PasswordLastUsed")
    name, is_listed = user.get("UserName", user["Arn"]), listed is not None
    context.sign_ins.add_user(id_, user["UserId"], name, signed_in, verdict, is_listed=is_listed)
    holder = Holder("user", user["Arn"], user.get("UserName", ""), user["UserId"], tuple(to_tags(user).items()))
    context.assumable_roles.add_holder(holder, permissions, boundary)
    context.spool.add_edges(Edge("membership", "group", group, id_, {}) for group in groups)


def _add_group(context: ReadContext, pages: dict[str, RecordBuffer], group: dict[str, Any]) -> None:
    _require(group, "a group", "GroupId", "GroupName")
    page = pages[GROUPS]
    id_ = to_id(context.account_id, group["GroupId"])
    context.spool.add("group", [(group["GroupName"], id_)])
    permissions = _add_policies(context, page, "entitlement", id_, group, "GroupPolicyList")
    context.group_permissions[group["GroupName"]] = permissions
    verdict = judge(permissions)
    page.add(to_group(context.account_id, group, verdict), is_partial=verdict.is_partial)


def _add_role(context: ReadContext, pages: dict[str, RecordBuffer], role: dict[str, Any]) -> None:
    _require(role, "a role", "RoleId", "RoleName", "Arn")
    page = pages[ROLES]
    account_id, arn, document = context.account_id, role["Arn"], role.get("AssumeRolePolicyDocument")
    id_ = to_id(account_id, role["RoleId"])
    context.spool.add("role", [(arn, id_)])
    context.spool.add("role_name", [(role["RoleName"], id_)])
    context.spool.add("instance_profile", ((profile, id_) for profile in to_instance_profiles(role)))
    provisioned_role = find_provisioned_role(role)
    if provisioned_role is not None:
        context.spool.add("provisioned", [(id_, provisioned_role.to_json())])
    found = context.spool.find_values("listed_role", [role["RoleId"]]).get(role["RoleId"])
    listed = json.loads(found) if found else {}
    trust = to_trust(document, arn, context.management_account)
    permissions = _add_policies(context, page, "entitlement", id_, role, "RolePolicyList")
    boundary = _find_boundary(context, role)
    verdict = judge(permissions, boundary)
    page.add(
        to_role_account(account_id, role, listed, verdict),
        to_role(account_id, role, listed, trust, verdict),
        is_partial=found is None or verdict.is_partial,
    )
    page.add_aws_account(account_id, context.session.config)
    # The role's account has what the role has: this grant links the two records of the role.
    page.add(Grant(principal_kind="account", principal_id=id_, entitlement_id=id_))
    pages[TRUST].add(*to_external_records(trust, id_))
    findings = find_role_findings(id_, role["RoleName"], trust, verdict, context.management_account)
    pages[TRUST].add(*findings, is_partial=verdict.is_partial)
    context.sign_ins.add_role(id_, role["RoleName"], verdict)
    context.spool.add_edges(to_edges(trust, id_))
    context.assumable_roles.add_role(arn, id_, document, trust)
    context.assumable_roles.add_holder(Holder("role", arn, role["RoleName"], role["RoleId"]), permissions, boundary)
    if trust.undecided:
        context.fail(_trust_undecided(role["RoleName"]), TRUST)


_ADD: dict[str, Add] = {"UserDetailList": _add_user, "RoleDetailList": _add_role}


def _add_policies(
    context: ReadContext,
    page: RecordBuffer,
    holder_kind: Literal["account", "entitlement"],
    holder_id: str,
    holder: Mapping[str, Any],
    inline: str,
) -> list[EffectivePermissions]:
    """Add what a user, group or role holds, and return what all of it allows."""
    permissions: list[EffectivePermissions] = []
    held: list[str] = []
    arns = [take(policy, "PolicyArn", "an attached policy") for policy in holder.get("AttachedManagedPolicies", ())]
    known, unattached = context.spool.find_values("policy", arns), context.spool.find_values("unattached", arns)
    for arn in arns:
        permissions.append(context.managed_policies.permissions_of(arn))
        held.append(known.get(arn, arn))
        if arn in unattached:
            page.add(Entitlement.model_validate_json(unattached[arn]))
        elif arn not in known and is_aws_managed(arn):
            page.add(to_policy(context.account_id, {"Arn": arn}, judge(permissions[-1:])), is_partial=True)
        elif arn not in known:
            raise TemporaryError("A policy is held that was not read: it may have been made meanwhile.")
    for policy in holder.get(inline, ()):
        permissions.append(to_permissions(policy.get("PolicyDocument")))
        name = take(policy, "PolicyName", "an inline policy")
        entitlement = to_inline_policy(holder_id, name, judge(permissions[-1:]))
        held.append(entitlement.id)
        page.add(entitlement)
    page.add(*(Grant(principal_kind=holder_kind, principal_id=holder_id, entitlement_id=id_) for id_ in held))
    return permissions


def _find_boundary(context: ReadContext, holder: Mapping[str, Any]) -> EffectivePermissions | None:
    arn = holder.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return context.managed_policies.permissions_of(arn) if arn else None


def _read_edges(
    context: ReadContext, kind: EdgeKind, scope: str, to_record: Callable[[Edge, str], Grant]
) -> Iterator[Page]:
    """Convert the stored edges to grants, now that everything was read."""
    for edges in context.spool.edges(kind):
        yield Page(scope=scope, records=tuple(to_record(edge, found) for edge, found in edges if found is not None))
        for edge, found in edges:
            if found is None:
                context.fail(
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
        "so principals that may assume the role may be missing.",
        reason="trust_undecided",
        fix="Look at the role's trust policy; update the connector.",
    )


def _access_undecided(access: RoleAccess) -> RejectedError:
    return RejectedError(
        f"Whether {access.holder.arn} can assume the role {access.role.arn} is not known: the role trusts its own AWS "
        "account, and a policy of that user or role was not read or not understood.",
        reason="trust_undecided",
        fix="Look at the policies of that user or role; update the connector.",
    )


def _too_many_grants() -> RejectedError:
    return RejectedError(
        f"More than {MAX_GRANTS:,} pairs of a user or role and a role that trusts its own AWS account were found or "
        "had to be compared, so that some of those who can assume such roles are missing.",
        reason="too_many_holders",
        fix="Limit sts:AssumeRole in the policies of users and roles to the roles that they need.",
    )
