"""Records by the names that people read: ids, names, addresses, names in places, ambiguous ones and near misses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ploy_connector_aws.graph.names import MOST_CLOSE
from ploy_connector_aws.graph.search import Search
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec import Account, Email, Entitlement, Record, Resource
from ploy_connector_aws.spec.records import RecordType

from .model import TABLES, grant, open_tables


def role(id_: str, name: str, place: str) -> Entitlement:
    return Entitlement(id=id_, kind="account_role", name=name, resource_id=place, grantable=True)


RECORDS: tuple[Record, ...] = (
    Account(id="u-1", kind="human", username="ann", display_name="Ann Lee", emails=(Email(address="ann@example.com"),)),
    Account(id="u-2", kind="human", username="ann.lee", display_name="ANN LEE"),
    Account(id="u-3", kind="service", username="u-1", display_name="Straße"),
    Resource(id="111111111111", kind="place", name="Production"),
    Resource(id="222222222222", kind="place", name="Sales in Rome"),
    Resource(id="b-1", kind="bucket", name="ann"),
    role("e-1", "Admin", "111111111111"),
    role("e-2", "Admin", "222222222222"),
    role("e-3", "Reader", "333333333333"),
    role("e-4", "Auditor in 111111111111", "111111111111"),
    Entitlement(id="e-5", kind="role", name="Auditor", grantable=True),
    Entitlement(id="g-1", kind="group", name="Work in Progress", grantable=True),
    grant("u-ghost", "g-1"),
)


@pytest.fixture
def view() -> Iterator[GraphView]:
    with open_tables(RECORDS) as db:
        yield GraphView(db, TABLES)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("u-1", ["u-1"]),  # an id names its record, whatever name another one has
        ("U-1", ["u-1", "u-3"]),
        ("ann lee", ["u-1", "u-2"]),
        ("  Ann.Lee ", ["u-2"]),
        ("ANN@example.com", ["u-1"]),
        ("STRASSE", ["u-3"]),
        ("ann", ["u-1", "b-1"]),
        ("production", ["111111111111"]),
        ("admin", ["e-1", "e-2"]),
        ("admin in PRODUCTION", ["e-1"]),
        ("Admin in 222222222222", ["e-2"]),
        ("admin in sales in rome", ["e-2"]),
        ("reader in 333333333333", ["e-3"]),  # a place without a record
        ("e-1 in production", ["e-1"]),
        ("work in progress", ["g-1"]),
        ("auditor in production", ["e-4"]),  # its own name has the id of the place
        ("auditor in 111111111111", ["e-4"]),
        ("e-4 in production", ["e-4"]),
        ("auditor", ["e-5"]),
        ("auditor in sales in rome", []),
        ("u-ghost", ["u-ghost"]),
        ("admin in nowhere", []),
        ("an", []),
        ("", []),
    ],
)
def test_a_text_names_records_as_they_are_printed(view: GraphView, text: str, found: list[str]) -> None:
    assert [each.id for each in view.resolve(text).matches] == found


def test_list_is_searched_by_the_name_in_the_place_as_it_is_printed(view: GraphView) -> None:
    for text, found in (("Auditor in Production", ["e-4"]), ("auditor in 1", ["e-4"]), ("auditor in nowhere", [])):
        assert [each.id for each in view.list_records("entitlement", Search(text)).rows] == found


@pytest.mark.parametrize(("types", "found"), [(["account"], ["u-1"]), (["resource"], ["b-1"]), (["entitlement"], [])])
def test_only_records_of_the_types_that_are_meant_match(
    view: GraphView, types: list[RecordType], found: list[str]
) -> None:
    assert [each.id for each in view.resolve("ann", types).matches] == found


def test_a_miss_has_the_closest_names(view: GraphView) -> None:
    missed = view.resolve("Prodution")
    assert (missed.matches, missed.close) == ((), ("Production",))
    assert view.resolve("an.lee", ["account"]).close == ("ann.lee",)
    assert view.resolve("completely different").close == ()


def test_close_names_are_few_however_many_there_are() -> None:
    with open_tables(Account(id=f"u-{number}", username=f"person {number}") for number in range(50)) as db:
        assert len(GraphView(db, TABLES).resolve("person x").close) == MOST_CLOSE


def test_cost_of_the_tables_grows_with_the_kinds_of_a_connector_as_with_its_records() -> None:
    def steps(kinds: int) -> int:
        """Count the parts of 100 instructions that SQLite needs, which no load of the machine changes."""
        parts: list[int] = []
        accounts = [Account(id=f"u-{number}", kind=f"kind-{number}") for number in range(kinds)]
        badges = [
            Entitlement(id=f"e-{number}", kind=f"badge-{number}", name="Badge", grantable=True)
            for number in range(kinds)
        ]
        with open_tables([*accounts, *badges]) as db:
            for table in (TABLES.names, TABLES.edges):
                db.execute(f"DROP TABLE {table}")
            db.set_progress_handler(lambda: parts.append(1), 100)
            TABLES.create_graph(db)
            db.set_progress_handler(None, 0)
            found = GraphView(db, TABLES).list_records("account", Search()).facets.kinds
        assert found == {each.kind: 1 for each in accounts}
        return len(parts)

    assert steps(400) < 3 * steps(200)
