"""Direct assignments that AWS takes and ends as failed: why, and what is so afterwards."""

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
from .test_assignment import OPERATIONS, ask, is_assigned


@pytest.fixture
def desk(assigning_desk: AccessHarness) -> AccessHarness:
    return assigning_desk


# AWS documents none of these texts; they are from reports of users, and each stands for its like.
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
    "passing": (
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


def end_as_failed(
    desk: AccessHarness, direction: str, reason: str, *, does: Callable[[], object] = lambda: None
) -> None:
    """Let AWS take the next order and end it as failed, after having done something."""
    assigning = desk.seeded.instance.assigning
    begin = MethodType(AssignmentJobs.begin, assigning)

    def fail() -> str:
        does()
        return reason

    def begin_failing(parameters: Any, _: Any) -> Any:
        return begin(parameters, fail)

    desk.aws.faults.before(OPERATIONS[direction][0], lambda: setattr(assigning, "begin", begin_failing))


@pytest.mark.parametrize(("reason", "error", "named"), CASES)
def test_an_assignment_that_failed_is_said_by_its_kind_and_in_our_own_words(
    desk: AccessHarness, reason: str, error: type[ConnectorError], named: str | None
) -> None:
    end_as_failed(desk, "grant", reason)

    with pytest.raises(error) as failed:
        ask(desk, "grant")
    assert vars(failed.value).get("reason") == named
    assert not reason.strip() or reason not in str(failed.value)
    assert "answer was lost" not in failed.value.message
    if isinstance(failed.value, RejectedError):
        assert "Nothing was changed." in failed.value.message
    if isinstance(failed.value, TemporaryError):
        assert (failed.value.changed_nothing, "ended the change as failed" in failed.value.message) == (True, True)
    assert not is_assigned(desk, "bo")


@pytest.mark.parametrize("reason", ["Received a 404 status error: something", "An internal exception", "x"])
def test_a_removal_that_failed_for_an_unknown_reason_is_settled_by_reading_back(
    desk: AccessHarness, reason: str
) -> None:
    end_as_failed(desk, "revoke", reason)
    with pytest.raises(TemporaryError) as failed:
        ask(desk, "revoke")
    assert (failed.value.changed_nothing, is_assigned(desk, "dee")) == (True, True)
    assert "answer was lost" not in failed.value.message

    own = Assignment(PROD, "Reader", "dee", to_group=False)
    end_as_failed(desk, "revoke", reason, does=lambda: desk.seeded.unassign(own))
    assert ask(desk, "revoke").outcome == "already_in_effect"
    assert not is_assigned(desk, "dee")


def test_a_removal_that_is_refused_at_once_by_an_unknown_404_is_settled_by_reading_back(desk: AccessHarness) -> None:
    desk.aws.faults.answer("DeleteAccountAssignment", "ResourceNotFoundException", message="Not here.")
    with pytest.raises(TemporaryError) as failed:
        ask(desk, "revoke")
    assert (failed.value.changed_nothing, is_assigned(desk, "dee")) == (True, True)

    desk.aws.faults.reset()
    own = Assignment(PROD, "Reader", "dee", to_group=False)
    desk.aws.faults.before("DeleteAccountAssignment", lambda: desk.seeded.unassign(own))
    desk.aws.faults.answer("DeleteAccountAssignment", "ResourceNotFoundException", message="Not here.")
    assert ask(desk, "revoke").outcome == "already_in_effect"


def test_a_failed_assignment_that_is_listed_all_the_same_is_no_success(desk: AccessHarness) -> None:
    """Without the permission set's role, the assignment that AWS lists opens nothing."""
    own = Assignment(PROD, "Reader", "bo", to_group=False)
    end_as_failed(desk, "grant", "An internal exception", does=lambda: desk.seeded.assign(own))

    with pytest.raises(TemporaryError, match="lists it all the same") as unknown:
        ask(desk, "grant")
    assert (unknown.value.changed_nothing, is_assigned(desk, "bo")) == (False, True)


def test_a_failed_change_that_cannot_be_read_back_is_unknown(desk: AccessHarness) -> None:
    end_as_failed(
        desk, "revoke", "An internal exception", does=lambda: desk.aws.faults.deny("ListAccountAssignmentsForPrincipal")
    )

    with pytest.raises(TemporaryError) as unknown:
        ask(desk, "revoke")
    assert (unknown.value.changed_nothing, "ended the change as failed" in unknown.value.message) == (False, True)
