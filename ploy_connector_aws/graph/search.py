"""Search in the records of a generation: sorted and paged lists by a text, and accounts by name or address."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple

from ploy_connector_aws.spec.records import RecordType

from .tables import Tables

SEARCHED = ("name", "display_name", "username", "description", "kind", "owner", "region", "managed_by")
"""The searched fields of a record, besides its id and its e-mail addresses."""

SORTED = ("name", "kind", "status", "region", "owner", "privileged", "grantable")
"""The fields by which a list can be sorted; 'name' is the display name."""

NAME = (
    "coalesce(json_extract(b.body, '$.display_name'), json_extract(b.body, '$.username'),"
    " json_extract(b.body, '$.name'), r.id)"
)
"""The display name of the record ``r`` with the content ``b``, as SQL."""


class FoundRecord(NamedTuple):
    """A record, with its content as JSON values."""

    id: str
    content: dict[str, Any]
    is_unproven: bool


class Listing(NamedTuple):
    """One page of a list, and the length of the whole list."""

    rows: tuple[FoundRecord, ...]
    total: int


class Search(NamedTuple):
    """What a list shows: the records that contain a text, ignoring case, and which page of them."""

    text: str = ""
    """Empty for all records."""
    sort: str = "name"
    is_descending: bool = False
    offset: int = 0
    limit: int = 50
    only_grantable: bool = False


def list_records(db: sqlite3.Connection, tables: Tables, type_: RecordType, search: Search) -> Listing:
    """List the records of a type."""
    assert search.sort in SORTED, "it becomes part of a statement"
    fields = " || char(10) || ".join(
        ["r.id", *(f"coalesce(json_extract(b.body, '$.{field}'), '')" for field in (*SEARCHED, "emails"))]
    )
    where = (
        f"FROM {tables.records} r JOIN {tables.bodies} b ON b.rowid = r.body WHERE r.type = :type"
        f" AND (:text = '' OR instr(casefold({fields}), casefold(:text)))"
    )
    if search.only_grantable:
        where += " AND json_extract(b.body, '$.grantable')"
    use_casefold(db)
    values = {"type": type_, "text": search.text, "limit": search.limit, "offset": search.offset}
    by = f"casefold({NAME})" if search.sort == "name" else f"json_extract(b.body, '$.{search.sort}')"
    direction = "DESC" if search.is_descending else "ASC"
    rows = db.execute(
        f"SELECT r.id, b.body, r.is_unproven {where}"
        f" ORDER BY {by} {direction}, casefold({NAME}), r.id LIMIT :limit OFFSET :offset",
        values,
    ).fetchall()
    total: int = db.execute(f"SELECT count(*) {where}", values).fetchone()[0]
    return Listing(
        tuple(FoundRecord(id_, json.loads(body), bool(is_unproven)) for id_, body, is_unproven in rows), total
    )


def find_accounts(db: sqlite3.Connection, tables: Tables, text: str) -> list[str]:
    """Find the ids of the accounts whose id, user name or e-mail address equals this text, ignoring case."""
    use_casefold(db)
    rows = db.execute(
        f"SELECT r.id FROM {tables.records} r JOIN {tables.bodies} b ON b.rowid = r.body WHERE r.type = 'account'"
        " AND (casefold(r.id) = :text OR casefold(coalesce(json_extract(b.body, '$.username'), '')) = :text"
        "  OR EXISTS (SELECT 1 FROM json_each(b.body, '$.emails') e"
        "   WHERE casefold(json_extract(e.value, '$.address')) = :text)) ORDER BY r.id",
        {"text": text.casefold()},
    )
    return [row[0] for row in rows]


def use_casefold(db: sqlite3.Connection) -> None:
    """Add the SQL function ``casefold`` to a connection."""
    db.create_function("casefold", 1, str.casefold, deterministic=True)
