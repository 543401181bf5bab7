"""What one reading of IAM must remember until its end, on disk: ids, what other lists add, and edges that wait."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ploy_connector_aws.spec.records import Attributes

Kind = Literal[
    "user",
    "role",
    "role_name",
    "instance_profile",
    "group",
    "policy",
    "unattached",
    "listed_user",
    "listed_role",
    "provisioned",
]
"""What is remembered, and by what: ``user``, ``role`` and ``policy`` are ids by ARN, ``role_name`` and ``group`` ids by
name, ``instance_profile`` ids of roles by the profile's ARN; ``unattached`` are records of policies by ARN;
``listed_user`` and ``listed_role`` what only ListUsers and ListRoles say, by unique id; ``provisioned`` are ids of
Identity Center's roles, with the permission set of each and the evidence of its instance as JSON.
"""

EdgeKind = Literal["membership", "assuming"]

_CHUNK = 500


@dataclass(frozen=True)
class Edge:
    """One grant of which one end is known by a name or ARN only, as what it names may come on a later page."""

    kind: EdgeKind
    named: Kind
    name: str
    known_id: str
    attributes: Attributes


class Spool:
    """In SQLite's temporary file. Used by one thread after the other."""

    def __init__(self) -> None:
        # The empty name is SQLite's private temporary file: it spills to disk when it grows, and goes with the process.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        # Where nobody closes it, e.g. when only the accounts were asked for.
        weakref.finalize(self, self._database.close)
        self._database.executescript(
            "PRAGMA journal_mode = OFF;"
            "CREATE TABLE found (kind TEXT, name TEXT, value TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID;"
            "CREATE TABLE edge (n INTEGER PRIMARY KEY, kind TEXT, named TEXT, name TEXT, known_id TEXT,"
            " attributes TEXT);"
        )

    def add(self, kind: Kind, values: Iterable[tuple[str, str]]) -> None:
        """Remember values by name."""
        self._database.executemany(
            "INSERT OR REPLACE INTO found VALUES (?, ?, ?)", ((kind, name, value) for name, value in values)
        )

    def find(self, kind: Kind, names: Iterable[str]) -> dict[str, str]:
        """Look up some names; those that were never added are not in the answer."""
        wanted = list(dict.fromkeys(names))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            found.update(
                self._database.execute(
                    f"SELECT name, value FROM found WHERE kind = ? AND name IN ({marks})",  # noqa: S608 - marks only
                    (kind, *chunk),
                )
            )
        return found

    def each(self, kind: Kind) -> Iterator[tuple[str, str]]:
        """All names and values of a kind, by name."""
        yield from self._database.execute("SELECT name, value FROM found WHERE kind = ? ORDER BY name", (kind,))

    def add_edges(self, edges: Iterable[Edge]) -> None:
        """Remember edges until both ends are known."""
        self._database.executemany(
            "INSERT INTO edge (kind, named, name, known_id, attributes) VALUES (?, ?, ?, ?, ?)",
            ((each.kind, each.named, each.name, each.known_id, json.dumps(each.attributes)) for each in edges),
        )

    def remove_edge(self, kind: EdgeKind, named: Kind, name: str, known_id: str) -> None:
        """Forget an edge in place of which a wider one is added."""
        self._database.execute(
            "DELETE FROM edge WHERE kind = ? AND named = ? AND name = ? AND known_id = ?", (kind, named, name, known_id)
        )

    def edges(self, kind: EdgeKind) -> Iterator[list[tuple[Edge, str | None]]]:
        """All edges of a kind, some at a time, each with the id of what it names; None where that was never found."""
        rows = self._database.execute(
            "SELECT e.kind, e.named, e.name, e.known_id, e.attributes, f.value FROM edge e"
            " LEFT JOIN found f ON f.kind = e.named AND f.name = e.name WHERE e.kind = ? ORDER BY e.n",
            (kind,),
        )
        while some := rows.fetchmany(_CHUNK):
            yield [
                (Edge(edge_kind, named, name, known_id, json.loads(attributes)), found)
                for edge_kind, named, name, known_id, attributes, found in some
            ]

    def close(self) -> None:
        """Give the file back."""
        self._database.close()
