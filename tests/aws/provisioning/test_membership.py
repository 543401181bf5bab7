"""Putting people into groups and taking them out, over HTTP in the local AWS."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ploy_connector_aws.aws.provisioning.paths import INVISIBLE
from ploy_connector_aws.aws.provisioning.provisioner import READ_BACK_PAUSES_SECONDS, SECOND_LOOK_SECONDS
from ploy_connector_aws.spec import AccessChange, KnownAccess, TemporaryError
from ploy_connector_aws.spec.changes import KnownState
from tests.aws.conftest import PROD

from .conftest import NOON, AccessHarness


def without_evidence(change: AccessChange) -> AccessChange:
    return change.model_copy(update={"evidence": {}})


def test_a_grant_makes_the_membership_and_answers_with_the_record_that_the_lists_emit(desk: AccessHarness) -> None:
    change = desk.grant("dee", "admins")

    membership = desk.membership("dee", "admins")
    assert without_evidence(change) == AccessChange(
        outcome="applied",
        verified_at=NOON,
        scope=f"identity-center/groups/{desk.seeded.groups['admins']}/members",
        added=(membership,),
        opened_paths=(desk.path(membership, desk.assigned("admins", PROD, "Administrator")),),
        effects_complete=True,
        invisible_paths=INVISIBLE,
    )
    assert membership in desk.emitted(str(change.scope))


def test_a_revoke_ends_the_membership_and_answers_with_the_record_that_is_gone(desk: AccessHarness) -> None:
    membership = desk.membership("bo", "admins")

    change = desk.revoke("bo", "admins")

    assert desk.membership_id("bo", "admins") is None
    assert (change.outcome, change.verified_at, change.added, change.removed) == ("applied", NOON, (), (membership,))
    assert change.closed_paths == (desk.path(membership, desk.assigned("admins", PROD, "Administrator")),)
    assert membership not in desk.emitted(str(change.scope))


def test_a_second_grant_finds_it_in_effect_and_proves_the_record_again(desk: AccessHarness) -> None:
    first = desk.grant("dee", "admins")
    second = desk.grant("dee", "admins")

    assert (second.outcome, second.added, second.scope) == ("already_in_effect", first.added, first.scope)
    assert desk.called("CreateGroupMembership") == ["CreateGroupMembership"]


def test_a_second_revoke_finds_it_in_effect_and_proves_that_it_is_gone(desk: AccessHarness) -> None:
    first = desk.revoke("bo", "admins")
    second = desk.revoke("bo", "admins")

    assert (second.outcome, second.verified_at, second.added) == (
        "already_in_effect",
        NOON + timedelta(seconds=sum(READ_BACK_PAUSES_SECONDS)),
        (),
    )
    assert [grant.key for grant in second.removed] == [grant.key for grant in first.removed]
    assert desk.called("DeleteGroupMembership") == ["DeleteGroupMembership"]


def test_the_evidence_is_aws_request_ids_and_the_membership_before_and_after(desk: AccessHarness) -> None:
    granted = desk.grant("dee", "admins").evidence
    made = desk.membership_id("dee", "admins")
    revoked = desk.revoke("dee", "admins").evidence

    requests = {"look_request_id", "write_request_id", "read_back_request_id"}
    assert granted.keys() == requests | {"membership_id_after"}
    assert revoked.keys() == requests | {"membership_id_before"}
    assert (granted["membership_id_after"], revoked["membership_id_before"]) == (made, made)
    ids = {str(evidence[name]) for evidence in (granted, revoked) for name in requests}
    assert {len(id_) for id_ in ids} == {36}
    assert len(ids) == 6


@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_a_preview_says_the_same_and_changes_nothing_nor_could_it(desk: AccessHarness, direction: str) -> None:
    person = {"grant": "dee", "revoke": "bo"}[direction]
    before = desk.seeded.memberships
    hook = getattr(desk, direction)
    preview = hook(person, "admins", preview=True)

    assert desk.seeded.memberships == before
    assert {call.session_name.split("-")[1] for call in desk.aws.calls if call.session_name} == {"access"}
    done = hook(person, "admins")
    # What only AWS can say of a membership that is not made yet is not said before.
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
def test_one_look_that_finds_it_so_already_is_not_believed_alone(
    desk: AccessHarness, direction: str, person: str
) -> None:
    """A look may be answered from before a change; the second one shows what is."""
    move = desk.seeded.remove_member if direction == "grant" else desk.seeded.add_member
    desk.aws.faults.before("GetGroupMembershipId", lambda: move("admins", person), nth=2)

    assert getattr(desk, direction)(person, "admins").outcome == "applied"


LONG, SHORT = sum(READ_BACK_PAUSES_SECONDS), SECOND_LOOK_SECONDS
HELD, NOT_HELD = frozenset({"held"}), frozenset({"not_held"})
IN_EFFECT = {"grant": "ana", "revoke": "dee"}
"""By direction, who is in the group ``admins`` already, or is not."""


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
def test_that_nothing_is_to_be_done_is_reported_after_a_look_as_long_as_what_the_host_knows_asks_for(
    desk: AccessHarness, direction: str, known: frozenset[KnownState] | None, seconds: float
) -> None:
    change = getattr(desk, direction)(IN_EFFECT[direction], "admins", known=KnownAccess(states=known))

    assert (change.outcome, sum(desk.clock.waited)) == ("already_in_effect", seconds)
    assert change.verified_at == NOON + timedelta(seconds=seconds)


def test_a_membership_that_the_host_s_snapshot_leads_over_was_held(desk: AccessHarness) -> None:
    path = desk.path(desk.membership("dee", "admins"))
    change = desk.revoke("dee", "admins", known=KnownAccess(states=frozenset(), paths=(path,)))

    assert (change.outcome, sum(desk.clock.waited)) == ("already_in_effect", LONG)


@pytest.mark.parametrize("direction", ["grant", "revoke"])
@pytest.mark.parametrize("stale_looks", range(len(READ_BACK_PAUSES_SECONDS)))
def test_a_change_that_shows_late_is_never_reported_as_in_effect_already(
    desk: AccessHarness, direction: str, stale_looks: int
) -> None:
    """AWS answers some looks from before another change, as late as a write of the connector's own may show."""
    person = IN_EFFECT[direction]
    move = desk.seeded.remove_member if direction == "grant" else desk.seeded.add_member
    desk.aws.faults.before("GetGroupMembershipId", lambda: move("admins", person), nth=stale_looks + 1)
    change = getattr(desk, direction)(person, "admins", known=KnownAccess(states=HELD | NOT_HELD))

    assert change.outcome == "applied"
    assert (desk.membership_id(person, "admins") is not None) == (direction == "grant")


@pytest.mark.parametrize("direction", ["grant", "revoke"])
def test_that_aws_found_nothing_to_change_is_believed_after_the_last_look_only(
    desk: AccessHarness, direction: str
) -> None:
    """The write met somebody else's; what AWS shows a moment later may be undone again, or be from before."""
    person = {"grant": "dee", "revoke": "bo"}[direction]
    there, away = desk.seeded.add_member, desk.seeded.remove_member
    do, undo = (there, away) if direction == "grant" else (away, there)
    write = {"grant": "CreateGroupMembership", "revoke": "DeleteGroupMembership"}[direction]
    desk.aws.faults.before(write, lambda: do("admins", person))
    # Once before the write, and three times after it.
    desk.aws.faults.before("GetGroupMembershipId", lambda: undo("admins", person), nth=4)

    with pytest.raises(TemporaryError) as failed:
        getattr(desk, direction)(person, "admins")

    assert failed.value.changed_nothing
