"""The tables of a snapshot file, and how a file of an older version becomes one of this version."""

from __future__ import annotations

import sqlite3

from ploy_connector_aws.graph.tables import Tables

VERSION = 4

_RETRACTED = """
  run INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
  scope INTEGER NOT NULL,                   -- on whose page; 0 where that is not known
  attempt INTEGER NOT NULL,                 -- in which attempt of the run it was retracted
  last_row INTEGER NOT NULL,                -- the last row of what the run had listed until then
  PRIMARY KEY (run, type, id, scope)
"""

_TABLES = f"""
CREATE TABLE runs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  reading_started_at TEXT NOT NULL,
  sync_id TEXT,
  generation INTEGER,
  fingerprint TEXT NOT NULL DEFAULT '',     -- of the settings and the connector that read it
  attempt INTEGER NOT NULL DEFAULT 1,       -- how often its reading was begun or gone on with
  touched_at TEXT,                          -- when something was last added to it
  mode TEXT NOT NULL DEFAULT 'full',        -- how it was, or is to be, handed over
  base INTEGER,                             -- the number of the run that it was compared with
  changes TEXT,                             -- what its comparison found
  is_whole INTEGER NOT NULL DEFAULT 0,      -- 1: once committed, the platform holds what is held here, and no more
  deltas INTEGER NOT NULL DEFAULT 0,        -- how many deltas there were since the last full one
  full_at TEXT                              -- when the last full one was read
);
CREATE TABLE scope_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE scopes (
  run INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  parent INTEGER,
  is_announced INTEGER NOT NULL,            -- 0: known from an earlier run, and not announced in this one
  ending TEXT,
  failure TEXT,
  origin TEXT,
  unproven_since TEXT,
  attempt INTEGER NOT NULL DEFAULT 1,       -- in which attempt of the run it was read
  announced_in INTEGER NOT NULL DEFAULT 1,  -- in which one it was last announced
  began_at TEXT,                            -- when its reading began, where that is known to be later than the run's
  PRIMARY KEY (run, scope)
) WITHOUT ROWID;
CREATE INDEX scopes_parent ON scopes (run, parent);
CREATE TABLE retracted ({_RETRACTED}) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
  number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, ended_at TEXT NOT NULL, entry TEXT NOT NULL
)
"""

_FROM_1 = """
ALTER TABLE runs ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN touched_at TEXT;
ALTER TABLE runs ADD COLUMN mode TEXT NOT NULL DEFAULT 'full';
ALTER TABLE runs ADD COLUMN base INTEGER;
ALTER TABLE runs ADD COLUMN changes TEXT;
ALTER TABLE runs ADD COLUMN is_whole INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN deltas INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN full_at TEXT;
ALTER TABLE scopes ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE scopes ADD COLUMN announced_in INTEGER NOT NULL DEFAULT 1;
CREATE INDEX scopes_parent ON scopes (run, parent);
ALTER TABLE retracted ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
CREATE TABLE forgotten (
  run INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (run, type, id)
) WITHOUT ROWID;
CREATE TABLE history (
  number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, ended_at TEXT NOT NULL, entry TEXT NOT NULL
)
"""


def create(db: sqlite3.Connection) -> None:
    """Make all tables in an empty file."""
    _run(db, _TABLES)
    db.execute(f"PRAGMA user_version={VERSION}")


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring a file of an older version to this one, inside the caller's transaction.

    Args:
        db: The file.
        version: Its version; older than ``VERSION``, and not 0.
    """
    for older in range(version, VERSION):
        _MIGRATIONS[older](db)
    db.execute(f"PRAGMA user_version={VERSION}")


def _from_1(db: sqlite3.Connection) -> None:
    _run(db, _FROM_1)
    # Where a run stood between reading and its commit, version 1 kept less than is needed to go on with it.
    pending = "SELECT number FROM runs WHERE state != 'committed' AND NOT (state = 'held')"
    for (number,) in db.execute(pending).fetchall():
        for table in ("emissions", "records"):
            db.execute(f"DROP TABLE IF EXISTS {table}_{number}")
        for table in ("scopes", "retracted"):
            db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
        db.execute("DELETE FROM runs WHERE number = ?", (number,))
    for (number,) in db.execute("SELECT number FROM runs").fetchall():
        db.execute(f"ALTER TABLE emissions_{number} ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1")


def _from_2(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE scopes ADD COLUMN began_at TEXT")


_FROM_3 = f"""
ALTER TABLE retracted RENAME TO retracted_3;
CREATE TABLE retracted ({_RETRACTED}) WITHOUT ROWID;
INSERT INTO retracted SELECT run, type, id, 0, attempt, {2**62} FROM retracted_3;
DROP TABLE retracted_3;
DROP TABLE forgotten
"""


def _from_3(db: sqlite3.Connection) -> None:
    _run(db, _FROM_3)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name GLOB 'records_[0-9]*'").fetchall():
        db.execute(f"ALTER TABLE {name} RENAME COLUMN emission TO body")
        db.execute(f"ALTER TABLE {name} RENAME COLUMN is_retained TO is_unproven")
        db.execute(f"ALTER TABLE {name} ADD COLUMN kept_by TEXT")
        number = name.removeprefix("records_")
        Tables(name, f"edges_{number}", f"emissions_{number}").create_edges(db)


_MIGRATIONS = {1: _from_1, 2: _from_2, 3: _from_3}
"""By the version that a file has: what makes it one version newer."""


def _run(db: sqlite3.Connection, statements: str) -> None:
    # Not executescript: it would commit the transaction that this is part of.
    for statement in statements.split(";\n"):
        db.execute(statement)
