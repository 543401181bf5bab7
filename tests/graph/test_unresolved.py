"""References to records that there are not are counted and named, and nothing else is."""

from __future__ import annotations

from ploy_connector_aws.graph import unresolved
from ploy_connector_aws.graph.unresolved import Unresolved, UnresolvedReferences, find_unresolved
from ploy_connector_aws.spec import Account, Entitlement, Finding, Grant, Record, RecordKey, Resource

from .model import TABLES, open_tables

ANN = Account(id="ann", resource_id="hall")
STAFF = Entitlement(id="staff", kind="group", name="Staff", grantable=True, resource_id="hall")
HALL = Resource(id="hall", kind="room", name="Hall")


def held(account: str, entitlement: str) -> Grant:
    return Grant(principal_kind="account", principal_id=account, entitlement_id=entitlement)


def find(*records: Record, most: int = unresolved.NAMED) -> UnresolvedReferences:
    with open_tables(records) as db:
        return find_unresolved(db, TABLES, most)


def test_records_that_name_each_other_leave_nothing_unresolved() -> None:
    about = Finding(
        id="f", kind="k", subjects=(held("ann", "staff").key, ANN.key), severity="low", title="t", evidence="e"
    )
    inside = Resource(id="chair", kind="chair", name="Chair", parent_id="hall")
    assert find(ANN, STAFF, HALL, inside, held("ann", "staff"), about) == UnresolvedReferences()


def test_each_kind_of_reference_is_named_with_its_record_and_field() -> None:
    guard = Entitlement(id="g", kind="account_role", name="Guard", grantable=True, role_id="guards")
    about = Finding(
        id="f",
        kind="k",
        subjects=(ANN.key, RecordKey(type="account", id="hall"), RecordKey(type="grant", id="no")),
        severity="low",
        title="t",
        evidence="e",
    )
    nesting = Grant(principal_kind="entitlement", principal_id="team", entitlement_id="staff")
    chair = Resource(id="chair", kind="chair", name="Chair", parent_id="attic")
    found = find(
        ANN.model_copy(update={"resource_id": "staff"}),
        STAFF.model_copy(update={"resource_id": "cellar"}),
        *(chair, nesting, held("bob", "staff"), held("ann", "crew"), held("bob", "crew"), about, guard),
    )
    keys = [(each.record.type, each.record.id, each.field, each.names.type, each.names.id) for each in found.first]
    assert found.count == len(keys) == 11
    assert sorted(keys) == sorted(
        [
            ("grant", held("bob", "staff").id, "principal_id", "account", "bob"),
            ("grant", held("bob", "crew").id, "principal_id", "account", "bob"),
            ("grant", nesting.id, "principal_id", "entitlement", "team"),
            ("grant", held("ann", "crew").id, "entitlement_id", "entitlement", "crew"),
            ("grant", held("bob", "crew").id, "entitlement_id", "entitlement", "crew"),
            ("account", "ann", "resource_id", "resource", "staff"),
            ("entitlement", "staff", "resource_id", "resource", "cellar"),
            ("entitlement", "g", "role_id", "entitlement", "guards"),
            ("resource", "chair", "parent_id", "resource", "attic"),
            ("finding", "f", "subjects", "account", "hall"),
            ("finding", "f", "subjects", "grant", "no"),
        ]
    )


def test_all_are_counted_and_the_first_are_named() -> None:
    found = find(STAFF, HALL, *(held(f"u{number}", "staff") for number in range(30)), most=2)
    assert found.count == 30
    first = Unresolved(record=held("u0", "staff").key, field="principal_id", names=RecordKey(type="account", id="u0"))
    assert (len(found.first), found.first[0]) == (2, first)
    assert str(first) == f"principal_id of grant {first.record.id} names account u0"
