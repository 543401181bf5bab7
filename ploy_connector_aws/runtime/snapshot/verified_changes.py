"""Grants and revokes that were verified, kept until a later reading has seen them.

A run is what was read, and stays that. What was changed since, or while it was read, is laid over it: each change
goes before every scope whose reading began before the change was verified. It is settled, and goes, once a run read
that scope completely from a later beginning.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydantic import AwareDatetime

from ploy_connector_aws.graph.paths import Edge, PathFinder
from ploy_connector_aws.graph.search import find_accounts
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.spec import AccessChange, Grant
from ploy_connector_aws.spec._models import FrozenModel
from ploy_connector_aws.spec.pages import Scope
from ploy_connector_aws.spec.records import RecordKey, RecordType, to_json

from .run import Run, to_text
from .state_file import TASK_FILE, read_database, translate_errors

CONFIRMED_KEPT = 10_000
"""Of so many it is remembered that they are settled, so that a report that comes late does not bring them back."""


class VerifiedChange(FrozenModel):
    """What one order made of the grants of one scope, as it was read back."""

    id: str
    """The task's id, or that of the order."""
    verified_at: AwareDatetime
    scope: Scope
    added: tuple[Grant, ...] = ()
    removed: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, id_: str, change: AccessChange) -> VerifiedChange | None:
        """Take what a connector answered; None where it changed nothing that a list would emit."""
        if change.verified_at is None or change.scope is None:
            return None
        return cls(
            id=id_,
            verified_at=change.verified_at,
            scope=change.scope,
            added=change.added,
            removed=change.removed,
        )


class VerifiedChangeLog(Protocol):
    """Who keeps verified changes, for a sync: a task file does."""

    def verified(self) -> tuple[VerifiedChange, ...]:
        """Those that no run has seen yet, in the order in which they were verified."""

    def confirm(self, confirmed: Mapping[str, datetime]) -> None:
        """Note that a run has seen some, as they were verified at the moment given for each."""


class VerifiedChanges:
    """The table of them, in any file. Used by one thread at a time, inside the caller's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def create_table(self) -> None:
        """Make the table where it is not there yet."""
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS verified_changes (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
            " verified_at TEXT NOT NULL, change TEXT)"  # without a change: a run has seen it
        )

    def add(self, change: VerifiedChange) -> None:
        """Keep a change, unless it is kept or settled already.

        The same order may have been verified again, when it was worked on again: then the later moment counts.
        """
        self._db.execute(
            "INSERT INTO verified_changes (id, verified_at, change) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " verified_at = excluded.verified_at, change = excluded.change WHERE excluded.verified_at > verified_at",
            (change.id, to_text(change.verified_at), change.model_dump_json(exclude_defaults=True)),
        )

    def all(self) -> tuple[VerifiedChange, ...]:
        """The changes that no run has seen yet, in the order in which they were verified."""
        return self._where("1")

    def about(self, account_id: str) -> tuple[VerifiedChange, ...]:
        """Those of them that matter for the paths of one account: its own grants, and what entitlements open."""
        matters = (
            "json_extract(value, '$.principal_kind') = 'entitlement'"
            " OR json_extract(value, '$.principal_id') = :account"
        )
        return self._where(
            f"EXISTS (SELECT 1 FROM json_each(change, '$.added') WHERE {matters})"
            f" OR EXISTS (SELECT 1 FROM json_each(change, '$.removed') WHERE {matters})",
            account=account_id,
        )

    def _where(self, condition: str, **values: str) -> tuple[VerifiedChange, ...]:
        rows = self._db.execute(
            f"SELECT change FROM verified_changes WHERE change IS NOT NULL AND ({condition})", values
        ).fetchall()
        changes = (VerifiedChange.model_validate_json(change) for (change,) in rows)
        return tuple(sorted(changes, key=lambda change: change.verified_at))

    def confirm(self, confirmed: Mapping[str, datetime]) -> None:
        """Note that a run has seen changes; also of some that are not known yet, as their report may be on its way.

        Args:
            settled: By id, when the change was verified that the run has seen. A later one stands.
        """
        self._db.executemany(
            "INSERT INTO verified_changes (id, verified_at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET"
            " verified_at = excluded.verified_at, change = NULL WHERE excluded.verified_at >= verified_at",
            ((id_, to_text(moment)) for id_, moment in confirmed.items()),
        )
        self._db.execute(
            "DELETE FROM verified_changes WHERE change IS NULL"
            " AND number <= (SELECT max(number) FROM verified_changes) - ?",
            (CONFIRMED_KEPT,),
        )


def read_verified(path: Path) -> tuple[VerifiedChange, ...]:
    """Read the changes that are kept in a file; none where there is no such file.

    Raises:
        StateError: The file cannot be used.
    """
    opened = read_database(path, TASK_FILE)
    if opened is None:
        return ()
    with translate_errors(path, TASK_FILE), closing(opened) as db:
        return VerifiedChanges(db).all()


def find_confirmed(run: Run, changes: Iterable[VerifiedChange]) -> dict[str, datetime]:
    """Name the changes that a run has seen: their scope was read completely, beginning after they were verified.

    Returns:
        By id, when each was verified.
    """
    return {change.id: change.verified_at for change in changes if run.has_read_since(change.scope, change.verified_at)}


def fold(changes: Iterable[VerifiedChange]) -> tuple[dict[str, tuple[Grant, str]], set[str]]:
    """Say what several changes come to: the last word on each grant.

    Args:
        changes: In the order in which they were verified.

    Returns:
        The grants that are held now, with their scopes, by id; and the ids of those that are held no more.
    """
    added: dict[str, tuple[Grant, str]] = {}
    removed: set[str] = set()
    for change in changes:
        for grant in change.added:
            removed.discard(grant.id)
            added[grant.id] = grant, change.scope
        for grant in change.removed:
            added.pop(grant.id, None)
            removed.add(grant.id)
    return added, removed


class Overlay:
    """A run with the verified changes laid over it that it has not seen.

    Args:
        run: A finished run.
        changes: In the order in which they were verified. Those that the run has seen are left out.
    """

    def __init__(self, run: Run, changes: Iterable[VerifiedChange] = ()) -> None:
        self.run = run
        self.changes = tuple(change for change in changes if not run.has_read_since(change.scope, change.verified_at))
        """Those that the run has not seen."""
        self._added, self.removed = fold(self.changes)
        """The grants that are held now, and the ids of those that are held no more."""

    def added(self) -> Iterator[StoredRecord]:
        """The grants that are held now, by id. One whose holder or entitlement the run does not know is left out."""
        for id_, (grant, scope) in sorted(self._added.items()):
            ends = (
                RecordKey(type=grant.principal_kind, id=grant.principal_id),
                RecordKey(type="entitlement", id=grant.entitlement_id),
            )
            if all(self.run.record(end) is not None for end in ends):
                yield StoredRecord("grant", id_, (scope,), to_json(grant), is_partial=False, is_unproven=False)

    def records(self, type: RecordType | None = None) -> Iterator[StoredRecord]:  # noqa: A002 - the word of the records
        """The picture as it is now, by type and id."""
        added = {record.id: record for record in self.added()} if type in (None, "grant") else {}
        unchanged = (
            record
            for record in self.run.records(type)
            if record.type != "grant" or (record.id not in self.removed and record.id not in added)
        )
        return heapq.merge(unchanged, added.values(), key=lambda record: (record.type, record.id))

    def path_finder(self) -> PathFinder:
        """Follow who holds what, as it is now."""
        edges = (Edge.of(self._added[record.id][0]) for record in self.added())
        return PathFinder(self.run.connection, self.run.tables, added=edges, removed=self.removed)

    def find_accounts(self, text: str) -> list[StoredRecord]:
        """Find the accounts whose id, user name or an e-mail address is exactly this text, letter case aside."""
        ids = find_accounts(self.run.connection, self.run.tables, text)
        found = (self.run.record(RecordKey(type="account", id=id_)) for id_ in ids)
        return [account for account in found if account is not None]

    def record(self, key: RecordKey) -> StoredRecord | None:
        """One record of the picture as it is now."""
        if key.type == "grant":
            if key.id in self.removed:
                return None
            if key.id in self._added:
                return next((record for record in self.added() if record.id == key.id), None)
        return self.run.record(key)
