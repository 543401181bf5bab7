"""What an integration shows now: the visible generation, and the verified changes that lie on top of it."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path

from ploy_connector_aws.graph.paths import Edge, PathFinder
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.spec.records import RecordKey, RecordType, to_json

from .database import open_database
from .snapshots import Snapshot, Snapshots
from .verified import ChangedGrants, VerifiedChanges


class Current:
    """One state of an integration's file, whatever is committed meanwhile. Made by ``open_current``."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.visible: Snapshot | None = Snapshots(db).visible
        """The newest generation; None before the first."""

    def records(self, type_: RecordType | None = None) -> Iterator[StoredRecord]:
        """The records as they are now, by type and id."""
        if self.visible is None:
            return
        added = {record.id: record for record in self._added()} if type_ in (None, "grant") else {}
        gone = self._changed.removed | added.keys()
        unchanged = (each for each in self.visible.records(type_) if each.type != "grant" or each.id not in gone)
        yield from heapq.merge(unchanged, added.values(), key=lambda record: (record.type, record.id))

    def path_finder(self) -> PathFinder | None:
        """Follow who holds what, as it is now; None before the first generation."""
        if self.visible is None:
            return None
        edges = (Edge.of(self._changed.added[record.id][0]) for record in self._added())
        return PathFinder(self.db, self.visible.tables, added=edges, removed=self._changed.removed)

    @cached_property
    def _changed(self) -> ChangedGrants:
        return VerifiedChanges(self.db).grants()

    def _added(self) -> Iterator[StoredRecord]:
        """The grants that are held by now, by id. One whose principal or entitlement is not known is left out."""
        assert self.visible is not None
        for id_, (grant, scope) in sorted(self._changed.added.items()):
            ends = (
                RecordKey(type=grant.principal_kind, id=grant.principal_id),
                RecordKey(type="entitlement", id=grant.entitlement_id),
            )
            if all(self.visible.record(end) is not None for end in ends):
                yield StoredRecord("grant", id_, (scope,), to_json(grant), is_partial=False, is_unproven=False)


@contextmanager
def open_current(path: Path) -> Iterator[Current]:
    """Look at an integration's file."""
    with closing(open_database(path)) as db:
        db.execute("BEGIN")
        yield Current(db)
