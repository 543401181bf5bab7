"""The tables of a snapshot file, and the migrations of files that earlier versions wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ploy_connector_aws.graph.tables import Tables

T = TypeVar("T")

_TABLES = """
CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  reading_started_at TEXT NOT NULL,
  sync_id TEXT,
  generation INTEGER,
  fingerprint TEXT NOT NULL DEFAULT '',     -- of the connector and its settings
  attempt INTEGER NOT NULL DEFAULT 1,       -- 1, and one more each time its reading is resumed
  touched_at TEXT,                          -- when it last grew
  mode TEXT NOT NULL DEFAULT 'full',        -- how it is uploaded: full or delta
  base INTEGER,                             -- the number of the run it was compared with
  changes TEXT,                             -- the result of the comparison, as JSON
  matches_platform INTEGER NOT NULL DEFAULT 0, -- 1: once committed, the platform holds the same as this file
  deltas INTEGER NOT NULL DEFAULT 0,        -- how many deltas followed the last full upload
  full_at TEXT,                             -- when reading for the last full upload began
  contents INTEGER                          -- the run whose tables it shares, as it read the same; NULL: its own
);
CREATE TABLE scope_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE scopes (
  run INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  parent INTEGER,
  is_announced INTEGER NOT NULL,            -- 0: carried over from an earlier run
  ending TEXT,
  failure TEXT,
  origin TEXT,
  unproven_since TEXT,
  attempt INTEGER NOT NULL DEFAULT 1,       -- the attempt of the run that read it
  announced_in INTEGER NOT NULL DEFAULT 1,  -- the attempt that last announced it
  began_at TEXT,                            -- when its reading began, if later than the run's
  lists_access INTEGER NOT NULL DEFAULT 1,  -- 0: a list of resources alone has announced it
  PRIMARY KEY (run, scope)
) WITHOUT ROWID;
CREATE INDEX scopes_parent ON scopes (run, parent);
CREATE TABLE retracted (
  run INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
  scope INTEGER NOT NULL,                   -- the scope of the page; 0 where it is unknown
  attempt INTEGER NOT NULL,                 -- the attempt of the run that retracted it
  last_row INTEGER NOT NULL,                -- the last row of observations at that moment
  PRIMARY KEY (run, type, id, scope)
) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
  number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, ended_at TEXT NOT NULL, entry TEXT NOT NULL
)
"""


class _Row(Protocol):
    connection: sqlite3.Connection
    number: int


class RunColumn(Generic[T]):
    """A column of a run's row in ``runs``, read from the file at each access; ``convert`` makes its value."""

    def __init__(self, convert: Callable[[Any], T]) -> None:
        self._convert = convert

    def __set_name__(self, _: type, name: str) -> None:
        """Take the name of the attribute as that of the column."""
        self._sql = f"SELECT {name} FROM runs WHERE number = ?"

    def __get__(self, run: _Row, _: type | None = None) -> T:
        """Read the value."""
        return self._convert(run.connection.execute(self._sql, (run.number,)).fetchone()[0])


Migration = Callable[[sqlite3.Connection], None]


def _add_contents(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE runs ADD COLUMN contents INTEGER")


def _add_names(db: sqlite3.Connection) -> None:
    for (records,) in db.execute("SELECT name FROM sqlite_master WHERE name GLOB 'records_[0-9]*'").fetchall():
        contents = records.removeprefix("records_")
        db.execute(f"DROP TABLE edges_{contents}")
        Tables(records, f"names_{contents}", f"edges_{contents}", f"observations_{contents}").create_graph(db)


def _add_lists_access(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE scopes ADD COLUMN lists_access INTEGER NOT NULL DEFAULT 1")


def _mark_runs_without_administrators(db: sqlite3.Connection) -> None:
    db.execute("INSERT OR REPLACE INTO facts SELECT ?, coalesce(max(number), 0) FROM runs", (OUTDATED,))


OUTDATED = "last_outdated_run"
"""The fact that has the number of the last run whose records lack fields of this version: who is an administrator."""

MIGRATIONS: tuple[Migration, ...] = (_add_contents, _add_names, _add_lists_access, _mark_runs_without_administrators)
"""The first one turns a file of version 1 into one of version 2, and so on."""

VERSION = 1 + len(MIGRATIONS)


def create(db: sqlite3.Connection) -> None:
    """Create all tables in an empty file."""
    # Not executescript: it would commit the caller's transaction.
    for statement in _TABLES.split(";\n"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")


def migrate(db: sqlite3.Connection, version: int, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a file of an older version up to date, inside the caller's transaction.

    Args:
        db: The file.
        version: Its version, from 1.
        migrations: All of them, oldest first.
    """
    for migration in migrations[version - 1 :]:
        migration(db)
    db.execute(f"PRAGMA user_version={1 + len(migrations)}")
