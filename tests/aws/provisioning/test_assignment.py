"""Direct assignments over HTTP in the local AWS, which makes them in the background as AWS does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws.provisioning.assignment import POLL_PAUSES_SECONDS, POLL_SECONDS
from ploy_connector_aws.aws.provisioning.assignment_slots import MAX_CHANGES, UNKNOWN_HOLD, Slot, slots_of
from ploy_connector_aws.aws.provisioning.sessions import WRITE_SECONDS
from ploy_connector_aws.sandbox.aws import Assignment, Group, SandboxAws
from ploy_connector_aws.spec import NotFoundError, PermissionDeniedError, TemporaryError
from tests.aws.conftest import DEV, EXTERNAL_ID, PROD, Customer

from .conftest import ASSIGNMENT_POLICY, NOON, AccessHarness, FakeClock

OPERATIONS = {
    "grant": ("CreateAccountAssignment", "DescribeAccountAssignmentCreationStatus", "AccountAssignmentCreationStatus"),
    "revoke": ("DeleteAccountAssignment", "DescribeAccountAssignmentDeletionStatus", "AccountAssignmentDeletionStatus"),
}
PEOPLE = {"grant": "bo", "revoke": "dee"}
"""Dee is assigned to read in production, Bo is not."""

directions = pytest.mark.parametrize("direction", ["grant", "revoke"])


@pytest.fixture
def harness(assignment_harness: AccessHarness) -> AccessHarness:
    return assignment_harness


def is_assigned(harness: AccessHarness, person: str) -> bool:
    return any(
        (row.target_id, row.permission_set_arn) == (PROD, harness.seeded.permission_sets["Reader"])
        for row in harness.seeded.instance.assignments.of([("USER", harness.seeded.users[person])])
    )


def is_in_effect(harness: AccessHarness, direction: str) -> bool:
    return is_assigned(harness, PEOPLE[direction]) == (direction == "grant")


def send_request(harness: AccessHarness, direction: str, **more: Any) -> Any:
    return getattr(harness, direction)(PEOPLE[direction], harness.role(PROD, "Reader"), **more)


@directions
def test_an_assignment_is_written_polled_to_its_end_and_verified(harness: AccessHarness, direction: str) -> None:
    change = send_request(harness, direction)

    edge = harness.assignment(PEOPLE[direction], PROD, "Reader")
    assert (change.outcome, is_in_effect(harness, direction)) == ("applied", True)
    assert (change.added, change.removed) == (((edge,), ()) if direction == "grant" else ((), (edge,)))
    assert change.opened_paths + change.closed_paths == (harness.path(edge),)
    assert change.effects_complete
    assert change.scope == f"identity-center/assignments/users/{harness.seeded.users[PEOPLE[direction]]}"
    assert (edge in harness.records_in(change.scope)) == (direction == "grant")
    write, poll, _ = OPERATIONS[direction]
    assert harness.operations(write, poll) == [write, poll, poll]


@directions
def test_a_second_request_finds_it_in_effect(harness: AccessHarness, direction: str) -> None:
    send_request(harness, direction)

    assert send_request(harness, direction).outcome == "already_in_effect"
    assert len(harness.operations(OPERATIONS[direction][0])) == 1


@directions
def test_a_preview_changes_nothing(harness: AccessHarness, direction: str) -> None:
    change = send_request(harness, direction, preview=True)

    assert (change.outcome, is_in_effect(harness, direction)) == ("previewed", False)
    assert len(harness.aws.calls.to("AssumeRole")) == 1


def test_an_assignment_of_a_group_is_not_the_person_s_own(harness: AccessHarness) -> None:
    harness.seeded.assign(Assignment(PROD, "Reader", "admins"))

    assert send_request(harness, "grant").outcome == "applied"
    change = harness.revoke("bo", harness.role(PROD, "Reader"))
    assert change.remaining_paths == (
        harness.path(harness.membership("bo", "admins"), harness.assignment("admins", PROD, "Reader")),
    )


@directions
@pytest.mark.parametrize("fault", ["cut_connection", "fail"])
def test_a_lost_answer_is_resolved_by_reading_back(harness: AccessHarness, direction: str, fault: str) -> None:
    getattr(harness.aws.faults, fault)(1, OPERATIONS[direction][0], afterwards=True)

    assert (send_request(harness, direction).outcome, is_in_effect(harness, direction)) == ("applied", True)


@directions
def test_a_conflict_with_a_write_in_progress_is_retried(harness: AccessHarness, direction: str) -> None:
    harness.aws.faults.answer(OPERATIONS[direction][0], "ConflictException", times=2)

    assert send_request(harness, direction).outcome == "applied"


@directions
def test_a_denied_poll_is_no_success_whatever_aws_lists(harness: AccessHarness, direction: str) -> None:
    harness.aws.faults.deny(OPERATIONS[direction][1])

    with pytest.raises(TemporaryError, match="AWS accepted the change") as unknown:
        send_request(harness, direction)
    assert (unknown.value.changed_nothing, "Describe" in unknown.value.message) == (False, True)
    harness.aws.faults.reset()
    send_request(harness, direction)
    assert is_in_effect(harness, direction)


@directions
def test_a_change_that_does_not_end_in_time_is_unknown(harness: AccessHarness, direction: str) -> None:
    assigning = harness.seeded.instance.assigning
    harness.aws.faults.before(OPERATIONS[direction][0], lambda: setattr(assigning, "advance", lambda: None))

    with pytest.raises(TemporaryError, match="AWS accepted the change") as unknown:
        send_request(harness, direction)
    assert (unknown.value.changed_nothing, is_in_effect(harness, direction)) == (False, False)
    assert harness.clock.waits[: len(POLL_PAUSES_SECONDS)] == list(POLL_PAUSES_SECONDS)


def test_a_person_deleted_during_the_change_is_not_found(harness: AccessHarness) -> None:
    harness.aws.faults.before("CreateAccountAssignment", lambda: harness.seeded.delete_user("bo"))

    with pytest.raises(NotFoundError) as gone:
        send_request(harness, "grant")
    assert (gone.value.kind, gone.value.id) == ("USER", harness.seeded.users["bo"])


def test_a_permission_set_deleted_during_the_change_is_not_found(harness: AccessHarness) -> None:
    arn = harness.seeded.permission_sets["Reader"]
    harness.aws.faults.before("CreateAccountAssignment", lambda: harness.seeded.delete_permission_set("Reader"))

    with pytest.raises(NotFoundError) as gone:
        send_request(harness, "grant")
    assert (gone.value.kind, gone.value.id) == ("PERMISSION_SET", arn)


def test_an_account_outside_of_the_organization_is_not_found(harness: AccessHarness) -> None:
    with pytest.raises(NotFoundError, match="something that the assignment names"):
        harness.grant("bo", harness.role("999999999999", "Reader"))


def test_a_permission_set_of_another_instance_is_not_found(harness: AccessHarness) -> None:
    arn = "arn:aws:sso:::permissionSet/ssoins-0000000000000000/ps-0000000000000000"
    with pytest.raises(NotFoundError) as gone:
        harness.grant("bo", f"{PROD}/{arn}")
    assert (gone.value.kind, gone.value.id) == ("PERMISSION_SET", arn)


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_an_unknown_permission_set_is_not_found(harness: AccessHarness, direction: str, preview: bool) -> None:
    arn = f"{harness.seeded.permission_sets['Reader'].rpartition('-')[0]}-{'0' * 16}"
    with pytest.raises(NotFoundError) as gone:
        getattr(harness, direction)("bo", f"{PROD}/{arn}", preview=preview)
    assert (gone.value.kind, gone.value.id) == ("PERMISSION_SET", arn)
    assert harness.operations("CreateAccountAssignment", "DeleteAccountAssignment") == []


@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_a_role_that_may_not_describe_permission_sets_changes_assignments(
    harness: AccessHarness, direction: str
) -> None:
    harness.aws.faults.deny("sso:DescribePermissionSet")
    assert send_request(harness, direction).outcome == "applied"
    assert send_request(harness, direction).outcome == "already_in_effect"


def test_a_concurrent_revoke_by_another_party_is_reported_as_already_in_effect(harness: AccessHarness) -> None:
    own = Assignment(PROD, "Reader", "dee", to_group=False)
    harness.aws.faults.before("DeleteAccountAssignment", lambda: harness.seeded.unassign(own))

    assert send_request(harness, "revoke").outcome == "already_in_effect"


@directions
def test_a_denied_write_names_the_missing_optional_permission(harness: AccessHarness, direction: str) -> None:
    write = OPERATIONS[direction][0]
    harness.aws.faults.deny(write)

    with pytest.raises(PermissionDeniedError) as denied:
        send_request(harness, direction)
    assert denied.value.actions == (f"sso:{write}",)


def test_a_write_starts_only_if_the_background_job_ends_in_time_too(harness: AccessHarness) -> None:
    needed = timedelta(seconds=WRITE_SECONDS + POLL_SECONDS)
    with pytest.raises(TemporaryError) as too_late:
        send_request(harness, "grant", write_before=NOON + needed - timedelta(milliseconds=1))
    assert too_late.value.changed_nothing
    assert send_request(harness, "grant", write_before=NOON + needed).outcome == "applied"


def test_at_most_ten_changes_are_in_progress_in_one_process(harness: AccessHarness) -> None:
    with ExitStack() as taken:
        slots = [_take(taken, harness) for _ in range(MAX_CHANGES)]
        with pytest.raises(TemporaryError, match="10 changes of assignments are already in progress") as busy:
            send_request(harness, "grant")
        assert (busy.value.changed_nothing, harness.operations("CreateAccountAssignment")) == (True, [])
        for slot in slots:
            slot.is_in_progress = False

    # However a change ends, its slot is free once AWS has ended it.
    for _ in range(MAX_CHANGES):
        assert send_request(harness, "grant").outcome == "applied"
        assert harness.revoke("bo", harness.role(PROD, "Reader")).outcome == "applied"
    harness.aws.faults.deny("CreateAccountAssignment")
    for _ in range(MAX_CHANGES + 1):
        with pytest.raises(PermissionDeniedError):
            send_request(harness, "grant")


UNKNOWN_OUTCOMES: dict[str, Callable[[AccessHarness], object]] = {
    "the answer is lost": lambda harness: harness.aws.faults.cut_connection(
        1, "CreateAccountAssignment", times=3, afterwards=True
    ),
    "the status cannot be polled": lambda harness: harness.aws.faults.deny("DescribeAccountAssignmentCreationStatus"),
    "it does not end in time": lambda harness: setattr(harness.seeded.instance.assigning, "advance", lambda: None),
}


@pytest.mark.parametrize("trouble", UNKNOWN_OUTCOMES)
def test_a_change_with_an_unknown_outcome_keeps_its_slot_for_a_bounded_time(
    harness: AccessHarness, trouble: str
) -> None:
    advance = harness.seeded.instance.assigning.advance
    UNKNOWN_OUTCOMES[trouble](harness)
    with suppress(TemporaryError, PermissionDeniedError):
        send_request(harness, "grant")
    began_at = harness.clock.at
    harness.aws.faults.reset()
    harness.seeded.instance.assigning.advance = advance  # type: ignore[method-assign]

    with ExitStack() as taken:
        for _ in range(MAX_CHANGES - 1):
            _take(taken, harness)
        with slots_of(harness.seeded.instance_arn).acquire(harness.clock) as slot:
            assert slot is None
        harness.clock.at = began_at + UNKNOWN_HOLD
        with slots_of(harness.seeded.instance_arn).acquire(harness.clock) as slot:
            assert slot is not None


def test_an_interrupted_change_keeps_its_slot_too(harness: AccessHarness) -> None:
    with pytest.raises(KeyboardInterrupt), slots_of(harness.seeded.instance_arn).acquire(harness.clock):
        raise KeyboardInterrupt
    with ExitStack() as taken:
        for _ in range(MAX_CHANGES - 1):
            _take(taken, harness)
        with slots_of(harness.seeded.instance_arn).acquire(harness.clock) as slot:
            assert slot is None


def _take(taken: ExitStack, harness: AccessHarness) -> Slot:
    slot = taken.enter_context(slots_of(harness.seeded.instance_arn).acquire(harness.clock))
    assert slot is not None
    return slot


def test_many_concurrent_changes_stay_within_the_quota_and_all_succeed(harness: AccessHarness) -> None:
    people = [harness.seeded.users[name] for name in ("ana", "bo", "Cy Crane")]
    roles = [harness.role(account, name) for account in (DEV, PROD) for name in ("Reader", "Administrator")]
    most: list[int] = []
    lock = threading.Lock()
    begin = harness.seeded.instance.assigning.begin

    def count(*arguments: Any) -> Any:
        status = begin(*arguments)
        with lock:
            running = harness.seeded.instance.assigning._requests.values()
            most.append(sum(request.steps_left > 0 for request in running))
        return status

    harness.seeded.instance.assigning.begin = count  # type: ignore[method-assign, assignment]
    clocks = [FakeClock() for _ in range(4)]
    harnesses = [AccessHarness(harness.customer, clock, harness.settings) for clock in clocks]

    def work(number: int) -> list[str]:
        mine = harnesses[number]
        return [mine.grant(person, role).outcome for person in people for role in roles[number : number + 1]]

    with ThreadPoolExecutor(4) as threads:
        outcomes = [outcome for each in threads.map(work, range(4)) for outcome in each]
    for each in harnesses:
        each.provisioner.close()
    assert set(outcomes) == {"applied"}
    assert max(most) <= MAX_CHANGES


def test_a_group_that_gives_the_same_role_is_a_remaining_path(harness: AccessHarness) -> None:
    harness.seeded.add_group(Group("readers", members=("dee",)))
    harness.seeded.assign(Assignment(PROD, "Reader", "readers"))

    change = send_request(harness, "revoke")

    assert change.remaining_paths == (
        harness.path(harness.membership("dee", "readers"), harness.assignment("readers", PROD, "Reader")),
    )
    assert change.sessions_end_by is not None


def test_a_member_account_gets_a_fix_that_names_the_management_account(aws: SandboxAws, harness: AccessHarness) -> None:
    name = f"assignments-{harness.seeded.organisation.owner_account_id}"
    role = aws.create_integration_role(DEV, EXTERNAL_ID, name, ASSIGNMENT_POLICY)
    settings = {**harness.customer.settings, "account_id": DEV, "role_arn": role}
    member = AccessHarness(Customer(aws, harness.seeded, settings), settings=harness.settings)

    with pytest.raises(PermissionDeniedError) as denied:
        send_request(member, "grant")
    assert "management account or a delegated administrator of IAM Identity Center" in (denied.value.fix or "")
    assert not is_assigned(harness, "bo")
    member.provisioner.close()
