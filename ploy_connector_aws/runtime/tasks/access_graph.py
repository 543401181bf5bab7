"""Paths from one account to one entitlement: those of the last committed sync, with later verified changes on top."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.paths import PathFinder
from ploy_connector_aws.runtime.snapshot import schema
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import StateError, identity, read_database, translate_errors
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChange, fold
from ploy_connector_aws.spec import AccessPath, Entitlement, Grant, KnownAccess, RecordKey
from ploy_connector_aws.spec.changes import KnownState
from ploy_connector_aws.spec.records import grant_id

_log = logging.getLogger(__name__)

ANY_STATE: frozenset[KnownState] = frozenset({"held", "not_held"})
MOST_PATHS = 1000
_MOST_EDGES = 50_000
"""The limit on the edges read for one request; a search that is cut off is not called complete."""


class AccessGraph:
    """Reads paths from an integration's snapshot file, which it never writes. Thread-safe."""

    def __init__(self, snapshot: Path) -> None:
        self._path = snapshot
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def find(self, account_id: str, entitlement_id: str, changes: Iterable[VerifiedChange] = ()) -> KnownAccess:
        """Find the paths by which an account holds an entitlement or anything that the entitlement opens.

        Args:
            account_id: The account.
            entitlement_id: The entitlement.
            changes: The later verified changes, in order. One that the run has read meanwhile does little harm: it is
                about to be confirmed, and a connector reads every path again.

        Returns:
            What is known; nothing, where there is no committed run or its file cannot be used.
        """
        with self._lock:
            try:
                with translate_errors(self._path):
                    return self._find(account_id, entitlement_id, tuple(changes))
            except StateError as error:
                _log.warning("nothing is known of the last sync: %s", error)
                self._close()
                return KnownAccess(states=None)

    def _close(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = self._file = None

    def _find(self, account_id: str, entitlement_id: str, changes: tuple[VerifiedChange, ...]) -> KnownAccess:
        held = RecordKey(type="grant", id=grant_id("account", account_id, entitlement_id))
        # A change of the grant itself shows both states: one before it and one after it.
        is_changed = any(held.id == grant.id for change in changes for grant in (*change.added, *change.removed))
        states = ANY_STATE if is_changed else frozenset()
        db = self._open()
        if db is None:
            return KnownAccess(states=None if self._path.exists() else states)
        db.execute("BEGIN")  # short: the tables of a run are dropped when the next one is committed
        try:
            row = db.execute("SELECT number FROM runs WHERE state = 'committed'").fetchone()
            if row is None:
                return KnownAccess(states=states)
            run = Run(db, row[0])
            added, removed = fold(changes)
            finder = PathFinder(db, run.tables, added=(Edge.of(grant) for grant, _ in added.values()), removed=removed)
            found = finder.paths_to(account_id, entitlement_id, most=MOST_PATHS, most_edges=_MOST_EDGES)
            grants = {id_: grant for id_, (grant, _) in added.items()}
            record = run.record(RecordKey(type="entitlement", id=entitlement_id))
            return KnownAccess(
                entitlement=Entitlement.model_validate_json(record.body) if record else None,
                paths=tuple(_to_path(run, grants, account_id, ids) for ids in found.entitlement_ids),
                paths_complete=run.proves_everything() and not found.has_more,
                as_of=run.reading_started_at,
                opened=found.opened,
                states=states | {"held" if run.record(held) is not None else "not_held"},
            )
        finally:
            db.execute("COMMIT")

    def _open(self) -> sqlite3.Connection | None:
        file = identity(self._path)
        if file != self._file:  # the first time, or another file has taken its place
            self._close()
            self._db = read_database(self._path)
            self._file = file
            if self._db is not None:
                self._db.execute("PRAGMA temp_store=FILE")
        if self._db is None:
            return None
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        return self._db if version == schema.VERSION else None  # the next sync migrates an older file


def _to_path(run: Run, grants: dict[str, Grant], account_id: str, entitlement_ids: tuple[str, ...]) -> AccessPath:
    """Convert the entitlements on a path to its grants; ``grants`` has those that were read already."""
    principals = [("account", account_id), *(("entitlement", id_) for id_ in entitlement_ids)]
    path = []
    for (kind, principal), (_, entitlement) in pairwise(principals):
        id_ = grant_id(kind, principal, entitlement)
        if id_ not in grants:
            record = run.record(RecordKey(type="grant", id=id_))
            assert record is not None, "each edge of a run is one of its grants"
            grants[id_] = Grant.model_validate_json(record.body)
        path.append(grants[id_])
    return AccessPath(grants=tuple(path))
