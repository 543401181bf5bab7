"""Tables of one integration's syncs, staged batches, generations and changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.records import RecordKey, RecordType

from .batch_lines import Amount
from .scope_report import ScopeReport
from .snapshots import ChangeKind

SyncState: TypeAlias = Literal["open", "held", "committed", "rejected", "replaced", "aborted"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS ploy_syncs (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  opener TEXT NOT NULL,
  state TEXT NOT NULL,
  reading_started_at TEXT NOT NULL,
  lease_ends_at TEXT NOT NULL,
  request TEXT,
  answer TEXT,
  mode TEXT NOT NULL,
  base_generation INTEGER
);
CREATE UNIQUE INDEX IF NOT EXISTS ploy_one_open ON ploy_syncs (state) WHERE state = 'open';
CREATE UNIQUE INDEX IF NOT EXISTS ploy_one_held ON ploy_syncs (state) WHERE state = 'held';
CREATE TABLE IF NOT EXISTS ploy_decisions (
  sync TEXT PRIMARY KEY, name TEXT NOT NULL, reason TEXT NOT NULL, decided_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ploy_batches (
  sync TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL,
  lines INTEGER NOT NULL, others INTEGER NOT NULL,  -- the number of lines, and of those that are no records
  body BLOB,
  PRIMARY KEY (sync, number)
);
CREATE TABLE IF NOT EXISTS ploy_generations (
  number INTEGER PRIMARY KEY, sync TEXT NOT NULL, committed_at TEXT NOT NULL, is_approved INTEGER NOT NULL,
  report TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ploy_changes (
  generation INTEGER NOT NULL, kind TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, before BLOB,
  PRIMARY KEY (generation, kind, type, id)
) WITHOUT ROWID;
"""


GENERATIONS_KEPT = 1000
"""How many of the newest generations keep their changes; the syncs of older ones are deleted."""


class Decision(NamedTuple):
    """Who approved or rejected a held sync, and why."""

    name: str
    """As it was typed: the local Ploy has no users, so it is not authenticated."""
    reason: str
    decided_at: datetime


class Sync(NamedTuple):
    """One upload of one run."""

    id: str
    run_id: str
    opener: str
    state: SyncState
    reading_started_at: datetime
    lease_ends_at: datetime
    request: str | None
    answer: wire.CommitAnswer | None
    mode: wire.Mode
    base_generation: int | None
    decision: Decision | None
    """None where no person has decided about it."""


class Generation(NamedTuple):
    """One commit that became visible."""

    number: int
    sync_id: str
    run_id: str
    reading_started_at: datetime
    committed_at: datetime
    is_approved: bool
    """Whether a person approved it after it was held."""
    mode: wire.Mode
    report: ScopeReport
    answer: wire.CommitAnswer


class RecordChange(NamedTuple):
    """What a generation changed in one record; ``before`` is the replaced or removed content."""

    kind: ChangeKind
    key: RecordKey
    before: dict[str, Any] | None


class SyncStore:
    """Tables in an integration's file, so that a commit changes them and the snapshot in one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def sync(self, sync_id: str) -> Sync | None:
        """Return one sync."""
        return next(self._syncs("id = ?", sync_id), None)

    def newest(self, *states: SyncState) -> Sync | None:
        """Return the newest sync in one of these states."""
        marks = ", ".join("?" * len(states))
        return next(self._syncs(f"state IN ({marks}) ORDER BY s.rowid DESC", *states), None)

    def same_run(self, request: wire.OpenSync) -> Sync | None:
        """Return the sync of this client's run that is open in the same mode, or was committed or held in any."""
        states = "(state IN ('held', 'committed') OR state = 'open' AND mode = ? AND base_generation IS ?)"
        return next(
            self._syncs(
                f"run_id = ? AND opener = ? AND {states} ORDER BY s.rowid DESC",
                *(request.run_id, request.opener, request.mode, request.base_generation),
            ),
            None,
        )

    def open(self, sync_id: str, request: wire.OpenSync, lease_ends_at: datetime) -> None:
        """Add an open sync."""
        self._db.execute(
            "INSERT INTO ploy_syncs"
            " (id, run_id, opener, state, reading_started_at, lease_ends_at, mode, base_generation)"
            " VALUES (?, ?, ?, 'open', ?, ?, ?, ?)",
            (
                sync_id,
                request.run_id,
                request.opener,
                request.reading_started_at.isoformat(),
                lease_ends_at.isoformat(),
                request.mode,
                request.base_generation,
            ),
        )

    def renew(self, sync_id: str, lease_ends_at: datetime) -> None:
        """Extend a lease."""
        self._db.execute("UPDATE ploy_syncs SET lease_ends_at = ? WHERE id = ?", (lease_ends_at.isoformat(), sync_id))

    def move(
        self,
        sync_id: str,
        state: SyncState,
        *,
        request: wire.Commit | None = None,
        answer: wire.CommitAnswer | None = None,
    ) -> None:
        """Change the state of a sync, and drop its batches: only an open one needs them."""
        self._db.execute(
            "UPDATE ploy_syncs SET state = ?, request = coalesce(?, request), answer = coalesce(?, answer)"
            " WHERE id = ?",
            (
                state,
                request.model_dump_json() if request else None,
                answer.model_dump_json() if answer else None,
                sync_id,
            ),
        )
        self._db.execute("UPDATE ploy_batches SET body = NULL WHERE sync = ?", (sync_id,))

    def decide(self, sync_id: str, decision: Decision) -> None:
        """Store who decided about a held sync, and why."""
        name, reason, decided_at = decision
        self._db.execute(
            "INSERT INTO ploy_decisions VALUES (?, ?, ?, ?)", (sync_id, name, reason, decided_at.isoformat())
        )

    def batch_digest(self, sync_id: str, number: int) -> tuple[wire.Digest, int] | None:
        """Return the digest and number of lines of a staged batch."""
        found: tuple[wire.Digest, int] | None = self._db.execute(
            "SELECT digest, lines FROM ploy_batches WHERE sync = ? AND number = ?", (sync_id, number)
        ).fetchone()
        return found

    def add_batch(self, sync_id: str, batch: wire.StagedBatch, amount: Amount, body: bytes) -> None:
        """Add a batch, as it was sent."""
        self._db.execute(
            "INSERT INTO ploy_batches VALUES (?, ?, ?, ?, ?, ?)",
            (sync_id, batch.number, batch.digest, amount.lines, amount.others, body),
        )

    def batches(self, sync_id: str) -> tuple[wire.StagedBatch, ...]:
        """Return the staged batches, in order."""
        rows = self._db.execute("SELECT number, digest FROM ploy_batches WHERE sync = ? ORDER BY number", (sync_id,))
        return tuple(wire.StagedBatch(number=number, digest=digest) for number, digest in rows)

    def bodies(self, sync_id: str, *, only_others: bool = False) -> Iterator[bytes]:
        """Iterate over the bodies of the batches, in order, as they were sent.

        Args:
            sync_id: The sync.
            only_others: Whether to skip batches that hold nothing but records.
        """
        rows = self._db.execute(
            "SELECT body FROM ploy_batches WHERE sync = ? AND (others OR NOT ?) ORDER BY number",
            (sync_id, only_others),
        )
        return (body for (body,) in rows)

    def next_generation(self) -> int:
        """Return the number of the next generation."""
        number: int = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM ploy_generations").fetchone()[0]
        return number

    def add_generation(
        self,
        number: int,
        sync_id: str,
        committed_at: datetime,
        *,
        is_approved: bool,
        report: ScopeReport,
        changes: Iterable[RecordChange],
    ) -> None:
        """Add a generation with its changes, and delete old ones."""
        self._db.execute(
            "INSERT INTO ploy_generations VALUES (?, ?, ?, ?, ?)",
            (number, sync_id, committed_at.isoformat(), is_approved, report.model_dump_json(exclude_defaults=True)),
        )
        self._db.executemany(
            "INSERT INTO ploy_changes VALUES (?, ?, ?, ?, ?)",
            (
                (number, kind, key.type, key.id, None if before is None else json.dumps(before))
                for kind, key, before in changes
            ),
        )
        self._delete_old(number - GENERATIONS_KEPT)

    def _delete_old(self, last: int) -> None:
        oldest_kept = "(SELECT s.rowid FROM ploy_syncs s JOIN ploy_generations g ON g.sync = s.id WHERE g.number = ?)"
        syncs = f"SELECT id FROM ploy_syncs WHERE rowid <= {oldest_kept} AND state NOT IN ('open', 'held')"
        for table in ("ploy_batches", "ploy_decisions"):
            self._db.execute(f"DELETE FROM {table} WHERE sync IN ({syncs})", (last,))
        self._db.execute(f"DELETE FROM ploy_syncs WHERE id IN ({syncs})", (last,))
        for table, column in (("ploy_generations", "number"), ("ploy_changes", "generation")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} <= ?", (last,))

    def generations(self) -> Iterator[Generation]:
        """Iterate over the generations, oldest first."""
        rows = self._db.execute(
            "SELECT g.number, g.sync, s.run_id, s.reading_started_at, g.committed_at, g.is_approved, s.mode, g.report,"
            " s.answer FROM ploy_generations g JOIN ploy_syncs s ON s.id = g.sync ORDER BY g.number"
        )
        for number, sync_id, run_id, began, committed_at, is_approved, mode, report, answer in rows:
            yield Generation(
                number,
                sync_id,
                run_id,
                datetime.fromisoformat(began),
                datetime.fromisoformat(committed_at),
                bool(is_approved),
                mode,
                ScopeReport.model_validate_json(report),
                wire.CommitAnswer.model_validate_json(answer),
            )

    def changes(
        self, generation: int, kind: ChangeKind | None = None, only: RecordType | None = None
    ) -> Iterator[RecordChange]:
        """Iterate over what one generation changed, record by record.

        Args:
            generation: Its number.
            kind: A kind of change; None for all.
            only: A type of record; None for all.
        """
        rows = self._db.execute(
            "SELECT kind, type, id, before FROM ploy_changes WHERE generation = ?1"
            " AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR type = ?3) ORDER BY kind, type, id",
            (generation, kind, only),
        )
        for kind, type_, id_, before in rows:
            yield RecordChange(kind, RecordKey(type=type_, id=id_), json.loads(before) if before else None)

    def removed_content(self, key: RecordKey, since: int) -> dict[str, Any] | None:
        """Return the content of a record as a generation removed it, at or after one; None where none did."""
        row = self._db.execute(
            "SELECT c.before FROM ploy_generations g CROSS JOIN ploy_changes c ON c.generation = g.number"
            " AND c.kind = 'removed' AND c.type = ? AND c.id = ? WHERE g.number >= ? ORDER BY g.number LIMIT 1",
            (key.type, key.id, since),
        ).fetchone()
        return json.loads(row[0]) if row and row[0] else None

    def count_changes(self, since: datetime) -> int:
        """Count the records that generations changed since a moment; the first generation changed none."""
        found: int = self._db.execute(
            "SELECT count(*) FROM ploy_changes c JOIN ploy_generations g ON g.number = c.generation"
            " WHERE g.number > 1 AND g.committed_at >= ?",
            (since.isoformat(),),
        ).fetchone()[0]
        return found

    def syncs(self) -> Iterator[Sync]:
        """Iterate over all stored syncs, newest first."""
        return self._syncs("1 ORDER BY s.rowid DESC")

    def _syncs(self, where: str, *values: object) -> Iterator[Sync]:
        rows = self._db.execute(
            "SELECT id, run_id, opener, state, reading_started_at, lease_ends_at, request, answer,"
            " mode, base_generation, name, reason, decided_at"
            f" FROM ploy_syncs s LEFT JOIN ploy_decisions d ON d.sync = s.id WHERE {where}",
            values,
        )
        for id_, run_id, opener, state, began, lease_ends_at, request, answer, mode, base_generation, *decision in rows:
            name, reason, decided_at = decision
            yield Sync(
                id_,
                run_id,
                opener,
                state,
                datetime.fromisoformat(began),
                datetime.fromisoformat(lease_ends_at),
                request,
                wire.CommitAnswer.model_validate_json(answer) if answer else None,
                mode,
                base_generation,
                Decision(name, reason, datetime.fromisoformat(decided_at)) if decided_at else None,
            )


class RemovedRecords:
    """The records that a generation, or a later one, removed."""

    def __init__(self, store: SyncStore, generation: int) -> None:
        self._store, self._generation = store, generation

    def record(self, key: RecordKey) -> FoundRecord | None:
        """Return a record as it was."""
        content = self._store.removed_content(key, self._generation)
        return FoundRecord(key.id, content, is_unproven=False) if content is not None else None
