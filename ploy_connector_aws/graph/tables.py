"""Tables of one generation: its records, and its grants as edges. They are indexed and immutable."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class Tables(NamedTuple):
    """The names of the tables of one generation. They become parts of statements."""

    records: str
    edges: str
    bodies: str
    """The table of contents: its column ``body``, by the row number in a record. Its owner creates it."""

    def create_records(self, db: sqlite3.Connection, *more_columns: str) -> None:
        """Create the empty table of records; the owner fills it, and may add columns of its own."""
        more = "".join(f" {column}," for column in more_columns)
        db.execute(
            f"CREATE TABLE {self.records} (type TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,"
            f" body INTEGER NOT NULL, is_unproven INTEGER NOT NULL,{more} PRIMARY KEY (type, id)) WITHOUT ROWID"
        )

    def create_edges(self, db: sqlite3.Connection) -> None:
        """Create the table of edges from the complete table of records."""
        db.execute(
            f"CREATE TABLE {self.edges} (id TEXT PRIMARY KEY, principal_kind TEXT NOT NULL, principal TEXT NOT NULL,"
            " entitlement TEXT NOT NULL, is_unproven INTEGER NOT NULL) WITHOUT ROWID"
        )
        db.execute(
            f"INSERT INTO {self.edges} SELECT r.id, json_extract(b.body, '$.principal_kind'),"
            " json_extract(b.body, '$.principal_id'), json_extract(b.body, '$.entitlement_id'), r.is_unproven"
            f" FROM {self.records} r JOIN {self.bodies} b ON b.rowid = r.body WHERE r.type = 'grant' ORDER BY r.id"
        )
        for end, columns in (
            ("principal", "principal_kind, principal, entitlement, is_unproven"),
            ("entitlement", "entitlement, principal_kind, principal, is_unproven"),
        ):
            db.execute(f"CREATE INDEX {self.edges}_by_{end} ON {self.edges} ({columns})")

    def drop(self, db: sqlite3.Connection) -> None:
        """Drop the records and the edges, where they exist."""
        for table in (self.records, self.edges):
            db.execute(f"DROP TABLE IF EXISTS {table}")
