"""A person assigned to a permission set in an AWS account, without a group: looked up, ordered, followed, read back.

AWS makes and deletes assignments in the background: the order is answered at once, and asked about until it has ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read, read_pages
from ploy_connector_aws.aws.identity_center.assignments import (
    USER,
    PrincipalKind,
    check_assignment_rows,
    is_direct,
    to_assignment,
)
from ploy_connector_aws.aws.permissions import get_action
from ploy_connector_aws.aws.provisioning.write_session import WriteSession
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import AccessRequest, ConnectorError, NotFoundError, RejectedError, TemporaryError

from .assignment_slots import PLACES, outstanding_in
from .context import Site
from .plan import Direction, Plan, Seen
from .targets import DirectAssignment
from .writes import ACCOUNT_ASSIGNMENT, WriteResult, WriteWindow

FOLLOW_PAUSES_SECONDS = (1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 5.0, 5.0, 8.0, 8.0, 10.0, 10.0)
"""Between the questions how it went; most assignments take a few seconds."""

FOLLOW_SECONDS = sum(FOLLOW_PAUSES_SECONDS)
"""How long AWS is given to end what it began."""


@dataclass(frozen=True)
class _Operation:
    """The words of one direction."""

    write: str
    status: str
    follow: str
    request_id: str


_OPERATIONS: dict[Direction, _Operation] = {
    "grant": _Operation(
        "CreateAccountAssignment",
        "AccountAssignmentCreationStatus",
        "DescribeAccountAssignmentCreationStatus",
        "AccountAssignmentCreationRequestId",
    ),
    "revoke": _Operation(
        "DeleteAccountAssignment",
        "AccountAssignmentDeletionStatus",
        "DescribeAccountAssignmentDeletionStatus",
        "AccountAssignmentDeletionRequestId",
    ),
}


class AssignmentEdge:
    """One person's own assignment to one permission set in one AWS account.

    Args:
        site: Where it is looked up.
        target: Who, and what.
        request: The order.
    """

    def __init__(self, site: Site, target: DirectAssignment, request: AccessRequest) -> None:
        self._site = site
        self._target = target
        self._request = request
        self._session: WriteSession | None = None
        self.scope = f"{USER.scope}/{target.user_id}"
        self.wanted = to_assignment(USER, target.user_id, request.entitlement_id)
        self.warnings: tuple[str, ...] = ()

    def look(self, *, again: bool = False) -> Seen:  # noqa: ARG002 - nothing of it is remembered
        """See whether the person is assigned; and that there is such a person and such an instance."""
        if self._site.instance.arn.rpartition("/")[2] != self._target.instance_id:
            raise NotFoundError(
                "The permission set belongs to an instance of IAM Identity Center that the role does not see.",
                kind="PERMISSION_SET",
                id=self._target.permission_set_arn,
            )
        seen = self.read_back()
        if seen.held is None:
            read(self._site.identity_store, "DescribeUser", **self._site.store, UserId=self._target.user_id)
        return seen

    def check(self) -> None:
        """The settings allow it, or this would not be a target."""

    def open(self, direction: Direction) -> None:
        """Enter a session for this permission set in this AWS account alone."""
        operation = _OPERATIONS[direction]
        actions = [get_action(f"sso:{name}") for name in (operation.write, operation.follow)]
        self._session = WriteSession(self._site.config, direction, actions, self._arns, self._site.session)
        self._session.open()

    def order(self, direction: Direction, plan: Plan) -> WriteResult:  # noqa: ARG002 - what AWS deletes is named, not its id
        """Order the change, and follow it to its end."""
        operation = _OPERATIONS[direction]
        window = WriteWindow(self._site, self._request.write_before, afterwards_seconds=FOLLOW_SECONDS)
        window.guard(self._client, operation.write)
        with outstanding_in(self._site.instance.arn).place(self._site) as place:
            if place is None:
                return WriteResult(
                    error=TemporaryError(f"{PLACES} changes of assignments are under way already, as many as may.")
                )
            ordered = window.send(
                self._client,
                operation.write,
                InstanceArn=self._site.instance.arn,
                TargetId=self._target.account_id,
                TargetType="AWS_ACCOUNT",
                PermissionSetArn=self._target.permission_set_arn,
                PrincipalType=USER.aws,
                PrincipalId=self._target.user_id,
            )
            followed = ordered if ordered.answer is None else self._follow(operation, ordered, ordered.answer)
            place.is_open = ordered.is_uncertain or followed.is_unfinished
            return followed

    def read_back(self) -> Seen:
        """See whether the person is assigned, directly and not through a group."""
        rows = read_assigned(self._site, USER, self._target.user_id, self._target.account_id)
        is_there = any(
            (row["AccountId"], row["PermissionSetArn"]) == (self._target.account_id, self._target.permission_set_arn)
            for row in rows
            if is_direct(row, USER, self._target.user_id)
        )
        return Seen(self.wanted if is_there else None, self._site.now())

    def close(self) -> None:
        """Leave the session of the change."""
        if self._session is not None:
            self._session.close()

    def _follow(self, operation: _Operation, ordered: WriteResult, answer: dict[str, Any]) -> WriteResult:
        status = answer.get(operation.status, {})
        request_id = status.get("RequestId")
        for pause in (*FOLLOW_PAUSES_SECONDS, None):
            if status.get("Status") == "SUCCEEDED":
                break
            if status.get("Status") == "FAILED":
                error = to_failure(str(status.get("FailureReason", "")), self._target)
                return replace(ordered, answer=None, error=error, has_failed=True)
            if not request_id or pause is None:
                return replace(ordered, is_unfinished=True)
            self._site.wait(pause)
            try:
                asked = {"InstanceArn": self._site.instance.arn, operation.request_id: request_id}
                status = read(self._client, operation.follow, **asked).get(operation.status, {})
            except TemporaryError:
                continue
            except ConnectorError as error:
                # Not to be allowed to ask how it went is no success, whatever is listed meanwhile.
                return replace(ordered, error=error, is_unfinished=True)
        return ordered

    @property
    def _client(self) -> BaseClient:
        assert self._session is not None
        return self._session.client("sso-admin", self._site.instance.primary_region)

    @property
    def _arns(self) -> tuple[str, ...]:
        return (
            self._site.instance.arn,
            self._target.permission_set_arn,
            f"arn:{PLOY_PARTITION}:sso:::account/{self._target.account_id}",
        )


def read_assigned(
    site: Site, kind: PrincipalKind, principal_id: str, account_id: str | None = None
) -> list[dict[str, Any]]:
    """Read what a person or group is assigned to; for a person AWS mixes in what groups give (AWS.md section 3.1).

    Args:
        site: Where.
        kind: The kind of principal.
        principal_id: The person or group.
        account_id: In one AWS account only, or in all.

    Raises:
        ConnectorError: It could not be read.
    """
    only = {"Filter": {"AccountId": account_id}} if account_id else {}
    rows = [
        row
        for page in read_pages(
            site.sso_admin,
            "ListAccountAssignmentsForPrincipal",
            "AccountAssignments",
            InstanceArn=site.instance.arn,
            PrincipalId=principal_id,
            PrincipalType=kind.aws,
            **only,
        )
        for row in page
    ]
    check_assignment_rows(rows, kind, principal_id)
    return rows


_NOTHING_CHANGED = "Nothing was changed."

_PASSING = re.compile(
    r"Received a (?:429|5\d\d)\b|throttl|rate exceeded|rate limit|too many requests|concurrent ?modification",
    re.IGNORECASE,
)
"""Failure reasons that may pass by themselves, also where the text names a quota or an account."""

_FAILURES: tuple[tuple[re.Pattern[str], str, str, str], ...] = (
    (
        re.compile(
            # Not a quota of what one role may have.
            r"RolesPerAccount|^(?!.*PerRole).*(?:(?:quota|limit)\b.*\broles?\b|\broles?\b.*\b(?:quota|limit)\b)",
            re.IGNORECASE | re.DOTALL,
        ),
        "role_quota_exceeded",
        "AWS could not make the permission set's role, as the AWS account {account} has as many roles as its quota "
        "allows.",
        "Delete roles in that AWS account that are not used, or ask AWS for a higher quota of roles there.",
    ),
    (
        re.compile(
            r"\bLimitExceeded|exceeds?\b.*\bquota\b|cannot exceed quota|quota exceeded|limit exceeded",
            re.IGNORECASE | re.DOTALL,
        ),
        "quota_exceeded",
        "AWS could not change the permission set's role in the AWS account {account}, as a quota of IAM is used up.",
        "Compare the permission set's policies with IAM's quotas in that AWS account, or ask AWS for higher ones.",
    ),
    (
        # For a closed account AWS reports that obtaining permissions takes long (reports of users; undocumented).
        re.compile(
            r"\bsuspended\b|pending closure|account\b.{0,60}\b(?:closed|inactive|not active)\b"
            r"|obtaining permissions to manage your aws account",
            re.IGNORECASE | re.DOTALL,
        ),
        "account_suspended",
        "AWS could not enter the AWS account {account}: it is suspended or closed, or was created a moment ago.",
        "Look at the AWS account's status in AWS Organizations. A suspended one cannot be assigned to; for a new one, "
        "try again in some minutes.",
    ),
    (
        re.compile(
            r"Received a 404 status error: Not supported policy",
            re.IGNORECASE | re.DOTALL,
        ),
        "assignment_failed",
        "AWS could not assign the permission set, as a policy that it names is not in the AWS account {account}.",
        "Make the customer managed policy in that AWS account, or take it out of the permission set.",
    ),
    (
        re.compile(
            r"Received a 403 status error|AccessDenied|explicit deny|not authorized to perform",
            re.IGNORECASE | re.DOTALL,
        ),
        "assignment_denied",
        "AWS was not allowed to change its roles in the AWS account {account}.",
        "Only the management account may change assignments in the management account, and it needs permissions of IAM "
        "for that; in other accounts, look for a service control policy.",
    ),
)
"""What AWS says of an assignment that failed for good, and what it means. The texts are documented nowhere."""


def to_failure(reason: str, target: DirectAssignment) -> ConnectorError:
    """Say why AWS began a change of an assignment and did not end it; AWS's own text is never repeated.

    Args:
        reason: The status's FailureReason.
        target: What was ordered.
    """
    if re.match(r"Received a 404 status error: EntitlementItem doesn't exist\b", reason):
        return NotFoundError("AWS has no such assignment (any more).", kind=ACCOUNT_ASSIGNMENT)
    missing = re.match(r"Received a 404 status error: the USER assignee (\S+) was not found\b", reason)
    if missing is not None and missing[1] == target.user_id:
        return NotFoundError("AWS has no such user (any more).", kind="USER", id=target.user_id)
    is_passing = _PASSING.search(reason) is not None
    for pattern, code, message, fix in _FAILURES if not is_passing else ():
        if pattern.search(reason):
            explained = message.format(account=target.account_id)
            return RejectedError(f"{explained} {_NOTHING_CHANGED}", reason=code, fix=fix)
    if reason.startswith("Received a 404 status error"):
        return NotFoundError("AWS says that something of what the assignment names does not exist (any more).")
    return TemporaryError("AWS began the change of the assignment and had a trouble of its own with it.")
