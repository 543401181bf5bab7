"""What a change opened or closed, what is left, how long sessions live: read live, never said beyond what is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws.provisioning.paths import INVISIBLE
from ploy_connector_aws.sandbox.aws import Assignment, Group, PermissionSet
from ploy_connector_aws.spec import AccessPath, KnownAccess
from tests.aws.conftest import DEV, PROD
from tests.aws.tampering import in_json, tampered

from .conftest import NOON, AccessHarness

SYNC = NOON - timedelta(minutes=10)
BEYOND = Assignment(DEV, "Reader", "admins")


def snapshot(desk: AccessHarness, person: str, *groups: str, direct: tuple[tuple[str, str], ...] = ()) -> KnownAccess:
    """What a host knows of a person's ways through some groups, as everything stands now."""
    paths: list[AccessPath] = []
    for group in groups:
        membership = desk.membership(person, group)
        paths.append(desk.path(membership))
        for each in desk.seeded.instance.admin.account_assignments:
            if each.principal_id == desk.seeded.groups[group]:
                name = next(name for name, arn in desk.seeded.permission_sets.items() if arn == each.permission_set_arn)
                paths.append(desk.path(membership, desk.assigned(group, each.target_id, name)))
    paths += [desk.path(desk.assigned(person, *role)) for role in direct]
    return KnownAccess(paths=tuple(paths), paths_complete=True, as_of=SYNC)


def break_from(desk: AccessHarness, operation: str, nth: int) -> None:
    """Cut the connection of the n-th call of an operation and of all later ones."""
    if nth == 1:
        desk.aws.faults.cut_connection(1, operation)
    else:
        # A fault that is switched on before a call strikes the next one first.
        desk.aws.faults.before(operation, lambda: desk.aws.faults.cut_connection(1, operation), nth=nth - 1)


def add_second_way(desk: AccessHarness) -> None:
    """Bo is in another group that opens the same, and is assigned to it directly, too."""
    desk.seeded.add_group(Group("oncall", members=("bo",)))
    desk.seeded.assign(Assignment(PROD, "Administrator", "oncall"))
    desk.seeded.assign(Assignment(PROD, "Administrator", "bo", to_group=False))


def test_after_a_revoke_every_other_way_is_named_and_proven_again(desk: AccessHarness) -> None:
    add_second_way(desk)
    known = snapshot(desk, "bo", "admins", "oncall", direct=((PROD, "Administrator"),))

    change = desk.revoke("bo", "admins", known=known)

    assert change.remaining_paths == (
        desk.path(desk.assigned("bo", PROD, "Administrator")),
        desk.path(desk.membership("bo", "oncall"), desk.assigned("oncall", PROD, "Administrator")),
    )
    assert (change.remaining_paths_complete, change.as_of, change.warnings) == (True, SYNC, ())
    assert change.invisible_paths == INVISIBLE


def test_what_aws_knows_and_the_snapshot_does_not_is_named_too(desk: AccessHarness) -> None:
    known = snapshot(desk, "bo", "admins")
    add_second_way(desk)

    change = desk.revoke("bo", "admins", known=known)

    assert len(change.remaining_paths) == 2
    assert change.remaining_paths_complete


def test_ways_that_are_gone_by_now_are_not_named(desk: AccessHarness) -> None:
    add_second_way(desk)
    known = snapshot(desk, "bo", "admins", "oncall", direct=((PROD, "Administrator"),))
    desk.seeded.remove_member("oncall", "bo")
    desk.seeded.unassign(Assignment(PROD, "Administrator", "bo", to_group=False))

    change = desk.revoke("bo", "admins", known=known)

    assert (change.remaining_paths, change.remaining_paths_complete) == ((), True)


def test_a_known_group_that_no_longer_opens_it_or_is_deleted_is_not_named(desk: AccessHarness) -> None:
    add_second_way(desk)
    known = snapshot(desk, "bo", "admins", "oncall")
    desk.seeded.unassign(Assignment(PROD, "Administrator", "bo", to_group=False))
    desk.seeded.delete_group("oncall")

    change = desk.revoke("bo", "admins", known=known)

    assert (change.remaining_paths, change.remaining_paths_complete, change.warnings) == ((), True, ())


def test_other_things_that_the_person_holds_are_no_way_to_the_same(desk: AccessHarness) -> None:
    desk.seeded.assign(Assignment(DEV, "Administrator", "bo", to_group=False))
    desk.seeded.assign(Assignment(PROD, "Reader", "bo", to_group=False))

    change = desk.revoke("bo", "admins", known=snapshot(desk, "bo", "admins"))

    assert (change.remaining_paths, change.remaining_paths_complete) == ((), True)


@pytest.mark.parametrize("is_preview", [True, False])
def test_a_revoke_that_is_ordered_again_when_it_was_made_warns_of_nothing(
    desk: AccessHarness, is_preview: bool
) -> None:
    desk.seeded.remove_member("admins", "bo")
    opened = (desk.role(PROD, "Administrator"),)
    known = KnownAccess(paths_complete=True, as_of=SYNC, opened=opened)

    change = desk.revoke("bo", "admins", preview=is_preview, known=known)

    assert change.outcome == ("previewed" if is_preview else "already_in_effect")
    assert (change.remaining_paths, change.remaining_paths_complete, change.as_of) == ((), True, SYNC)
    assert change.warnings == ()


@pytest.mark.parametrize("less", [{"paths_complete": False}, {"paths": (), "as_of": None, "paths_complete": False}])
def test_what_the_snapshot_does_not_prove_is_unknown_and_not_none(desk: AccessHarness, less: dict[str, Any]) -> None:
    change = desk.revoke("bo", "admins", known=snapshot(desk, "bo", "admins").model_copy(update=less))

    assert (change.outcome, change.remaining_paths) == ("applied", ())
    assert (change.remaining_paths_complete, change.as_of) == (False, None)


def test_something_that_the_group_opens_since_the_snapshot_makes_the_rest_unknown(desk: AccessHarness) -> None:
    known = snapshot(desk, "bo", "admins")
    desk.seeded.assign(BEYOND)

    change = desk.revoke("bo", "admins", known=known)

    assert [path.grants[-1].entitlement_id for path in change.closed_paths] == sorted(
        [desk.role(DEV, "Reader"), desk.role(PROD, "Administrator")]
    )
    assert (change.effects_complete, change.remaining_paths_complete) == (True, False)
    assert change.warnings == (
        "The group opens something that the last sync did not know of, so other ways to it may exist: "
        f"{desk.role(DEV, 'Reader')}.",
    )


@pytest.mark.parametrize(
    ("operation", "nth", "warning", "is_known"),
    [
        ("ListAccountAssignmentsForPrincipal", 1, "What the group opens could not be read", False),
        ("ListAccountAssignmentsForPrincipal", 2, "The person's own assignments could not be read again", True),
        ("GetGroupMembershipId", 3, "Whether the person still is in another group could not be read again", True),
        ("ListAccountAssignmentsForPrincipal", 3, "What another group of the person opens could not be read", True),
    ],
)
@pytest.mark.parametrize("is_denied", [False, True])
def test_a_way_that_cannot_be_read_again_is_neither_named_nor_lost(
    desk: AccessHarness, operation: str, nth: int, warning: str, is_known: bool, is_denied: bool
) -> None:
    desk.seeded.add_group(Group("oncall", members=("bo",)))
    desk.seeded.assign(Assignment(PROD, "Administrator", "oncall"))
    known = snapshot(desk, "bo", "admins", "oncall")

    if is_denied:
        desk.aws.faults.before(operation, lambda: desk.aws.faults.deny(operation), nth=nth)
    else:
        break_from(desk, operation, nth)

    change = desk.revoke("bo", "admins", known=known)

    assert (change.outcome, change.remaining_paths) == ("applied", ())
    assert (change.effects_complete, change.remaining_paths_complete, change.as_of) == (is_known, False, None)
    assert change.warnings[0].startswith(warning)


@pytest.mark.parametrize(
    ("operation", "change_answer", "is_known", "warning"),
    [
        (
            "ListAccountAssignmentsForPrincipal",
            lambda answer: answer.update(AccountAssignments="?"),
            False,
            "What the group opens could not be read: ",
        ),
        (
            "DescribePermissionSet",
            lambda answer: answer["PermissionSet"].update(SessionDuration=3600),
            True,
            "How long sessions of a permission set may live could not be read (",
        ),
    ],
)
def test_an_answer_that_is_none_never_unmakes_the_change(
    desk: AccessHarness,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    change_answer: Callable[[dict[str, Any]], object],
    is_known: bool,
    warning: str,
) -> None:
    with tampered(desk.aws.endpoint_url, in_json(operation, change_answer)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        change = desk.revoke("bo", "admins", known=snapshot(desk, "bo", "admins"))

    assert (change.outcome, change.effects_complete, change.remaining_paths_complete) == ("applied", is_known, is_known)
    assert change.sessions_end_by is None
    assert change.warnings[0].startswith(warning)


def test_after_a_grant_what_it_opened_is_named(desk: AccessHarness) -> None:
    desk.seeded.assign(BEYOND)

    change = desk.grant("dee", "admins")

    membership = desk.membership("dee", "admins")
    assert change.opened_paths == tuple(
        desk.path(membership, desk.assigned("admins", *role)) for role in ((DEV, "Reader"), (PROD, "Administrator"))
    )
    assert (change.effects_complete, change.closed_paths, change.remaining_paths) == (True, (), ())
    assert (change.sessions_end_by, change.remaining_paths_complete) == (None, False)


@pytest.mark.parametrize(
    ("durations", "ends"),
    [
        ((), NOON),
        (("PT4H",), NOON + timedelta(hours=4)),
        (("PT1H", "PT12H", "PT1H30M"), NOON + timedelta(hours=12)),
        (("PT12H", "for ever"), None),
    ],
)
def test_sessions_live_as_long_as_the_longest_permission_set_that_was_lost(
    desk: AccessHarness, durations: tuple[str, ...], ends: datetime | None
) -> None:
    desk.seeded.add_group(Group("shift", members=("bo",)))
    for number, duration in enumerate(durations):
        desk.seeded.add_permission_set(PermissionSet(f"set-{number}", session_duration=duration))
        desk.seeded.assign(Assignment(PROD, f"set-{number}", "shift"))

    change = desk.revoke("bo", "shift", known=snapshot(desk, "bo", "shift"))

    assert change.sessions_end_by == ends
    assert change.remaining_paths_complete


def test_a_permission_set_that_cannot_be_described_leaves_the_end_of_sessions_unknown(desk: AccessHarness) -> None:
    desk.aws.faults.deny("DescribePermissionSet")

    change = desk.revoke("bo", "admins", known=snapshot(desk, "bo", "admins"))

    assert (change.outcome, change.sessions_end_by, change.remaining_paths_complete) == ("applied", None, True)
    assert "How long sessions of a permission set may live could not be read" in change.warnings[0]


def test_when_aws_is_out_of_reach_every_way_that_was_not_read_is_named_at_once(desk: AccessHarness) -> None:
    for name in ("one", "two"):
        desk.seeded.add_group(Group(name, members=("bo",)))
        desk.seeded.assign(Assignment(PROD, "Administrator", name))
    known = snapshot(desk, "bo", "admins", "one", "two")
    break_from(desk, "GetGroupMembershipId", 3)

    change = desk.revoke("bo", "admins", known=known)

    unread = [warning for warning in change.warnings if warning.startswith("Whether the person still is in another")]
    assert {desk.seeded.groups[name] for name in ("one", "two")} == {
        warning.partition("(")[2].partition(")")[0] for warning in unread
    }
    # The session's own retries of the first question, and none of the second.
    assert len(desk.called("GetGroupMembershipId")) == 2 + 4
