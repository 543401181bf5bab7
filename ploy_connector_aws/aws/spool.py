"""What was seen in this reading, on disk: ids can be many, and memory must stay flat."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["user", "group", "permission_set", "stranger", "named_group"]
"""A stranger is a member who was not in the list of users; a user too once described, or found to be gone. A named
group is one that the assignments of a user name; a group too once it was listed or looked up."""

State = Literal["listed", "read", "unread", "gone"]
"""``read`` and ``unread``: a permission set whose description could be read, or could not."""

_CHUNK = 200


@dataclass(frozen=True)
class Seen:
    """One thing that was seen."""

    id: str
    name: str
    state: State


class IdSpool:
    """Ids, names and states of users, groups and permission sets, in SQLite's temporary file. Safe across threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._complete: set[Kind] = set()
        # The empty name is SQLite's private temporary file: it spills to disk when it grows, and goes with the process.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        # Where nobody closes it, e.g. when only the accounts were asked for.
        weakref.finalize(self, self._database.close)
        self._database.executescript(
            "PRAGMA journal_mode = OFF;"
            "CREATE TABLE thing (n INTEGER PRIMARY KEY, kind TEXT, id TEXT, name TEXT, state TEXT, UNIQUE (kind, id));"
            "CREATE INDEX thing_kind ON thing (kind);"
        )

    def add(self, kind: Kind, things: Iterable[tuple[str, str]], state: State = "listed") -> None:
        """Add things by id and name, or change the name and state of those that are there."""
        with self._lock:
            self._database.executemany(
                "INSERT INTO thing (kind, id, name, state) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (kind, id) DO UPDATE SET name = excluded.name, state = excluded.state",
                [(kind, id_, name, state) for id_, name in things],
            )

    def find(self, kind: Kind, ids: Iterable[str]) -> dict[str, Seen]:
        """Look up some ids; those that were never seen are not in the answer."""
        wanted = tuple(dict.fromkeys(ids))
        marks = ",".join("?" * len(wanted))
        with self._lock:
            rows = self._database.execute(
                f"SELECT id, name, state FROM thing WHERE kind = ? AND id IN ({marks})",  # noqa: S608 - marks only
                (kind, *wanted),
            ).fetchall()
        return {row[0]: Seen(*row) for row in rows}

    def each(self, kind: Kind) -> Cursor:
        """All things of a kind in the order in which they were seen, also those added meanwhile."""
        return Cursor(self, kind)

    def after(self, kind: Kind, place: int) -> list[tuple[int, Seen]]:
        """The next few things of a kind after a place, each with its own place."""
        with self._lock:
            rows = self._database.execute(
                "SELECT n, id, name, state FROM thing WHERE kind = ? AND n > ? ORDER BY n LIMIT ?",
                (kind, place, _CHUNK),
            ).fetchall()
        return [(place, Seen(*row)) for place, *row in rows]

    def set_complete(self, kind: Kind) -> None:
        """Note that the list of this kind was read to its end."""
        self._complete.add(kind)

    def is_complete(self, kind: Kind) -> bool:
        """Whether the list of this kind was read to its end."""
        return kind in self._complete

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._database.close()


class Cursor:
    """Gives each thing of a kind once. Begun again after its end, it goes on with those that were added since."""

    def __init__(self, things: IdSpool, kind: Kind) -> None:
        self._things = things
        self._kind = kind
        self._place = 0

    def __iter__(self) -> Iterator[Seen]:
        """Go on where the walk is."""
        while rows := self._things.after(self._kind, self._place):
            for self._place, thing in rows:
                yield thing
