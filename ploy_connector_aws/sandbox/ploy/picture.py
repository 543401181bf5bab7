"""Looking at what an integration's committed picture is, while syncs go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ploy_connector_aws.graph.values import ScopeState, StoredRecord
from ploy_connector_aws.spec.records import RecordType

from .current import open_current
from .sync_store import Generation, RecordChange, Sync, SyncStore


class Picture:
    """One integration's file, to read. Each look sees one state, whatever is committed meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def records(self, type: RecordType | None = None) -> Iterator[StoredRecord]:  # noqa: A002 - the word of the records
        """The current records, by type and id: the last commit, and what was granted and revoked since."""
        with open_current(self._path) as current:
            yield from current.records(type)

    def scopes(self) -> Iterator[ScopeState]:
        """The current scopes, by name: how each ended, why it failed, and since when it is unproven."""
        with open_current(self._path) as current:
            if current.visible is not None:
                yield from current.visible.scopes()

    def generations(self) -> list[Generation]:
        """Every commit that became visible, oldest first."""
        with open_current(self._path) as current:
            return list(SyncStore(current.db).generations())

    def changes(self, generation: int) -> Iterator[RecordChange]:
        """What one commit did, record by record."""
        with open_current(self._path) as current:
            yield from SyncStore(current.db).changes(generation)

    def syncs(self) -> list[Sync]:
        """Every sync that is remembered, newest first."""
        with open_current(self._path) as current:
            return list(SyncStore(current.db).syncs())

    def held(self) -> Sync | None:
        """The commit that waits for a person."""
        with open_current(self._path) as current:
            return SyncStore(current.db).newest("held")
