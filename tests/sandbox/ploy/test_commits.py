from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import BatchConflictError, PlatformRejectedError, StaleReadError
from ploy_connector_aws.spec.records import RecordKey, grant_id

from .conftest import DENIED, USERS, USERS_FAILED, Customer, Line, account, connect, split


def test_commit_makes_the_next_generation_visible_at_once(acme: Customer) -> None:
    first = acme.sync(USERS, account("u1"), account("u2"))
    second = acme.sync(USERS, account("u2", display_name="Two"), account("u3"))

    assert first == wire.CommitAnswer(status="committed", generation=1, added={"account": 2})
    assert second == wire.CommitAnswer(
        status="committed", generation=2, added={"account": 1}, changed={"account": 1}, removed={"account": 1}
    )
    assert [(record.id, record.scopes, record.content) for record in acme.ploy.view(acme.id).records()] == [
        ("u2", ("users",), {"id": "u2", "display_name": "Two"}),
        ("u3", ("users",), {"id": "u3"}),
    ]


def test_changes_of_a_generation_are_stored_with_the_earlier_content(acme: Customer) -> None:
    acme.sync(USERS, account("u1"), account("u2"))
    acme.sync(USERS, account("u2", display_name="Two"), account("u3"))

    def changes(generation: int) -> list[tuple[str, str, Any]]:
        return [(kind, key.id, before) for kind, key, before, _ in acme.ploy.view(acme.id).changes(generation)]

    assert changes(1) == [("added", "u1", None), ("added", "u2", None)]
    assert changes(2) == [("added", "u3", None), ("changed", "u2", {"id": "u2"}), ("removed", "u1", {"id": "u1"})]
    assert [(one.number, one.is_approved, one.committed_at) for one in acme.ploy.view(acme.id).generations()] == [
        (1, False, acme.clock.now - timedelta(minutes=1)),
        (2, False, acme.clock.now),
    ]


def test_record_not_proven_to_be_gone_is_kept_as_unproven(acme: Customer) -> None:
    acme.sync(USERS, account("u1"), account("u2"))
    since = acme.clock.now + timedelta(minutes=1)
    answer = acme.sync(USERS_FAILED, account("u2"))
    acme.sync(USERS_FAILED)

    assert answer == wire.CommitAnswer(
        status="committed", generation=2, retained_unproven={"account": 1}, unproven_scopes=1
    )
    assert acme.record_ids == ["u1", "u2"]
    (scope,) = acme.ploy.view(acme.id).scopes()
    assert (scope.name, scope.ending, scope.failure, scope.unproven_since) == ("users", "failed", DENIED, since)


def test_tombstone_removes_the_grants_of_its_record(acme: Customer) -> None:
    grant = wire.RecordLine(
        type="grant",
        id=grant_id("account", "u1", "e1"),
        scopes=("grants",),
        record={"principal_kind": "account", "principal_id": "u1", "entitlement_id": "e1"},
    )
    grants = wire.ScopeLine(name="grants", ending="complete")
    acme.sync(USERS, grants, account("u1"), account("u2"), grant)

    answer = acme.sync(USERS_FAILED, replace_ending(grants), wire.TombstoneLine(type="account", id="u1"), account("u2"))

    assert answer.removed == {"account": 1, "grant": 1}
    assert {change.key for change in acme.ploy.view(acme.id).changes(2)} == {
        RecordKey(type="account", id="u1"),
        RecordKey(type="grant", id=grant_id("account", "u1", "e1")),
    }


def replace_ending(scope: wire.ScopeLine) -> wire.ScopeLine:
    return scope.model_copy(update={"ending": "failed", "failure": DENIED})


def test_partial_record_does_not_overwrite_a_full_one(acme: Customer) -> None:
    acme.sync(USERS, account("u1", display_name="One"))
    partial = [account(id_).model_copy(update={"partial": True}) for id_ in ("u1", "u2")]

    answer = acme.sync(USERS, *partial)

    assert (answer.added, answer.changed) == ({"account": 1}, {})
    assert [record.content for record in acme.ploy.view(acme.id).records()] == [
        {"id": "u1", "display_name": "One"},
        {"id": "u2"},
    ]


def test_repeated_commit_gets_the_first_answer(acme: Customer) -> None:
    lines: list[Line] = [USERS, account("u1")]
    sync_id = acme.open()
    commit = acme.commit_of(lines, acme.put(sync_id, split(lines, 1)))

    answers = [acme.client.commit(acme.id, sync_id, commit) for _ in range(3)]

    assert answers == [wire.CommitAnswer(status="committed", generation=1, added={"account": 1})] * 3
    assert len(acme.ploy.view(acme.id).generations()) == 1
    assert acme.client.sync_status(acme.id, sync_id).answer == answers[0]  # type: ignore[union-attr]
    with pytest.raises(BatchConflictError, match="committed with another body"):
        acme.client.commit(acme.id, sync_id, commit.model_copy(update={"scopes": 9}))


def test_simultaneous_commits_are_one(acme: Customer) -> None:
    lines: list[Line] = [USERS, account("u1")]
    sync_id = acme.open()
    commit = acme.commit_of(lines, acme.put(sync_id, split(lines, 1)))
    token = acme.client._tokens.token().get_secret_value()

    def send(_: int) -> wire.CommitAnswer:
        with connect(acme.ploy, token) as client:
            return client.commit(acme.id, sync_id, commit)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))

    assert answers == [wire.CommitAnswer(status="committed", generation=1, added={"account": 1})] * 4


LINES: list[Line] = [USERS, account("u1"), account("u2")]


@pytest.mark.parametrize(
    ("code", "lines", "changes"),
    [
        ("batches_differ", LINES, {"batches": 2}),
        ("batches_differ", LINES, {"batches": 4}),
        ("batches_differ", LINES, {"digest": "0" * 64}),
        ("counts_differ", LINES, {"records": {"account": 1}}),
        ("counts_differ", LINES, {"records": {"account": 2, "grant": 1}}),
        ("counts_differ", LINES, {"scopes": 2}),
        ("counts_differ", [*LINES, account("u1")], {}),
        ("counts_differ", [*LINES, USERS], {}),
        ("scopes_unannounced", [*LINES, account("u3", scopes=("users", "elsewhere"))], {}),
    ],
)
def test_commit_that_differs_from_the_batches_is_rejected(
    acme: Customer, code: str, lines: list[Line], changes: dict[str, Any]
) -> None:
    sync_id = acme.open()
    commit = acme.commit_of(lines, acme.put(sync_id, split(lines, 1)), **changes)

    with pytest.raises(PlatformRejectedError) as caught:
        acme.client.commit(acme.id, sync_id, commit)

    assert (caught.value.code, caught.value.problem.status) == (code, wire.PROBLEMS[code].status)
    assert acme.record_ids == []
    assert acme.client.sync_status(acme.id, sync_id).state == "open"  # type: ignore[union-attr]


def test_missing_batch_is_named(acme: Customer) -> None:
    sync_id = acme.open()
    for number in (1, 3):
        acme.client.put_batch(acme.id, sync_id, number, wire.pack([]))

    with pytest.raises(PlatformRejectedError, match="1 did not arrive, the first of them number 2"):
        acme.client.commit(acme.id, sync_id, acme.commit_of([], ["0" * 64] * 3))


def test_older_read_than_the_visible_one_is_stale(acme: Customer) -> None:
    slow = replace(acme, opener="slow")
    slow_sync = slow.open()
    digests = slow.put(slow_sync, split([USERS], 1))
    acme.clock.pass_by(hours=1)
    acme.sync(USERS, account("u1"))

    with pytest.raises(StaleReadError):
        began = acme.clock.now - timedelta(hours=1)
        slow_sync = slow.open(reading_started_at=began)
        slow.client.commit(slow.id, slow_sync, slow.commit_of([USERS], slow.put(slow_sync, split([USERS], 1))))

    assert digests
    assert acme.record_ids == ["u1"]


def test_read_that_began_with_the_visible_one_is_not_stale(acme: Customer) -> None:
    acme.sync(USERS, account("u1"))
    began = acme.clock.now

    assert acme.sync(USERS, account("u2"), reading_started_at=began).generation == 2
