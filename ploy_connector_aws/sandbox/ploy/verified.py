"""The file of one integration: verified grants and revokes on top of its visible snapshot (rule 11 of the contract)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from ploy_connector_aws.reference import takes_precedence
from ploy_connector_aws.spec import AccessChange, Grant
from ploy_connector_aws.spec.pages import Scope

from . import snapshots
from .database import DatabaseFile
from .snapshots import Snapshot, Snapshots

CONFIRMED_KEPT = 10_000
"""How many confirmed changes stay known, so that a late report does not restore one."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS verified_changes (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, verified_at TEXT NOT NULL,
  change TEXT  -- NULL: a commit confirmed it
);
"""


class VerifiedChange(BaseModel):
    """What one task changed in the grants of one scope, as it was verified."""

    model_config = ConfigDict(frozen=True)

    id: str
    """The task's id."""
    verified_at: AwareDatetime
    scope: Scope
    added: tuple[Grant, ...] = ()
    removed: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, id_: str, change: AccessChange) -> VerifiedChange | None:
        """Return the change in a task's report; None where it has none that a scope lists."""
        if change.verified_at is None or change.scope is None:
            return None
        return cls(
            id=id_,
            verified_at=change.verified_at,
            scope=change.scope,
            added=change.added,
            removed=change.removed,
        )


class ChangedGrants(NamedTuple):
    """The result of all verified changes: the newest one of each grant counts."""

    added: dict[str, tuple[Grant, str]]
    """The grants that are held now, with their scopes, by id."""
    removed: set[str]
    """The ids of the grants that are no longer held."""


class VerifiedChanges:
    """The table of verified changes in an integration's file. Used inside the caller's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, change: VerifiedChange, visible: Snapshot | None) -> None:
        """Store a change, unless a commit confirmed it or the visible snapshot takes precedence over it.

        A resumed task may verify its change again: then the later moment counts.
        """
        if visible is not None and not _is_on_top(change, visible, None):
            return
        self._db.execute(
            "INSERT INTO verified_changes (id, verified_at, change) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " verified_at = excluded.verified_at, change = excluded.change WHERE excluded.verified_at > verified_at",
            (change.id, _to_text(change.verified_at), change.model_dump_json(exclude_defaults=True)),
        )

    def all(self) -> tuple[VerifiedChange, ...]:
        """Return the changes on top of the visible snapshot, in the order of their verification."""
        rows = self._db.execute("SELECT change FROM verified_changes WHERE change IS NOT NULL ORDER BY verified_at")
        return tuple(VerifiedChange.model_validate_json(change) for (change,) in rows.fetchall())

    def grants(self) -> ChangedGrants:
        """Return the result of all changes."""
        return to_grants(self.all())

    def on_top_of(self, snapshot: Snapshot, confirmed: Mapping[str, datetime]) -> tuple[VerifiedChange, ...]:
        """Return the changes that stay on top when a snapshot becomes visible.

        Args:
            snapshot: The snapshot.
            confirmed: When each change was verified that its run has seen, by id.
        """
        return tuple(each for each in self.all() if _is_on_top(each, snapshot, confirmed.get(each.id)))

    def confirm(self, confirmed: Mapping[str, datetime], visible: Snapshot) -> None:
        """Drop the changes that a commit confirms, and those that do not take precedence over it.

        Args:
            confirmed: When each change was verified that the run has seen, by id; also of changes that are not known
                yet, as their report may arrive later. A later verification of the same task stays.
            visible: The snapshot that the commit made visible.
        """
        stays = {change.id for change in self.on_top_of(visible, confirmed)}
        seen = {change.id: change.verified_at for change in self.all() if change.id not in stays}
        for moments in (confirmed, seen):
            self._db.executemany(
                "INSERT INTO verified_changes (id, verified_at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET"
                " verified_at = excluded.verified_at, change = NULL WHERE excluded.verified_at >= verified_at",
                ((id_, _to_text(moment)) for id_, moment in moments.items()),
            )
        self._db.execute(
            "DELETE FROM verified_changes WHERE change IS NULL"
            " AND number <= (SELECT max(number) FROM verified_changes) - ?",
            (CONFIRMED_KEPT,),
        )


class IntegrationFile(DatabaseFile):
    """The file of one integration: its snapshots, and the verified changes on top of the visible one.

    Args:
        path: The file.
        schema: Statements that create the missing tables of the part that uses it.
        clock: Returns the time (UTC).
        lease: How long the part keeps something for a runtime from which nothing arrives.
        busy_seconds: How long a statement waits for another connection that is writing.
    """

    def __init__(
        self, path: Path, schema: str, *, clock: Callable[[], datetime], lease: timedelta, busy_seconds: float = 5
    ) -> None:
        super().__init__(path, schema + snapshots.SCHEMA + _SCHEMA, busy_seconds=busy_seconds)
        self._snapshots = Snapshots(self._db)
        self._verified = VerifiedChanges(self._db)
        self._clock = clock
        self._lease = lease


def to_grants(changes: Iterable[VerifiedChange]) -> ChangedGrants:
    """Return the result of changes, in the order of their verification."""
    added: dict[str, tuple[Grant, str]] = {}
    removed: set[str] = set()
    for change in changes:
        for grant in change.added:
            removed.discard(grant.id)
            added[grant.id] = grant, change.scope
        for grant in change.removed:
            added.pop(grant.id, None)
            removed.add(grant.id)
    return ChangedGrants(added, removed)


def _is_on_top(change: VerifiedChange, visible: Snapshot, confirmed_at: datetime | None) -> bool:
    is_proven = visible.is_proven(change.scope)
    return takes_precedence(change.verified_at, visible.reading_started_at, confirmed_at, is_proven=is_proven)


def _to_text(moment: datetime) -> str:
    """Write a moment in one zone and one length, so that texts compare as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
