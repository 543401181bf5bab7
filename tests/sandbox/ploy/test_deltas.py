"""The platform's side of a delta, and its history."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import (
    OutcomeMismatchError,
    PlatformRejectedError,
    StaleBaseError,
    SyncGoneError,
)
from ploy_connector_aws.sandbox.ploy.record_changes import RecordChange
from ploy_connector_aws.sandbox.ploy.scope_report import ScopeReport
from ploy_connector_aws.sandbox.ploy.sync_store import GENERATIONS_KEPT, SCHEMA, SyncStore
from ploy_connector_aws.spec.records import RecordKey

from .conftest import DECIDER, DENIED, USERS, USERS_FAILED, Customer, Line, account, split

TEAMS = wire.ScopeLine(name="teams", ending="complete")
NOTHING = wire.Outcome()


@pytest.fixture
def known(acme: Customer) -> Customer:
    acme.sync(USERS, TEAMS, account("u1"), account("u2", scopes=("users", "teams")))
    acme.clock.pass_by(minutes=1)
    return acme


def delta(customer: Customer, *lines: Line, expected: wire.Outcome, scopes: int = 2, **changes: Any) -> Any:
    """Upload a delta against the newest generation."""
    base = customer.ploy.view(customer.id).generations()[-1].number
    sync_id = customer.open(mode="delta", base_generation=base)
    digests = customer.put(sync_id, split(lines, 100)) if lines else []
    commit = customer.commit_of(lines, digests, scopes=scopes, expected=expected, **changes)
    return customer.client.commit(customer.id, sync_id, commit)


def shown(customer: Customer) -> list[tuple[str, tuple[str, ...], Any]]:
    return [
        (each.id, each.scopes, each.content.get("display_name")) for each in customer.ploy.view(customer.id).records()
    ]


def test_record_that_a_delta_does_not_name_stays(known: Customer) -> None:
    answer = delta(
        known,
        account("u3", display_name="Three"),
        wire.TombstoneLine(type="account", id="u2", scopes=("teams",)),
        expected=wire.Outcome(added={"account": 1}),
    )
    assert (answer.generation, answer.added, answer.removed) == (2, {"account": 1}, {})
    assert shown(known) == [("u1", ("users",), None), ("u2", ("users",), None), ("u3", ("users",), "Three")]


def test_record_is_removed_with_its_last_scope(known: Customer) -> None:
    gone = wire.TombstoneLine(type="account", id="u2", scopes=("teams", "users"))
    answer = delta(known, gone, expected=wire.Outcome(removed={"account": 1}))
    assert (answer.removed, shown(known)) == ({"account": 1}, [("u1", ("users",), None)])


def test_new_content_counts_for_every_scope(known: Customer) -> None:
    renamed = account("u2", scopes=(), display_name="Two")
    delta(known, renamed, expected=wire.Outcome(changed={"account": 1}))
    assert shown(known)[1] == ("u2", ("teams", "users"), "Two")


def test_failed_scope_keeps_its_records_unproven(known: Customer) -> None:
    seen = wire.RecordLine(type="account", id="u1", scopes=("users",))
    expected = wire.Outcome(unproven_scopes=1)
    answer = delta(known, USERS_FAILED, seen, expected=expected)
    assert answer.unproven_scopes == 1
    assert [(each.id, each.is_unproven) for each in known.ploy.view(known.id).records()] == [
        ("u1", False),
        ("u2", False),
    ]
    report = known.ploy.view(known.id).generations()[-1].report
    assert (report.endings, [each.failure for each in report.unproven]) == ({"complete": 1, "failed": 1}, [DENIED])


def test_scope_that_is_no_longer_announced_removes_its_records(acme: Customer) -> None:
    root, child = (
        wire.ScopeLine(name="root", ending="complete"),
        wire.ScopeLine(name="a", parent="root", ending="complete"),
    )
    acme.sync(root, child, account("u1", scopes=("a",)))
    acme.clock.pass_by(minutes=1)
    gone = wire.ScopeLine(name="a", is_announced=False)
    answer = delta(acme, gone, expected=wire.Outcome(removed={"account": 1}), scopes=1)
    assert (answer.removed, shown(acme)) == ({"account": 1}, [])


def test_delta_without_changes_is_opened_and_committed_at_once(known: Customer) -> None:
    commit = known.commit_of([], [], scopes=2, expected=NOTHING)
    request = wire.OpenSync(
        run_id="quiet", opener=known.opener, mode="delta", base_generation=1,
        reading_started_at=known.clock.now, commit=commit,
    )  # fmt: skip
    answers = [known.client.open_sync(known.id, request) for _ in range(2)]
    assert [opened.answer and opened.answer.generation for opened in answers] == [2, 2]
    assert len(known.ploy.view(known.id).generations()) == 2


def test_delta_against_another_generation_is_rejected_at_opening_and_commit(known: Customer) -> None:
    with pytest.raises(StaleBaseError):
        known.open(mode="delta", base_generation=7)
    sync_id = known.open(mode="delta", base_generation=1)
    known.clock.pass_by(minutes=10)
    replace(known, opener="other").sync(USERS, TEAMS, account("u1"))
    with pytest.raises((StaleBaseError, SyncGoneError)):
        known.client.commit(known.id, sync_id, known.commit_of([], [], scopes=2, expected=NOTHING))


def test_base_replaced_by_an_approval_is_stale_at_commit(known: Customer) -> None:
    known.sync(USERS, TEAMS, hold="Please look.")
    held = known.ploy.view(known.id).held()
    assert held is not None
    known.clock.pass_by(minutes=1)
    sync_id = known.open(mode="delta", base_generation=1)
    known.ploy.approve(known.id, held.id, **DECIDER)
    with pytest.raises(StaleBaseError):
        known.client.commit(known.id, sync_id, known.commit_of([], [], scopes=2, expected=NOTHING))


@pytest.mark.parametrize("expected", [None, wire.Outcome(removed={"account": 1}), wire.Outcome(unproven_scopes=1)])
def test_delta_with_an_unexpected_outcome_is_rejected(known: Customer, expected: wire.Outcome | None) -> None:
    before = shown(known)
    with pytest.raises(OutcomeMismatchError):
        delta(known, account("u3"), expected=expected)  # type: ignore[arg-type]
    assert shown(known) == before


def test_reference_to_a_record_that_the_base_lacks_is_rejected(known: Customer) -> None:
    unknown = wire.RecordLine(type="account", id="u9", scopes=("users",))
    with pytest.raises(OutcomeMismatchError, match="the base, which lacks them"):
        delta(known, unknown, expected=wire.Outcome(added={"account": 1}))


@pytest.mark.parametrize(
    "line",
    [
        wire.RecordLine(type="account", id="u1", scopes=("users",)),
        account("u1", scopes=()),
        wire.TombstoneLine(type="account", id="u1", scopes=("users",)),
        wire.ScopeLine(name="users", is_announced=False),
        account("u1").model_copy(update={"id": "another"}),
    ],
)
def test_full_sync_cannot_refer_to_a_base_nor_a_line_to_another_record(acme: Customer, line: Line) -> None:
    with pytest.raises(PlatformRejectedError) as caught:
        acme.put(acme.open(), split([line], 1))
    assert caught.value.code == "lines_rejected"


def test_delta_must_name_its_base() -> None:
    for mode, base in (("delta", None), ("full", 1)):
        with pytest.raises(ValueError, match="base_generation goes with a delta"):
            wire.OpenSync(
                run_id="r",
                opener="o",
                mode=mode,
                base_generation=base,
                reading_started_at="2026-01-01T00:00:00Z",
            )


def test_delta_does_not_clear_the_request_for_a_full_sync(known: Customer) -> None:
    known.ploy.registry.set_flags(known.id, full_requested=True)
    delta(known, expected=NOTHING)
    assert known.ploy.registry.integration(known.id).flags.full_requested


def test_operator_sees_every_sync_and_its_scope_endings(known: Customer) -> None:
    known.client.abort(known.id, known.open())
    delta(known, USERS_FAILED, expected=wire.Outcome(retained_unproven={"account": 1}, unproven_scopes=1))
    headers = {"authorization": "Bearer operator"}
    base = f"{known.ploy.url}/dev/v1/integrations/{known.id}"
    syncs = httpx.get(f"{base}/syncs", headers=headers).json()
    assert [(each["state"], each["mode"], each["base_generation"]) for each in syncs] == [
        ("committed", "delta", 1),
        ("aborted", "full", None),
        ("committed", "full", None),
    ]
    newest = httpx.get(f"{base}/generations", headers=headers).json()[-1]
    assert newest["report"]["endings"] == {"complete": 1, "failed": 1}
    (unproven,) = newest["report"]["unproven"]
    assert (unproven["scope"], unproven["failure"]["code"]) == ("users", DENIED.code)


def test_old_generations_are_deleted() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    db = sqlite3.connect(":memory:")
    db.executescript(SCHEMA)
    kept = SyncStore(db)
    for number in (1, 2, GENERATIONS_KEPT + 1):
        request = wire.OpenSync(run_id=f"run {number}", opener="o", reading_started_at=now)
        kept.open(f"sync {number}", request, now)
        kept.move(f"sync {number}", "committed", answer=wire.CommitAnswer(status="committed", generation=number))
        change = RecordChange("added", RecordKey(type="account", id="u"), None)
        report = ScopeReport(endings={})
        kept.add_generation(number, f"sync {number}", now, is_approved=False, report=report, changes=[change])
    assert [each.number for each in kept.generations()] == [2, GENERATIONS_KEPT + 1]
    assert [each.run_id for each in kept.syncs()] == [f"run {GENERATIONS_KEPT + 1}", "run 2"]
    assert (len(list(kept.changes(1))), len(list(kept.changes(2)))) == (0, 1)
