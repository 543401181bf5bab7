"""The snapshot file of one integration: its runs, one of which is the last committed one.

One SQLite file. Each run appends to tables of its own, which are indexed once, when reading ends. Rows are never
held in memory: pages are written as they arrive, and compared by SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from . import schema
from .run import Run, to_text
from .state_file import REBUILD, SNAPSHOT_FILE, StateError, bind, is_bound, open_database, translate_errors, use_log

RunState: TypeAlias = Literal["reading", "compared", "pushing", "held", "committed"]
"""'committed' is the baseline: at most one run. A dropped run leaves only its entry in the history."""

_WAL_BYTES = 16 * 1024 * 1024


class Store(AbstractContextManager["Store"]):
    """One integration's snapshot file. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file; create it (readable by its owner only) where it is missing.

        Raises:
            StateError: It cannot be opened, is damaged, was written by a newer version, or belongs to another
                integration than the one in its name.
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
        """Create the tables, or migrate those of an older version; return the version of the file."""
        self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # takes effect in a file that is new, or is vacuumed
        use_log(self._db)
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA temp_store=FILE")
        self._db.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > schema.VERSION:
            return version
        if version == schema.VERSION and is_bound(self._db, self.path, SNAPSHOT_FILE):
            return version  # without a write, which would have to wait for a running sync
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

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The database."""
        return self._db

    def transaction(self) -> Transaction:
        """Return a transaction that rolls back when the block raises."""
        return Transaction(self._db)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read one state of the file in the whole block, whatever another process commits meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def get_or_set(self, name: str, default: str) -> str:
        """Return a small fact about this file; the default becomes its value where there is none yet."""
        self._db.execute("INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING", (name, default))
        value: str = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0]
        return value

    def is_outdated(self, run: Run) -> bool:
        """Whether an earlier version began a run, so that what its records do not state may only be unknown."""
        sql = "SELECT 1 FROM facts WHERE name = ? AND CAST(value AS INTEGER) >= ?"
        return self._db.execute(sql, (schema.OUTDATED, run.number)).fetchone() is not None

    @property
    def baseline(self) -> Run | None:
        """The last committed run; None before the first."""
        return next(iter(self._runs("state = 'committed'")), None)

    def pending_runs(self) -> list[Run]:
        """Return the uploaded runs whose result is not known yet (pushing or held), oldest first."""
        return self._runs("state IN ('pushing', 'held')")

    def unfinished_runs(self) -> list[Run]:
        """Return every run that is not committed, oldest first."""
        return self._runs("state != 'committed'")

    def unsent_runs(self) -> list[Run]:
        """Return the compared runs that are neither committed nor held."""
        return self._runs("state IN ('compared', 'pushing')")

    def recent(self, fingerprint: str, *states: RunState, since: datetime, now: datetime) -> Run | None:
        """Return the newest run in one of these states that was read under these settings and last grew since then.

        Args:
            fingerprint: The fingerprint of the settings and the connector.
            states: The states.
            since: The earliest moment.
            now: The latest moment: a run from the future was made by a wrong clock, and is not recent.
        """
        marks = ", ".join("?" * len(states))
        condition = f"state IN ({marks}) AND fingerprint = ? AND touched_at BETWEEN ? AND ?"
        runs = self._runs(condition, *states, fingerprint, to_text(since), to_text(now))
        return runs[-1] if runs else None

    def begin(self, run_id: str, reading_started_at: datetime, *, fingerprint: str = "") -> Run:
        """Start a run. Runs that were neither committed nor uploaded are dropped first.

        Args:
            run_id: A new id.
            reading_started_at: Now.
            fingerprint: The fingerprint of the settings and the connector that read it.
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
        """Record when a run last grew."""
        self._db.execute("UPDATE runs SET touched_at = ? WHERE number = ?", (to_text(now), run.number))

    def update(self, run: Run, **columns: str | int | None) -> None:
        """Set columns of a run's row."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE runs SET {assignments} WHERE number = ?", (*columns.values(), run.number))

    def set_state(
        self, run: Run, state: RunState, *, sync_id: str | None = None, generation: int | None = None
    ) -> None:
        """Set the state of a run.

        'committed' makes it the baseline and drops every older run; 'held' drops older held ones, since the platform
        holds one at a time.
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
        """Return space to the disk: the file keeps at most as many free pages as full ones, for the next run.

        After a run that shares the tables of an earlier one it keeps an eighth: the tables of the run itself were at
        the end of the file, so that nothing is moved.
        """
        free, pages = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
        base = self.baseline
        most = pages - free if base is None or base.contents == base.number else (pages - free) // 8
        if (spare := free - most) > 0:
            # Each step of this statement frees one page, and only executescript() makes all the steps.
            self._db.executescript(f"PRAGMA incremental_vacuum({spare})")

    def drop(self, run: Run) -> None:
        """Drop a run."""
        with self.transaction():
            self._drop(f"number = {run.number}")

    def _runs(self, condition: str, *values: str) -> list[Run]:
        numbers = self._db.execute(f"SELECT number FROM runs WHERE {condition} ORDER BY number", values).fetchall()
        return [Run(self._db, number) for (number,) in numbers]

    def _drop(self, condition: str) -> None:
        dropped = self._runs(condition)
        for run in dropped:
            for table in ("scopes", "retracted"):
                self._db.execute(f"DELETE FROM {table} WHERE run = ?", (run.number,))
            self._db.execute("DELETE FROM runs WHERE number = ?", (run.number,))
        shared = {run.contents for run in self._runs("1")}
        for contents in {run.contents for run in dropped} - shared:
            for table in ("observations", "records", "names", "edges"):
                self._db.execute(f"DROP TABLE IF EXISTS {table}_{contents}")


class Transaction:
    """A transaction: commits at the end of the block, rolls back when it raises. May be nested."""

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
