"""How long the queries over 100,000 people and 300,000 grants take, and how fast and in how much memory a list streams.

Run as ``python -m benchmarks.graph_queries [PEOPLE]``. The tables are made as a comparison makes them. Each query is
asked once before it is measured, so that the pages of the file are in memory; then the best of three counts.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from operator import methodcaller
from pathlib import Path

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.reach import Reach
from ploy_connector_aws.graph.search import SORTED, Search
from ploy_connector_aws.graph.tables import Tables
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.sandbox.ploy.pages.downloads import to_csv, to_row
from ploy_connector_aws.spec import Account, Email, Entitlement, Grant, Labels, Record, Resource
from ploy_connector_aws.spec.records import RecordType, to_json

PEOPLE = 100_000
_TABLES = Tables("records", "names", "edges", "bodies")
_PLACES = 400
_GROUPS = 2_000
_GRANTS_OF_PERSON = 3
_ROLES_OF_PLACE = 10
_SLOWEST_SHOWN = 5
_ROUNDS = 3


@dataclass(frozen=True)
class Measurement:
    """What the queries took."""

    people: int
    grants: int
    create_seconds: float
    """To make the tables of names and edges, and to judge who is privileged."""
    slowest: dict[str, float]
    """Milliseconds of processor time for the first page of the slowest queries, by query."""
    findings: dict[str, float]
    """Milliseconds of processor time for all findings of the host, without and with a later change."""
    rows_a_second: dict[str, float]
    """Of a whole list, by type; of accounts and entitlements as a CSV file."""
    stream_megabytes: float
    """How much the peak of the process grew while the lists streamed."""


def records(people: int) -> Iterator[Record]:
    """Yield the records: people in groups that open roles in places, some of them privileged."""
    yield Resource(id="org", kind="organisation", name="Acme")
    for place in range(_PLACES):
        yield Resource(id=f"{place:012}", kind="place", name=f"Place {place}", parent_id="org")
        yield Resource(id=f"{place:012}/bucket", kind="bucket", name=f"bucket-{place}", parent_id=f"{place:012}")
        for number in range(_ROLES_OF_PLACE):
            yield Entitlement(
                id=f"{place:012}/role-{number}",
                kind="account_role",
                name=f"Role {number}",
                resource_id=f"{place:012}",
                grantable=True,
                privileged=number == 0,
                administrator=number == 0 and place % 2 == 0,
            )
    for group in range(_GROUPS):
        yield Entitlement(id=f"g-{group:036}", kind="group", name=f"Group {group}", grantable=True, privileged=False)
        for number in range(3):
            role = f"{(group * 7 + number) % _PLACES:012}/role-{(group + number) % _ROLES_OF_PLACE}"
            yield Grant(principal_kind="entitlement", principal_id=f"g-{group:036}", entitlement_id=role)
    for group in range(0, _GROUPS, 10):
        yield Grant(
            principal_kind="entitlement",
            principal_id=f"g-{group:036}",
            entitlement_id=f"g-{(group + 10) % _GROUPS:036}",
        )
    for number in range(people):
        kind = "human" if number % 10 else ("service", "external")[number % 20 // 10]
        yield Account(
            id=f"u-{number:036}",
            kind=kind,
            username=f"person.{number * 7919 % people}@example.com",
            display_name=f"Person {number * 7919 % people}",
            emails=(Email(address=f"person.{number}@example.com"),),
            status="disabled" if number % 50 == 1 else "active",
            privileged=False,
        )
        for each in range(_GRANTS_OF_PERSON):
            group = (number * 13 + each * 617) % _GROUPS
            yield Grant(principal_kind="account", principal_id=f"u-{number:036}", entitlement_id=f"g-{group:036}")


def fill(db: sqlite3.Connection, people: int) -> int:
    """Write the records, as an owner of the tables does; return how many grants there are."""
    db.execute("CREATE TABLE bodies (number INTEGER PRIMARY KEY, body BLOB)")
    _TABLES.create_records(db)
    grants = 0
    for number, record in enumerate(records(people)):
        grants += isinstance(record, Grant)
        db.execute("INSERT INTO bodies VALUES (?, ?)", (number, to_json(record)))
        db.execute(
            "INSERT INTO records VALUES (?, ?, x'', ?, ?)", (record.record_type, record.id, number, number % 1000 == 1)
        )
    return grants


def queries() -> Iterator[tuple[str, Callable[[GraphView], object]]]:
    """Yield every query whose time is bounded, with a name."""
    filters = {
        "all": Search(),
        "text": Search("person 123"),
        "text without a match": Search("no such text"),
        "privileged": Search(verdicts=("direct", "through")),
        "disabled": Search(statuses=("disabled",)),
        "kind": Search(kinds=("human", "group")),
        "unproven": Search(unproven=True),
        "place": Search(place=f"{7:012}"),
        "every place": Search(place="org"),
        "privileged in every place": Search(place="org", verdicts=("direct", "through")),
        "administrators": Search(only_administrators=True),
        "administrators of a place": Search(place=f"{7:012}", only_administrators=True),
        "administrators of every place": Search(place="org", only_administrators=True),
        "holds": Search(holds=f"{7:012}/role-0"),
        "everything": Search("person", kinds=("human",), statuses=("active",), verdicts=("through",), place="org"),
        "last page": Search(offset=90_000),
        **{f"by {sort}": Search(sort=sort, is_descending=True) for sort in SORTED},
    }
    types: tuple[RecordType, ...] = ("account", "entitlement", "grant", "resource")
    for type_ in types:
        for name, search in filters.items():
            yield f"list {type_}: {name}", methodcaller("list_records", type_, search)
    place, group = Target("resource", f"{7:012}"), Target("entitlement", f"g-{0:036}")
    for name, target in {"place": place, "group": group, "everything": Target("resource", "org")}.items():
        yield f"who: {name}", methodcaller("who", target)
    yield "who: text", methodcaller("who", Target("resource", "org"), Reach("person 12", privileged=(True,)))
    yield "people: 50 places", methodcaller("count_people", [f"{number:012}" for number in range(50)])
    yield "opens: group", methodcaller("opens", "entitlement", group.id)
    yield "opens: account", methodcaller("opens", "account", f"u-{5:036}")
    for text in ("Person 77", "person.77@example.com", "role 3 in place 7", "persn 77", f"u-{77:036}"):
        yield f"resolve: {text}", methodcaller("resolve", text)


def measure(people: int = PEOPLE, *, shown: int = _SLOWEST_SHOWN) -> Measurement:
    """Make the tables and measure all queries, in this process.

    Args:
        people: How many people there are.
        shown: Of how many of the slowest queries the time is returned.
    """
    with tempfile.TemporaryDirectory(prefix="ploy-bench-") as folder:
        with closing(sqlite3.connect(Path(folder) / "graph.sqlite", isolation_level=None)) as db:
            db.execute("PRAGMA temp_store=FILE")
            db.execute("BEGIN")
            grants = fill(db, people)
            began = time.process_time()
            _TABLES.create_graph(db)
            create_seconds = time.process_time() - began
            db.execute("COMMIT")
            db.execute("BEGIN")  # as commands and pages do, to see one state
            took: dict[str, float] = {}
            changed = Edge("", "entitlement", f"g-{3:036}", f"{9:012}/role-0")
            for prefix, added in (("", ()), ("changed, ", (changed,))):
                for name, query in queries():
                    query(GraphView(db, _TABLES, added=added))
                    seconds = []
                    for _ in range(_ROUNDS):
                        began = time.process_time()
                        query(GraphView(db, _TABLES, added=added))
                        seconds.append(time.process_time() - began)
                    took[prefix + name] = min(seconds) * 1000
            findings = {}
            for name, added in (("unchanged", ()), ("changed", (changed,))):
                began = time.process_time()
                count = sum(1 for _ in GraphView(db, _TABLES, added=added).findings(lambda _: None, datetime.now(UTC)))
                findings[name] = (time.process_time() - began) * 1000
                assert count, "disabled accounts hold groups"
            speeds = {}
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for type_ in ("account", "entitlement", "grant"):
                began = time.process_time()
                found = GraphView(db, _TABLES).stream_records(type_, Search())
                to_cells = partial(to_row, type_, labels=Labels())
                count = sum(1 for _ in (found if type_ == "grant" else to_csv(map(to_cells, found))))
                speeds[type_] = count / (time.process_time() - began)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest = sorted(took, key=lambda name: -took[name])[:shown]
    return Measurement(
        people,
        grants,
        create_seconds,
        {name: took[name] for name in slowest},
        findings,
        speeds,
        (after - before) / 1024,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(measure(int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE)), indent=2))  # noqa: T201
