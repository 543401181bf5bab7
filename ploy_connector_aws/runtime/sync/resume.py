"""The scopes that a resumed run need not read again.

A run is worth resuming: a throttled organisation of 10,000 people is read for ten minutes and more."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Set

from ploy_connector_aws.runtime.snapshot.run import Run


class CompletedScopes(Set[str]):
    """The names of the scopes that a run read completely before it was interrupted.

    On disk, as they can be many, and in a file of their own, since a connector's threads may read them while the run
    is being written.
    """

    def __init__(self, run: Run) -> None:
        self._lock = threading.Lock()
        # The empty name is a private temporary file of SQLite, which ends with the process.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._db.close)
        self._db.execute("CREATE TABLE scopes (name TEXT PRIMARY KEY) WITHOUT ROWID")
        complete = run.scopes_where("s.is_announced AND s.ending = 'complete'", {})
        self._db.executemany("INSERT INTO scopes VALUES (?)", ((scope.name,) for scope in complete))

    def __contains__(self, name: object) -> bool:
        """Return whether this scope was read completely."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM scopes WHERE name = ?", (name,)).fetchone() is not None

    def __iter__(self) -> Iterator[str]:
        """Yield the names, in order."""
        name = ""
        while True:
            with self._lock:
                row = self._db.execute("SELECT min(name) FROM scopes WHERE name > ?", (name,)).fetchone()
            if row[0] is None:
                return
            yield (name := row[0])

    def __len__(self) -> int:
        """Return how many there are."""
        with self._lock:
            count: int = self._db.execute("SELECT count(*) FROM scopes").fetchone()[0]
        return count
