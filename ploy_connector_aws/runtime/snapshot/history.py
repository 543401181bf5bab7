"""History of runs: one entry a run, which outlives the run's own tables."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ploy_connector_aws.graph.unresolved import UnresolvedReferences
from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.pages import Failure, Scope

from .run import Run

ENTRIES_KEPT = 1000
"""How many of the newest entries stay: ten days of syncs every 15 minutes."""

SCOPES_NAMED = 50

Ending = Literal["committed", "held_for_review", "rejected", "replaced", "failed", "dropped"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class UnprovenScope(_Model):
    """A scope that was not read completely."""

    scope: Scope
    since: datetime | None
    failure: Failure | None = Field(default=None, description="None: it was not reached.")


class ScopeReport(_Model):
    """How a run's scopes ended."""

    endings: dict[str, int] = Field(description="How many scopes had each ending; 'not_reached' for those without one.")
    unproven: tuple[UnprovenScope, ...] = Field(default=(), description=f"The first {SCOPES_NAMED}, by name.")
    unproven_count: int = 0
    excluded: tuple[Scope, ...] = Field(
        default=(), description=f"The first {SCOPES_NAMED} that the settings switch off."
    )
    gone: tuple[Scope, ...] = Field(default=(), description=f"The first {SCOPES_NAMED} that no longer exist.")

    @classmethod
    def of(cls, run: Run) -> ScopeReport:
        """Create the report of a compared run."""
        endings: dict[str, int] = {}
        unproven: list[UnprovenScope] = []
        named: dict[str, list[Scope]] = {"excluded": [], "gone": []}
        count = 0
        for scope in run.scopes():
            if scope.is_announced:
                ending = scope.ending or "not_reached"
                endings[ending] = endings.get(ending, 0) + 1
                if len(named.get(ending, ())) < SCOPES_NAMED and ending in named:
                    named[ending].append(scope.name)
            if scope.unproven_since is not None:
                count += 1
                if len(unproven) < SCOPES_NAMED:
                    unproven.append(UnprovenScope(scope=scope.name, since=scope.unproven_since, failure=scope.failure))
        return cls(
            endings=endings,
            unproven=tuple(unproven),
            unproven_count=count,
            excluded=tuple(named["excluded"]),
            gone=tuple(named["gone"]),
        )


class Decision(_Model):
    """What a person decided about a run that the platform held."""

    outcome: Literal["approved", "rejected"]
    name: str = Field(description="As the person typed it.")
    reason: str
    decided_at: datetime


def to_decision(status: wire.SyncStatus) -> Decision | None:
    """Return the decision in a sync's state; None where there is none."""
    if status.decision is None:
        return None
    outcome: Literal["approved", "rejected"] = "rejected" if status.state == "rejected" else "approved"
    return Decision(outcome=outcome, **dict(status.decision))


class HistoryEntry(_Model):
    """How one run ended."""

    run_id: str
    sync_id: str | None = Field(default=None, description="The platform's id of its upload.")
    reading_started_at: datetime
    ended_at: datetime
    ending: Ending
    mode: Literal["full", "delta"] | None = None
    attempts: int = 1
    generation: int | None = None
    added: dict[str, int] = {}
    changed: dict[str, int] = {}
    removed: dict[str, int] = {}
    retained_unproven: dict[str, int] = {}
    reasons: tuple[str, ...] = Field(default=(), description="Why it was held, or failed.")
    review_path: str | None = Field(
        default=None, description="Of a held one: the platform's page where a person decides, below its address."
    )
    scopes: ScopeReport | None = None
    decision: Decision | None = None
    unresolved: UnresolvedReferences | None = Field(
        default=None, description="The references that name nothing; None where the run was not compared."
    )


class History:
    """The entries in a snapshot file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, entry: HistoryEntry) -> None:
        """Add the entry of a run in place of an earlier one. The oldest entries go."""
        self._db.execute("DELETE FROM history WHERE run_id = ?", (entry.run_id,))
        self._db.execute(
            "INSERT INTO history (run_id, ended_at, entry) VALUES (?, ?, ?)",
            (entry.run_id, entry.ended_at.isoformat(), entry.model_dump_json(exclude_defaults=True)),
        )
        self._db.execute("DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?", (ENTRIES_KEPT,))

    def entries(self, limit: int = ENTRIES_KEPT) -> list[HistoryEntry]:
        """Return the newest entries, newest first."""
        rows = self._db.execute("SELECT entry FROM history ORDER BY number DESC LIMIT ?", (limit,))
        return [HistoryEntry.model_validate_json(row[0]) for row in rows]
