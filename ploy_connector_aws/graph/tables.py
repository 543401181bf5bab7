"""Tables of one generation: its records, the index of their names, and its grants as edges. Immutable once made."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from .privilege import ADMINISTRATOR, NEAREST, store_privileges

SEARCHED = (
    *("name", "display_name", "username", "description", "kind", "owner", "region", "managed_by"),
    *("title", "evidence"),
)
"""The searched fields of a record, besides its id and its e-mail addresses."""

ACCOUNT_KINDS = ("human", "root", "unknown", "service", "external")
STATUSES = ("active", "disabled", "unknown")
ENTITLEMENT_KINDS = ("group", "account_role", "role", "policy", "unknown")
"""The last kind is that of entitlements that only grants name."""
SEVERITIES = ("critical", "high", "medium", "low")
"""These four are in the order of lists: people first, then machines, then outside parties."""

FIRST_ENTITLEMENT = len(ACCOUNT_KINDS) * len(STATUSES)
"""In the column ``class``: accounts are below, entitlements are not."""
CLASSES: tuple[tuple[str, str], ...] = (
    *product(ACCOUNT_KINDS, STATUSES),
    *((kind, "") for kind in ENTITLEMENT_KINDS),
)
"""The kind and status of a principal, by the number of its class in the table of edges. The kinds of a connector's own
follow in the order of their names: those of entitlements above these numbers, those of accounts below 0."""

_NAME_COLUMNS = (
    "number INTEGER PRIMARY KEY",  # in the order of lists: by type, kind and name
    "type TEXT NOT NULL",
    "id TEXT NOT NULL",
    "class INTEGER",  # of accounts and entitlements: CLASSES
    "body INTEGER",  # its row in the table of bodies; NULL for a record that only grants name
    "name TEXT NOT NULL",
    "folded TEXT NOT NULL",  # the name without case
    "kind TEXT NOT NULL",
    "status TEXT NOT NULL",  # of accounts; of findings their severity; otherwise empty
    "resource TEXT",  # the id of the resource that it is in
    "region TEXT",
    "owner TEXT",
    "is_unproven INTEGER NOT NULL",
    "grantable INTEGER NOT NULL",
    "own INTEGER",  # its record's `privileged`; privilege.ADMINISTRATOR where it is one
    "verdict INTEGER NOT NULL",  # privilege.VERDICTS
    "toward INTEGER",  # the next entitlement on the path that decides the verdict; NULL where its own record does
    "distance INTEGER NOT NULL DEFAULT 0",  # the length of that path; from privilege.NEAREST on to an administrator
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
        for name, columns, rows in (
            ("name", "type, folded, id", "body"),
            ("facets", "type, kind, status, verdict, is_unproven, distance", "body"),
            ("resource", "resource, type", "resource"),
        ):
            db.execute(f"CREATE INDEX {self.names}_by_{name} ON {self.names} ({columns}) WHERE {rows} IS NOT NULL")

    def _create_names(self, db: sqlite3.Connection) -> None:
        use_casefold(db)
        db.execute(f"CREATE TABLE {self.names} ({', '.join(_NAME_COLUMNS)})")
        name = f"coalesce({', '.join(_field(each) for each in ('display_name', 'username', 'name', 'title'))}, r.id)"
        kind, own = f"coalesce({_field('kind')}, 'unknown')", _field("privileged")
        is_administrator = f"({own} AND coalesce({_field('administrator')}, 0))"
        status = f"coalesce({_field('status')}, 'unknown')"
        texts = ["r.id", *(f"coalesce({_field(field)}, '')" for field in (*SEARCHED, "emails", "subjects"))]
        is_account = "r.type = 'account'"
        values = {
            "type": "r.type",
            "id": "r.id",
            "class": f"iif({is_account}, {_place(kind, ACCOUNT_KINDS)} * {len(STATUSES)} + {_place(status, STATUSES)},"
            f" {FIRST_ENTITLEMENT} + {_place(kind, ENTITLEMENT_KINDS)})",
            "body": "r.body",
            "name": name,
            "folded": f"casefold({name})",
            "kind": kind,
            "status": f"CASE r.type WHEN 'account' THEN {status} WHEN 'finding' THEN {_field('severity')} ELSE '' END",
            "resource": f"coalesce({_field('resource_id')}, {_field('parent_id')})",
            "region": _field("region"),
            "owner": _field("owner"),
            "is_unproven": "r.is_unproven",
            "grantable": f"coalesce({_field('grantable')}, 0)",
            "own": f"iif({is_administrator}, {ADMINISTRATOR}, {own})",
            "distance": f"iif({is_administrator}, {NEAREST}, 0)",
            "verdict": f"CASE {own} WHEN 1 THEN 3 WHEN 0 THEN 0 ELSE 1 END",
            "searched": f"casefold({' || char(10) || '.join(texts)})",
        }
        first = (
            f"CASE r.type WHEN 'account' THEN coalesce({_place(kind, ACCOUNT_KINDS)}, {len(ACCOUNT_KINDS)})"
            f" WHEN 'entitlement' THEN coalesce({_place(kind, ENTITLEMENT_KINDS)}, {len(ENTITLEMENT_KINDS)})"
            f" WHEN 'finding' THEN {_place(_field('severity'), SEVERITIES)} ELSE kind END"
        )
        db.execute(
            f"INSERT INTO {self.names} ({', '.join(values)}) SELECT"
            f" {', '.join(f'{sql} AS {column}' for column, sql in values.items())}"
            f" FROM {self.records} r JOIN {self.bodies} b ON b.rowid = r.body"
            f" WHERE r.type IN ('account', 'entitlement', 'finding', 'resource') ORDER BY r.type, {first}, folded, r.id"
        )
        self._class_own_kinds(db)
        db.execute(f"CREATE INDEX {self.names}_by_id ON {self.names} (id, type, class)")

    def _class_own_kinds(self, db: sqlite3.Connection) -> None:
        """Give a class to the principals of kinds that are the connector's own."""
        rows = f"FROM {self.names} WHERE class IS NULL AND type IN ('account', 'entitlement')"
        for (type_,) in db.execute(f"SELECT DISTINCT type {rows}").fetchall():
            kinds = [row[0] for row in db.execute(f"SELECT DISTINCT kind {rows} AND type = ? ORDER BY 1", (type_,))]
            db.executemany(
                f"UPDATE {self.names} SET class = ? WHERE class IS NULL AND type = ? AND kind = ? AND status = ?",
                ((class_, type_, *each) for class_, each in _own_classes(type_, kinds)),
            )

    def classes(self, db: sqlite3.Connection) -> dict[int, tuple[str, str]]:
        """Return the kind and status of a principal by the number of its class, with the connector's own kinds."""
        found = dict(enumerate(CLASSES))
        for type_, known in (("account", ACCOUNT_KINDS), ("entitlement", ENTITLEMENT_KINDS)):
            # From one kind to the next in the index, however many records have each.
            following = f"SELECT min(n.kind) FROM {self.names} n WHERE n.type = :type AND n.body IS NOT NULL"
            rows = db.execute(
                f"WITH RECURSIVE found (kind) AS ({following} UNION ALL SELECT ({following} AND n.kind > found.kind)"
                " FROM found WHERE found.kind IS NOT NULL) SELECT kind FROM found WHERE kind IS NOT NULL",
                {"type": type_},
            )
            found |= dict(_own_classes(type_, [kind for (kind,) in rows if kind not in known]))
        return found

    def _create_edges(self, db: sqlite3.Connection) -> None:
        db.execute(
            f"CREATE TABLE {self.edges} (principal INTEGER NOT NULL, entitlement INTEGER NOT NULL,"
            " class INTEGER NOT NULL, is_unproven INTEGER NOT NULL, PRIMARY KEY (principal, entitlement)) WITHOUT ROWID"
        )
        ends = (
            f"SELECT {_field('principal_kind')} AS kind, {_field('principal_id')} AS principal,"
            f" {_field('entitlement_id')} AS entitlement, r.is_unproven"
            f" FROM {self.records} r JOIN {self.bodies} b ON b.rowid = r.body WHERE r.type = 'grant'"
        )
        insert = (
            f"INSERT INTO {self.edges} SELECT p.number, e.number, p.class, g.is_unproven FROM ({ends}) g"
            f" CROSS JOIN {self.names} p ON p.id = g.principal AND p.type = g.kind"
            f" CROSS JOIN {self.names} e ON e.id = g.entitlement AND e.type = 'entitlement' ORDER BY 1, 2"
        )
        inserted = db.execute(insert).rowcount
        grants = db.execute(f"SELECT count(*) FROM {self.records} WHERE type = 'grant'").fetchone()[0]
        if inserted < grants:  # some name a record that there is not
            self._name_missing(db, ends)
            db.execute(f"DELETE FROM {self.edges}")
            db.execute(insert)
        db.execute(
            f"CREATE INDEX {self.edges}_by_entitlement ON {self.edges} (entitlement, class, is_unproven, principal)"
        )

    def _name_missing(self, db: sqlite3.Connection, ends: str) -> None:
        unknown = CLASSES.index(("unknown", "unknown")), CLASSES.index(("unknown", ""))
        db.execute(
            f"INSERT INTO {self.names} (type, id, class, name, folded, kind, status, is_unproven, grantable, verdict,"
            " searched) SELECT type, id, iif(type = 'account', ?, ?), id, casefold(id), 'unknown',"
            " iif(type = 'account', 'unknown', ''), 0, 0, 1, casefold(id)"
            f" FROM (SELECT kind AS type, principal AS id FROM ({ends}) UNION"
            f" SELECT 'entitlement', entitlement FROM ({ends})) g"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self.names} n WHERE n.id = g.id AND n.type = g.type) ORDER BY type, id",
            unknown,
        )

    def drop(self, db: sqlite3.Connection) -> None:
        """Drop the tables, where they exist."""
        for table in (self.records, self.names, self.edges):
            db.execute(f"DROP TABLE IF EXISTS {table}")


def _own_classes(type_: str, kinds: Sequence[str]) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield the classes of a connector's own kinds of accounts or of entitlements, given in order."""
    if type_ == "entitlement":
        yield from enumerate(((kind, "") for kind in kinds), len(CLASSES))
    else:
        yield from ((-1 - place, each) for place, each in enumerate(product(kinds, STATUSES)))


def use_casefold(db: sqlite3.Connection) -> None:
    """Add the SQL function ``casefold`` to a connection."""
    db.create_function("casefold", 1, str.casefold, deterministic=True)


def _place(value: str, values: tuple[str, ...]) -> str:
    """Return the place of a value in a list, as SQL; NULL for a value that is not in it."""
    return f"CASE {value}{''.join(f' WHEN {each!r} THEN {place}' for place, each in enumerate(values))} END"


def _field(name: str) -> str:
    return f"json_extract(b.body, '$.{name}')"
