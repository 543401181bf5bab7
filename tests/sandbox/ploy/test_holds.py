from dataclasses import replace
from datetime import timedelta

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import StaleReadError, SyncGoneError
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.snapshots import Snapshots
from ploy_connector_aws.sandbox.ploy.sync_store import Decision
from ploy_connector_aws.sandbox.ploy.views import open_current

from .browser import Visitor, at, text
from .conftest import DECIDER, USERS, Customer, Line, account, accounts, split

GUARDED = "there were 12 records of type account, and now there would be none"


@pytest.fixture
def guarded(acme: Customer) -> Customer:
    acme.sync(USERS, *accounts(12))
    return acme


def held_id(customer: Customer) -> str:
    held = customer.ploy.view(customer.id).held()
    assert held is not None
    return held.id


def test_platform_holds_a_sync_that_removes_too_much(guarded: Customer) -> None:
    answer = guarded.sync(USERS)

    assert answer == wire.CommitAnswer(
        status="held_for_review",
        generation=None,
        removed={"account": 12},
        hold_reasons=(GUARDED,),
        review_path=f"/app/integrations/{guarded.id}/syncs/{held_id(guarded)}",
    )
    assert len(guarded.record_ids) == 12
    status = guarded.client.sync_status(guarded.id, held_id(guarded))
    assert status is not None
    assert (status.state, status.answer) == ("held", answer)


def test_runtime_can_request_a_hold(guarded: Customer) -> None:
    answer = guarded.sync(USERS, *accounts(11), hold="Please look.")

    assert (answer.status, answer.removed, answer.hold_reasons) == (
        "held_for_review",
        {"account": 1},
        ("Please look.",),
    )
    assert len(guarded.record_ids) == 12


def test_reason_of_both_sides_is_listed_once(guarded: Customer) -> None:
    assert guarded.sync(USERS, hold=GUARDED).hold_reasons == (GUARDED,)


def test_approval_makes_the_sync_visible_as_the_new_base(guarded: Customer) -> None:
    guarded.sync(USERS)
    sync_id = held_id(guarded)

    answer = guarded.ploy.approve(guarded.id, sync_id, **DECIDER)

    assert answer == wire.CommitAnswer(
        status="committed", generation=2, removed={"account": 12}, hold_reasons=(GUARDED,)
    )
    assert (guarded.record_ids, guarded.ploy.view(guarded.id).held()) == ([], None)
    assert guarded.client.sync_status(guarded.id, sync_id).answer == answer  # type: ignore[union-attr]
    assert guarded.ploy.view(guarded.id).generations()[-1].is_approved
    assert len(list(guarded.ploy.view(guarded.id).changes(2))) == 12
    assert guarded.sync(USERS, account("new")).added == {"account": 1}


def test_rejection_drops_the_sync_and_keeps_the_base(guarded: Customer) -> None:
    guarded.sync(USERS)
    sync_id = held_id(guarded)

    guarded.ploy.syncs(guarded.id).reject(sync_id, **DECIDER)

    assert (len(guarded.record_ids), guarded.ploy.view(guarded.id).held()) == (12, None)
    assert guarded.client.sync_status(guarded.id, sync_id).state == "rejected"  # type: ignore[union-attr]
    with open_current(guarded.ploy._state_dir / "integrations" / f"{guarded.id}.sqlite") as current:
        assert Snapshots(current.db).held is None
    assert guarded.sync(USERS).status == "held_for_review"


def test_held_sync_is_decided_on_once(guarded: Customer) -> None:
    guarded.sync(USERS)
    sync_id = held_id(guarded)
    guarded.ploy.syncs(guarded.id).reject(sync_id, **DECIDER)

    for decide in (guarded.ploy.syncs(guarded.id).approve, guarded.ploy.syncs(guarded.id).reject):
        with pytest.raises(ProblemError, match="it is rejected"):
            decide(sync_id, **DECIDER)
    assert len(guarded.record_ids) == 12


@pytest.mark.parametrize("decide", ["approve", "reject"])
def test_decision_needs_a_name_and_a_reason_and_is_kept_and_shown(
    guarded: Customer, visitor: Visitor, decide: str
) -> None:
    guarded.sync(USERS)
    sync_id = held_id(guarded)
    path = at(guarded, f"/syncs/{sync_id}")
    for missing in ({"name": "Ada"}, {"reason": "Looked."}, {"name": " ", "reason": "Looked."}):
        assert visitor.fill(f"{path}/{decide}", **missing).status_code == 422
    assert held_id(guarded) == sync_id

    visitor.fill(f"{path}/{decide}", name=" Ada Byron ", reason="<b>Closed</b>")

    (sync, _) = guarded.ploy.view(guarded.id).syncs()
    assert sync.decision == Decision("Ada Byron", "<b>Closed</b>", guarded.clock.now)
    pages = (path, at(guarded, "/syncs"), at(guarded, "/history"))
    for shown in (text(visitor.get(each).text) for each in pages):
        assert "Ada Byron (as typed)" in shown
        assert "<b>Closed</b>" in shown


def test_repeated_commit_of_a_held_sync_gets_the_decision(
    guarded: Customer,
) -> None:
    guarded.clock.pass_by(minutes=1)
    sync_id = guarded.open()
    commit = guarded.commit_of([USERS], guarded.put(sync_id, split([USERS], 1)))
    first = guarded.client.commit(guarded.id, sync_id, commit)
    assert guarded.client.commit(guarded.id, sync_id, commit) == first
    approved = guarded.ploy.approve(guarded.id, sync_id, **DECIDER)
    assert guarded.client.commit(guarded.id, sync_id, commit) == approved

    guarded.sync(USERS, account("u1"), hold="Please look.")
    sync_id = held_id(guarded)
    guarded.ploy.syncs(guarded.id).reject(sync_id, **DECIDER)
    with pytest.raises(SyncGoneError, match="It was rejected"):
        guarded.client.commit(guarded.id, sync_id, commit)


def test_newer_sync_replaces_a_held_one_only_when_committed(guarded: Customer) -> None:
    guarded.sync(USERS)
    held = held_id(guarded)
    guarded.clock.pass_by(minutes=1)
    newer = guarded.open()
    digests = guarded.put(newer, split([USERS, *accounts(12)], 100))
    assert held_id(guarded) == held

    answer = guarded.client.commit(guarded.id, newer, guarded.commit_of([USERS, *accounts(12)], digests))

    assert answer == wire.CommitAnswer(status="committed", generation=2)
    assert guarded.client.sync_status(guarded.id, held).state == "replaced"  # type: ignore[union-attr]
    with pytest.raises(ProblemError):
        guarded.ploy.approve(guarded.id, held, **DECIDER)


def test_contents_of_a_held_sync_stay_while_a_newer_one_needs_them(guarded: Customer) -> None:
    names = [f"Name {number}" for number in range(3)]
    for name in names:
        guarded.sync(USERS, account("new", display_name=name), hold="Please look.")
    guarded.ploy.approve(guarded.id, held_id(guarded), **DECIDER)
    assert [each.content for each in guarded.ploy.view(guarded.id).records()] == [
        {"id": "new", "display_name": names[-1]}
    ]
    with open_current(guarded.ploy._state_dir / "integrations" / f"{guarded.id}.sqlite") as current:
        assert current.db.execute("SELECT count(*) FROM ploy_bodies").fetchone() == (1,)


def test_rejected_newer_sync_leaves_the_held_one(guarded: Customer) -> None:
    guarded.sync(USERS)
    held = held_id(guarded)
    guarded.clock.pass_by(minutes=1)
    newer = guarded.open()
    guarded.put(newer, split([USERS], 1))

    with pytest.raises(Exception, match="Their digests differ"):
        guarded.client.commit(guarded.id, newer, guarded.commit_of([USERS], ["0" * 64]))

    assert guarded.ploy.approve(guarded.id, held, **DECIDER).generation == 2


def test_approval_leaves_a_newer_open_sync(guarded: Customer) -> None:
    guarded.sync(USERS)
    guarded.clock.pass_by(minutes=1)
    newer = guarded.open()
    lines: list[Line] = [USERS, account("new")]
    digests = guarded.put(newer, split(lines, 1))

    guarded.ploy.approve(guarded.id, held_id(guarded), **DECIDER)

    answer = guarded.client.commit(guarded.id, newer, guarded.commit_of(lines, digests))
    assert answer == wire.CommitAnswer(status="committed", generation=3, added={"account": 1})


def test_older_read_does_not_replace_a_held_sync(guarded: Customer) -> None:
    guarded.sync(USERS)
    held = held_id(guarded)
    other = replace(guarded, opener="other")

    with pytest.raises(StaleReadError):
        other.sync(USERS, *accounts(12), reading_started_at=guarded.clock.now - timedelta(seconds=1))

    assert held_id(guarded) == held


def test_visible_full_sync_clears_the_request_for_one(guarded: Customer) -> None:
    guarded.ploy.registry.set_flags(guarded.id, full_requested=True)

    guarded.sync(USERS)
    assert guarded.ploy.registry.integration(guarded.id).flags.full_requested
    guarded.ploy.approve(guarded.id, held_id(guarded), **DECIDER)
    assert not guarded.ploy.registry.integration(guarded.id).flags.full_requested
