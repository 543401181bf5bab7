"""Looking at what an integration's committed picture is, while syncs go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ploy_connector_aws.runtime.snapshot import ScopeState, StoredRecord
from ploy_connector_aws.runtime.store import Store
from ploy_connector_aws.runtime.verified import Overlay, VerifiedChanges
from ploy_connector_aws.spec.records import RecordType

from .ledger import Generation, Ledger, RecordChange, Sync


class Picture:
    """One integration's file, to read. Each look sees one state, whatever is committed meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def records(self, type: RecordType | None = None) -> Iterator[StoredRecord]:  # noqa: A002 - the word of the records
        """The current records, by type and id: the last commit, and what was granted and revoked since."""
        with self._open() as (store, _):
            if store.baseline is not None:
                yield from Overlay(store.baseline, VerifiedChanges(store.connection).all()).records(type)

    def scopes(self) -> Iterator[ScopeState]:
        """The current scopes, by name: how each ended, why it failed, and since when it is unproven."""
        with self._open() as (store, _):
            if store.baseline is not None:
                yield from store.baseline.scopes()

    def generations(self) -> list[Generation]:
        """Every commit that became visible, oldest first."""
        with self._open() as (_, ledger):
            return list(ledger.generations())

    def changes(self, generation: int) -> Iterator[RecordChange]:
        """What one commit did, record by record."""
        with self._open() as (_, ledger):
            yield from ledger.changes(generation)

    def syncs(self) -> list[Sync]:
        """Every sync that is remembered, newest first."""
        with self._open() as (_, ledger):
            return list(ledger.syncs())

    def held(self) -> Sync | None:
        """The commit that waits for a person."""
        with self._open() as (_, ledger):
            return ledger.newest("held")

    @contextmanager
    def _open(self) -> Iterator[tuple[Store, Ledger]]:
        with Store(self._path) as store:
            store.connection.execute("BEGIN")
            yield store, Ledger(store.connection)
