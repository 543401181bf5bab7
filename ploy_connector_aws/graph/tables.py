"""Tables of one generation: its records, the index of their names, and its grants as edges. Immutable once made."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from .privilege import store_privileges

SEARCHED = (
    *("name", "display_name", "username", "description", "kind", "owner", "region", "managed_by"),
    *("title", "evidence"),
)
"""The searched fields of a record, besides its id and its e-mail addresses."""

_ORDER = (
    *("human", "root", "unknown", "service", "external"),
    *("group", "account_role", "role", "policy"),
    *("critical", "high", "medium", "low"),
)
"""The order of lists: by these kinds, and severities of findings. Other kinds come last, by name."""

_NAME_COLUMNS = (
    "number INTEGER PRIMARY KEY",  # in the order of lists: by type, kind and name
    "type TEXT NOT NULL",
    "id TEXT NOT NULL",
    "body INTEGER",  # its row in the table of bodies; NULL for a record that only grants name
    "name TEXT NOT NULL",
    "folded TEXT NOT NULL",  # the name without case
    "kind TEXT NOT NULL",
    "status TEXT NOT NULL",  # of accounts; of findings their severity; otherwise empty
    "resource TEXT",  # the id of the resource that it is in
    "is_unproven INTEGER NOT NULL",
    "grantable INTEGER NOT NULL",
    "own INTEGER",  # its record's `privileged`
    "verdict INTEGER NOT NULL",  # privilege.VERDICTS
    "toward INTEGER",  # the next entitlement on the path that decides the verdict; NULL where its own record does
    "distance INTEGER NOT NULL DEFAULT 0",  # the length of that path
    "path_unproven INTEGER NOT NULL DEFAULT 0",
    "searched TEXT NOT NULL",  # the searched fields, without case
)


class Tables(NamedTuple):
    """The names of the tables of one generation. They become parts of statements."""

    records: str
    names: str
    """One row for each account, entitlement and resource, and for each that only a grant names."""
    edges: str
    """One row for each grant: the numbers of its principal and of its entitlement in the table of names."""
    bodies: str
    """The table of contents: its column ``body``, by the row number in a record. Its owner creates it."""

    def create_records(self, db: sqlite3.Connection, *more_columns: str) -> None:
        """Create the empty table of records; the owner fills it, and may add columns of its own."""
        more = "".join(f" {column}," for column in more_columns)
        db.execute(
            f"CREATE TABLE {self.records} (type TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,"
            f" body INTEGER NOT NULL, is_unproven INTEGER NOT NULL,{more} PRIMARY KEY (type, id)) WITHOUT ROWID"
        )

    def create_graph(self, db: sqlite3.Connection) -> None:
        """Create the tables of names and edges from the complete table of records, with the privilege of each name."""
        self._create_names(db)
        self._create_edges(db)
        store_privileges(db, self.names, self.edges)

    def _create_names(self, db: sqlite3.Connection) -> None:
        use_casefold(db)
        db.execute(f"CREATE TABLE {self.names} ({', '.join(_NAME_COLUMNS)})")
        name, kind, own = (
            f"coalesce({', '.join(_field(each) for each in ('display_name', 'username', 'name', 'title'))}, r.id)",
            f"coalesce({_field('kind')}, 'unknown')",
            _field("privileged"),
        )
        order = "".join(f" WHEN '{each}' THEN {place}" for place, each in enumerate(_ORDER))
        searched = " || char(10) || ".join(
            ["r.id", *(f"coalesce({_field(field)}, '')" for field in (*SEARCHED, "emails", "subjects"))]
        )
        columns = "type, id, body, name, folded, kind, status, resource, is_unproven, grantable, own, verdict, searched"
        db.execute(
            f"INSERT INTO {self.names} ({columns}) SELECT r.type, r.id, r.body, {name}, casefold({name}) AS folded,"
            f" {kind} AS kind, CASE r.type WHEN 'account' THEN coalesce({_field('status')}, 'unknown')"
            f" WHEN 'finding' THEN {_field('severity')} ELSE '' END AS status,"
            f" coalesce({_field('resource_id')}, {_field('parent_id')}), r.is_unproven,"
            f" coalesce({_field('grantable')}, 0), {own}, CASE {own} WHEN 1 THEN 3 WHEN 0 THEN 0 ELSE 1 END,"
            f" casefold({searched}) FROM {self.records} r JOIN {self.bodies} b ON b.rowid = r.body"
            " WHERE r.type IN ('account', 'entitlement', 'finding', 'resource')"
            f" ORDER BY r.type, CASE iif(r.type = 'finding', status, kind){order} ELSE {len(_ORDER)} END,"
            " iif(r.type IN ('resource', 'finding'), kind, ''),"
            " folded, r.id"
        )
        db.execute(f"CREATE UNIQUE INDEX {self.names}_by_id ON {self.names} (id, type)")
        db.execute(f"CREATE INDEX {self.names}_by_name ON {self.names} (type, folded, id)")
        db.execute(f"CREATE INDEX {self.names}_by_resource ON {self.names} (resource) WHERE resource IS NOT NULL")

    def _create_edges(self, db: sqlite3.Connection) -> None:
        db.execute(
            f"CREATE TABLE {self.edges} (principal INTEGER NOT NULL, entitlement INTEGER NOT NULL,"
            " is_unproven INTEGER NOT NULL, PRIMARY KEY (principal, entitlement)) WITHOUT ROWID"
        )
        ends = (
            f"SELECT {_field('principal_kind')} AS kind, {_field('principal_id')} AS principal,"
            f" {_field('entitlement_id')} AS entitlement, r.is_unproven"
            f" FROM {self.records} r JOIN {self.bodies} b ON b.rowid = r.body WHERE r.type = 'grant'"
        )
        insert = (
            f"INSERT INTO {self.edges} SELECT p.number, e.number, g.is_unproven FROM ({ends}) g"
            f" CROSS JOIN {self.names} p ON p.id = g.principal AND p.type = g.kind"
            f" CROSS JOIN {self.names} e ON e.id = g.entitlement AND e.type = 'entitlement' ORDER BY 1, 2"
        )
        inserted = db.execute(insert).rowcount
        grants = db.execute(f"SELECT count(*) FROM {self.records} WHERE type = 'grant'").fetchone()[0]
        if inserted < grants:  # some name a record that there is not
            db.execute(
                f"INSERT OR IGNORE INTO {self.names} (type, id, name, folded, kind, status, is_unproven, grantable,"
                " verdict, searched) SELECT type, id, id, casefold(id), 'unknown',"
                " iif(type = 'account', 'unknown', ''), 0, 0, 1, casefold(id) FROM"
                f" (SELECT kind AS type, principal AS id FROM ({ends}) UNION"
                f" SELECT 'entitlement', entitlement FROM ({ends})) ORDER BY type, id"
            )
            db.execute(f"DELETE FROM {self.edges}")
            db.execute(insert)
        db.execute(f"CREATE INDEX {self.edges}_by_entitlement ON {self.edges} (entitlement, principal, is_unproven)")

    def drop(self, db: sqlite3.Connection) -> None:
        """Drop the tables, where they exist."""
        for table in (self.records, self.names, self.edges):
            db.execute(f"DROP TABLE IF EXISTS {table}")


def use_casefold(db: sqlite3.Connection) -> None:
    """Add the SQL function ``casefold`` to a connection."""
    db.create_function("casefold", 1, str.casefold, deterministic=True)


def _field(name: str) -> str:
    return f"json_extract(b.body, '$.{name}')"
