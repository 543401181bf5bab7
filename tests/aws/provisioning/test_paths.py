"""Paths that a change opened or closed, those that remain, and the end of sessions: read live, and never guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws.provisioning.paths import INVISIBLE
from ploy_connector_aws.sandbox.aws import Assignment, Group, PermissionSet
from ploy_connector_aws.spec import AccessPath
from tests.aws.conftest import DEV, PROD
from tests.aws.tampering import in_json, tampered

from .conftest import NOON, AccessHarness

SYNC = NOON - timedelta(minutes=10)
BEYOND = Assignment(DEV, "Reader", "admins")


def snapshot(
    harness: AccessHarness, person: str, *groups: str, direct: tuple[tuple[str, str], ...] = ()
) -> dict[str, Any]:
    """Return what a host knows about a person's paths through some groups, from the current state."""
    paths: list[AccessPath] = []
    for group in groups:
        membership = harness.membership(person, group)
        paths.append(harness.path(membership))
        for each in harness.seeded.instance.admin.account_assignments:
            if each.principal_id == harness.seeded.groups[group]:
                name = next(
                    name for name, arn in harness.seeded.permission_sets.items() if arn == each.permission_set_arn
                )
                paths.append(harness.path(membership, harness.assignment(group, each.target_id, name)))
    paths += [harness.path(harness.assignment(person, *role)) for role in direct]
    return {"paths": tuple(paths), "paths_complete": True, "as_of": SYNC}


def break_from(harness: AccessHarness, operation: str, nth: int) -> None:
    """Cut the connection of the n-th call of an operation and of all later ones."""
    if nth == 1:
        harness.aws.faults.cut_connection(1, operation)
    else:
        # A fault that is enabled before a call affects the next call first.
        harness.aws.faults.before(operation, lambda: harness.aws.faults.cut_connection(1, operation), nth=nth - 1)


def add_other_paths(harness: AccessHarness) -> None:
    """Put Bo into another group with the same role, and assign Bo to it directly, too."""
    harness.seeded.add_group(Group("oncall", members=("bo",)))
    harness.seeded.assign(Assignment(PROD, "Administrator", "oncall"))
    harness.seeded.assign(Assignment(PROD, "Administrator", "bo", to_group=False))


def test_after_a_revoke_every_other_path_is_reported_and_verified(harness: AccessHarness) -> None:
    add_other_paths(harness)
    known = snapshot(harness, "bo", "admins", "oncall", direct=((PROD, "Administrator"),))

    change = harness.revoke("bo", "admins", known=known)

    assert change.remaining_paths == (
        harness.path(harness.assignment("bo", PROD, "Administrator")),
        harness.path(harness.membership("bo", "oncall"), harness.assignment("oncall", PROD, "Administrator")),
    )
    assert (change.remaining_paths_complete, change.as_of, change.warnings) == (True, SYNC, ())
    assert change.invisible_paths == INVISIBLE


def test_paths_that_the_snapshot_lacks_are_reported_too(harness: AccessHarness) -> None:
    known = snapshot(harness, "bo", "admins")
    add_other_paths(harness)

    change = harness.revoke("bo", "admins", known=known)

    assert len(change.remaining_paths) == 2
    assert change.remaining_paths_complete


def test_paths_that_are_gone_are_not_reported(harness: AccessHarness) -> None:
    add_other_paths(harness)
    known = snapshot(harness, "bo", "admins", "oncall", direct=((PROD, "Administrator"),))
    harness.seeded.remove_member("oncall", "bo")
    harness.seeded.unassign(Assignment(PROD, "Administrator", "bo", to_group=False))

    change = harness.revoke("bo", "admins", known=known)

    assert (change.remaining_paths, change.remaining_paths_complete) == ((), True)


def test_a_known_group_that_is_deleted_is_not_reported(harness: AccessHarness) -> None:
    add_other_paths(harness)
    known = snapshot(harness, "bo", "admins", "oncall")
    harness.seeded.unassign(Assignment(PROD, "Administrator", "bo", to_group=False))
    harness.seeded.delete_group("oncall")

    change = harness.revoke("bo", "admins", known=known)

    assert (change.remaining_paths, change.remaining_paths_complete, change.warnings) == ((), True, ())


def test_other_entitlements_of_the_person_are_no_paths_to_the_same(harness: AccessHarness) -> None:
    harness.seeded.assign(Assignment(DEV, "Administrator", "bo", to_group=False))
    harness.seeded.assign(Assignment(PROD, "Reader", "bo", to_group=False))

    change = harness.revoke("bo", "admins", known=snapshot(harness, "bo", "admins"))

    assert (change.remaining_paths, change.remaining_paths_complete) == ((), True)


@pytest.mark.parametrize("is_preview", [True, False])
def test_a_repeated_revoke_has_no_warnings(harness: AccessHarness, is_preview: bool) -> None:
    harness.seeded.remove_member("admins", "bo")
    opened = (harness.role(PROD, "Administrator"),)
    known = {"paths_complete": True, "as_of": SYNC, "opened": opened}

    change = harness.revoke("bo", "admins", preview=is_preview, known=known)

    assert change.outcome == ("previewed" if is_preview else "already_in_effect")
    assert (change.remaining_paths, change.remaining_paths_complete, change.as_of) == ((), True, SYNC)
    assert change.warnings == ()


@pytest.mark.parametrize("less", [{"paths_complete": False}, {"paths": (), "as_of": None, "paths_complete": False}])
def test_an_incomplete_snapshot_leaves_the_remaining_paths_unknown(
    harness: AccessHarness, less: dict[str, Any]
) -> None:
    change = harness.revoke("bo", "admins", known={**snapshot(harness, "bo", "admins"), **less})

    assert (change.outcome, change.remaining_paths) == ("applied", ())
    assert (change.remaining_paths_complete, change.as_of) == (False, None)


def test_an_assignment_newer_than_the_snapshot_makes_the_remaining_paths_unknown(harness: AccessHarness) -> None:
    known = snapshot(harness, "bo", "admins")
    harness.seeded.assign(BEYOND)

    change = harness.revoke("bo", "admins", known=known)

    assert [path.grants[-1].entitlement_id for path in change.closed_paths] == sorted(
        [harness.role(DEV, "Reader"), harness.role(PROD, "Administrator")]
    )
    assert (change.effects_complete, change.remaining_paths_complete) == (True, False)
    assert change.warnings == (
        "The group opens entitlements that the last sync did not find, so there may be other paths to them: "
        f"{harness.role(DEV, 'Reader')}.",
    )


@pytest.mark.parametrize(
    ("operation", "nth", "warning", "is_known"),
    [
        ("ListAccountAssignmentsForPrincipal", 1, "The assignments of the group could not be read", False),
        ("ListAccountAssignmentsForPrincipal", 2, "The person's own assignments could not be read", True),
        ("GetGroupMembershipId", 3, "The person's membership of another group could not be read", True),
        (
            "ListAccountAssignmentsForPrincipal",
            3,
            "The assignments of another group of the person could not be read",
            True,
        ),
    ],
)
@pytest.mark.parametrize("is_denied", [False, True])
def test_a_path_that_cannot_be_read_makes_the_report_incomplete(
    harness: AccessHarness, operation: str, nth: int, warning: str, is_known: bool, is_denied: bool
) -> None:
    harness.seeded.add_group(Group("oncall", members=("bo",)))
    harness.seeded.assign(Assignment(PROD, "Administrator", "oncall"))
    known = snapshot(harness, "bo", "admins", "oncall")

    if is_denied:
        harness.aws.faults.before(operation, lambda: harness.aws.faults.deny(operation), nth=nth)
    else:
        break_from(harness, operation, nth)

    change = harness.revoke("bo", "admins", known=known)

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
            "The assignments of the group could not be read: ",
        ),
        (
            "DescribePermissionSet",
            lambda answer: answer["PermissionSet"].update(SessionDuration=3600),
            True,
            "The session duration of a permission set could not be read (",
        ),
    ],
)
def test_a_malformed_answer_never_makes_the_change_uncertain(
    harness: AccessHarness,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    change_answer: Callable[[dict[str, Any]], object],
    is_known: bool,
    warning: str,
) -> None:
    with tampered(harness.aws.endpoint_url, in_json(operation, change_answer)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        change = harness.revoke("bo", "admins", known=snapshot(harness, "bo", "admins"))

    assert (change.outcome, change.effects_complete, change.remaining_paths_complete) == ("applied", is_known, is_known)
    assert change.sessions_end_by is None
    assert change.warnings[0].startswith(warning)


def test_after_a_grant_the_opened_paths_are_reported(harness: AccessHarness) -> None:
    harness.seeded.assign(BEYOND)

    change = harness.grant("dee", "admins")

    membership = harness.membership("dee", "admins")
    assert change.opened_paths == tuple(
        harness.path(membership, harness.assignment("admins", *role))
        for role in ((DEV, "Reader"), (PROD, "Administrator"))
    )
    assert (change.effects_complete, change.closed_paths, change.remaining_paths) == (True, (), ())
    assert (change.sessions_end_by, change.remaining_paths_complete) == (None, False)


@pytest.mark.parametrize(
    ("durations", "ends"),
    [
        ((), NOON),
        (("PT4H",), NOON + timedelta(hours=4)),
        (("PT1H", "PT12H", "PT1H30M"), NOON + timedelta(hours=12)),
        (("PT12H", "invalid"), None),
    ],
)
def test_sessions_end_with_the_longest_duration_of_the_lost_permission_sets(
    harness: AccessHarness, durations: tuple[str, ...], ends: datetime | None
) -> None:
    harness.seeded.add_group(Group("shift", members=("bo",)))
    for number, duration in enumerate(durations):
        harness.seeded.add_permission_set(PermissionSet(f"set-{number}", session_duration=duration))
        harness.seeded.assign(Assignment(PROD, f"set-{number}", "shift"))

    change = harness.revoke("bo", "shift", known=snapshot(harness, "bo", "shift"))

    assert change.sessions_end_by == ends
    assert change.remaining_paths_complete


def test_a_denied_description_of_a_permission_set_leaves_the_end_of_sessions_unknown(harness: AccessHarness) -> None:
    harness.aws.faults.deny("DescribePermissionSet")

    change = harness.revoke("bo", "admins", known=snapshot(harness, "bo", "admins"))

    assert (change.outcome, change.sessions_end_by, change.remaining_paths_complete) == ("applied", None, True)
    assert "The session duration of a permission set could not be read" in change.warnings[0]


def test_during_an_outage_every_unread_path_is_reported_without_further_calls(harness: AccessHarness) -> None:
    for name in ("one", "two"):
        harness.seeded.add_group(Group(name, members=("bo",)))
        harness.seeded.assign(Assignment(PROD, "Administrator", name))
    known = snapshot(harness, "bo", "admins", "one", "two")
    break_from(harness, "GetGroupMembershipId", 3)

    change = harness.revoke("bo", "admins", known=known)

    unread = [warning for warning in change.warnings if warning.startswith("The person's membership of another group")]
    assert {harness.seeded.groups[name] for name in ("one", "two")} == {
        warning.partition("(")[2].partition(")")[0] for warning in unread
    }
    # The session's own retries of the first call, and none of the second.
    assert len(harness.operations("GetGroupMembershipId")) == 2 + 4
