"""Grants and revokes of group memberships over HTTP in the local AWS."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ploy_connector_aws.aws.provisioning.paths import INVISIBLE
from ploy_connector_aws.aws.provisioning.provisioner import CONFIRM_SECONDS, VERIFY_PAUSES_SECONDS
from ploy_connector_aws.spec import AccessChange, TemporaryError
from ploy_connector_aws.spec.changes import KnownState
from tests.aws.conftest import PROD

from .conftest import NOON, AccessHarness


def without_evidence(change: AccessChange) -> AccessChange:
    return change.model_copy(update={"evidence": {}})


def test_a_grant_creates_the_membership_and_returns_the_record_that_the_lists_emit(harness: AccessHarness) -> None:
    change = harness.grant("dee", "admins")

    membership = harness.membership("dee", "admins")
    assert without_evidence(change) == AccessChange(
        outcome="applied",
        verified_at=NOON,
        scope=f"identity-center/groups/{harness.seeded.groups['admins']}/members",
        added=(membership,),
        opened_paths=(harness.path(membership, harness.assignment("admins", PROD, "Administrator")),),
        effects_complete=True,
        invisible_paths=INVISIBLE,
    )
    assert membership in harness.records_in(str(change.scope))


def test_a_revoke_deletes_the_membership_and_returns_the_record_that_is_gone(harness: AccessHarness) -> None:
    membership = harness.membership("bo", "admins")

    change = harness.revoke("bo", "admins")

    assert harness.membership_id("bo", "admins") is None
    assert (change.outcome, change.verified_at, change.added, change.removed) == ("applied", NOON, (), (membership,))
    assert change.closed_paths == (harness.path(membership, harness.assignment("admins", PROD, "Administrator")),)
    assert membership not in harness.records_in(str(change.scope))


def test_a_second_grant_finds_it_in_effect_and_verifies_the_record_again(harness: AccessHarness) -> None:
    first = harness.grant("dee", "admins")
    second = harness.grant("dee", "admins")

    assert (second.outcome, second.added, second.scope) == ("already_in_effect", first.added, first.scope)
    assert harness.operations("CreateGroupMembership") == ["CreateGroupMembership"]


def test_a_second_revoke_finds_it_in_effect_and_verifies_that_it_is_gone(harness: AccessHarness) -> None:
    first = harness.revoke("bo", "admins")
    second = harness.revoke("bo", "admins")

    assert (second.outcome, second.verified_at, second.added) == (
        "already_in_effect",
        NOON + timedelta(seconds=sum(VERIFY_PAUSES_SECONDS)),
        (),
    )
    assert [grant.key for grant in second.removed] == [grant.key for grant in first.removed]
    assert harness.operations("DeleteGroupMembership") == ["DeleteGroupMembership"]


def test_the_evidence_has_aws_request_ids_and_the_membership_before_and_after(harness: AccessHarness) -> None:
    granted = harness.grant("dee", "admins").evidence
    made = harness.membership_id("dee", "admins")
    revoked = harness.revoke("dee", "admins").evidence

    requests = {"look_request_id", "write_request_id", "read_back_request_id"}
    assert granted.keys() == requests | {"membership_id_after"}
    assert revoked.keys() == requests | {"membership_id_before"}
    assert (granted["membership_id_after"], revoked["membership_id_before"]) == (made, made)
    ids = {str(evidence[name]) for evidence in (granted, revoked) for name in requests}
    assert {len(id_) for id_ in ids} == {36}
    assert len(ids) == 6


@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_a_preview_reports_the_same_and_opens_no_write_session(harness: AccessHarness, direction: str) -> None:
    person = {"grant": "dee", "revoke": "bo"}[direction]
    before = harness.seeded.memberships
    hook = getattr(harness, direction)
    preview = hook(person, "admins", preview=True)

    assert harness.seeded.memberships == before
    assert {call.session_name.split("-")[1] for call in harness.aws.calls if call.session_name} == {"access"}
    done = hook(person, "admins")
    # The preview lacks only what AWS assigns when it creates the membership.
    assert (preview.outcome, preview.verified_at) == ("previewed", None)
    assert [grant.key for grant in preview.added] == [grant.key for grant in done.added]
    assert preview.removed == done.removed
    for name in ("scope", "effects_complete", "remaining_paths", "sessions_end_by", "invisible_paths", "warnings"):
        assert getattr(preview, name) == getattr(done, name)
    for name in ("opened_paths", "closed_paths"):
        assert [[grant.key for grant in path.grants] for path in getattr(preview, name)] == [
            [grant.key for grant in path.grants] for path in getattr(done, name)
        ]


@pytest.mark.parametrize(("direction", "person"), [("grant", "ana"), ("revoke", "dee")])
def test_already_in_effect_is_not_reported_after_a_single_read(
    harness: AccessHarness, direction: str, person: str
) -> None:
    """A read may return the state before a change; the second read shows the current state."""
    move = harness.seeded.remove_member if direction == "grant" else harness.seeded.add_member
    harness.aws.faults.before("GetGroupMembershipId", lambda: move("admins", person), nth=2)

    assert getattr(harness, direction)(person, "admins").outcome == "applied"


LONG, SHORT = sum(VERIFY_PAUSES_SECONDS), CONFIRM_SECONDS
HELD, NOT_HELD = frozenset({"held"}), frozenset({"not_held"})
IN_EFFECT = {"grant": "ana", "revoke": "dee"}
"""The person for whom a request about the group ``admins`` is already in effect, by direction."""


@pytest.mark.parametrize(
    ("direction", "known", "seconds"),
    [
        ("revoke", None, LONG),
        ("revoke", HELD, LONG),
        ("revoke", HELD | NOT_HELD, LONG),
        ("revoke", NOT_HELD, SHORT),
        ("revoke", frozenset(), SHORT),
        ("grant", None, LONG),
        ("grant", NOT_HELD, LONG),
        ("grant", HELD | NOT_HELD, LONG),
        ("grant", HELD, SHORT),
        ("grant", frozenset(), SHORT),
    ],
)
def test_already_in_effect_is_confirmed_for_longer_if_the_host_knows_the_opposite_state(
    harness: AccessHarness, direction: str, known: frozenset[KnownState] | None, seconds: float
) -> None:
    change = getattr(harness, direction)(IN_EFFECT[direction], "admins", known={"states": known})

    assert (change.outcome, sum(harness.clock.waits)) == ("already_in_effect", seconds)
    assert change.verified_at == NOON + timedelta(seconds=seconds)


def test_a_membership_in_a_known_path_was_held(harness: AccessHarness) -> None:
    path = harness.path(harness.membership("dee", "admins"))
    change = harness.revoke("dee", "admins", known={"states": frozenset(), "paths": (path,)})

    assert (change.outcome, sum(harness.clock.waits)) == ("already_in_effect", LONG)


@pytest.mark.parametrize("direction", ["grant", "revoke"])
@pytest.mark.parametrize("stale_reads", range(len(VERIFY_PAUSES_SECONDS)))
def test_a_change_that_shows_late_is_never_reported_as_already_in_effect(
    harness: AccessHarness, direction: str, stale_reads: int
) -> None:
    """AWS answers some reads from before another change, as late as a write of the connector's own may show."""
    person = IN_EFFECT[direction]
    move = harness.seeded.remove_member if direction == "grant" else harness.seeded.add_member
    harness.aws.faults.before("GetGroupMembershipId", lambda: move("admins", person), nth=stale_reads + 1)
    change = getattr(harness, direction)(person, "admins", known={"states": HELD | NOT_HELD})

    assert change.outcome == "applied"
    assert (harness.membership_id(person, "admins") is not None) == (direction == "grant")


@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_a_write_without_effect_is_trusted_only_after_the_last_read(harness: AccessHarness, direction: str) -> None:
    """The write conflicts with another party's; what AWS shows a moment later may be undone again, or be stale."""
    person = {"grant": "dee", "revoke": "bo"}[direction]
    there, away = harness.seeded.add_member, harness.seeded.remove_member
    do, undo = (there, away) if direction == "grant" else (away, there)
    write = {"grant": "CreateGroupMembership", "revoke": "DeleteGroupMembership"}[direction]
    harness.aws.faults.before(write, lambda: do("admins", person))
    # Once before the write, and three times after it.
    harness.aws.faults.before("GetGroupMembershipId", lambda: undo("admins", person), nth=4)

    with pytest.raises(TemporaryError) as failed:
        getattr(harness, direction)(person, "admins")

    assert failed.value.changed_nothing
