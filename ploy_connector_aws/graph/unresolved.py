"""References that name no record: counted and named, as they are often a mistake. Nothing is left out for them."""

from __future__ import annotations

import sqlite3
from itertools import islice

from pydantic import BaseModel, ConfigDict

from ploy_connector_aws.spec.records import RecordKey, RecordType, grant_id

from .tables import Tables

NAMED = 20
"""How many are named; all are counted."""


class Unresolved(BaseModel):
    """One reference to a record that there is not."""

    model_config = ConfigDict(frozen=True)

    record: RecordKey
    """The record that has it."""
    field: str
    """Its field, e.g. ``resource_id``."""
    names: RecordKey
    """What it names."""

    def __str__(self) -> str:
        """Describe it in one line."""
        return f"{self.field} of {self.record.type} {self.record.id} names {self.names.type} {self.names.id}"


class UnresolvedReferences(BaseModel):
    """All references of a generation that name nothing: how many, and the first of them."""

    model_config = ConfigDict(frozen=True)

    count: int = 0
    first: tuple[Unresolved, ...] = ()


def find_unresolved(db: sqlite3.Connection, tables: Tables, most: int = NAMED) -> UnresolvedReferences:
    """Find the ends of grants, places, parents and subjects of findings that no record has.

    Args:
        db: The connection to the file that the tables are in.
        tables: The generation.
        most: How many are named.
    """
    names, edges = tables.names, tables.edges
    ends = (
        f"SELECT p.type AS holder, p.id AS principal, e.id AS entitlement, {{}} AS field, n.type AS type, n.id AS id"
        f" FROM {names} n CROSS JOIN {edges} g ON g.{{}} = n.number CROSS JOIN {names} p ON p.number = g.principal"
        f" CROSS JOIN {names} e ON e.number = g.entitlement WHERE n.body IS NULL"
    )
    fields = "CASE n.type WHEN 'resource' THEN 'parent_id' ELSE 'resource_id' END"
    others = (
        f"SELECT n.type, n.id, NULL, {fields}, 'resource', n.resource FROM {names} n WHERE n.resource IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM {names} r WHERE r.id = n.resource AND r.type = 'resource')",
        "SELECT n.type, n.id, NULL, 'role_id', 'entitlement', json_extract(b.body, '$.role_id') AS role"
        f" FROM {names} n CROSS JOIN {tables.bodies} b ON b.rowid = n.body WHERE n.type = 'entitlement' AND role"
        f" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {tables.records} r WHERE r.type = n.type AND r.id = role)",
        "SELECT n.type, n.id, NULL, 'subjects', json_extract(s.value, '$.type'), json_extract(s.value, '$.id')"
        f" FROM {names} n CROSS JOIN {tables.bodies} b ON b.rowid = n.body"
        " CROSS JOIN json_each(b.body, '$.subjects') s WHERE n.type = 'finding' AND NOT EXISTS"
        f" (SELECT 1 FROM {tables.records} r WHERE r.type = json_extract(s.value, '$.type')"
        "  AND r.id = json_extract(s.value, '$.id'))",
    )
    count, found = 0, list[Unresolved]()
    sources = (ends.format("'principal_id'", "principal"), ends.format("'entitlement_id'", "entitlement"), *others)
    for source in sources:
        rows = db.execute(f"{source} ORDER BY 1, 2, 3, 5, 6")
        named = [_to_unresolved(*row) for row in islice(rows, most - len(found))]
        found += named
        count += len(named) + sum(1 for _ in rows)
    return UnresolvedReferences(count=count, first=tuple(found))


def _to_unresolved(
    type_: RecordType, id_: str, entitlement: str | None, field: str, named: RecordType, named_id: str
) -> Unresolved:
    key = RecordKey(type=type_, id=id_)
    if entitlement is not None:
        key = RecordKey(type="grant", id=grant_id(type_, id_, entitlement))
    return Unresolved(record=key, field=field, names=RecordKey(type=named, id=named_id))
