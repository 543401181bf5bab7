"""Lists of the records of a generation: filtered, sorted, counted by facets, and paged or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ploy_connector_aws.spec.records import RecordType, grant_id

from .edges import Edges, in_parts
from .privilege import VERDICTS, Named, Privilege, Verdict

SORTED = ("default", "name", "kind", "status", "region", "owner", "privileged", "grantable")
"""The fields by which a list can be sorted. 'default': people first, then machines, then outside parties; by name."""


class FoundRecord(NamedTuple):
    """A record, with its content as JSON values, and what is computed about it."""

    id: str
    content: dict[str, Any]
    is_unproven: bool
    named: Named | None = None
    """Its name, kind and place."""
    privilege: Privilege = Privilege("not_judged")
    """Of a grant: that of its entitlement."""
    principal: Named | None = None
    """Of a grant."""
    entitlement: Named | None = None
    """Of a grant."""


@dataclass(frozen=True)
class Facets:
    """How many records of a list there are with each value; each counted with all filters but its own."""

    kinds: dict[str, int] = field(default_factory=dict)
    """Of grants: the kinds of their principals (a kind of account, or of entitlement)."""
    statuses: dict[str, int] = field(default_factory=dict)
    """Of accounts, and of the principals of grants; for the others, the empty text."""
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    unproven: dict[bool, int] = field(default_factory=dict)


class Listing(NamedTuple):
    """One page of a list, and the length of the whole list."""

    rows: tuple[FoundRecord, ...]
    total: int
    facets: Facets = Facets()


class Search(NamedTuple):
    """What a list shows, and which page of it. Empty filters let all records pass."""

    text: str = ""
    """A text that the record contains, ignoring case; a grant, if one of its ends does."""
    sort: str = "default"
    is_descending: bool = False
    offset: int = 0
    limit: int = 50
    only_grantable: bool = False
    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    """('direct', 'through') lists all that is privileged."""
    unproven: bool | None = None
    place: str = ""
    """The id of a resource: what is in it, or in a resource below it; accounts also where they reach into it."""
    holds: str = ""
    """The id of an entitlement: accounts and entitlements that lead to it, and their grants that do."""


def list_records(edges: Edges, type_: RecordType, search: Search) -> Listing:
    """List the records of a type.

    Args:
        edges: The generation with its later changes.
        type_: The type.
        search: The filters, the order, and the page.
    """
    query = _Query(edges, type_, search)
    facets, total = query.count()
    return Listing(tuple(query.rows(search.offset, search.limit)), total, facets)


def stream_records(edges: Edges, type_: RecordType, search: Search) -> Iterator[FoundRecord]:
    """Yield all records of a list, in its order; the page in the search counts for nothing."""
    return _Query(edges, type_, search).rows(0, -1)


def records_of(edges: Edges, numbers: Iterable[int]) -> Iterator[FoundRecord]:
    """Yield the records of numbers, in their order."""
    names, bodies = edges.tables.names, edges.tables.bodies
    for part in in_parts(numbers):
        marks = ", ".join("?" * len(part))
        named, privileges = edges.named(part), edges.privileges(part)
        rows = edges.db.execute(
            f"SELECT n.number, n.id, b.body, n.is_unproven FROM {names} n LEFT JOIN {bodies} b ON b.rowid = n.body"
            f" WHERE n.number IN ({marks})",
            part,
        )
        found = {
            number: FoundRecord(
                id_,
                json.loads(body) if body else {},
                bool(is_unproven),
                named[number],
                privileges[number],
            )
            for number, id_, body, is_unproven in rows
        }
        yield from (found[number] for number in part if number in found)


def below(edges: Edges, resource_id: str) -> str:
    """Put a resource and the resources below it into a temporary table; return a statement that selects their ids."""
    db, names = edges.db, edges.tables.names
    db.execute("DROP TABLE IF EXISTS temp.below")
    db.execute("CREATE TEMP TABLE below (id TEXT PRIMARY KEY)")
    db.execute(
        "INSERT INTO temp.below WITH RECURSIVE found (id) AS (SELECT ? UNION SELECT n.id FROM found f CROSS JOIN"
        f" {names} n INDEXED BY {names}_by_resource ON n.resource = f.id WHERE n.type = 'resource')"
        " SELECT id FROM found",
        (resource_id,),
    )
    return "SELECT id FROM temp.below"


class _Query:
    """The statements of one list."""

    def __init__(self, edges: Edges, type_: RecordType, search: Search) -> None:
        assert search.sort in SORTED, "it becomes part of a statement"
        self._edges, self._type, self._search = edges, type_, search
        self._values: dict[str, object] = {"type": type_, "text": search.text.casefold()}
        self._where = self._grants() if type_ == "grant" else self._records()

    def count(self) -> tuple[Facets, int]:
        """Count the list by facets, and in total."""
        names = self._edges.tables.names
        verdict = self._edges.judged("verdict", "v")
        if self._type == "grant":
            sql = (
                "SELECT kind, status, verdict, is_unproven, count(*) FROM (SELECT p.kind, p.status,"
                f" {verdict} AS verdict, g.is_unproven FROM ({self._where}) g"
                f" CROSS JOIN {names} p ON p.number = g.principal CROSS JOIN {names} v ON v.number = g.entitlement)"
                " GROUP BY 1, 2, 3, 4"
            )
        else:
            sql = (
                f"SELECT v.kind, v.status, {verdict}, v.is_unproven, count(*) FROM {names} v"
                f" WHERE {self._where} GROUP BY 1, 2, 3, 4"
            )
        groups = [
            ((kind, status, VERDICTS[number], bool(is_unproven)), count)
            for kind, status, number, is_unproven, count in self._edges.db.execute(sql, self._values)
        ]
        search = self._search
        wanted = (search.kinds, search.statuses, search.verdicts, () if search.unproven is None else (search.unproven,))
        counts: tuple[dict[Any, int], ...] = ({}, {}, {}, {})
        total = 0
        for key, count in groups:
            failed = [place for place, allowed in enumerate(wanted) if allowed and key[place] not in allowed]
            total += 0 if failed else count
            for place, value in enumerate(key):
                if failed in ([], [place]):
                    counts[place][value] = counts[place].get(value, 0) + count
        return Facets(*counts), total

    def rows(self, offset: int, limit: int) -> Iterator[FoundRecord]:
        """Yield the rows of a page; a limit of -1 is none."""
        facets = self._facet_conditions()
        values = {**self._values, "limit": limit, "offset": offset}
        names = self._edges.tables.names
        direction = "DESC" if self._search.is_descending else "ASC"
        if self._type == "grant":
            order = f"g.principal {direction}, g.entitlement {direction}"
            sql = (
                f"SELECT g.principal, g.entitlement, g.is_unproven FROM ({self._where}) g"
                f" CROSS JOIN {names} n ON n.number = g.principal CROSS JOIN {names} v ON v.number = g.entitlement"
                f" WHERE {facets} ORDER BY {order} LIMIT :limit OFFSET :offset"
            )
            yield from self._grant_rows(self._edges.db.execute(sql, values))
            return
        by = {
            "default": f"v.number {direction}",
            "name": f"v.folded {direction}, v.number",
            "kind": f"v.kind {direction}, v.number",
            "status": f"v.status {direction}, v.number",
            "privileged": f"{self._edges.judged('verdict', 'v')} {direction}, v.number",
        }.get(self._search.sort, f"json_extract(b.body, '$.{self._search.sort}') {direction}, v.number")
        sql = (
            f"SELECT v.number FROM {names} v LEFT JOIN {self._edges.tables.bodies} b ON b.rowid = v.body"
            f" WHERE {self._where} AND {facets} ORDER BY {by} LIMIT :limit OFFSET :offset"
        )
        yield from records_of(self._edges, (row[0] for row in self._edges.db.execute(sql, values)))

    def _records(self) -> str:
        search, edges = self._search, self._edges
        where = ["v.type = :type", "v.body IS NOT NULL"]
        if search.text:
            where.append("instr(v.searched, :text)")
        if search.only_grantable:
            where.append("v.grantable")
        if search.place:
            inside = f"v.resource IN ({below(edges, search.place)}) OR v.id = :place"
            self._values["place"] = search.place
            if self._type != "resource":
                entitlements = edges.db.execute(
                    f"SELECT number FROM {edges.tables.names} WHERE resource IN (SELECT id FROM temp.below)"
                    " AND type = 'entitlement'"
                )
                inside += f" OR v.number IN ({self._leading('in_place', (row[0] for row in entitlements))})"
            where.append(f"({inside})")
        if search.holds:
            where.append(f"v.number IN ({self._leading('holding', self._held())})")
        return " AND ".join(where)

    def _held(self) -> list[int]:
        number = self._edges.number("entitlement", self._search.holds)
        return [] if number is None else [number]

    def _leading(self, table: str, targets: Iterable[int]) -> str:
        """Return a statement that selects the numbers of what leads to targets: entitlements and accounts."""
        db, edges = self._edges.db, self._edges
        found = edges.leading(targets)
        db.execute(f"DROP TABLE IF EXISTS temp.{table}")
        db.execute(f"CREATE TEMP TABLE {table} (number INTEGER PRIMARY KEY)")
        db.executemany(f"INSERT INTO temp.{table} VALUES (?)", ((number,) for number in found))
        if self._type != "account":
            return f"SELECT number FROM temp.{table}"
        return edges.select("e.principal", "1", f"temp.{table} l CROSS JOIN {{edges}} e ON e.entitlement = l.number")

    def _grants(self) -> str:
        search, edges, names = self._search, self._edges, self._edges.tables.names
        where = ["1"]
        if search.text:
            containing = f"SELECT number FROM {names} WHERE instr(searched, :text)"
            where.append(f"(e.principal IN ({containing}) OR e.entitlement IN ({containing}))")
        if search.place:
            resources = below(edges, search.place)
            where.append(
                f"e.entitlement IN (SELECT number FROM {names} WHERE type = 'entitlement'"
                f" AND resource IN ({resources}))"
            )
        if search.holds:
            where.append(f"e.entitlement IN ({self._leading('holding', self._held())})")
        return edges.select("e.principal, e.entitlement, e.is_unproven", " AND ".join(where))

    def _facet_conditions(self) -> str:
        search = self._search
        holder = "n" if self._type == "grant" else "v"
        proof = "g.is_unproven" if self._type == "grant" else "v.is_unproven"
        conditions = ["1"]
        for name, column, wanted in (
            ("kind", f"{holder}.kind", search.kinds),
            ("status", f"{holder}.status", search.statuses),
            ("verdict", self._edges.judged("verdict", "v"), tuple(VERDICTS.index(each) for each in search.verdicts)),
            ("unproven", proof, () if search.unproven is None else (int(search.unproven),)),
        ):
            if wanted:
                self._values |= {f"{name}{place}": value for place, value in enumerate(wanted)}
                conditions.append(f"{column} IN ({', '.join(f':{name}{place}' for place in range(len(wanted)))})")
        return " AND ".join(conditions)

    def _grant_rows(self, rows: Iterable[tuple[int, int, int]]) -> Iterator[FoundRecord]:
        edges = self._edges
        for part in in_parts(rows):
            numbers = {number for row in part for number in row[:2]}
            named = edges.named(numbers)
            privileges = edges.privileges({row[1] for row in part})
            for principal, entitlement, is_unproven in part:
                holder, held = named[principal], named[entitlement]
                id_ = grant_id(holder.type, holder.id, held.id)
                content = {
                    "id": id_,
                    "principal_kind": holder.type,
                    "principal_id": holder.id,
                    "entitlement_id": held.id,
                }
                yield FoundRecord(id_, content, bool(is_unproven), None, privileges[entitlement], holder, held)
