"""Grants and revokes that were verified, kept until a later reading has seen them.

A run is what was read, and stays that. What was changed since, or while it was read, is laid over it: each change
goes before every scope whose reading began before the change was verified. It is settled, and goes, once a run read
that scope completely from a later beginning.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from pydantic import AwareDatetime, TypeAdapter

from ploy_connector_aws.spec import AccessChange, Grant
from ploy_connector_aws.spec.frozen import Frozen
from ploy_connector_aws.spec.pages import Scope

_GRANTS = TypeAdapter(tuple[Grant, ...])


class VerifiedChange(Frozen):
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


class VerifiedChanges:
    """The table of them, in any file. Used by one thread at a time, inside the caller's transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def create_table(self) -> None:
        """Make the table where it is not there yet."""
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS verified_changes (id TEXT PRIMARY KEY, verified_at TEXT NOT NULL,"
            " scope TEXT NOT NULL, added TEXT NOT NULL, removed TEXT NOT NULL)"
        )

    def add(self, change: VerifiedChange) -> None:
        """Keep a change; the same one again changes nothing."""
        self._db.execute(
            "INSERT OR REPLACE INTO verified_changes VALUES (?, ?, ?, ?, ?)",
            (
                change.id,
                change.verified_at.isoformat(),
                change.scope,
                _GRANTS.dump_json(change.added, exclude_defaults=True).decode(),
                _GRANTS.dump_json(change.removed, exclude_defaults=True).decode(),
            ),
        )

    def all(self) -> tuple[VerifiedChange, ...]:
        """The changes that no run has seen yet, in the order in which they were verified."""
        return self._where("1")

    def about(self, account_id: str) -> tuple[VerifiedChange, ...]:
        """Those of them that matter for the paths of one account: its own grants, and what entitlements open."""
        kind, principal = "json_extract(value, '$.principal_kind')", "json_extract(value, '$.principal_id')"
        matters = f"{kind} = 'entitlement' OR {principal} = :account"
        return self._where(
            f"EXISTS (SELECT 1 FROM json_each(added) WHERE {matters})"
            f" OR EXISTS (SELECT 1 FROM json_each(removed) WHERE {matters})",
            account=account_id,
        )

    def _where(self, condition: str, **values: str) -> tuple[VerifiedChange, ...]:
        rows = self._db.execute(
            f"SELECT id, verified_at, scope, added, removed FROM verified_changes WHERE {condition} ORDER BY rowid",
            values,
        ).fetchall()
        changes = (
            VerifiedChange.model_validate(
                {
                    "id": id_,
                    "verified_at": verified_at,
                    "scope": scope,
                    "added": _GRANTS.validate_json(added),
                    "removed": _GRANTS.validate_json(removed),
                }
            )
            for id_, verified_at, scope, added, removed in rows
        )
        return tuple(sorted(changes, key=lambda change: change.verified_at))

    def settle(self, ids: Iterable[str]) -> None:
        """Forget changes that a run has seen."""
        self._db.executemany("DELETE FROM verified_changes WHERE id = ?", ((id_,) for id_ in ids))
