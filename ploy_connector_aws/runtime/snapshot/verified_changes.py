"""Verified grants and revokes, kept until a later run has read them.

A run is immutable. Changes verified later are applied on top: a verified change overrides any scope whose reading
started earlier. It is confirmed, and removed, once a run that started later has read that scope completely.
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

from ploy_connector_aws.graph.edges import Edge
from ploy_connector_aws.graph.paths import PathFinder
from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.spec import AccessChange, Grant
from ploy_connector_aws.spec._models import FrozenModel
from ploy_connector_aws.spec.pages import Scope
from ploy_connector_aws.spec.records import RecordKey, RecordType, to_json

from .run import Run, to_text
from .state_file import TASK_FILE, read_database, translate_errors

CONFIRMED_KEPT = 10_000
"""How many confirmed changes are remembered, so that a late report does not bring them back."""


class VerifiedChange(FrozenModel):
    """The grants of one scope that one task or request changed, as they were read back."""

    id: str
    """The id of the task or request."""
    verified_at: AwareDatetime
    scope: Scope
    added: tuple[Grant, ...] = ()
    removed: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, id_: str, change: AccessChange) -> VerifiedChange | None:
        """Convert a connector's result; None where it changed nothing that a list would show."""
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
    """The verified changes as a sync needs them; a task file has them."""

    def verified(self) -> tuple[VerifiedChange, ...]:
        """Return those that no run has read yet, in the order of verification."""

    def confirm(self, confirmed: Mapping[str, datetime]) -> None:
        """Record that a run has read some; each is given with the moment of its verification."""


class VerifiedChanges:
    """The table of verified changes. Used by one thread at a time, inside the caller's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def create_table(self) -> None:
        """Create the table where it is missing."""
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS verified_changes (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
            " verified_at TEXT NOT NULL, change TEXT)"  # without a change: confirmed
        )

    def add(self, change: VerifiedChange) -> None:
        """Keep a change, unless it is kept or confirmed already.

        A task that was attempted again may have been verified again: the later moment counts.
        """
        self._db.execute(
            "INSERT INTO verified_changes (id, verified_at, change) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " verified_at = excluded.verified_at, change = excluded.change WHERE excluded.verified_at > verified_at",
            (change.id, to_text(change.verified_at), change.model_dump_json(exclude_defaults=True)),
        )

    def all(self) -> tuple[VerifiedChange, ...]:
        """Return the changes that no run has read yet, in the order of verification."""
        return self._where("1")

    def about(self, account_id: str) -> tuple[VerifiedChange, ...]:
        """Return those that affect the paths of one account: its own grants, and what entitlements open."""
        is_relevant = (
            "json_extract(value, '$.principal_kind') = 'entitlement'"
            " OR json_extract(value, '$.principal_id') = :account"
        )
        return self._where(
            f"EXISTS (SELECT 1 FROM json_each(change, '$.added') WHERE {is_relevant})"
            f" OR EXISTS (SELECT 1 FROM json_each(change, '$.removed') WHERE {is_relevant})",
            account=account_id,
        )

    def _where(self, condition: str, **values: str) -> tuple[VerifiedChange, ...]:
        rows = self._db.execute(
            f"SELECT change FROM verified_changes WHERE change IS NOT NULL AND ({condition})", values
        ).fetchall()
        changes = (VerifiedChange.model_validate_json(change) for (change,) in rows)
        return tuple(sorted(changes, key=lambda change: change.verified_at))

    def confirm(self, confirmed: Mapping[str, datetime]) -> None:
        """Record that a run has read changes, also unknown ones: their report may still arrive.

        Args:
            confirmed: By id, when the change that the run has read was verified. A later one stays.
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
    """Read the unconfirmed changes of a task file; none where there is no such file.

    Raises:
        StateError: The file cannot be used.
    """
    opened = read_database(path, TASK_FILE)
    if opened is None:
        return ()
    with translate_errors(path, TASK_FILE), closing(opened) as db:
        return VerifiedChanges(db).all()


def find_confirmed(run: Run, changes: Iterable[VerifiedChange]) -> dict[str, datetime]:
    """Find the changes that a run has read: the complete reading of their scope began after their verification.

    Returns:
        By id, when each was verified.
    """
    return {change.id: change.verified_at for change in changes if run.has_read_since(change.scope, change.verified_at)}


def fold(changes: Iterable[VerifiedChange]) -> tuple[dict[str, tuple[Grant, str]], set[str]]:
    """Combine changes: the last one of each grant counts.

    Args:
        changes: The changes, in the order of verification.

    Returns:
        The added grants with their scopes, by id; and the ids of the removed ones.
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
    """A run, with the verified changes on top that it has not read.

    Args:
        run: A compared run.
        changes: The changes, in the order of verification. Those that the run has read are ignored.
    """

    def __init__(self, run: Run, changes: Iterable[VerifiedChange] = ()) -> None:
        self.run = run
        self.changes = tuple(change for change in changes if not run.has_read_since(change.scope, change.verified_at))
        """Those that the run has not read."""
        self._added, self.removed = fold(self.changes)
        """The added grants, and the ids of the removed ones."""

    def added(self) -> Iterator[StoredRecord]:
        """Yield the added grants, by id. One whose principal or entitlement the run does not have is left out."""
        for id_, (grant, scope) in sorted(self._added.items()):
            ends = (
                RecordKey(type=grant.principal_kind, id=grant.principal_id),
                RecordKey(type="entitlement", id=grant.entitlement_id),
            )
            if all(self.run.record(end) is not None for end in ends):
                yield StoredRecord("grant", id_, (scope,), to_json(grant), is_partial=False, is_unproven=False)

    def records(self, type: RecordType | None = None) -> Iterator[StoredRecord]:  # noqa: A002 - the name of the field in records
        """Yield the current records, by type and id."""
        added = {record.id: record for record in self.added()} if type in (None, "grant") else {}
        unchanged = (
            record
            for record in self.run.records(type)
            if record.type != "grant" or (record.id not in self.removed and record.id not in added)
        )
        return heapq.merge(unchanged, added.values(), key=lambda record: (record.type, record.id))

    def path_finder(self) -> PathFinder:
        """Return a path finder over the current grants."""
        edges = (Edge.of(self._added[record.id][0]) for record in self.added())
        return PathFinder(self.run.connection, self.run.tables, added=edges, removed=self.removed)

    def graph(self) -> GraphView:
        """Return the queries over the current grants. A later one, or a path finder, replaces it."""
        edges = (Edge.of(self._added[record.id][0]) for record in self.added())
        return GraphView(self.run.connection, self.run.tables, added=edges, removed=self.removed)

    def find_accounts(self, text: str) -> list[StoredRecord]:
        """Find the accounts that this text names: id, display name, user name or e-mail address, ignoring case."""
        matches = self.graph().resolve(text, ["account"]).matches
        found = (self.run.record(RecordKey(type="account", id=each.id)) for each in matches)
        return [account for account in found if account is not None]

    def record(self, key: RecordKey) -> StoredRecord | None:
        """Return one current record."""
        if key.type == "grant":
            if key.id in self.removed:
                return None
            if key.id in self._added:
                return next((record for record in self.added() if record.id == key.id), None)
        return self.run.record(key)
