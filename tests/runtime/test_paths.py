"""Every path by which an account holds an entitlement."""

from __future__ import annotations

import pytest

from ploy_connector_aws.graph.paths import Path
from ploy_connector_aws.graph.reach import Reach, ReachListing
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import Account, Email, Grant, Page

from .records import DENIED, account, commit, group, membership


def opens(group_id: str, role_id: str) -> Grant:
    return Grant(principal_kind="entitlement", principal_id=group_id, entitlement_id=role_id)


def committed(store: Store) -> Run:
    assert store.baseline is not None
    return store.baseline


def test_paths_follow_every_edge_and_survive_cycles(store: Store) -> None:
    commit(
        store,
        Page(scope="users", records=(account("ann"), account("bob")), complete=True),
        Page(scope="groups", records=(group("g"), group("h"), group("role")), complete=True),
        Page(
            scope="grants",
            records=(
                membership("ann", "g"),
                membership("ann", "role"),
                membership("bob", "h"),
                opens("g", "role"),
                opens("h", "g"),
                opens("g", "h"),
            ),
            complete=True,
        ),
    )
    finder = Overlay(committed(store)).path_finder()
    assert {path.entitlement_ids for path in finder.paths_of("ann")} == {
        ("g",),
        ("g", "h"),
        ("g", "role"),
        ("role",),
    }
    assert {path.entitlement_ids for path in finder.paths_of("bob")} == {("h",), ("h", "g"), ("h", "g", "role")}
    assert list(finder.paths_of("no-such-account")) == []


def test_a_path_over_an_unproven_grant_is_unproven(store: Store) -> None:
    commit(store, Page(scope="r", complete=True), Page(scope="m", parent="r", records=(membership("ann", "g"),)))
    commit(store, Page(scope="r", complete=True), Page(scope="m", parent="r", failure=DENIED))
    assert list(Overlay(committed(store)).path_finder().paths_of("ann")) == [Path("ann", ("g",), is_unproven=True)]


def test_holders_are_found_by_every_path_once_and_sorted_by_name(store: Store) -> None:
    people = (account("ann"), Account(id="u-2", username="Bob"), Account(id="u-3", display_name="abe"))
    edges = (opens("g", "role"), opens("h", "g"), opens("g", "h"))
    held = [("ann", "role"), ("ann", "h"), ("u-2", "g"), ("u-2", "h")]
    proven = (
        Page(scope="users", records=people, complete=True),
        Page(scope="groups", records=tuple(group(id_) for id_ in ("g", "h", "role")), complete=True),
        Page(scope="grants", records=(*edges, *(membership(*pair) for pair in held)), complete=True),
    )
    commit(
        store, *proven, Page(scope="late", records=(membership("u-3", "h"), membership("u-2", "role")), complete=True)
    )
    commit(store, *proven, Page(scope="late", failure=DENIED))
    graph = Overlay(committed(store)).graph()
    role = Target("entitlement", "role")
    assert [
        (each.account.id, each.is_direct, [through.id for through in each.through], each.is_unproven)
        for each in graph.who(role).rows
    ] == [("u-3", False, ["h"], True), ("ann", True, ["h"], False), ("u-2", True, ["g", "h"], False)]
    assert [each.account.id for each in graph.who(role, Reach(offset=1, limit=1)).rows] == ["ann"]
    assert graph.who(Target("entitlement", "nothing")) == ReachListing()


@pytest.mark.parametrize("text", ["u-1", "ann", "Ann@Example.com", "ANN"])
def test_accounts_are_found_by_id_user_name_or_address(store: Store, text: str) -> None:
    ann = Account(id="u-1", username="ann", emails=(Email(address="ann@example.com"),))
    commit(store, Page(scope="users", records=(ann, Account(id="u-2", username="anna")), complete=True))
    assert [found.id for found in Overlay(committed(store)).find_accounts(text)] == ["u-1"]
