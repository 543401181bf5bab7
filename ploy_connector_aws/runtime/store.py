"""The snapshot file of one integration: its runs, and which of them is the last committed one.

One SQLite file. Each run appends to tables of its own, which are indexed once, when reading ends. Rows are never
held in memory: pages go in as they come, and are compared by SQL.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from .snapshot import Run

SCHEMA_VERSION = 1

RunState: TypeAlias = Literal["reading", "pushing", "held", "committed"]
"""'committed' is the baseline: at most one run is. A run that is dropped leaves no row."""

_SCHEMA = """
CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  reading_started_at TEXT NOT NULL,
  sync_id TEXT,
  generation INTEGER
);
CREATE TABLE scope_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE scopes (
  run INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  parent INTEGER,
  is_announced INTEGER NOT NULL,  -- 0: known from an earlier run, and not announced in this one
  ending TEXT,
  failure TEXT,
  origin TEXT,
  unproven_since TEXT,
  PRIMARY KEY (run, scope)
) WITHOUT ROWID;
CREATE TABLE retracted (
  run INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (run, type, id)
) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class UnusableStore(Exception):
    """The snapshot file cannot be used; the message says why and what to do."""


class Store:
    """One integration's snapshot file. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it (readable by its owner only) when it is not there.

        Raises:
            UnusableStore: It cannot be opened, is damaged, or was written by a newer version.
        """
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA temp_store=FILE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                with self.transaction():
                    for statement in _SCHEMA.split(";\n"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        except (OSError, sqlite3.Error) as error:
            if hasattr(self, "_db"):
                self._db.close()
            raise UnusableStore(f"The snapshot file {path.name} cannot be used: {error}.") from error
        if version > SCHEMA_VERSION:
            self._db.close()
            raise UnusableStore(f"The snapshot file {path.name} was written by a newer version; update this one.")

    def __enter__(self) -> Store:
        """Use as a context manager: closes the file at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The database, for the comparison."""
        return self._db

    def transaction(self) -> Transaction:
        """All or nothing: roll back when the block raises."""
        return Transaction(self._db)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See the file as it is now for the whole block, whatever another process commits meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def fact(self, name: str, default: str) -> str:
        """Read a small fact about this file, and keep the default as its value when there is none yet."""
        self._db.execute("INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING", (name, default))
        value: str = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0]
        return value

    @property
    def baseline(self) -> Run | None:
        """The last committed run; None before the first."""
        return self._run("state = 'committed'")

    def pending_runs(self) -> list[Run]:
        """The runs that were handed over and whose fate was not known yet (pushing or held), oldest first."""
        numbers = self._db.execute("SELECT number FROM runs WHERE state IN ('pushing', 'held') ORDER BY number")
        return [Run(self._db, row[0]) for row in numbers]

    @property
    def pending(self) -> Run | None:
        """The newest of the pending runs."""
        return next(reversed(self.pending_runs()), None)

    def begin(self, run_id: str, reading_started_at: datetime) -> Run:
        """Start a run. Runs that were neither committed nor handed over are dropped first."""
        with self.transaction():
            self._drop("state = 'reading'")
            cursor = self._db.execute(
                "INSERT INTO runs (run_id, state, reading_started_at) VALUES (?, 'reading', ?)",
                (run_id, reading_started_at.isoformat()),
            )
            run = Run(self._db, int(cursor.lastrowid or 0))
            run.create_tables()
        return run

    def mark(self, run: Run, state: RunState, *, sync_id: str | None = None, generation: int | None = None) -> None:
        """Note where a run stands.

        'committed' makes it the baseline, and drops every older run; 'held' drops older ones that were held, since
        the platform holds one at a time.
        """
        with self.transaction():
            self._db.execute(
                "UPDATE runs SET state = ?, sync_id = coalesce(?, sync_id), generation = coalesce(?, generation)"
                " WHERE number = ?",
                (state, sync_id, generation, run.number),
            )
            if state == "held":
                self._drop(f"number < {run.number} AND state IN ('pushing', 'held')")
            if state == "committed":
                self._drop(f"number < {run.number}")
                self._db.execute(
                    "DELETE FROM scope_names WHERE id NOT IN (SELECT scope FROM scopes)"
                    " AND id NOT IN (SELECT parent FROM scopes WHERE parent IS NOT NULL)"
                )

    def drop(self, run: Run) -> None:
        """Forget a run."""
        with self.transaction():
            self._drop(f"number = {run.number}")

    def _run(self, condition: str) -> Run | None:
        row = self._db.execute(f"SELECT number FROM runs WHERE {condition}").fetchone()
        return Run(self._db, row[0]) if row else None

    def _drop(self, condition: str) -> None:
        numbers = [row[0] for row in self._db.execute(f"SELECT number FROM runs WHERE {condition}")]
        for number in numbers:
            for table in ("emissions", "records"):
                self._db.execute(f"DROP TABLE IF EXISTS {table}_{number}")
            for table in ("scopes", "retracted"):
                self._db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
            self._db.execute("DELETE FROM runs WHERE number = ?", (number,))


class Transaction:
    """All or nothing: commits at the end of the block, rolls back when it raises. May be nested."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._is_outer = not db.in_transaction

    def __enter__(self) -> None:
        """Begin."""
        if self._is_outer:
            self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Commit, or roll back."""
        if self._is_outer:
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
