"""Direct assignments that AWS accepts and then reports as failed: the reason, and the state afterwards."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import Assignment
from ploy_connector_aws.sandbox.aws.instances import AssignmentJobs
from ploy_connector_aws.spec import ConnectorError, NotFoundError, RejectedError, TemporaryError
from tests.aws.conftest import PROD

from .conftest import AccessHarness
from .test_assignment import OPERATIONS, is_assigned, send_request


@pytest.fixture
def harness(assignment_harness: AccessHarness) -> AccessHarness:
    return assignment_harness


# AWS documents none of these texts; they come from reports of users, and each is an example of its kind.
REASONS: dict[str, tuple[tuple[str, ...], type[ConnectorError], str | None]] = {
    "roles": (
        (
            "Received a 409 status error: Cannot exceed quota for RolesPerAccount: 1000",
            "LimitExceededException: Cannot exceed quota for RolesPerAccount: 5000 (Service: Iam; Status Code: 409)",
            "The limit of roles in the account has been reached.",
        ),
        RejectedError,
        "role_quota_exceeded",
    ),
    "other quotas": (
        (
            "Received a 409 status error: Cannot exceed quota for PoliciesPerRole: 10",
            "The role AWSReservedSSO_X cannot exceed quota for AttachedPoliciesPerRole: 20",
            "Received a 409 status error: Maximum policy size of 10240 bytes exceeded: quota exceeded",
        ),
        RejectedError,
        "quota_exceeded",
    ),
    "suspended": (
        (
            "AWS SSO is unable to complete your request at this time. Obtaining permissions to manage your AWS account "
            "'111122223333' is taking longer than usual. Please try again in a few minutes.",
            "Received a 400 status error: The account 111122223333 is suspended.",
            "AWS account 111122223333 is pending closure",
        ),
        RejectedError,
        "account_suspended",
    ),
    "policy": (
        ("Received a 404 status error: Not supported policy arn:aws:iam::1:policy/x.",),
        RejectedError,
        "assignment_failed",
    ),
    "denied": (
        (
            "Received a 403 status error: Access denied by IAM. Please check your policy",
            "User: x is not authorized to perform: iam:CreateRole with an explicit deny in a service control policy",
        ),
        RejectedError,
        "assignment_denied",
    ),
    "missing": (
        (
            "Received a 404 status error: the USER assignee x was not found in directory d-1.",
            "Received a 404 status error: something",
        ),
        NotFoundError,
        None,
    ),
    "transient": (
        (
            "An unexpected internal service exception was encountered",
            "Received a 429 status error: Rate limit exceeded for role",
            "Received a 503 status error: the account is closed",
            "ConcurrentModification: quota",
            " ",
        ),
        TemporaryError,
        None,
    ),
}
CASES = [(reason, error, named) for reasons, error, named in REASONS.values() for reason in reasons]


def fail_next(
    harness: AccessHarness, direction: str, reason: str, *, does: Callable[[], object] = lambda: None
) -> None:
    """Let AWS accept the next change, do something, and report the change as failed."""
    assigning = harness.seeded.instance.assigning
    begin = MethodType(AssignmentJobs.begin, assigning)

    def fail() -> str:
        does()
        return reason

    def begin_failing(parameters: Any, _: Any) -> Any:
        return begin(parameters, fail)

    harness.aws.faults.before(OPERATIONS[direction][0], lambda: setattr(assigning, "begin", begin_failing))


@pytest.mark.parametrize(("reason", "error", "named"), CASES)
def test_a_failed_assignment_is_reported_by_its_kind_without_aws_s_text(
    harness: AccessHarness, reason: str, error: type[ConnectorError], named: str | None
) -> None:
    fail_next(harness, "grant", reason)

    with pytest.raises(error) as failed:
        send_request(harness, "grant")
    assert vars(failed.value).get("reason") == named
    assert not reason.strip() or reason not in str(failed.value)
    assert "answer was lost" not in failed.value.message
    if isinstance(failed.value, RejectedError):
        assert "Nothing was changed." in failed.value.message
    if isinstance(failed.value, TemporaryError):
        assert (failed.value.changed_nothing, "reported that the change failed" in failed.value.message) == (True, True)
    assert not is_assigned(harness, "bo")


@pytest.mark.parametrize("reason", ["Received a 404 status error: something", "An internal exception", "x"])
def test_a_removal_that_failed_for_an_unknown_reason_is_resolved_by_reading_back(
    harness: AccessHarness, reason: str
) -> None:
    fail_next(harness, "revoke", reason)
    with pytest.raises(TemporaryError) as failed:
        send_request(harness, "revoke")
    assert (failed.value.changed_nothing, is_assigned(harness, "dee")) == (True, True)
    assert "answer was lost" not in failed.value.message

    own = Assignment(PROD, "Reader", "dee", to_group=False)
    fail_next(harness, "revoke", reason, does=lambda: harness.seeded.unassign(own))
    assert send_request(harness, "revoke").outcome == "already_in_effect"
    assert not is_assigned(harness, "dee")


def test_a_removal_that_an_unknown_404_rejects_is_resolved_by_reading_back(
    harness: AccessHarness,
) -> None:
    harness.aws.faults.answer("DeleteAccountAssignment", "ResourceNotFoundException", message="Not here.")
    with pytest.raises(TemporaryError) as failed:
        send_request(harness, "revoke")
    assert (failed.value.changed_nothing, is_assigned(harness, "dee")) == (True, True)

    harness.aws.faults.reset()
    own = Assignment(PROD, "Reader", "dee", to_group=False)
    harness.aws.faults.before("DeleteAccountAssignment", lambda: harness.seeded.unassign(own))
    harness.aws.faults.answer("DeleteAccountAssignment", "ResourceNotFoundException", message="Not here.")
    assert send_request(harness, "revoke").outcome == "already_in_effect"


def test_a_failed_assignment_that_aws_lists_is_no_success(harness: AccessHarness) -> None:
    """Without the permission set's role, the assignment that AWS lists gives no access."""
    own = Assignment(PROD, "Reader", "bo", to_group=False)
    fail_next(harness, "grant", "An internal exception", does=lambda: harness.seeded.assign(own))

    with pytest.raises(TemporaryError, match="but it lists the change") as unknown:
        send_request(harness, "grant")
    assert (unknown.value.changed_nothing, is_assigned(harness, "bo")) == (False, True)


def test_a_failed_change_that_cannot_be_read_back_is_unknown(harness: AccessHarness) -> None:
    fail_next(
        harness,
        "revoke",
        "An internal exception",
        does=lambda: harness.aws.faults.deny("ListAccountAssignmentsForPrincipal"),
    )

    with pytest.raises(TemporaryError) as unknown:
        send_request(harness, "revoke")
    assert (unknown.value.changed_nothing, "reported that the change failed" in unknown.value.message) == (False, True)
