"""Search and paths in tables that neither a runtime nor a platform made."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.paths import PathFinder
from ploy_connector_aws.graph.search import Search
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec import Account, Email, Entitlement, Grant, Record, Resource

from .model import TABLES, Model, open_tables


def group(id_: str, name: str, *, grantable: bool = True) -> Entitlement:
    reason = None if grantable else "read only"
    return Entitlement(id=id_, kind="group", name=name, grantable=grantable, not_grantable_reason=reason)


def grant(kind: str, principal_id: str, entitlement_id: str) -> Grant:
    return Grant.model_validate(
        {"principal_kind": kind, "principal_id": principal_id, "entitlement_id": entitlement_id}
    )


RECORDS: tuple[Record, ...] = (
    Account(id="u-1", username="ann", display_name="Zoë Straße", emails=(Email(address="ann@example.com"),)),
    Account(id="u-2", username="anna"),
    group("g-1", "readers"),
    group("g-2", "Writers", grantable=False),
    grant("account", "u-1", "g-1"),
    grant("entitlement", "g-1", "g-2"),
    Resource(id="b-1", kind="bucket", name="ann"),
)
UNPROVEN = {RECORDS[4].id}


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with open_tables(RECORDS, UNPROVEN) as db:
        yield db


@pytest.mark.parametrize(
    ("text", "sort", "found"),
    [
        ("", "name", ["u-2", "u-1"]),
        ("STRASSE", "name", ["u-1"]),
        ("ANN@", "name", ["u-1"]),
        ("u-2", "name", ["u-2"]),
        ("ann", "kind", ["u-2", "u-1"]),
        ("nothing", "name", []),
    ],
)
def test_records_of_a_type_are_found_by_what_they_hold(
    db: sqlite3.Connection, text: str, sort: str, found: list[str]
) -> None:
    listing = GraphView(db, TABLES).list_records("account", Search(text, sort))
    assert ([each.id for each in listing.rows], listing.total) == (found, len(found))


def test_a_list_is_sorted_paged_and_counted(db: sqlite3.Connection) -> None:
    listing = GraphView(db, TABLES).list_records("entitlement", Search(is_descending=True, offset=1, limit=1))
    assert ([each.content["name"] for each in listing.rows], listing.total) == (["readers"], 2)
    grantable = GraphView(db, TABLES).list_records("entitlement", Search(only_grantable=True))
    assert [each.id for each in grantable.rows] == ["g-1"]


@pytest.mark.parametrize(
    ("text", "found"), [("u-1", ["u-1"]), ("Ann", ["u-1"]), ("ANN@example.com", ["u-1"]), ("an", []), ("b-1", [])]
)
def test_an_account_is_found_by_its_exact_id_name_or_address(
    db: sqlite3.Connection, text: str, found: list[str]
) -> None:
    assert [each.id for each in GraphView(db, TABLES).resolve(text, ["account"]).matches] == found


def test_edges_are_followed_from_both_ends_with_later_changes(db: sqlite3.Connection) -> None:
    before = PathFinder(db, TABLES)
    assert [(path.entitlement_ids, path.is_unproven) for path in before.paths_of("u-1")] == [
        (("g-1",), True),
        (("g-1", "g-2"), True),
    ]
    added, removed = Grant(principal_kind="account", principal_id="u-2", entitlement_id="g-1"), RECORDS[4]
    now = PathFinder(db, TABLES, added=(Edge.of(added),), removed={removed.id})
    assert list(now.paths_of("u-1")) == []
    assert [path.entitlement_ids for path in now.paths_of("u-2")] == [("g-1",), ("g-1", "g-2")]


def test_both_directions_use_an_index(db: sqlite3.Connection) -> None:
    asked: list[str] = []
    view = GraphView(db, TABLES)
    db.set_trace_callback(asked.append)
    view.paths_of("u-1")
    view.who(Target("entitlement", "g-2"))
    db.set_trace_callback(None)
    looks = []
    for sql in (each for each in asked if " edges e" in each):
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
        # The edges of the generation come first, and then those that were added.
        looks.append(next(step for step in plan if step.startswith(("SEARCH e ", "SCAN e"))))
    assert [look for look in looks if not look.startswith("SEARCH e USING")] == []
    assert {look.split(" (")[0] for look in looks} == {
        "SEARCH e USING PRIMARY KEY",
        "SEARCH e USING COVERING INDEX edges_by_entitlement",
    }


def test_access_in_a_place_that_was_not_judged_is_not_called_harmless() -> None:
    """An account holds a policy, which decides nothing for it, and a role there that was not judged."""
    place = Resource(id="p", kind="place", name="P")
    harmless = Account(id="u", username="u", privileged=False)
    policy = Entitlement(id="b", kind="policy", name="B", resource_id="p", grantable=True, privileged=True)
    role = Entitlement(id="r", kind="role", name="R", resource_id="p", grantable=True)
    grants = (grant("account", "u", "b"), grant("account", "u", "r"))
    with open_tables((place, harmless, policy, role, *grants), ()) as db:
        found = GraphView(db, TABLES).list_records("account", Search(place="p"))
    assert found.facets.verdicts == {"not_judged": 1}
    assert [each.privilege.verdict for each in found.rows] == ["not_judged"]


@pytest.mark.parametrize("graphs", [200, pytest.param(2_000, marks=pytest.mark.soak)])
def test_list_of_a_place_and_who_reaches_it_agree_on_privilege(chance: Random, graphs: int) -> None:
    seen = Counter[tuple[bool | None, bool, bool]]()
    for _ in range(graphs):
        model = Model.random(chance)
        with model.view() as view:
            for place in (*model.resources, "unknown place"):
                listed = {
                    each.id: (each.privilege.is_privileged, each.privilege.is_administrator)
                    for each in view.list_records("account", Search(place=place)).rows
                }
                reaching = view.who(Target("resource", place)).rows
                found = {each.account.id: (each.is_privileged, each.is_administrator) for each in reaching}
                assert {id_: each for id_, each in found.items() if id_ in model.accounts} == listed
                seen.update((*found[each.account.id], each.belongs_to_target) for each in reaching)
    judged = ((None, False), (False, False), (True, False), (True, True))
    assert seen.keys() == {(*each, belongs) for each in judged for belongs in (True, False)}
