"""Stored snapshots: why records and scopes are unproven, and since when."""

from __future__ import annotations

import itertools

import pytest

from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.platform import wire

from .browser import Visitor, at
from .conftest import DENIED, USERS, Customer, Line, account
from .worker import grant_of

GROUPS = wire.ScopeLine(name="groups", ending="complete")
GROUP = {"id": "g1", "kind": "group", "name": "Readers", "grantable": True}
HELD = grant_of("u1", "g1")
MEMBERS: list[Line] = [
    GROUPS,
    wire.RecordLine.model_validate({"type": "entitlement", "id": "g1", "scopes": ("groups",), "record": GROUP}),
    wire.RecordLine.model_validate(
        {"type": "grant", "id": HELD.id, "scopes": ("groups",), "record": HELD.model_dump(mode="json")}
    ),
]


def scopes(customer: Customer) -> dict[str, ScopeState]:
    return {scope.name: scope for scope in customer.ploy.view(customer.id).scopes()}


def test_record_kept_by_a_grant_names_it_and_is_removed_with_it(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, *MEMBERS, account("u1", display_name="Ann"))
    answer = acme.sync(USERS, *MEMBERS)
    assert (answer.removed, answer.retained_unproven, answer.unproven_scopes) == ({}, {"account": 1}, 0)
    (kept,) = acme.ploy.view(acme.id).records("account")
    assert (kept.scopes, kept.is_unproven, kept.kept_by) == ((), True, HELD.id)
    page = visitor.get(at(acme, "/unproven")).text
    assert "named by the grant Ann → Readers" in page
    assert acme.sync(USERS, *MEMBERS).retained_unproven == {"account": 1}
    assert acme.sync(USERS, GROUPS).removed == {"account": 1, "entitlement": 1, "grant": 1}


def test_delta_keeps_the_records_of_a_grant_like_a_full_sync(acme: Customer) -> None:
    acme.sync(USERS, *MEMBERS, account("u1"))
    acme.clock.pass_by(minutes=1)
    sync_id = acme.open(mode="delta", base_generation=1)
    lines = [wire.TombstoneLine(type="account", id="u1", scopes=("users",))]
    digests = acme.put(sync_id, [[wire.to_ndjson(line) for line in lines]])
    expected = wire.Outcome(retained_unproven={"account": 1})
    commit = acme.commit_of(lines, digests, scopes=2, expected=expected)
    assert acme.client.commit(acme.id, sync_id, commit).retained_unproven == {"account": 1}
    assert [each.kept_by for each in acme.ploy.view(acme.id).records("account")] == [HELD.id]


def test_changed_origin_fails_a_scope_and_a_failed_one_keeps_its_reason(acme: Customer) -> None:
    acme.sync(USERS.model_copy(update={"origin": "one"}), account("u1"))
    acme.sync(wire.ScopeLine(name="users", ending="failed", failure=DENIED))
    assert (scopes(acme)["users"].failure, scopes(acme)["users"].origin) == (DENIED, "one")
    since = scopes(acme)["users"].unproven_since
    assert since == acme.clock.now
    acme.sync(USERS.model_copy(update={"origin": "two"}))
    state = scopes(acme)["users"]
    assert state.failure is not None
    assert (state.ending, state.failure.code, state.origin, state.unproven_since) == (
        "failed",
        "origin_changed",
        "one",
        since,
    )
    acme.sync(USERS.model_copy(update={"origin": "one"}), account("u1"))
    assert (scopes(acme)["users"].failure, scopes(acme)["users"].unproven_since) == (None, None)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_scope_with_two_endings_failed_in_either_order(acme: Customer, order: tuple[int, int]) -> None:
    acme.sync(USERS, account("u1"))
    gone = wire.ScopeLine(name="users", ending="gone")
    lines: list[Line] = [USERS, gone]
    acme.clock.pass_by(minutes=1)
    sync_id = acme.open()
    digests = acme.put(sync_id, [[wire.to_ndjson(lines[number])] for number in order])
    answer = acme.client.commit(acme.id, sync_id, acme.commit_of(lines, digests, scopes=1))
    assert (answer.retained_unproven, answer.unproven_scopes) == ({"account": 1}, 1)


def test_unannounced_scope_follows_its_parent(acme: Customer) -> None:
    tree = [
        wire.ScopeLine(name=name, parent=parent, ending="complete")
        for parent, name in itertools.pairwise((None, "a", "a/b", "a/b/c"))
    ]
    acme.sync(*tree, account("u1", scopes=("a/b/c",)))
    failed = tree[0].model_copy(update={"ending": "failed"})
    assert acme.sync(failed).unproven_scopes == 3
    assert {name: state.is_announced for name, state in scopes(acme).items()} == {
        "a": True,
        "a/b": False,
        "a/b/c": False,
    }
    assert acme.sync(tree[0]).removed == {"account": 1}
