"""Direct assignments, over HTTP in the local AWS, which makes them in the background as AWS does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws.provisioning.assignment import FOLLOW_PAUSES_SECONDS, FOLLOW_SECONDS
from ploy_connector_aws.aws.provisioning.assignment_slots import KEPT, PLACES, Place, outstanding_in
from ploy_connector_aws.aws.provisioning.writes import WRITE_SECONDS
from ploy_connector_aws.sandbox.aws import Assignment, Group, SandboxAws
from ploy_connector_aws.spec import NotFoundError, PermissionDeniedError, TemporaryError
from tests.aws.conftest import DEV, EXTERNAL_ID, PROD, Customer

from .conftest import ASSIGNING_POLICY, NOON, AccessHarness, FakeClock

OPERATIONS = {
    "grant": ("CreateAccountAssignment", "DescribeAccountAssignmentCreationStatus", "AccountAssignmentCreationStatus"),
    "revoke": ("DeleteAccountAssignment", "DescribeAccountAssignmentDeletionStatus", "AccountAssignmentDeletionStatus"),
}
PEOPLE = {"grant": "bo", "revoke": "dee"}
"""Dee is assigned to read in production, Bo is not."""

directions = pytest.mark.parametrize("direction", ["grant", "revoke"])


@pytest.fixture
def desk(assigning_desk: AccessHarness) -> AccessHarness:
    return assigning_desk


def is_assigned(desk: AccessHarness, person: str) -> bool:
    return any(
        (row.target_id, row.permission_set_arn) == (PROD, desk.seeded.permission_sets["Reader"])
        for row in desk.seeded.instance.assignments.of([("USER", desk.seeded.users[person])])
    )


def is_in_effect(desk: AccessHarness, direction: str) -> bool:
    return is_assigned(desk, PEOPLE[direction]) == (direction == "grant")


def ask(desk: AccessHarness, direction: str, **more: Any) -> Any:
    return getattr(desk, direction)(PEOPLE[direction], desk.role(PROD, "Reader"), **more)


@directions
def test_an_assignment_is_ordered_followed_to_its_end_and_read_back(desk: AccessHarness, direction: str) -> None:
    change = ask(desk, direction)

    edge = desk.assigned(PEOPLE[direction], PROD, "Reader")
    assert (change.outcome, is_in_effect(desk, direction)) == ("applied", True)
    assert (change.added, change.removed) == (((edge,), ()) if direction == "grant" else ((), (edge,)))
    assert change.opened_paths + change.closed_paths == (desk.path(edge),)
    assert change.effects_complete
    assert change.scope == f"identity-center/assignments/users/{desk.seeded.users[PEOPLE[direction]]}"
    assert (edge in desk.emitted(change.scope)) == (direction == "grant")
    write, follow, _ = OPERATIONS[direction]
    assert desk.called(write, follow) == [write, follow, follow]


@directions
def test_a_second_order_finds_it_in_effect(desk: AccessHarness, direction: str) -> None:
    ask(desk, direction)

    assert ask(desk, direction).outcome == "already_in_effect"
    assert len(desk.called(OPERATIONS[direction][0])) == 1


@directions
def test_a_preview_changes_nothing(desk: AccessHarness, direction: str) -> None:
    change = ask(desk, direction, preview=True)

    assert (change.outcome, is_in_effect(desk, direction)) == ("previewed", False)
    assert len(desk.aws.calls.to("AssumeRole")) == 1


def test_what_a_group_gives_is_no_assignment_of_the_person_s_own(desk: AccessHarness) -> None:
    desk.seeded.assign(Assignment(PROD, "Reader", "admins"))

    assert ask(desk, "grant").outcome == "applied"
    change = desk.revoke("bo", desk.role(PROD, "Reader"))
    assert change.remaining_paths == (
        desk.path(desk.membership("bo", "admins"), desk.assigned("admins", PROD, "Reader")),
    )


@directions
@pytest.mark.parametrize("fault", ["cut_connection", "fail"])
def test_a_lost_answer_is_settled_by_reading_back(desk: AccessHarness, direction: str, fault: str) -> None:
    getattr(desk.aws.faults, fault)(1, OPERATIONS[direction][0], afterwards=True)

    assert (ask(desk, direction).outcome, is_in_effect(desk, direction)) == ("applied", True)


@directions
def test_a_conflict_with_a_write_that_is_still_spreading_is_tried_again(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.answer(OPERATIONS[direction][0], "ConflictException", times=2)

    assert ask(desk, direction).outcome == "applied"


@directions
def test_not_to_be_allowed_to_follow_is_no_success_whatever_is_listed(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.deny(OPERATIONS[direction][1])

    with pytest.raises(TemporaryError, match="AWS took the order") as unknown:
        ask(desk, direction)
    assert (unknown.value.changed_nothing, "Describe" in unknown.value.message) == (False, True)
    desk.aws.faults.reset()
    ask(desk, direction)
    assert is_in_effect(desk, direction)


@directions
def test_what_does_not_end_in_time_is_unknown(desk: AccessHarness, direction: str) -> None:
    assigning = desk.seeded.instance.assigning
    desk.aws.faults.before(OPERATIONS[direction][0], lambda: setattr(assigning, "advance", lambda: None))

    with pytest.raises(TemporaryError, match="AWS took the order") as unknown:
        ask(desk, direction)
    assert (unknown.value.changed_nothing, is_in_effect(desk, direction)) == (False, False)
    assert desk.clock.waited[: len(FOLLOW_PAUSES_SECONDS)] == list(FOLLOW_PAUSES_SECONDS)


def test_a_person_deleted_while_it_is_made_is_not_found(desk: AccessHarness) -> None:
    desk.aws.faults.before("CreateAccountAssignment", lambda: desk.seeded.delete_user("bo"))

    with pytest.raises(NotFoundError) as gone:
        ask(desk, "grant")
    assert (gone.value.kind, gone.value.id) == ("USER", desk.seeded.users["bo"])


def test_a_permission_set_deleted_while_it_is_made_is_not_found(desk: AccessHarness) -> None:
    arn = desk.seeded.permission_sets["Reader"]
    desk.aws.faults.before("CreateAccountAssignment", lambda: desk.seeded.delete_permission_set("Reader"))

    with pytest.raises(NotFoundError) as gone:
        ask(desk, "grant")
    assert (gone.value.kind, gone.value.id) == ("PERMISSION_SET", arn)


def test_an_account_outside_of_the_organization_is_not_found(desk: AccessHarness) -> None:
    with pytest.raises(NotFoundError, match="something of what the assignment names"):
        desk.grant("bo", desk.role("999999999999", "Reader"))


def test_a_permission_set_of_another_instance_is_not_found(desk: AccessHarness) -> None:
    arn = "arn:aws:sso:::permissionSet/ssoins-0000000000000000/ps-0000000000000000"
    with pytest.raises(NotFoundError) as gone:
        desk.grant("bo", f"{PROD}/{arn}")
    assert (gone.value.kind, gone.value.id) == ("PERMISSION_SET", arn)


def test_somebody_else_who_takes_it_away_first_leaves_it_in_effect_and_not_ours(desk: AccessHarness) -> None:
    own = Assignment(PROD, "Reader", "dee", to_group=False)
    desk.aws.faults.before("DeleteAccountAssignment", lambda: desk.seeded.unassign(own))

    assert ask(desk, "revoke").outcome == "already_in_effect"


@directions
def test_a_role_without_the_optional_permissions_is_told_which(desk: AccessHarness, direction: str) -> None:
    write = OPERATIONS[direction][0]
    desk.aws.faults.deny(write)

    with pytest.raises(PermissionDeniedError) as denied:
        ask(desk, direction)
    assert denied.value.actions == (f"sso:{write}",)


def test_it_is_begun_only_if_what_aws_does_in_the_background_ends_in_time_too(desk: AccessHarness) -> None:
    needed = timedelta(seconds=WRITE_SECONDS + FOLLOW_SECONDS)
    with pytest.raises(TemporaryError) as too_late:
        ask(desk, "grant", write_before=NOON + needed - timedelta(milliseconds=1))
    assert too_late.value.changed_nothing
    assert ask(desk, "grant", write_before=NOON + needed).outcome == "applied"


def test_ten_at_most_are_under_way_at_once_for_all_of_the_process(desk: AccessHarness) -> None:
    with ExitStack() as taken:
        places = [_take(taken, desk) for _ in range(PLACES)]
        with pytest.raises(TemporaryError, match="10 changes of assignments are under way already") as busy:
            ask(desk, "grant")
        assert (busy.value.changed_nothing, desk.called("CreateAccountAssignment")) == (True, [])
        for place in places:
            place.is_open = False

    # The place is given back, however an order ends that AWS has ended.
    for _ in range(PLACES):
        assert ask(desk, "grant").outcome == "applied"
        assert desk.revoke("bo", desk.role(PROD, "Reader")).outcome == "applied"
    desk.aws.faults.deny("CreateAccountAssignment")
    for _ in range(PLACES + 1):
        with pytest.raises(PermissionDeniedError):
            ask(desk, "grant")


UNCLEAR: dict[str, Callable[[AccessHarness], object]] = {
    "the answer is lost": lambda desk: desk.aws.faults.cut_connection(
        1, "CreateAccountAssignment", times=3, afterwards=True
    ),
    "how it goes cannot be asked": lambda desk: desk.aws.faults.deny("DescribeAccountAssignmentCreationStatus"),
    "it is not ended in time": lambda desk: setattr(desk.seeded.instance.assigning, "advance", lambda: None),
}


@pytest.mark.parametrize("trouble", UNCLEAR)
def test_a_change_whose_end_was_not_learnt_keeps_its_place_for_a_bounded_time(
    desk: AccessHarness, trouble: str
) -> None:
    advance = desk.seeded.instance.assigning.advance
    UNCLEAR[trouble](desk)
    with suppress(TemporaryError, PermissionDeniedError):
        ask(desk, "grant")
    began_at = desk.clock.at
    desk.aws.faults.reset()
    desk.seeded.instance.assigning.advance = advance  # type: ignore[method-assign]

    with ExitStack() as taken:
        for _ in range(PLACES - 1):
            _take(taken, desk)
        with outstanding_in(desk.seeded.instance_arn).place(desk.clock) as place:
            assert place is None
        desk.clock.at = began_at + KEPT
        with outstanding_in(desk.seeded.instance_arn).place(desk.clock) as place:
            assert place is not None


def test_an_order_that_broke_off_keeps_its_place_too(desk: AccessHarness) -> None:
    with pytest.raises(KeyboardInterrupt), outstanding_in(desk.seeded.instance_arn).place(desk.clock):
        raise KeyboardInterrupt
    with ExitStack() as taken:
        for _ in range(PLACES - 1):
            _take(taken, desk)
        with outstanding_in(desk.seeded.instance_arn).place(desk.clock) as place:
            assert place is None


def _take(taken: ExitStack, desk: AccessHarness) -> Place:
    place = taken.enter_context(outstanding_in(desk.seeded.instance_arn).place(desk.clock))
    assert place is not None
    return place


def test_many_orders_at_once_stay_within_the_quota_and_all_succeed(desk: AccessHarness) -> None:
    people = [desk.seeded.users[name] for name in ("ana", "bo", "Cy Crane")]
    roles = [desk.role(account, name) for account in (DEV, PROD) for name in ("Reader", "Administrator")]
    most: list[int] = []
    lock = threading.Lock()
    begin = desk.seeded.instance.assigning.begin

    def count(*asked: Any) -> Any:
        status = begin(*asked)
        with lock:
            running = desk.seeded.instance.assigning._requests.values()
            most.append(sum(request.steps_left > 0 for request in running))
        return status

    desk.seeded.instance.assigning.begin = count  # type: ignore[method-assign, assignment]
    clocks = [FakeClock() for _ in range(4)]
    desks = [AccessHarness(desk.customer, clock, desk.settings) for clock in clocks]

    def work(number: int) -> list[str]:
        mine = desks[number]
        return [mine.grant(person, role).outcome for person in people for role in roles[number : number + 1]]

    with ThreadPoolExecutor(4) as threads:
        outcomes = [outcome for each in threads.map(work, range(4)) for outcome in each]
    for each in desks:
        each.changer.close()
    assert set(outcomes) == {"applied"}
    assert max(most) <= PLACES


def test_a_group_that_opens_it_too_is_a_remaining_way(desk: AccessHarness) -> None:
    desk.seeded.add_group(Group("readers", members=("dee",)))
    desk.seeded.assign(Assignment(PROD, "Reader", "readers"))

    change = ask(desk, "revoke")

    assert change.remaining_paths == (
        desk.path(desk.membership("dee", "readers"), desk.assigned("readers", PROD, "Reader")),
    )
    assert change.sessions_end_by is not None


def test_a_member_account_is_told_that_only_the_management_account_may_ask(
    aws: SandboxAws, desk: AccessHarness
) -> None:
    name = f"assigning-{desk.seeded.organisation.owner_account_id}"
    role = aws.create_integration_role(DEV, EXTERNAL_ID, name, ASSIGNING_POLICY)
    settings = {**desk.customer.settings, "account_id": DEV, "role_arn": role}
    member = AccessHarness(Customer(aws, desk.seeded, settings), settings=desk.settings)

    with pytest.raises(PermissionDeniedError) as denied:
        ask(member, "grant")
    assert "management account or a delegated administrator of IAM Identity Center" in (denied.value.fix or "")
    assert not is_assigned(desk, "bo")
    member.changer.close()
