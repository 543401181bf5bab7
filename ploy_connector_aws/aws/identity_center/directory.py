"""Reads people, groups and memberships of the identity store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.client.calls import read, read_pages
from ploy_connector_aws.aws.records import take, to_utc
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import (
    Account,
    Email,
    Entitlement,
    ExternalId,
    Grant,
    NotFoundError,
    Page,
    RecordKey,
    RejectedError,
    TemporaryError,
)

from .read_context import ReadContext, is_about

USERS = "identity-center/users"
GROUPS = "identity-center/groups"

_EXTERNAL_ID = "an external id"

DELETED_PRINCIPAL = "assignment of a deleted principal"
"""Counted when AWS lists access of a user or group that it reports missing."""

_STATUSES = {"ENABLED": "active", "DISABLED": "disabled"}

_KEPT_ATTRIBUTES = {"Title": "title", "UserType": "user_type"}
"""All other attributes are dropped: AWS also returns birth dates, addresses, telephone numbers and photos."""


def user_scope(user_id: str) -> str:
    """Name the scope of one user who was not in the list of users, but is a member of a group."""
    return f"{USERS}/{user_id}"


def members_scope(group_id: str) -> str:
    """Name the scope that holds a group's members."""
    return f"{GROUPS}/{group_id}/members"


def read_users(context: ReadContext) -> Iterator[Page]:
    """Read all people. ListUsers returns them in full, so no call per user is needed."""
    for users in read_pages(context.identity_store, "ListUsers", "Users", **context.store_id):
        accounts = tuple(to_account(user) for user in users)
        context.spool.add("user", ((account.id, "") for account in accounts))
        yield Page(scope=USERS, records=accounts)
    context.spool.set_complete("user")
    yield Page(scope=USERS, complete=True)


def read_groups(context: ReadContext) -> Iterator[Page]:
    """Read all groups, and announce the scope of each one's members."""
    config = context.session.config
    for groups in read_pages(context.identity_store, "ListGroups", "Groups", **context.store_id):
        entitlements = tuple(to_group(group, config) for group in groups)
        context.spool.add("group", ((group.id, group.name) for group in entitlements))
        yield Page(scope=GROUPS, records=entitlements)
        for group in entitlements:
            yield Page(scope=members_scope(group.id), parent=GROUPS)
    context.spool.set_complete("group")
    yield Page(scope=GROUPS, complete=True)


def read_members(context: ReadContext, group_id: str) -> Iterator[Page]:
    """Read the members of one group. A deleted group is retracted."""
    scope = members_scope(group_id)
    yield Page(scope=scope, began_at=datetime.now(UTC))
    has_unknown_members = False
    try:
        for rows in read_pages(
            context.identity_store, "ListGroupMemberships", "GroupMemberships", **context.store_id, GroupId=group_id
        ):
            if any(row.get("GroupId", group_id) != group_id for row in rows):
                raise TemporaryError(f"AWS listed a member of another group among those of the group {group_id}.")
            members = {row["MemberId"]["UserId"]: row for row in rows if "UserId" in row.get("MemberId", {})}
            has_unknown_members |= any("UserId" not in row.get("MemberId", {}) for row in rows)
            yield from _read_unlisted_users(context, members, scope)
            yield Page(
                scope=scope,
                records=tuple(
                    to_membership(user_id, group_id, row) for user_id, row in _without_gone(context, members)
                ),
            )
    except NotFoundError as error:
        if not is_about(error, "GROUP", group_id):
            raise
        context.confirm_gone("GROUP", group_id)
        context.spool.add("group", [(group_id, "")], "gone")
        yield Page(scope=scope, retracted=(RecordKey(type="entitlement", id=group_id),), gone=True)
        return
    if has_unknown_members:
        raise RejectedError(
            "The group has a member that is not a user; this version of the connector does not support that.",
            reason="unknown_member",
            fix="Update the connector.",
        )
    yield Page(scope=scope, complete=True)


def _read_unlisted_users(context: ReadContext, members: Iterable[str], scope: str) -> Iterator[Page]:
    """Describe members that the complete list of users did not have: new users, or memberships of deleted ones.

    Each has a scope of its own, so that a resumed run knows them too.
    """
    if not context.spool.is_complete("user"):
        return
    known = context.spool.find("user", members)
    unknown = [user_id for user_id in members if user_id not in known]
    context.spool.add("unlisted_user", ((user_id, "") for user_id in unknown))
    for user_id in unknown:
        # A member of several groups that are read concurrently is described once.
        with context.locks.of(user_id):
            page = describe_unlisted_user(context, user_id, scope)
        if page is not None:
            yield page


def describe_unlisted_user(context: ReadContext, user_id: str, scope: str) -> Page | None:
    """Describe a user that the list of users did not have; None if that was done already.

    Args:
        context: The read; the caller holds the lock of the user.
        user_id: The user.
        scope: The scope that named the user.

    Raises:
        ConnectorError: Whether the user exists is unknown.
    """
    if context.spool.find("user", [user_id]):
        return None
    try:
        user = read(context.identity_store, "DescribeUser", **context.store_id, UserId=user_id)
    except NotFoundError as error:
        if not is_about(error, "USER", user_id):
            raise
        # Neither listed nor described: a leftover membership must not keep the user.
        context.spool.add("user", [(user_id, "")], "gone")
        return Page(scope=scope, retracted=(RecordKey(type="account", id=user_id),))
    context.spool.add("user", [(user_id, "")])
    return Page(scope=user_scope(user_id), parent=scope, records=(to_account(user),), complete=True)


def _without_gone(context: ReadContext, members: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    known = context.spool.find("user", members)
    for user_id, row in members.items():
        if user_id in known and known[user_id].state == "gone":
            context.session.context.on_left_out(DELETED_PRINCIPAL)
        else:
            yield user_id, row


def find_unlisted_groups(context: ReadContext) -> list[str]:
    """Return the groups that have assignments of users, but are missing in the complete list of groups."""
    if not context.spool.is_complete("group"):
        return []
    return [named.id for named in context.spool.each("named_group") if not context.spool.find("group", [named.id])]


def read_unlisted_group(context: ReadContext, group_id: str, parent: str) -> Iterator[Page]:
    """Read the members of a group that the list of groups did not have.

    The permissions of Ploy's guide do not allow describing a group, so only its existence is known. A group that does
    not exist is retracted.

    Args:
        context: The read.
        group_id: The group.
        parent: The scope that named it; that of the groups has ended.
    """
    scope = members_scope(group_id)
    yield Page(scope=scope, parent=parent)
    try:
        for page in read_members(context, group_id):
            if page.complete:
                context.spool.add("group", [(group_id, "")])
                yield Page(scope=scope, partial=(to_group({"GroupId": group_id}, context.session.config),))
            yield page
    except Exception:
        context.spool.add("group", [(group_id, "")], "unread")
        raise


def to_account(user: dict[str, Any]) -> Account:
    """Convert a user of the identity store. All but the id is optional in AWS's model."""
    external_ids = _to_external_ids(user)
    return Account(
        id=take(user, "UserId", "a user"),
        kind="human",
        username=user.get("UserName"),
        display_name=user.get("DisplayName"),
        emails=_to_emails(user),
        status=_STATUSES.get(user.get("UserStatus", ""), "unknown"),
        created_at=to_utc(user.get("CreatedAt")),
        external_ids=external_ids,
        managed_by=find_manager(external_ids),
        source="identity-center",
        attributes={name: user[key] for key, name in _KEPT_ATTRIBUTES.items() if user.get(key)},
    )


def to_group(group: dict[str, Any], config: AwsConfig) -> Entitlement:
    """Convert a group of the identity store.

    Args:
        group: The group, as AWS describes it.
        config: The integration's settings, which state what may be changed.
    """
    manager = find_manager(_to_external_ids(group))
    reason = None
    if not config.change_groups:
        reason = grantability.GROUP
    elif manager and not config.change_externally_managed:
        reason = grantability.externally_managed(manager)
    return Entitlement(
        id=take(group, "GroupId", "a group"),
        kind="group",
        name=group.get("DisplayName") or group["GroupId"],
        description=group.get("Description"),
        grantable=reason is None,
        not_grantable_reason=reason,
        managed_by=manager,
    )


def find_manager(external_ids: tuple[ExternalId, ...]) -> str | None:
    """Return the outside system that owns a user or group. None proves nothing: AD and ssosync leave no external id."""
    return external_ids[0].issuer if external_ids else None


def _to_external_ids(thing: dict[str, Any]) -> tuple[ExternalId, ...]:
    # Sorted and without duplicates, as AWS documents no order: the first one names the manager.
    rows = thing.get("ExternalIds", ())
    ids = {(take(row, "Issuer", _EXTERNAL_ID), take(row, "Id", _EXTERNAL_ID)) for row in rows}
    return tuple(ExternalId(issuer=issuer, id=id_) for issuer, id_ in sorted(ids))


def _to_emails(user: dict[str, Any]) -> tuple[Email, ...]:
    rows = (row for row in user.get("Emails", ()) if row.get("Value"))
    emails = {(row.get("Primary") is not True, row["Value"]) for row in rows}
    return tuple(Email(address=address, is_primary=not is_other) for is_other, address in sorted(emails))


def to_membership(user_id: str, group_id: str, row: Mapping[str, Any]) -> Grant:
    """Convert a membership; the row has AWS's id of it."""
    membership_id = row.get("MembershipId")
    return Grant(
        principal_kind="account",
        principal_id=user_id,
        entitlement_id=group_id,
        attributes={"membership_id": membership_id} if membership_id else {},
    )
