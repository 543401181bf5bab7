"""Lost answers, somebody else at the same time, things that vanish: what is reported is what AWS holds."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from ploy_connector_aws.aws.provisioning.provisioner import READ_BACK_PAUSES_SECONDS
from ploy_connector_aws.spec import NotFoundError, TemporaryError

from .conftest import AccessHarness

WRITES = {"grant": "CreateGroupMembership", "revoke": "DeleteGroupMembership"}
PEOPLE = {"grant": "dee", "revoke": "bo"}
"""Dee is not in the group of administrators, Bo is."""

directions = pytest.mark.parametrize("direction", ["grant", "revoke"])


def is_in_effect(desk: AccessHarness, direction: str) -> bool:
    return (desk.membership_id(PEOPLE[direction], "admins") is not None) == (direction == "grant")


@directions
@pytest.mark.parametrize("fault", ["cut_connection", "fail"])
def test_a_write_that_took_effect_and_whose_answer_was_lost_is_applied_once(
    desk: AccessHarness, direction: str, fault: str
) -> None:
    getattr(desk.aws.faults, fault)(1, WRITES[direction], times=1, afterwards=True)

    change = getattr(desk, direction)(PEOPLE[direction], "admins")

    # The second attempt meets a conflict, or nothing to delete.
    assert [call.error_code for call in desk.aws.calls.to(WRITES[direction])][1:] in (
        ["ConflictException"],
        ["ResourceNotFoundException"],
    )
    assert (change.outcome, is_in_effect(desk, direction)) == ("applied", True)


@directions
@pytest.mark.parametrize("fault", ["cut_connection", "fail", "throttle"])
def test_a_write_that_was_lost_before_it_took_effect_is_sent_again(
    desk: AccessHarness, direction: str, fault: str
) -> None:
    getattr(desk.aws.faults, fault)(1, WRITES[direction], times=2)

    assert getattr(desk, direction)(PEOPLE[direction], "admins").outcome == "applied"
    assert (len(desk.called(WRITES[direction])), is_in_effect(desk, direction)) == (3, True)


@directions
def test_answers_that_stay_lost_are_settled_by_reading_back(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.cut_connection(1, WRITES[direction], afterwards=True)

    assert getattr(desk, direction)(PEOPLE[direction], "admins").outcome == "applied"
    assert [call.status for call in desk.aws.calls.to(WRITES[direction])][:1] == [0]


@directions
def test_a_write_that_is_lost_three_times_is_unknown_and_never_called_applied_or_not(
    desk: AccessHarness, direction: str
) -> None:
    desk.aws.faults.cut_connection(1, WRITES[direction])

    with pytest.raises(TemporaryError, match="AWS's answer was lost") as unknown:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert (unknown.value.changed_nothing, is_in_effect(desk, direction)) == (False, False)


@directions
def test_a_write_that_cannot_be_read_back_is_unknown(desk: AccessHarness, direction: str) -> None:
    def cut_from_now_on() -> None:
        desk.aws.faults.cut_connection(1, "GetGroupMembershipId")

    desk.aws.faults.before(WRITES[direction], cut_from_now_on)

    with pytest.raises(TemporaryError, match="could not be read back") as unknown:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert (unknown.value.changed_nothing, is_in_effect(desk, direction)) == (False, True)
    assert desk.clock.waited == list(READ_BACK_PAUSES_SECONDS)


@directions
def test_reading_back_that_is_not_allowed_is_no_success(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.before(WRITES[direction], lambda: desk.aws.faults.deny("GetGroupMembershipId"))

    with pytest.raises(TemporaryError) as unknown:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert not unknown.value.changed_nothing


@directions
def test_a_write_that_shows_late_is_waited_for(desk: AccessHarness, direction: str) -> None:
    # AWS.md 3.4: nothing bounds how long a write takes to show. The first look after it still sees the old state.
    stale = (
        {"code": "ResourceNotFoundException", "members": {"ResourceType": "GROUP_MEMBERSHIP"}}
        if direction == "grant"
        else {"code": "InternalServerException", "status": 500}
    )
    desk.aws.faults.before(WRITES[direction], lambda: desk.aws.faults.answer("GetGroupMembershipId", times=3, **stale))

    assert getattr(desk, direction)(PEOPLE[direction], "admins").outcome == "applied"
    assert desk.clock.waited == list(READ_BACK_PAUSES_SECONDS[:4])


@directions
def test_concurrent_modification_is_tried_again(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.answer(
        WRITES[direction], "ConflictException", members={"Reason": "CONCURRENT_MODIFICATION"}, times=2
    )

    assert getattr(desk, direction)(PEOPLE[direction], "admins").outcome == "applied"


@directions
@pytest.mark.parametrize(
    ("code", "members"),
    [
        ("ConflictException", {"Reason": "CONCURRENT_MODIFICATION"}),
        ("ThrottlingException", {}),
        ("ThrottlingException", {"Reason": "KMS_THROTTLING"}),
    ],
)
def test_what_aws_turned_away_each_time_changed_nothing_for_certain(
    desk: AccessHarness, direction: str, code: str, members: dict[str, str]
) -> None:
    desk.aws.faults.answer(WRITES[direction], code, members=members)

    with pytest.raises(TemporaryError) as turned_away:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert (turned_away.value.changed_nothing, is_in_effect(desk, direction)) == (True, False)
    assert len(desk.called(WRITES[direction])) == 3


@directions
def test_a_pause_that_aws_asks_for_is_remembered_by_the_next_order_and_not_sat_out_for_ever(
    desk: AccessHarness, direction: str
) -> None:
    desk.aws.faults.throttle(1, WRITES[direction], times=1, retry_after_seconds=3600)
    for _ in range(2):
        with pytest.raises(TemporaryError, match="is throttling") as busy:
            getattr(desk, direction)(PEOPLE[direction], "admins")
        assert busy.value.changed_nothing
        assert 200 < (busy.value.retry_after_seconds or 0) <= 300, "a longer pause is cut down"
        # What the session of the first order alone knew is forgotten with it.
        del busy
        gc.collect()
    assert len(desk.called(WRITES[direction])) == 1


@directions
def test_a_refusal_after_a_lost_answer_does_not_hide_what_took_effect(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.cut_connection(1, WRITES[direction], times=1, afterwards=True)
    desk.aws.faults.before(WRITES[direction], lambda: desk.aws.faults.deny(WRITES[direction]), nth=2)

    assert getattr(desk, direction)(PEOPLE[direction], "admins").outcome == "applied"


@directions
def test_a_refusal_after_a_lost_attempt_that_had_no_effect_is_unknown(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.cut_connection(1, WRITES[direction], times=1)
    desk.aws.faults.before(WRITES[direction], lambda: desk.aws.faults.deny(WRITES[direction]), nth=2)

    with pytest.raises(TemporaryError) as unknown:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert not unknown.value.changed_nothing


def test_somebody_else_s_grant_in_between_is_in_effect_and_not_ours(desk: AccessHarness) -> None:
    desk.aws.faults.before("CreateGroupMembership", lambda: desk.seeded.add_member("admins", "dee"))

    change = desk.grant("dee", "admins")

    assert (change.outcome, change.added) == ("already_in_effect", (desk.membership("dee", "admins"),))


def test_somebody_else_s_revoke_in_between_is_in_effect_and_not_ours(desk: AccessHarness) -> None:
    desk.aws.faults.before("DeleteGroupMembership", lambda: desk.seeded.remove_member("admins", "bo"))

    assert desk.revoke("bo", "admins").outcome == "already_in_effect"


def test_a_revoke_that_takes_away_what_was_just_granted_leaves_nobody_claiming(desk: AccessHarness) -> None:
    desk.aws.faults.before("GetGroupMembershipId", lambda: desk.seeded.remove_member("admins", "dee"), nth=2)

    with pytest.raises(TemporaryError, match="AWS took the order") as unknown:
        desk.grant("dee", "admins")
    assert (unknown.value.changed_nothing, desk.membership_id("dee", "admins")) == (False, None)


def test_a_grant_that_brings_back_what_was_just_revoked_leaves_nobody_claiming(desk: AccessHarness) -> None:
    desk.aws.faults.before("GetGroupMembershipId", lambda: desk.seeded.add_member("admins", "bo"), nth=2)

    with pytest.raises(TemporaryError, match="AWS took the order") as unknown:
        desk.revoke("bo", "admins")
    assert not unknown.value.changed_nothing
    assert desk.membership_id("bo", "admins") is not None


def test_a_membership_made_anew_under_another_id_is_not_taken_for_gone(desk: AccessHarness) -> None:
    def exchange() -> None:
        desk.seeded.remove_member("admins", "bo")
        desk.seeded.add_member("admins", "bo")

    desk.aws.faults.before("DeleteGroupMembership", exchange)

    # The one that was seen is gone, but not by this order, and Bo is in the group.
    with pytest.raises(TemporaryError, match="in effect already") as unknown:
        desk.revoke("bo", "admins")
    assert unknown.value.changed_nothing
    assert desk.revoke("bo", "admins").outcome == "applied"


def test_a_grant_that_raced_a_revoke_is_not_called_applied_when_it_is_gone_again(desk: AccessHarness) -> None:
    desk.aws.faults.answer(
        "CreateGroupMembership", "ConflictException", members={"Reason": "UNIQUENESS_CONSTRAINT_VIOLATION"}
    )

    with pytest.raises(TemporaryError, match="in effect already") as unknown:
        desk.grant("dee", "admins")
    assert (unknown.value.changed_nothing, desk.membership_id("dee", "admins")) == (True, None)


DELETIONS: dict[str, Callable[[AccessHarness, str], None]] = {
    "GROUP": lambda desk, _: desk.seeded.delete_group("admins"),
    "USER": lambda desk, direction: desk.seeded.delete_user(PEOPLE[direction]),
}


@directions
@pytest.mark.parametrize("kind", DELETIONS)
@pytest.mark.parametrize("call", ["ListGroups", "GetGroupMembershipId", "write", "read-back"])
def test_a_group_or_user_deleted_at_any_moment_is_not_found_and_never_a_success(
    desk: AccessHarness, direction: str, kind: str, call: str
) -> None:
    operation, nth = {"write": (WRITES[direction], 1), "read-back": ("GetGroupMembershipId", 2)}.get(call, (call, 1))
    desk.aws.faults.before(operation, lambda: DELETIONS[kind](desk, direction), nth=nth)

    with pytest.raises(NotFoundError) as gone:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    id_ = desk.seeded.groups["admins"] if kind == "GROUP" else desk.seeded.users[PEOPLE[direction]]
    assert (gone.value.kind, gone.value.id) == (kind, id_)


@directions
def test_a_user_of_whom_aws_only_says_that_the_membership_does_not_exist_is_not_found_either(
    desk: AccessHarness, direction: str
) -> None:
    desk.seeded.delete_user("ana")
    desk.aws.faults.answer(
        "GetGroupMembershipId", "ResourceNotFoundException", members={"ResourceType": "GROUP_MEMBERSHIP"}
    )

    with pytest.raises(NotFoundError) as gone:
        getattr(desk, direction)("ana", "admins")
    assert gone.value.kind == "USER"


def test_a_group_that_was_looked_at_a_moment_ago_and_is_gone_is_no_success(desk: AccessHarness) -> None:
    desk.grant("dee", "admins")
    desk.seeded.delete_group("admins")
    desk.aws.faults.answer(
        "GetGroupMembershipId", "ResourceNotFoundException", members={"ResourceType": "GROUP_MEMBERSHIP"}
    )

    with pytest.raises(NotFoundError) as gone:
        desk.revoke("dee", "admins")
    assert gone.value.kind == "GROUP"
