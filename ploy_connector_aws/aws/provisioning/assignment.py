"""Direct assignments of a person to a permission set in an AWS account: how they are read, written and verified.

AWS makes and deletes assignments in the background: it accepts the change at once, and its status is polled until it
has ended.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from botocore.client import BaseClient

from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.client.session import RoleSession
from ploy_connector_aws.aws.identity_center.assignments.by_permission_set import read_rows_of_set, set_scope
from ploy_connector_aws.aws.identity_center.assignments.by_principal import (
    USER,
    PrincipalKind,
    is_direct,
    read_rows_of_principal,
    to_assignment,
)
from ploy_connector_aws.aws.identity_center.assignments.plan import recall
from ploy_connector_aws.aws.permissions import get_action
from ploy_connector_aws.config import PLOY_PARTITION
from ploy_connector_aws.spec import (
    AccessRequest,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)

from .assignment_slots import MAX_CHANGES, slots_of
from .sessions import ACCOUNT_ASSIGNMENT, AccessContext, WriteResult, make_write_session, send_write
from .targets import DirectAssignment, Direction, Observation, Plan

POLL_PAUSES_SECONDS = (1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 5.0, 5.0, 8.0, 8.0, 10.0, 10.0)
"""Pauses between the polls of the status; most assignments take a few seconds."""

POLL_SECONDS = sum(POLL_PAUSES_SECONDS)
"""How long AWS has to complete a change."""


_WRITES: dict[Direction, str] = {"grant": "CreateAccountAssignment", "revoke": "DeleteAccountAssignment"}

_STATUS: dict[Direction, str] = {
    "grant": "AccountAssignmentCreationStatus",
    "revoke": "AccountAssignmentDeletionStatus",
}
"""The member of the answers, whose name is also part of the operation and of the parameter that poll it."""


class AssignmentEdge:
    """One person's own assignment to one permission set in one AWS account. See ``provisioner.Edge`` for the methods.

    Args:
        context: The context to read in.
        target: The person, the permission set and the AWS account.
        request: The request.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, context: AccessContext, target: DirectAssignment, request: AccessRequest) -> None:
        self._context = context
        self._target = target
        self._request = request
        self._session: RoleSession | None = None
        last = recall(context.session.context)
        self._is_by_set = last is not None and last.strategy == "permission_sets"
        self.expected = to_assignment(USER, target.user_id, request.entitlement_id)

    @property
    def scope(self) -> str:
        """The scope in which the lists emit the assignment, as they read it now."""
        return set_scope(self._target.permission_set_arn) if self._is_by_set else f"{USER.scope}/{self._target.user_id}"

    def read(self, *, refresh: bool = False) -> Observation:  # noqa: ARG002 - nothing is cached
        """Read whether the person is assigned; fail if the person, the permission set or the instance is missing."""
        if self._context.instance.arn.rpartition("/")[2] != self._target.instance_id:
            raise self._missing_set(
                "The permission set belongs to an instance of IAM Identity Center that the role does not see."
            )
        observation = self.verify()
        # AWS keeps assignments of deleted users, and lists them by permission set (AWS.md section 3.1).
        if observation.held is None or self._is_by_set:
            read(self._context.identity_store, "DescribeUser", **self._context.store, UserId=self._target.user_id)
        if observation.held is None:
            self._find_set()
        return observation

    def _find_set(self) -> None:
        """Fail if the permission set does not exist: it has no assignments either way."""
        names = {"InstanceArn": self._context.instance.arn, "PermissionSetArn": self._target.permission_set_arn}
        try:
            read(self._context.sso_admin, "DescribePermissionSet", **names)
        except NotFoundError as error:
            raise self._missing_set(error.message) from error
        except PermissionDeniedError:
            return  # The role need not have this permission; then AWS itself decides about a write.

    def _missing_set(self, message: str) -> NotFoundError:
        return NotFoundError(message, kind="PERMISSION_SET", id=self._target.permission_set_arn)

    def check(self) -> None:
        """Accept every change: without the setting, there would be no such target."""

    def open(self, direction: Direction) -> None:
        """Open a session for this permission set in this AWS account only."""
        actions = [get_action(f"sso:{name}") for name in (_WRITES[direction], f"Describe{_STATUS[direction]}")]
        arns = (
            self._context.instance.arn,
            self._target.permission_set_arn,
            f"arn:{PLOY_PARTITION}:sso:::account/{self._target.account_id}",
        )
        self._session = make_write_session(self._context, direction, actions, arns)
        self._session.open()

    def write(self, direction: Direction, plan: Plan) -> WriteResult:  # noqa: ARG002 - AWS deletes by names, not by id
        """Send the change, and poll its status until it has ended."""
        clock, deadline = self._context.clock, self._request.write_before
        parameters = {
            "InstanceArn": self._context.instance.arn,
            "TargetId": self._target.account_id,
            "TargetType": "AWS_ACCOUNT",
            "PermissionSetArn": self._target.permission_set_arn,
            "PrincipalType": USER.aws,
            "PrincipalId": self._target.user_id,
        }
        with slots_of(self._context.instance.arn).acquire(clock) as slot:
            if slot is None:
                return WriteResult(
                    error=TemporaryError(
                        f"{MAX_CHANGES} changes of assignments are already in progress, the most that AWS allows."
                    )
                )
            sent = send_write(self._client, _WRITES[direction], parameters, clock, deadline, POLL_SECONDS)
            result = sent if sent.answer is None else self._poll(_STATUS[direction], sent, sent.answer)
            slot.is_in_progress = sent.is_uncertain or result.is_unfinished
            return result

    def verify(self) -> Observation:
        """Read whether the person is assigned, directly and not through a group, by the call that the lists use.

        The two calls need not show a change at the same time, so the next scan could otherwise contradict this.
        """
        is_assigned: bool | None = None
        if self._is_by_set:
            try:
                is_assigned = self._is_in_set()
            except PermissionDeniedError:
                # Without the permission, the next scan reads by principal as well.
                self._is_by_set = False
        if is_assigned is None:
            is_assigned = self._is_of_person()
        return Observation(self.expected if is_assigned else None, self._context.clock.now())

    def _is_in_set(self) -> bool:
        target = self._target
        pages = read_rows_of_set(
            self._context.sso_admin, self._context.instance.arn, target.permission_set_arn, target.account_id
        )
        return any(
            (row["PrincipalType"], row["PrincipalId"]) == (USER.aws, target.user_id) for rows in pages for row in rows
        )

    def _is_of_person(self) -> bool:
        rows = read_assignments(self._context, USER, self._target.user_id, self._target.account_id)
        return any(
            (row["AccountId"], row["PermissionSetArn"]) == (self._target.account_id, self._target.permission_set_arn)
            for row in rows
            if is_direct(row, USER, self._target.user_id)
        )

    def close(self) -> None:
        """Close the session of the change."""
        if self._session is not None:
            self._session.close()

    def _poll(self, member: str, sent: WriteResult, answer: dict[str, Any]) -> WriteResult:
        status = answer.get(member, {})
        request_id = status.get("RequestId")
        for pause in (*POLL_PAUSES_SECONDS, None):
            if status.get("Status") == "SUCCEEDED":
                break
            if status.get("Status") == "FAILED":
                error = to_failure(str(status.get("FailureReason", "")), self._target)
                return replace(sent, answer=None, error=error, has_failed=True)
            if not request_id or pause is None:
                return replace(sent, is_unfinished=True)
            self._context.clock.wait(pause)
            try:
                request = {f"{member.removesuffix('Status')}RequestId": request_id}
                answer = read(self._client, f"Describe{member}", InstanceArn=self._context.instance.arn, **request)
                status = answer.get(member, {})
            except TemporaryError:
                continue
            except ConnectorError as error:
                # A status that may not be read is no success, whatever AWS lists meanwhile.
                return replace(sent, error=error, is_unfinished=True)
        return sent

    @property
    def _client(self) -> BaseClient:
        assert self._session is not None
        return self._session.client("sso-admin", self._context.instance.primary_region)


def read_assignments(
    context: AccessContext, kind: PrincipalKind, principal_id: str, account_id: str | None = None
) -> list[dict[str, Any]]:
    """Read the assignments of a person or group; for a person AWS adds those of their groups (AWS.md section 3.1).

    Args:
        context: The context.
        kind: The kind of principal.
        principal_id: The person or group.
        account_id: One AWS account, or None for all.

    Raises:
        ConnectorError: The assignments could not be read.
    """
    pages = read_rows_of_principal(context.sso_admin, context.instance.arn, kind, principal_id, account_id)
    return [row for page in pages for row in page]


_TRANSIENT = re.compile(
    r"(?i)Received a (?:429|5\d\d)\b|throttl|rate exceeded|rate limit|too many requests|concurrent ?modification"
)
"""Failure reasons that are transient, even if the text names a quota or an account."""

_FAILURES: tuple[tuple[re.Pattern[str], str, str, str], ...] = (
    (
        # Not a quota of what one role may have.
        re.compile(
            r"(?is)RolesPerAccount|^(?!.*PerRole).*(?:(?:quota|limit)\b.*\broles?\b|\broles?\b.*\b(?:quota|limit)\b)"
        ),
        "role_quota_exceeded",
        "AWS could not create the permission set's role, because the AWS account {account} has as many roles as its "
        "quota allows.",
        "Delete unused roles in that AWS account, or ask AWS for a higher quota of roles there.",
    ),
    (
        re.compile(r"(?is)\bLimitExceeded|exceeds?\b.*\bquota\b|cannot exceed quota|quota exceeded|limit exceeded"),
        "quota_exceeded",
        "AWS could not change the permission set's role in the AWS account {account}: a quota of IAM is used up.",
        "Compare the permission set's policies with IAM's quotas in that AWS account, or ask AWS for higher ones.",
    ),
    (
        # For a closed account AWS reports that obtaining permissions takes long (reports of users; undocumented).
        re.compile(
            r"(?is)\bsuspended\b|pending closure|account\b.{0,60}\b(?:closed|inactive|not active)\b"
            r"|obtaining permissions to manage your aws account"
        ),
        "account_suspended",
        "AWS could not access the AWS account {account}: it is suspended or closed, or was created a moment ago.",
        "Check the AWS account's status in AWS Organizations. A suspended account accepts no assignments; for a new "
        "one, try again in some minutes.",
    ),
    (
        re.compile(r"(?is)Received a 404 status error: Not supported policy"),
        "assignment_failed",
        "AWS could not assign the permission set, because a policy that it names is not in the AWS account {account}.",
        "Create the customer managed policy in that AWS account, or remove it from the permission set.",
    ),
    (
        re.compile(r"(?is)Received a 403 status error|AccessDenied|explicit deny|not authorized to perform"),
        "assignment_denied",
        "AWS was not allowed to change its roles in the AWS account {account}.",
        "Only the management account may change assignments in the management account, and it needs permissions of IAM "
        "for that; in other accounts, look for a service control policy.",
    ),
)
"""Failure reasons of AWS for assignments that failed for good, and their meaning. AWS does not document the texts."""


def to_failure(reason: str, target: DirectAssignment) -> ConnectorError:
    """Return why AWS did not complete a change of an assignment; AWS's own text is never repeated.

    Args:
        reason: The status's FailureReason.
        target: The target of the change.
    """
    if re.match(r"Received a 404 status error: EntitlementItem doesn't exist\b", reason):
        return NotFoundError("AWS has no such assignment (any more).", kind=ACCOUNT_ASSIGNMENT)
    missing = re.match(r"Received a 404 status error: the USER assignee (\S+) was not found\b", reason)
    if missing is not None and missing[1] == target.user_id:
        return NotFoundError("AWS has no such user (any more).", kind="USER", id=target.user_id)
    is_transient = _TRANSIENT.search(reason) is not None
    for pattern, code, message, fix in _FAILURES if not is_transient else ():
        if pattern.search(reason):
            explained = message.format(account=target.account_id)
            return RejectedError(f"{explained} Nothing was changed.", reason=code, fix=fix)
    if reason.startswith("Received a 404 status error"):
        return NotFoundError("AWS reports that something that the assignment names does not exist (any more).")
    return TemporaryError("AWS began the change of the assignment, but could not complete it.")
