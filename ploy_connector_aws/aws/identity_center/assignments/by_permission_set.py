"""Reads who is assigned to which AWS account, one permission set in one AWS account at a time.

Facts about the two calls, with their sources: ``docs/explanation/aws-facts.md``.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read, read_pages
from ploy_connector_aws.aws.identity_center.directory import (
    DELETED_PRINCIPAL,
    describe_unlisted_user,
    members_scope,
    read_unlisted_group,
)
from ploy_connector_aws.aws.identity_center.permission_sets import to_short_name
from ploy_connector_aws.aws.identity_center.read_context import ReadContext, is_about
from ploy_connector_aws.aws.records import RecordBuffer, take
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    Failure,
    NotFoundError,
    Page,
    RejectedError,
    TemporaryError,
)

from .by_principal import ASSIGNMENTS, AWS_ACCOUNT, GROUP, USER, PrincipalKind, account_role_id, add_assignment

BY_SET = f"{ASSIGNMENTS}/permission-sets"

_KINDS = {kind.aws: kind for kind in (USER, GROUP)}


def set_scope(permission_set_arn: str) -> str:
    """Name the scope that holds the assignments of one permission set."""
    return f"{BY_SET}/{to_short_name(permission_set_arn)}"


@dataclass
class SetProgress:
    """How far the assignments of one permission set are read."""

    arn: str
    began_at: datetime
    remaining: int = 0
    """How many of its accounts are not read yet."""
    error: Exception | None = None
    """The first one that kept it from being read completely."""
    is_gone: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def end_account(self, error: Exception | None = None) -> bool:
        """Note that one more account is done; return whether it was the last one."""
        with self._lock:
            self.error = self.error or error
            self.remaining -= 1
            return self.remaining == 0

    def to_end(self) -> Page:
        """Make the page that ends its scope."""
        scope = set_scope(self.arn)
        if self.error is not None:
            return Page(scope=scope, failure=Failure.from_error(self.error))
        return Page(scope=scope, gone=True) if self.is_gone else Page(scope=scope, complete=True)


def read_accounts_of_set(context: ReadContext, arn: str) -> list[str] | None:
    """List the AWS accounts in which a permission set is used; None if it was deleted meanwhile.

    Without a status all are listed, also those that still have an older version of the permission set.

    Raises:
        ConnectorError: They could not be listed.
    """
    accounts: dict[str, None] = {}
    try:
        for page in read_pages(
            context.sso_admin,
            "ListAccountsForProvisionedPermissionSet",
            "AccountIds",
            InstanceArn=context.instance.arn,
            PermissionSetArn=arn,
        ):
            accounts |= dict.fromkeys(page)
    except NotFoundError as error:
        _confirm_set_gone(context, arn, error)
        return None
    if not all(isinstance(each, str) and AWS_ACCOUNT.fullmatch(each) for each in accounts):
        raise TemporaryError("AWS listed something else than AWS accounts for a permission set.")
    return list(accounts)


def probe_account_of_set(context: ReadContext, arn: str, account_id: str) -> None:
    """Make a short call about the assignments of a permission set in one AWS account.

    Raises:
        ConnectorError: It failed.
    """
    read(
        context.sso_admin,
        "ListAccountAssignments",
        InstanceArn=context.instance.arn,
        AccountId=account_id,
        PermissionSetArn=arn,
        MaxResults=1,
    )


def read_rows_of_set(
    sso_admin: BaseClient, instance_arn: str, arn: str, account_id: str
) -> Iterator[list[dict[str, Any]]]:
    """Read the rows about a permission set in one AWS account, page by page. Some may name a deleted user or group.

    Raises:
        ConnectorError: They could not be read, or a row is incomplete or is about something else.
    """
    for rows in read_pages(
        sso_admin,
        "ListAccountAssignments",
        "AccountAssignments",
        InstanceArn=instance_arn,
        AccountId=account_id,
        PermissionSetArn=arn,
    ):
        _check_rows(rows, account_id, arn)
        yield rows


def read_assignments_of_set(context: ReadContext, progress: SetProgress, account_id: str) -> Iterator[Page]:
    """Read who is assigned to a permission set in one AWS account. The scope is that of the permission set.

    A listed user or group is a fact. One that no list has is looked up: AWS also returns the assignments of deleted
    users and groups (AWS.md section 3.1), with which no one can enter.

    Raises:
        ConnectorError: They could not be read completely; the pages until then are right.
    """
    arn, scope = progress.arn, set_scope(progress.arn)
    unproven: ConnectorError | None = None
    try:
        for rows in read_rows_of_set(context.sso_admin, context.instance.arn, arn, account_id):
            page = RecordBuffer()
            for row in rows:
                kind, principal_id = _KINDS[row["PrincipalType"]], row["PrincipalId"]
                try:
                    exists = yield from _find_principal(context, kind, principal_id, scope)
                except AuthenticationError:
                    raise
                except ConnectorError as error:
                    unproven = unproven or error
                    continue
                if exists:
                    add_assignment(context, page, kind, principal_id, account_id, arn)
                else:
                    context.session.context.on_left_out(DELETED_PRINCIPAL)
            yield from page.to_pages(scope)
    except NotFoundError as error:
        _confirm_set_gone(context, arn, error)
        progress.is_gone = True
        return
    if unproven is not None:
        raise unproven


def _confirm_set_gone(context: ReadContext, arn: str, error: NotFoundError) -> None:
    if not is_about(error, "PERMISSION_SET", arn):
        raise error
    context.confirm_gone("PERMISSION_SET", arn)
    context.spool.add("permission_set", [(arn, to_short_name(arn))], "gone")


def _check_rows(rows: list[dict[str, Any]], account_id: str, arn: str) -> None:
    """Check that each row is complete and is what was asked for; skipping a row would look as if access had ended."""
    for row in rows:
        found = tuple(take(row, name, "an assignment") for name in ("AccountId", "PermissionSetArn"))
        take(row, "PrincipalId", "an assignment")
        if found != (account_id, arn):
            expected = account_role_id(account_id, arn)
            raise TemporaryError(f"AWS listed an assignment of {account_role_id(*found)} among those of {expected}.")
        if take(row, "PrincipalType", "an assignment") not in _KINDS:
            raise RejectedError(
                "A permission set is assigned to something that is neither a user nor a group; this version of the "
                "connector does not support that.",
                reason="unknown_principal",
                fix="Update the connector.",
            )


def _find_principal(context: ReadContext, kind: PrincipalKind, id_: str, scope: str) -> Generator[Page, None, bool]:
    """Yield what looking a principal up shows, and return whether it exists.

    Raises:
        ConnectorError: That is not known.
    """
    known = context.spool.find(kind.spooled, [id_]).get(id_)
    if known is None:
        if not context.spool.is_complete(kind.spooled):
            raise TemporaryError(
                f"Whether the {kind.aws} {id_} exists is unknown, as the list of {kind.spooled}s could not be read "
                "completely."
            )
        # Several accounts may be assigned to it, and are read concurrently.
        with context.locks.of(id_):
            look_up = _look_up_user if kind is USER else _look_up_group
            yield from look_up(context, id_, scope)
        known = context.spool.find(kind.spooled, [id_])[id_]
    if known.state == "unread":
        raise TemporaryError(f"Whether the {kind.aws} {id_} exists is unknown, as it could not be looked up.")
    return known.state != "gone"


def _look_up_user(context: ReadContext, user_id: str, scope: str) -> Iterator[Page]:
    page = describe_unlisted_user(context, user_id, scope)
    if page is not None:
        yield page


def _look_up_group(context: ReadContext, group_id: str, _: str) -> Iterator[Page]:
    if context.spool.find("group", [group_id]):
        return
    try:
        yield from read_unlisted_group(context, group_id, ASSIGNMENTS)
    except AuthenticationError:
        raise
    except ConnectorError as error:
        # Its members have a scope of their own, which states the reason; it is not looked up again.
        yield Page(scope=members_scope(group_id), failure=Failure.from_error(error))
