"""The snapshots of an integration: the visible one, and the one that is held for approval, in SQLite tables.

Each has its own tables of records and edges (``graph``). Record bodies of both snapshots are stored once, deduplicated
by digest.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from ploy_connector_aws.graph.tables import Tables
from ploy_connector_aws.graph.values import ScopeState, StoredRecord
from ploy_connector_aws.reference import Generation, Key, Observation, Outcome, Scope
from ploy_connector_aws.spec.pages import Failure
from ploy_connector_aws.spec.records import RecordKey, RecordType

ChangeKind: TypeAlias = Literal["added", "changed", "removed"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS ploy_snapshots (
  number INTEGER PRIMARY KEY AUTOINCREMENT, sync TEXT NOT NULL, reading_started_at TEXT NOT NULL,
  is_visible INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS ploy_scopes (
  snapshot INTEGER NOT NULL, name TEXT NOT NULL, parent TEXT, ending TEXT, failure TEXT, origin TEXT,
  is_announced INTEGER NOT NULL, unproven_since TEXT, PRIMARY KEY (snapshot, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ploy_bodies (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
"""

_BODIES = "ploy_bodies"

_COLUMNS = (
    "scopes TEXT NOT NULL",  # a JSON array of names, sorted
    "is_partial INTEGER NOT NULL",  # 1: no run ever read the body in full; not the same as StoredRecord.is_partial
    "is_current INTEGER NOT NULL",  # 1: the run of this snapshot read the body in full
    "kept_by TEXT",  # id of the grant that refers to this record, if that is the only reason it is kept
)

_ORIGIN_CHANGED = Failure(
    code="origin_changed",
    message="The source that this scope was read from is missing or was replaced; its records were left unchanged.",
    fix="If the replacement is intended, remove the integration and set it up again; otherwise restore the original.",
)


class KeyChange(NamedTuple):
    """A record that differs between two snapshots, with its body in the base, and the scopes that list it."""

    key: RecordKey
    before: bytes | None
    scopes: tuple[str, ...]
    """Of a removed record, those that listed it in the base."""


class Snapshots:
    """The snapshots of one integration. Used by one thread at a time, inside the caller's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @property
    def visible(self) -> Snapshot | None:
        """The visible snapshot; None before the first commit."""
        return self._find("is_visible")

    @property
    def held(self) -> Snapshot | None:
        """The snapshot that waits for approval."""
        return self._find("NOT is_visible")

    def add_body(self, body: bytes) -> bytes:
        """Store a body unless it is stored already; return its digest."""
        digest = hashlib.sha256(body).digest()[:16]
        self._db.execute(f"INSERT OR IGNORE INTO {_BODIES} (digest, body) VALUES (?, ?)", (digest, body))
        return digest

    def add(
        self,
        sync_id: str,
        reading_started_at: datetime,
        outcome: Outcome,
        *,
        run: Mapping[str, Scope],
        failures: Mapping[str, Failure],
        partial: Collection[Key],
    ) -> Snapshot:
        """Store the outcome of a comparison as a snapshot that is not visible yet.

        Args:
            sync_id: The sync.
            reading_started_at: When its run began to read.
            outcome: The outcome of the comparison; ``add_body`` has stored its bodies already.
            run: The scopes of the run.
            failures: Why scopes failed, by name.
            partial: The records that the run lists without their full body.
        """
        number = int(
            self._db.execute(
                "INSERT INTO ploy_snapshots (sync, reading_started_at) VALUES (?, ?)",
                (sync_id, reading_started_at.isoformat()),
            ).lastrowid
            or 0
        )
        snapshot = Snapshot(self._db, number)
        snapshot.fill(outcome, partial)
        before = {} if (base := self.visible) is None else {scope.name: scope for scope in base.scopes()}
        scopes = outcome.generation.scopes
        self._db.executemany(
            "INSERT INTO ploy_scopes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    name,
                    scope.parent,
                    scope.ending,
                    failure.model_dump_json(exclude_defaults=True) if failure else None,
                    scope.origin,
                    scope.is_announced,
                    _unproven_since(name, scopes, before.get(name), reading_started_at),
                )
                for name, scope in scopes.items()
                for failure in (_failure(scope, run.get(name), failures.get(name)),)
            ),
        )
        return snapshot

    def publish(self, snapshot: Snapshot) -> None:
        """Make a snapshot the visible one, and drop all others."""
        self._db.execute("UPDATE ploy_snapshots SET is_visible = number = ?", (snapshot.number,))
        for (number,) in self._db.execute("SELECT number FROM ploy_snapshots WHERE NOT is_visible").fetchall():
            self.drop(Snapshot(self._db, number))

    def drop(self, snapshot: Snapshot) -> None:
        """Drop a snapshot, and the bodies that no other snapshot has."""
        snapshot.tables.drop(self._db)
        self._db.execute("DELETE FROM ploy_scopes WHERE snapshot = ?", (snapshot.number,))
        self._db.execute("DELETE FROM ploy_snapshots WHERE number = ?", (snapshot.number,))
        others = [Snapshot(self._db, row[0]) for row in self._db.execute("SELECT number FROM ploy_snapshots")]
        needed = " UNION ALL ".join(f"SELECT body FROM {other.tables.records}" for other in others) or "SELECT 0"
        self._db.execute(f"DELETE FROM {_BODIES} WHERE number NOT IN ({needed})")

    def _find(self, condition: str) -> Snapshot | None:
        row = self._db.execute(f"SELECT number FROM ploy_snapshots WHERE {condition}").fetchone()
        return Snapshot(self._db, row[0]) if row else None


class Snapshot:
    """The records and scopes of one commit. Created by ``Snapshots``."""

    def __init__(self, db: sqlite3.Connection, number: int) -> None:
        self._db = db
        self.number = number
        self.tables = Tables(f"ploy_records_{number}", f"ploy_names_{number}", f"ploy_edges_{number}", _BODIES)

    @property
    def sync_id(self) -> str:
        """The sync that created it."""
        return str(self._column("sync"))

    @property
    def reading_started_at(self) -> datetime:
        """When its run began to read."""
        return datetime.fromisoformat(self._column("reading_started_at"))

    def _column(self, name: str) -> Any:
        return self._db.execute(f"SELECT {name} FROM ploy_snapshots WHERE number = ?", (self.number,)).fetchone()[0]

    def fill(self, outcome: Outcome, partial: Collection[Key]) -> None:
        """Create and fill the tables of records and edges."""
        self.tables.create_records(self._db, *_COLUMNS)
        texts: dict[tuple[str, ...], str] = {}

        def rows() -> Iterator[tuple[object, ...]]:
            for observation in outcome.generation.records:
                key, names = (observation.type, observation.id), observation.scopes
                reason = outcome.unproven[observation.type].get(observation.id)
                was_read_in_full = reason is None and not observation.is_partial and key not in partial
                scopes = texts.get(names) or texts.setdefault(names, json.dumps(names))
                yield (
                    *(*key, observation.digest, reason is not None, scopes),
                    *(observation.is_partial, was_read_in_full, reason and reason.grant),
                )

        self._db.executemany(
            f"INSERT INTO {self.tables.records} (type, id, digest, body, is_unproven, scopes, is_partial, is_current,"
            f" kept_by) VALUES (?1, ?2, ?3, (SELECT number FROM {_BODIES} WHERE digest = ?3), ?4, ?5, ?6, ?7, ?8)",
            rows(),
        )
        self.tables.create_graph(self._db)

    def to_generation(self) -> Generation:
        """Return the base of a comparison. Iterating over its records reads them from the file."""
        scopes = {each.name: Scope(each.parent, each.ending, each.origin, each.is_announced) for each in self.scopes()}
        return Generation(scopes, self.observations())

    def observations(self) -> Iterator[Observation]:
        """Iterate over the records as observations."""
        rows = self._db.execute(
            "SELECT r.type, r.id, r.scopes, r.digest, r.is_partial, json_extract(b.body, '$.principal_kind'),"
            " json_extract(b.body, '$.principal_id'), json_extract(b.body, '$.entitlement_id')"
            f" FROM {self.tables.records} r LEFT JOIN {_BODIES} b ON r.type = 'grant' AND b.number = r.body"
            " ORDER BY r.type, r.id"
        )
        tuples: dict[str, tuple[str, ...]] = {}
        for type_, id_, text, digest, is_partial, kind, principal, entitlement in rows:
            scopes = tuples.get(text)
            if scopes is None:
                scopes = tuples[text] = tuple(json.loads(text))
            referenced_keys: tuple[Key, ...] = ((kind, principal), ("entitlement", entitlement)) if kind else ()
            yield Observation(type_, id_, scopes, digest, bool(is_partial), referenced_keys)

    def scopes(self) -> Iterator[ScopeState]:
        """Iterate over the scopes, by name."""
        rows = self._db.execute(
            "SELECT name, parent, is_announced, ending, failure, origin, unproven_since FROM ploy_scopes"
            " WHERE snapshot = ? ORDER BY name",
            (self.number,),
        )
        for row in rows:
            yield ScopeState.of_row(row)

    def is_proven(self, scope: str) -> bool:
        """Whether the run proved a scope; for an unknown scope, whether it proved all scopes."""
        row = self._db.execute(
            "SELECT unproven_since IS NULL FROM ploy_scopes WHERE snapshot = :number AND name = :scope UNION ALL SELECT"
            " NOT EXISTS (SELECT 1 FROM ploy_scopes WHERE snapshot = :number AND unproven_since IS NOT NULL)",
            {"number": self.number, "scope": scope},
        ).fetchone()
        return bool(row[0])

    def records(self, type_: RecordType | None = None) -> Iterator[StoredRecord]:
        """Iterate over the records, by type and id."""
        return self._stored("?1 IS NULL OR r.type = ?1", (type_,))

    def record(self, key: RecordKey) -> StoredRecord | None:
        """Return one record."""
        return next(self._stored("r.type = ?1 AND r.id = ?2", (key.type, key.id)), None)

    def unproven(self, type_: RecordType) -> Iterator[StoredRecord]:
        """Iterate over the unproven records of a type, by id."""
        return self._stored("r.type = ?1 AND r.is_unproven", (type_,))

    def _stored(self, where: str, values: tuple[object, ...]) -> Iterator[StoredRecord]:
        rows = self._db.execute(
            f"SELECT r.type, r.id, r.scopes, b.body, NOT r.is_current, r.is_unproven, r.kept_by"
            f" FROM {self.tables.records} r JOIN {_BODIES} b ON b.number = r.body WHERE {where} ORDER BY r.type, r.id",
            values,
        )
        for type_, id_, scopes, body, is_partial, is_unproven, kept_by in rows:
            scope_names = tuple(json.loads(scopes))
            yield StoredRecord(type_, id_, scope_names, body, bool(is_partial), bool(is_unproven), kept_by)

    def changes(self, base: Snapshot | None, kind: ChangeKind, only: RecordType | None = None) -> Iterator[KeyChange]:
        """Iterate over the differences from a base, by type and id, each with its body in the base."""
        new, old = (
            self.tables.records,
            base.tables.records if base else f"(SELECT * FROM {self.tables.records} WHERE 0)",
        )
        same = "o.type = n.type AND o.id = n.id"
        found = {
            "added": f"n.type, n.id, NULL, n.scopes FROM {new} n LEFT JOIN {old} o ON {same} WHERE o.id IS NULL",
            "changed": f"n.type, n.id, o.body, n.scopes FROM {new} n JOIN {old} o ON {same} WHERE o.digest != n.digest",
            "removed": f"o.type, o.id, o.body, o.scopes FROM {old} o LEFT JOIN {new} n ON {same} WHERE n.id IS NULL",
        }[kind]
        rows = self._db.execute(
            f"WITH found (type, id, body, scopes) AS (SELECT {found})"
            f" SELECT f.type, f.id, b.body, f.scopes FROM found f LEFT JOIN {_BODIES} b"
            " ON b.number = f.body WHERE ?1 IS NULL OR f.type = ?1 ORDER BY f.type, f.id",
            (only,),
        )
        names: dict[str, tuple[str, ...]] = {}
        for type_, id_, body, text in rows:
            scopes = names.get(text) or names.setdefault(text, tuple(json.loads(text)))
            yield KeyChange(RecordKey(type=type_, id=id_), body, scopes)

    def switched_off(self, other: Snapshot) -> set[str]:
        """Return the names of scopes of another snapshot that this one excludes, themselves or a scope above them."""
        own = {scope.name: scope for scope in self.scopes()}
        if not any(scope.ending == "excluded" for scope in own.values()):
            return set()
        parents = {scope.name: scope.parent for scope in other.scopes()}
        found = set()
        for name in parents:
            above, seen = name, set[str]()
            while above not in own and (parent := parents.get(above)) is not None and above not in seen:
                seen.add(above)
                above = parent
            if above in own and own[above].ending == "excluded":
                found.add(name)
        return found


def _unproven_since(
    name: str, scopes: Mapping[str, Scope], before: ScopeState | None, reading_started_at: datetime
) -> str | None:
    """Return when the scope first became unproven (rules 1 and 2 of platform/commit_rules.py), or None."""
    path: dict[str, None] = {}
    above: str | None = name
    while above is not None and above in scopes and above not in path and not scopes[above].is_announced:
        path[above] = None
        above = scopes[above].parent
    ending = scopes[above].ending if above is not None and above in scopes and above not in path else None
    if ending in ("complete", "gone", "excluded"):
        return None
    return ((before and before.unproven_since) or reading_started_at).isoformat()


def _failure(scope: Scope, in_run: Scope | None, failure: Failure | None) -> Failure | None:
    """Return why a scope of the next snapshot failed; None if it did not fail in this run."""
    if in_run is None or scope.ending != "failed":
        return None
    origin_changed = in_run.ending != "failed" or in_run.origin not in (None, scope.origin)
    return _ORIGIN_CHANGED if origin_changed else failure
