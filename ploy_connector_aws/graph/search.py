"""Lists of the records of a generation: filtered, sorted, counted by facets, and paged or streamed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from ploy_connector_aws.spec.records import RecordType, grant_id

from .at_place import AtPlace
from .edges import Edges, in_parts
from .names import SEPARATOR, resolve
from .privilege import VERDICTS, Named, Privilege, Verdict
from .targets import Target, below, find_targets, put_reaching

PRIVILEGED_VERDICTS: tuple[Verdict, ...] = ("direct", "through")
"""The verdicts of all that is privileged."""

SORTED = ("default", "name", "kind", "status", "region", "owner", "privileged", "grantable")
"""The fields by which a list can be sorted. 'default': people first, then machines, then outside parties; by name."""


_Values: TypeAlias = tuple[str, str, Verdict, bool]
"""A kind, a status, a verdict, and whether it is unproven."""
_Group: TypeAlias = tuple[_Values, int]
"""Such values, and how many have them."""


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
    administrators: int = 0
    """How many accounts or entitlements there are with full administrator access, with all filters."""


class Listing(NamedTuple):
    """One page of a list, and the length of the whole list."""

    rows: tuple[FoundRecord, ...]
    total: int
    facets: Facets = Facets()


class Search(NamedTuple):
    """What a list shows, and which page of it. Empty filters let all records pass."""

    text: str = ""
    """A text that the record contains, or its name as 'NAME in PLACE', ignoring case; a grant, if one of its ends
    contains it."""
    sort: str = "default"
    is_descending: bool = False
    offset: int = 0
    limit: int = 50
    only_grantable: bool = False
    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    """``PRIVILEGED_VERDICTS`` lists all that is privileged, by default administrators first."""
    only_administrators: bool = False
    """Whether only those accounts or entitlements are listed that have full administrator access or lead to it."""
    unproven: bool | None = None
    place: str = ""
    """The id of a resource: what is in it, or in a resource below it, and the accounts and entitlements that reach into
    it. Their privilege is then that in the resource."""
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
    """Yield all records of a list in its order, ignoring the page in the search."""
    return _Query(edges, type_, search).rows(0, -1)


def records_of(edges: Edges, numbers: Iterable[int], verdicts: Edges | AtPlace | None = None) -> Iterator[FoundRecord]:
    """Yield the records of numbers, in their order; with a place for the verdicts, their privilege is that in it."""
    names, bodies = edges.tables.names, edges.tables.bodies
    for part in in_parts(numbers):
        marks = ", ".join("?" * len(part))
        named, privileges = edges.named(part), (verdicts or edges).privileges(part)
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


def count_facets(
    groups: Iterable[tuple[tuple[Any, ...], int]], filters: Sequence[Sequence[Any]]
) -> tuple[tuple[dict[Any, int], ...], int]:
    """Count groups by each of their values, each counted with all filters but its own; also return the total.

    Args:
        groups: Values and counts.
        filters: For each value, those that are wanted; none: all.
    """
    counts: tuple[dict[Any, int], ...] = tuple({} for _ in filters)
    total = 0
    for values, count in groups:
        failed = [place for place, wanted in enumerate(filters) if wanted and values[place] not in wanted]
        total += 0 if failed else count
        for place, value in enumerate(values):
            if failed in ([], [place]):
                counts[place][value] = counts[place].get(value, 0) + count
    return counts, total


def _numbers(verdicts: Iterable[Verdict]) -> str:
    return ", ".join(str(VERDICTS.index(each)) for each in verdicts)


class _Query:
    """The statements of one list."""

    def __init__(self, edges: Edges, type_: RecordType, search: Search) -> None:
        assert search.sort in SORTED, "it becomes part of a statement"
        self._edges, self._type, self._search = edges, type_, search
        self._values: dict[str, object] = {"type": type_, "text": search.text.casefold()}
        self._verdicts: Edges | AtPlace = edges
        if search.place and type_ in ("account", "entitlement"):
            self._verdicts = AtPlace(edges, search.place, "account" if type_ == "account" else "entitlement")
        self._where = self._grants() if type_ == "grant" else self._records()

    def count(self) -> tuple[Facets, int]:
        """Count the list by facets, and in total."""
        search = self._search
        groups, administrators = (self._grant_groups(), []) if self._type == "grant" else self._record_groups()
        unproven = () if search.unproven is None else (search.unproven,)
        filters = search.kinds, search.statuses, search.verdicts, unproven
        (kinds, statuses, verdicts, proofs), total = count_facets(groups, filters)
        (of_kinds, of_statuses, _, of_proofs), total_administrators = count_facets(administrators, filters)
        if search.only_administrators:
            kinds, statuses, proofs, total = of_kinds, of_statuses, of_proofs, total_administrators
        return Facets(kinds, statuses, verdicts, proofs, total_administrators), total

    def _grant_groups(self) -> list[_Group]:
        """Count grants by the values of their facets."""
        edges = self._edges
        names, verdict = edges.names("v"), edges.judged("verdict", "v")
        groups: list[_Group] = []
        for table, condition in edges.parts():
            rows = edges.db.execute(
                f"SELECT g.class, {verdict}, g.is_unproven, sum(g.count) FROM (SELECT e.entitlement, e.class,"
                f" e.is_unproven, count(*) AS count FROM {table} e WHERE {self._where} AND {condition}"
                f" GROUP BY e.entitlement, e.class, e.is_unproven) g CROSS JOIN {names}"
                " WHERE v.number = g.entitlement GROUP BY 1, 2, 3",
                self._values,
            )
            groups += (((*edges.classes[row[0]], VERDICTS[row[1]], bool(row[2])), row[3]) for row in rows)
        return groups

    def _record_groups(self) -> tuple[list[_Group], list[_Group]]:
        """Count records but grants by the values of their facets: all of them, and the administrators of them."""
        all_, administrators = Counter[_Values](), Counter[_Values]()
        for source, judged, sign in self._verdicts.counted("v"):
            verdicts = [f"{judged}.verdict = {number}" for number in range(len(VERDICTS))]
            near = [f"{judged}.distance < 0 AND {verdicts[VERDICTS.index(each)]}" for each in PRIVILEGED_VERDICTS]
            sums = ", ".join(f"sum({each})" for each in (*verdicts[1:], *near))
            # In the order of an index, by the verdict that it has: no sorting, which would take most of the time.
            rows = self._edges.db.execute(
                f"SELECT v.kind, v.status, v.is_unproven, count(*), {sums}"
                f" FROM {source} WHERE {self._where} GROUP BY v.kind, v.status, v.verdict, v.is_unproven",
                self._values,
            )
            for kind, status, is_unproven, count, *counts in rows:
                others = counts[: -len(near)]
                for verdict, number in zip(VERDICTS, (count - sum(others), *others), strict=True):
                    all_[kind, status, verdict, bool(is_unproven)] += sign * number
                for verdict, number in zip(PRIVILEGED_VERDICTS, counts[-len(near) :], strict=True):
                    administrators[kind, status, verdict, bool(is_unproven)] += sign * number
        return [each for each in all_.items() if each[1]], [each for each in administrators.items() if each[1]]

    def rows(self, offset: int, limit: int) -> Iterator[FoundRecord]:
        """Yield the rows of a page; a limit of -1 is none."""
        edges, search = self._edges, self._search
        direction = "DESC" if search.is_descending else "ASC"
        page = "LIMIT :limit OFFSET :offset"
        judged = self._judged("verdict")
        if self._type == "grant":
            conditions = [self._where]
            if search.unproven is not None:
                conditions.append(f"e.is_unproven = {int(search.unproven)}")
            if search.kinds or search.statuses:
                conditions.append(f"e.class IN ({edges.classes_of(search.kinds, search.statuses)})")
            if search.verdicts:
                conditions.append(
                    f"e.entitlement IN (SELECT v.number FROM {edges.names('v')}"
                    f" WHERE v.type = 'entitlement' AND {judged} IN ({_numbers(search.verdicts)}))"
                )
            sql = edges.select("e.principal, e.entitlement, e.is_unproven", " AND ".join(conditions))
            values = {**self._values, "limit": limit, "offset": offset}
            rows = edges.db.execute(f"{sql} ORDER BY 1 {direction}, 2 {direction} {page}", values)
            yield from self._grant_rows(rows)
            return
        values, conditions = self._filters()
        if search.only_administrators:
            conditions.append(self._is_administrator())
        values |= {"limit": limit, "offset": offset}
        # Where all are privileged, administrators come first.
        default = f"{self._judged('distance')} >= 0" if search.verdicts == PRIVILEGED_VERDICTS else "v.number"
        by = {"default": default, "name": "v.folded", "privileged": judged}.get(search.sort, f"v.{search.sort}")
        source = self._verdicts.names("v")
        if by == "v.number" and isinstance(self._verdicts, AtPlace):
            source, by = self._verdicts.names_in_order("v"), "j.number"
        sql = (
            f"SELECT v.number FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {by} {direction}, v.number {page}"
        )
        yield from records_of(edges, (row[0] for row in edges.db.execute(sql, values)), self._verdicts)

    def _filters(self) -> tuple[dict[str, object], list[str]]:
        """Return the values and conditions of all filters on records but grants, without that on administrators."""
        search, values, conditions = self._search, dict(self._values), [self._where]
        for column, wanted in (("kind", search.kinds), ("status", search.statuses)):
            if wanted:
                values |= {f"{column}{place}": value for place, value in enumerate(wanted)}
                conditions.append(f"v.{column} IN ({', '.join(f':{column}{place}' for place in range(len(wanted)))})")
        if search.unproven is not None:
            conditions.append(f"v.is_unproven = {int(search.unproven)}")
        if search.verdicts:
            conditions.append(f"{self._judged('verdict')} IN ({_numbers(search.verdicts)})")
        return values, conditions

    def _is_administrator(self) -> str:
        return f"{self._judged('verdict')} IN ({_numbers(PRIVILEGED_VERDICTS)}) AND {self._judged('distance')} < 0"

    def _judged(self, column: str) -> str:
        return self._verdicts.judged(column, "v")

    def _records(self) -> str:
        search = self._search
        where = ["v.type = :type", "v.body IS NOT NULL"]
        if search.text:
            where.append(self._containing(search.text))
        if search.only_grantable:
            where.append("v.grantable")
        if search.place and self._type == "resource":
            where.append(f"v.id IN ({below(self._edges, search.place)})")
        if search.holds:
            where.append(f"v.number IN ({self._leading_to('holding', Target('entitlement', search.holds))})")
        return " AND ".join(where)

    def _containing(self, text: str) -> str:
        """Return the condition that a record contains a text, or is named by it as 'NAME in PLACE'."""
        named = resolve(self._edges, text, [self._type]).matches if SEPARATOR in text.casefold() else ()
        numbers = [number for each in named if (number := self._edges.number(each.type, each.id)) is not None]
        if not numbers:
            return "instr(v.searched, :text)"
        return f"(instr(v.searched, :text) OR v.number IN ({self._edges.put('named_so', numbers)}))"

    def _leading_to(self, table: str, target: Target) -> str:
        """Return a statement that selects the numbers of the listed records that lead to a target."""
        edges = self._edges
        if self._type == "account":
            return put_reaching(edges, table, target)
        return edges.put(table, edges.leading(find_targets(edges, target)))

    def _grants(self) -> str:
        search, edges = self._search, self._edges
        where = ["1"]
        if search.text:
            names = edges.tables.names
            containing = edges.put_rows(
                "containing", f"SELECT number FROM {names} WHERE instr(searched, :text)", self._values
            )
            where.append(f"(e.principal IN ({containing}) OR e.entitlement IN ({containing}))")
        if search.place:
            where.append(
                f"e.entitlement IN ({edges.put('in_place', find_targets(edges, Target('resource', search.place)))})"
            )
        if search.holds:
            where.append(f"e.entitlement IN ({self._leading_to('holding', Target('entitlement', search.holds))})")
        return " AND ".join(where)

    def _grant_rows(self, rows: Iterable[tuple[int, int, int]]) -> Iterator[FoundRecord]:
        edges = self._edges
        tables = edges.tables
        for part in in_parts(rows):
            named = edges.named({number for row in part for number in row[:2]})
            privileges = edges.privileges({row[1] for row in part})
            ids = [grant_id(named[row[0]].type, named[row[0]].id, named[row[1]].id) for row in part]
            marks = ", ".join("?" * len(ids))
            bodies = dict(
                edges.db.execute(
                    f"SELECT r.id, b.body FROM {tables.records} r JOIN {tables.bodies} b ON b.rowid = r.body"
                    f" WHERE r.type = 'grant' AND r.id IN ({marks})",
                    ids,
                )
            )
            for id_, (principal, entitlement, is_unproven) in zip(ids, part, strict=True):
                ends = named[principal], named[entitlement]
                content = (
                    json.loads(bodies[id_])
                    if id_ in bodies  # otherwise a later change added it
                    else {
                        "id": id_,
                        "principal_kind": ends[0].type,
                        "principal_id": ends[0].id,
                        "entitlement_id": ends[1].id,
                    }
                )
                yield FoundRecord(id_, content, bool(is_unproven), None, privileges[entitlement], *ends)
