"""Direct assignments while the lists read assignments by permission set: the same call verifies the change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ploy_connector_aws.sandbox.aws import Assignment, SandboxAws
from ploy_connector_aws.spec import NotFoundError
from tests.aws.conftest import DEV, PROD, make_customer
from tests.aws.identity_center.strategies import LIST_PAIR, LIST_PRINCIPAL, WITH_OPTIONAL, keep_to, set_scope

from .conftest import ASSIGNMENT_POLICY, AccessHarness

POLICY = {
    **WITH_OPTIONAL,
    "Statement": [*WITH_OPTIONAL["Statement"], *ASSIGNMENT_POLICY["Statement"]],
}
PEOPLE = {"grant": "bo", "revoke": "dee"}

directions = pytest.mark.parametrize("direction", ["grant", "revoke"])


@pytest.fixture
def harness(aws: SandboxAws) -> Iterator[AccessHarness]:
    harness = AccessHarness(make_customer(aws, policy=POLICY), settings={"direct_assignments": True})
    keep_to(harness.customer, "permission_sets")
    yield harness
    for provisioner in harness.provisioners:
        provisioner.close()


@directions
def test_a_change_is_verified_by_permission_set_and_names_the_scope_of_the_lists(
    harness: AccessHarness, direction: str
) -> None:
    person, role = PEOPLE[direction], harness.role(PROD, "Reader")
    change = getattr(harness, direction)(person, role)

    assert change.outcome == "applied"
    assert change.scope == set_scope(harness.customer, "Reader")
    calls = harness.operations(LIST_PAIR, LIST_PRINCIPAL, "CreateAccountAssignment", "DeleteAccountAssignment")
    assert calls[:3] == [
        LIST_PAIR,
        "CreateAccountAssignment" if direction == "grant" else "DeleteAccountAssignment",
        LIST_PAIR,
    ]
    edge = harness.assignment(person, PROD, "Reader")
    assert (edge in harness.records_in(change.scope)) == (direction == "grant")
    assert getattr(harness, direction)(person, role).outcome == "already_in_effect"


@directions
def test_a_change_that_only_the_other_call_shows_is_not_reported(harness: AccessHarness, direction: str) -> None:
    """The two calls may show a change at different times; the next scan reads by permission set."""
    harness.aws.faults.answer(LIST_PAIR, "InternalServerException", status=500)
    with pytest.raises(Exception, match="ListAccountAssignments"):
        getattr(harness, direction)(PEOPLE[direction], harness.role(PROD, "Reader"))


@directions
def test_without_the_permission_it_is_verified_by_principal_and_names_that_scope(
    harness: AccessHarness, direction: str
) -> None:
    harness.aws.faults.deny(LIST_PAIR)
    change = getattr(harness, direction)(PEOPLE[direction], harness.role(PROD, "Reader"))

    assert change.outcome == "applied"
    assert change.scope == f"identity-center/assignments/users/{harness.seeded.users[PEOPLE[direction]]}"


@directions
def test_an_assignment_of_a_deleted_person_is_no_access(harness: AccessHarness, direction: str) -> None:
    harness.seeded.assign(Assignment(DEV, "Reader", "bo", to_group=False))
    bo = harness.seeded.users["bo"]
    harness.seeded.delete_user("bo")

    with pytest.raises(NotFoundError) as missing:
        getattr(harness, direction)(bo, harness.role(DEV, "Reader"))
    assert (missing.value.kind, missing.value.id) == ("USER", bo)
    assert harness.operations("CreateAccountAssignment", "DeleteAccountAssignment") == []
