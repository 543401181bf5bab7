"""Reads who is assigned to which AWS account with which permission set, one principal at a time; makes the records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from botocore.client import BaseClient

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.gone import contradiction_error
from ploy_connector_aws.aws.identity_center.permission_sets import describe_permission_set, to_partial_entitlement
from ploy_connector_aws.aws.identity_center.read_context import ReadContext, is_about
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.records import RecordBuffer, take
from ploy_connector_aws.aws.spool import Kind, SpoolEntry
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    Entitlement,
    Grant,
    NotFoundError,
    Page,
    RecordKey,
    TemporaryError,
)

ASSIGNMENTS = "identity-center/assignments"

AWS_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


@dataclass(frozen=True)
class PrincipalKind:
    """One kind of principal: AWS's name for it, and ours."""

    aws: Literal["USER", "GROUP"]
    spooled: Kind
    scope: str
    record: Literal["account", "entitlement"]


USER = PrincipalKind("USER", "user", f"{ASSIGNMENTS}/users", "account")
GROUP = PrincipalKind("GROUP", "group", f"{ASSIGNMENTS}/groups", "entitlement")


def read_assignments(context: ReadContext, kind: PrincipalKind, principal_id: str) -> Iterator[Page]:
    """Read what one user or group is assigned to directly. A deleted principal is retracted."""
    scope = f"{kind.scope}/{principal_id}"
    if context.spool.find(kind.spooled, [principal_id])[principal_id].state == "gone":
        yield Page(scope=scope, parent=ASSIGNMENTS, gone=True)
        return
    # Most principals have few assignments or none, so their scope is announced, filled and ended by one page.
    page = RecordBuffer()
    header: dict[str, Any] = {"parent": ASSIGNMENTS, "began_at": datetime.now(UTC)}
    try:
        for rows in read_rows_of_principal(context.sso_admin, context.instance.arn, kind, principal_id):
            if page.records or page.partial:
                yield page.to_page(scope, **header)
                page, header = RecordBuffer(), {}
            _add_rows(context, page, kind, principal_id, rows)
    except Exception as error:
        yield page.to_page(scope, **header)
        if not (isinstance(error, NotFoundError) and is_about(error, kind.aws, principal_id)):
            raise
        context.confirm_gone(kind.aws, principal_id)
        context.spool.add(kind.spooled, [(principal_id, "")], "gone")
        yield Page(scope=scope, retracted=(RecordKey(type=kind.record, id=principal_id),), gone=True)
        return
    yield page.to_page(scope, complete=True, **header)


def _add_rows(
    context: ReadContext, page: RecordBuffer, kind: PrincipalKind, principal_id: str, rows: list[dict[str, Any]]
) -> None:
    """Add the rows of one page of AWS.

    For a user AWS also lists what the user has through groups (AWS.md section 3.1). The group is read itself, and an
    inherited row must not become a second, direct path.
    """
    direct = [row for row in rows if is_direct(row, kind, principal_id)]
    if len(direct) < len(rows):
        inherited = {row["PrincipalId"] for row in rows if not is_direct(row, kind, principal_id)}
        context.spool.add("named_group", ((group_id, "") for group_id in inherited))
    for row in direct:
        add_assignment(context, page, kind, principal_id, row["AccountId"], row["PermissionSetArn"])
    pairs = {account_role_id(row["AccountId"], row["PermissionSetArn"]) for row in direct}
    context.spool.add("account_role", ((pair, "") for pair in pairs))


def read_rows_of_principal(
    sso_admin: BaseClient, instance_arn: str, kind: PrincipalKind, principal_id: str, account_id: str | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Read the rows about a user or group page by page; for a user AWS adds those of their groups (AWS.md section 3.1).

    All rows of a page are checked before any is used: a failed row must not take a described permission set with it.

    Args:
        sso_admin: The client.
        instance_arn: The instance.
        kind: The kind of principal.
        principal_id: The user or group.
        account_id: One AWS account, or None for all.

    Raises:
        ConnectorError: They could not be read, or a row is incomplete or is about something else.
    """
    only = {"Filter": {"AccountId": account_id}} if account_id else {}
    for rows in read_pages(
        sso_admin,
        "ListAccountAssignmentsForPrincipal",
        "AccountAssignments",
        InstanceArn=instance_arn,
        PrincipalId=principal_id,
        PrincipalType=kind.aws,
        **only,
    ):
        _check_rows(rows, kind, principal_id)
        yield rows


def read_end_of_assignments(context: ReadContext) -> Iterator[Page]:
    """End the scope above all principals: it is complete only if each of them was announced."""
    unlisted = [f"{kind.spooled}s" for kind in (USER, GROUP) if not context.spool.is_complete(kind.spooled)]
    if unlisted:
        raise TemporaryError(
            f"Some assignments may be missing, as the list of {' and the list of '.join(unlisted)} could not be read "
            "completely."
        )
    # A group that was read later may have the same member, and may have made it known.
    if any(not context.spool.find("user", [each.id]) for each in context.spool.each("unlisted_user")):
        raise TemporaryError(
            "Some assignments may be missing, as a member of a group was not in the list of users and could not be "
            "described."
        )
    yield Page(scope=ASSIGNMENTS, complete=True)


def account_role_id(account_id: str, permission_set_arn: str) -> str:
    """Return the record id of a permission set in one AWS account."""
    return f"{account_id}/{permission_set_arn}"


def to_assignment(kind: PrincipalKind, principal_id: str, account_role: str) -> Grant:
    """Convert a direct assignment.

    Args:
        kind: The kind of principal.
        principal_id: The user or group.
        account_role: The id of the permission set in one AWS account.
    """
    return Grant(principal_kind=kind.record, principal_id=principal_id, entitlement_id=account_role)


def to_account_role(
    account_id: str, permission_set_arn: str, name: str, verdict: Verdict | None, *, is_grantable: bool
) -> Entitlement:
    """Make the record of a permission set in one AWS account, the same for every assignment.

    Args:
        account_id: The AWS account.
        permission_set_arn: The permission set.
        name: Its name.
        verdict: The verdict on the permission set, the same in every account as far as it could be read.
        is_grantable: Whether the settings let people be assigned to it directly.
    """
    return Entitlement(
        id=account_role_id(account_id, permission_set_arn),
        kind="account_role",
        name=f"{name} in {account_id}",
        resource_id=account_id,
        role_id=permission_set_arn,
        grantable=is_grantable,
        not_grantable_reason=None if is_grantable else grantability.ACCOUNT_ROLE,
        attributes={"aws_account_id": account_id, "permission_set_arn": permission_set_arn},
        **(verdict.to_fields() if verdict else {}),
    )


def _check_rows(rows: list[dict[str, Any]], kind: PrincipalKind, principal_id: str) -> None:
    """Check that each row is complete and of this principal; skipping a row would look as if access had ended."""
    for row in rows:
        for name in ("AccountId", "PermissionSetArn", "PrincipalId", "PrincipalType"):
            take(row, name, "an assignment")
        is_inherited = kind is USER and row["PrincipalType"] == GROUP.aws
        if not (is_inherited or is_direct(row, kind, principal_id)):
            raise TemporaryError(
                f"AWS listed an assignment of the {row['PrincipalType']} {row['PrincipalId']} among those of the "
                f"{kind.aws} {principal_id}."
            )
        if not AWS_ACCOUNT.fullmatch(row["AccountId"]):
            raise TemporaryError("AWS listed an assignment whose AccountId is not that of an AWS account.")


def is_direct(row: dict[str, Any], kind: PrincipalKind, principal_id: str) -> bool:
    """Whether a row is the principal's own, and not inherited from a group (AWS.md section 3.1)."""
    return (row["PrincipalType"], row["PrincipalId"]) == (kind.aws, principal_id)


def add_assignment(
    context: ReadContext, page: RecordBuffer, kind: PrincipalKind, principal_id: str, account_id: str, arn: str
) -> None:
    """Add an assignment to a page, with the AWS account and with the permission set in it.

    Args:
        context: The read.
        page: The page.
        kind: The kind of principal.
        principal_id: The user or group.
        account_id: The AWS account.
        arn: The permission set. One that no list has is described now.

    Raises:
        TemporaryError: AWS contradicts itself: the permission set was found to be deleted.
    """
    permission_set = _find_permission_set(context, page, arn)
    if permission_set.state == "gone":
        # AWS deletes no assigned permission set. Without the row the access would look as if it had ended.
        raise contradiction_error("permission set", arn)
    account_role = to_account_role(
        account_id,
        arn,
        permission_set.value,
        context.verdicts.get(arn),
        is_grantable=context.session.config.direct_assignments,
    )
    page.add_aws_account(account_id, context.session.config)
    page.add(account_role, is_partial=permission_set.state != "read" or context.has_partial_verdict(arn))
    page.add(to_assignment(kind, principal_id, account_role.id))


def _find_permission_set(context: ReadContext, page: RecordBuffer, arn: str) -> SpoolEntry:
    """Look up a permission set. One that the list did not have is described now."""
    if entry := context.spool.find("permission_set", [arn]).get(arn):
        return entry
    # Several principals may need it at once. They wait, as only its description may be reported.
    with context.locks.of(arn):
        return context.spool.find("permission_set", [arn]).get(arn) or _describe_unlisted(context, page, arn)


def _describe_unlisted(context: ReadContext, page: RecordBuffer, arn: str) -> SpoolEntry:
    try:
        entitlement = describe_permission_set(context, arn)
    except AuthenticationError:
        raise
    except ConnectorError:
        # The assignment is known to exist all the same.
        page.add(to_partial_entitlement(arn), is_partial=True)
    else:
        if entitlement is not None:
            page.add(entitlement, is_partial=context.has_partial_verdict(arn))
    return context.spool.find("permission_set", [arn])[arn]
