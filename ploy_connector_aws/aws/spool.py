"""The spool of one reading: ids and edges that must be remembered until its end, on disk, as they can be many."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ploy_connector_aws.spec.records import Attributes

Kind = Literal[
    "user",
    "group",
    "permission_set",
    "unlisted_user",
    "named_group",
    "account_role",
    "role",
    "role_name",
    "instance_profile",
    "policy",
    "unattached",
    "listed_user",
    "listed_role",
    "provisioned",
]
"""What is remembered, and by which id.

Identity Center: ``user``, ``group`` and ``permission_set`` by their ids. An ``unlisted_user`` is a group member that
ListUsers did not return; it also becomes a ``user`` once described or confirmed deleted. A ``named_group`` is named by
an assignment of a user; it also becomes a ``group`` once listed or looked up. An ``account_role`` is a permission set
in one AWS account, by its record id.

IAM: the record ids of a ``user``, ``role`` or ``policy`` by ARN, of a ``role_name`` or ``group`` by name, of an
``instance_profile``'s role by the profile's ARN; the record of an ``unattached`` policy by ARN; what only ListUsers and
ListRoles return (``listed_user``, ``listed_role``) by unique id; ``provisioned``: Identity Center's roles by record id,
each with its permission set and the evidence of its instance as JSON.
"""

EdgeKind = Literal["membership", "assuming"]

State = Literal["listed", "read", "unread", "gone"]
"""``read`` and ``unread``: a permission set whose description could be read, or could not; ``unread`` also a group of
which only the id is known, as it could not be looked up."""

_CHUNK = 500


MAX_CACHED = 20_000
"""Entries are looked up again and again; so many take a few megabytes."""


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """One id of a kind, with the name or value stored for it."""

    id: str
    value: str
    state: State


@dataclass(frozen=True)
class Edge:
    """One grant with one end known by name or ARN only, as the entry of that name may come on a later page."""

    kind: EdgeKind
    named: Kind
    name: str
    known_id: str
    attributes: Attributes


class Spool:
    """A temporary SQLite database of entries and edges. Safe across threads.

    Args:
        folder: Where its file goes; it is removed at the end. None: SQLite's own temporary file, which spills to disk
            when it grows and disappears with the process.
        max_cached: How many entries of each kind are also kept in memory.
    """

    def __init__(self, folder: Path | None = None, max_cached: int = MAX_CACHED) -> None:
        self._max_cached = max_cached
        self._lock = threading.Lock()
        self._complete: set[Kind] = set()
        self._cached: defaultdict[Kind, dict[str, SpoolEntry]] = defaultdict(dict)
        self._spilled: set[Kind] = set()
        """The kinds of which not all entries are in memory."""
        file, path = (None, "") if folder is None else tempfile.mkstemp(prefix="spool-", dir=folder)
        if file is not None:
            os.close(file)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # A reading that never ends, e.g. when the host asks for the accounts only, closes nothing.
        self._close = weakref.finalize(self, _discard, self._database, path)
        self._database.executescript(
            "PRAGMA journal_mode = OFF;"
            "PRAGMA synchronous = OFF;"
            "CREATE TABLE entry (n INTEGER PRIMARY KEY, kind TEXT, id TEXT, value TEXT, state TEXT, UNIQUE (kind, id));"
            "CREATE INDEX entry_kind ON entry (kind);"
            "CREATE TABLE edge (n INTEGER PRIMARY KEY, kind TEXT, named TEXT, name TEXT, known_id TEXT,"
            " attributes TEXT);"
        )

    def add(self, kind: Kind, values: Iterable[tuple[str, str]], state: State = "listed") -> None:
        """Add entries by id and value, or change the value and state of those that are there."""
        rows = []
        entries = [SpoolEntry(id_, value, state) for id_, value in values]
        if not entries:
            return
        with self._lock:
            cached = self._cached[kind]
            for entry in entries:
                if entry.id in cached or len(cached) < self._max_cached:
                    if cached.get(entry.id) == entry:
                        continue
                    cached[entry.id] = entry
                else:
                    self._spilled.add(kind)
                rows.append((kind, entry.id, entry.value, entry.state))
            if rows:
                self._database.executemany(
                    "INSERT INTO entry (kind, id, value, state) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value, state = excluded.state",
                    rows,
                )

    def find(self, kind: Kind, ids: Iterable[str]) -> dict[str, SpoolEntry]:
        """Look up ids; the result lacks those that were never added."""
        wanted = list(dict.fromkeys(ids))
        with self._lock:
            cached = self._cached[kind]
            found = {id_: cached[id_] for id_ in wanted if id_ in cached}
            if kind not in self._spilled:
                return found
        wanted = [id_ for id_ in wanted if id_ not in found]
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            rows = self._fetch(
                f"SELECT id, value, state FROM entry WHERE kind = ? AND id IN ({marks})",  # noqa: S608 - marks only
                (kind, *chunk),
            )
            found.update((row[0], SpoolEntry(*row)) for row in rows)
        return found

    def find_values(self, kind: Kind, ids: Iterable[str]) -> dict[str, str]:
        """Look up the values of ids; the result lacks those that were never added."""
        return {id_: entry.value for id_, entry in self.find(kind, ids).items()}

    def count(self, kind: Kind) -> int:
        """Count the entries of a kind."""
        count: int = self._fetch("SELECT count(*) FROM entry WHERE kind = ?", (kind,))[0][0]
        return count

    def each(self, kind: Kind) -> Cursor:
        """All entries of a kind in the order in which they were added, including those added meanwhile."""
        return Cursor(self, kind)

    def after(self, kind: Kind, position: int) -> list[tuple[int, SpoolEntry]]:
        """The next few entries of a kind after a position, each with its own position."""
        rows = self._fetch(
            "SELECT n, id, value, state FROM entry WHERE kind = ? AND n > ? ORDER BY n LIMIT ?",
            (kind, position, _CHUNK),
        )
        return [(n, SpoolEntry(*row)) for n, *row in rows]

    def set_complete(self, kind: Kind) -> None:
        """Note that the list of this kind was read to its end."""
        self._complete.add(kind)

    def is_complete(self, kind: Kind) -> bool:
        """Whether the list of this kind was read to its end."""
        return kind in self._complete

    def add_edges(self, edges: Iterable[Edge]) -> None:
        """Remember edges until both ends are known."""
        rows = [(each.kind, each.named, each.name, each.known_id, json.dumps(each.attributes)) for each in edges]
        with self._lock:
            self._database.executemany(
                "INSERT INTO edge (kind, named, name, known_id, attributes) VALUES (?, ?, ?, ?, ?)", rows
            )

    def remove_edge(self, kind: EdgeKind, named: Kind, name: str, known_id: str) -> None:
        """Remove an edge that a wider one replaces."""
        self._fetch(
            "DELETE FROM edge WHERE kind = ? AND named = ? AND name = ? AND known_id = ?", (kind, named, name, known_id)
        )

    def edges(self, kind: EdgeKind) -> Iterator[list[tuple[Edge, str | None]]]:
        """All edges of a kind in batches, each with the value of the entry it names, or None."""
        last = 0
        while rows := self._fetch(
            "SELECT g.n, g.kind, g.named, g.name, g.known_id, g.attributes, e.value FROM edge g"
            " LEFT JOIN entry e ON e.kind = g.named AND e.id = g.name"
            " WHERE g.kind = ? AND g.n > ? ORDER BY g.n LIMIT ?",
            (kind, last, _CHUNK),
        ):
            last = rows[-1][0]
            yield [
                (Edge(edge_kind, named, name, known_id, json.loads(attributes)), value)
                for _, edge_kind, named, name, known_id, attributes, value in rows
            ]

    def close(self) -> None:
        """Close the database and remove its file."""
        with self._lock:
            self._close()

    def _fetch(self, statement: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, parameters).fetchall()


class Cursor:
    """Yields each entry of a kind once. Iterated again after its end, it resumes with those added since."""

    def __init__(self, spool: Spool, kind: Kind) -> None:
        self._spool = spool
        self._kind = kind
        self._position = 0

    def __iter__(self) -> Iterator[SpoolEntry]:
        """Resume at the cursor's position."""
        while rows := self._spool.after(self._kind, self._position):
            for self._position, entry in rows:
                yield entry


def _discard(database: sqlite3.Connection, path: str) -> None:
    database.close()
    if path:
        Path(path).unlink(missing_ok=True)
