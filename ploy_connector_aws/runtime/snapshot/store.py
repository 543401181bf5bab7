"""The snapshot file of one integration: its runs, and which of them is the last committed one.

One SQLite file. Each run appends to tables of its own, which are indexed once, when reading ends. Rows are never
held in memory: pages go in as they come, and are compared by SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from . import schema
from .run import Run, to_text
from .state_file import REBUILD, SNAPSHOT_FILE, StateError, bind, is_bound, open_database, translate_errors, use_log

RunState: TypeAlias = Literal["reading", "compared", "pushing", "held", "committed"]
"""'committed' is the baseline: at most one run is. A run that is dropped leaves no row but one in the history."""

_WAL_BYTES = 16 * 1024 * 1024


class Store:
    """One integration's snapshot file. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, and make it (readable by its owner only) when it is not there.

        Raises:
            StateError: It cannot be opened, is damaged, was written by a newer version, or belongs to another
                integration than the one that it is named after.
        """
        self.path = path
        self._db = open_database(path)
        try:
            with translate_errors(path):
                version = self._prepare()
            if version > schema.VERSION:
                raise StateError(
                    f"The snapshot file {path.name} was written by a newer version.",
                    fix=f"update this program, or: {REBUILD}",
                )
        except StateError:
            self._db.close()
            raise

    def _prepare(self) -> int:
        """Make the tables, or bring those of an older version up to date; say which version the file has now."""
        self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # takes effect in a file that is new, or is vacuumed
        use_log(self._db)
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA temp_store=FILE")
        self._db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > schema.VERSION:
            return version
        if version == schema.VERSION and is_bound(self._db, self.path, SNAPSHOT_FILE):
            return version  # without a write, which would have to wait for a sync that is under way
        with self.transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]  # another process may have been first
            if version == 0:
                schema.create(self._db)
            elif version < schema.VERSION:
                schema.migrate(self._db, version)
            bind(self._db, self.path, SNAPSHOT_FILE)
        if self._db.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            self._db.execute("VACUUM")
        return schema.VERSION

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

    def get_or_set(self, name: str, default: str) -> str:
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

    def unfinished_runs(self) -> list[Run]:
        """Every run that is not committed, oldest first."""
        numbers = self._db.execute("SELECT number FROM runs WHERE state != 'committed' ORDER BY number")
        return [Run(self._db, row[0]) for row in numbers]

    def unsent_runs(self) -> list[Run]:
        """The runs that were compared and are neither committed nor held."""
        numbers = self._db.execute("SELECT number FROM runs WHERE state IN ('compared', 'pushing') ORDER BY number")
        return [Run(self._db, row[0]) for row in numbers]

    def recent(self, fingerprint: str, *states: RunState, since: datetime, now: datetime) -> Run | None:
        """The newest run in one of these states, if it was read under these settings and last added to since then.

        Args:
            fingerprint: Of the settings and the connector.
            states: The states.
            since: The earliest moment.
            now: The latest one: what comes from the future was made by a wrong clock, and is not recent.
        """
        marks = ", ".join("?" * len(states))
        row = self._db.execute(
            f"SELECT number FROM runs WHERE state IN ({marks}) AND fingerprint = ? AND touched_at BETWEEN ? AND ?"
            " ORDER BY number DESC",
            (*states, fingerprint, to_text(since), to_text(now)),
        ).fetchone()
        return Run(self._db, row[0]) if row else None

    def begin(self, run_id: str, reading_started_at: datetime, *, fingerprint: str = "") -> Run:
        """Start a run. Runs that were neither committed nor handed over are dropped first.

        Args:
            run_id: A new id.
            reading_started_at: Now.
            fingerprint: Of the settings and the connector that read it.
        """
        with self.transaction():
            self._drop("state IN ('reading', 'compared')")
            cursor = self._db.execute(
                "INSERT INTO runs (run_id, state, reading_started_at, touched_at, fingerprint)"
                " VALUES (?, 'reading', ?, ?, ?)",
                (run_id, reading_started_at.isoformat(), to_text(reading_started_at), fingerprint),
            )
            run = Run(self._db, int(cursor.lastrowid or 0))
            run.create_tables()
        return run

    def set_touched(self, run: Run, now: datetime) -> None:
        """Note when a run was last added to."""
        self._db.execute("UPDATE runs SET touched_at = ? WHERE number = ?", (to_text(now), run.number))

    def update(self, run: Run, **facts: str | int | None) -> None:
        """Note facts about a run, by the names of the columns of its table."""
        columns = ", ".join(f"{name} = ?" for name in facts)
        self._db.execute(f"UPDATE runs SET {columns} WHERE number = ?", (*facts.values(), run.number))

    def set_state(
        self, run: Run, state: RunState, *, sync_id: str | None = None, generation: int | None = None
    ) -> None:
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

    def vacuum(self) -> None:
        """Give room back to the disk: the file keeps no more free pages than it has full ones, for the next run."""
        free, pages = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
        if (spare := free - (pages - free)) > 0:
            # Each step of this statement frees one page, and only executescript() makes all the steps.
            self._db.executescript(f"PRAGMA incremental_vacuum({spare})")

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
            for table in ("observations", "records", "edges"):
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
