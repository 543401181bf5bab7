"""The findings of each integration over time: when each was first seen, accepted, proven gone, and seen again.

Two sources make one list: findings that the connector observed, which are records of the visible snapshot, and those of
the rules of the platform over that snapshot. States and acceptances stay when snapshots go.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, get_args

from ploy_connector_aws.graph.findings import UNPROVEN
from ploy_connector_aws.graph.values import ScopeState, StoredRecord
from ploy_connector_aws.graph.view import GraphView
from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.records import Finding, RecordKey, Severity

from .database import DatabaseFile, transaction
from .registry import ForbiddenError
from .verified import VerifiedChanges
from .views import Current, open_current

Source: TypeAlias = Literal["connector", "platform"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
STATES: tuple[wire.FindingState, ...] = get_args(wire.FindingState)

REFRESHED_FOR = timedelta(minutes=15)
"""How long the rules stay applied while nothing is committed; one of them depends on the time."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS findings (
  number INTEGER PRIMARY KEY AUTOINCREMENT, integration TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL,
  finding TEXT NOT NULL, severity INTEGER NOT NULL, scopes TEXT NOT NULL, is_judged INTEGER NOT NULL,
  state TEXT NOT NULL, is_reopened INTEGER NOT NULL DEFAULT 0, first_seen_at TEXT NOT NULL, changed_at TEXT NOT NULL,
  UNIQUE (integration, source, id)
);
CREATE TABLE IF NOT EXISTS finding_events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, finding INTEGER NOT NULL, state TEXT NOT NULL, severity INTEGER NOT NULL,
  at TEXT NOT NULL, name TEXT, reason TEXT
);
CREATE INDEX IF NOT EXISTS finding_events_of ON finding_events (finding, number);
"""

_COLUMNS = "f.number, f.source, f.finding, f.is_judged, f.scopes, f.state, f.is_reopened, f.first_seen_at, f.changed_at"


class Seen(NamedTuple):
    """A finding in the current state of an integration."""

    source: Source
    finding: Finding
    is_judged: bool
    """Whether it was seen in scopes that the newest run proved."""
    scopes: tuple[tuple[str, ...], ...]
    """The scopes that it rests on, each followed by those above it."""


class Event(NamedTuple):
    """A change of the state of a finding; by a person where it has a name."""

    state: wire.FindingState
    severity: Severity
    at: datetime
    name: str | None
    reason: str | None


class Decision(NamedTuple):
    """A decision of a person about a finding."""

    finding: Finding
    event: Event


class FindingRow(NamedTuple):
    """A finding with its state."""

    number: int
    source: Source
    finding: Finding
    is_judged: bool
    scopes: tuple[tuple[str, ...], ...]
    state: wire.FindingState
    is_reopened: bool
    first_seen_at: datetime
    changed_at: datetime

    @classmethod
    def of_row(cls, row: tuple[object, ...]) -> FindingRow:
        """Convert a row of the table."""
        number, source, finding, is_judged, scopes, state, is_reopened, first_seen_at, changed_at = row
        return cls(
            number,  # type: ignore[arg-type]
            source,  # type: ignore[arg-type]
            Finding.model_validate_json(str(finding)),
            bool(is_judged),
            tuple(map(tuple, json.loads(str(scopes)))),
            state,  # type: ignore[arg-type]
            bool(is_reopened),
            datetime.fromisoformat(str(first_seen_at)),
            datetime.fromisoformat(str(changed_at)),
        )


class FindingListing(NamedTuple):
    """One page of the findings, and how many there are in each state and severity."""

    rows: tuple[FindingRow, ...]
    total: int
    counts: Mapping[tuple[wire.FindingState, Severity], int]


class FindingStore(DatabaseFile):
    """The findings of all integrations, in the registry's file. Safe to use from several threads."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        super().__init__(path, _SCHEMA)
        self._clock = clock
        self._refreshing = threading.Lock()
        self._refreshed: dict[str, tuple[object, datetime]] = {}

    def refresh(self, integration_id: str, path: Path) -> None:
        """Apply the current state of an integration, unless that was done and nothing has changed since.

        Args:
            integration_id: The integration.
            path: Its file.
        """
        with self._refreshing:
            with open_current(path) as current:
                changes = VerifiedChanges(current.db).all()
                state = current.visible and (current.visible.sync_id, [(each.id, each.verified_at) for each in changes])
                before, at = self._refreshed.get(integration_id, (None, self._clock()))
                if state is None or (state == before and self._clock() - at < REFRESHED_FOR):
                    return
                scopes = {scope.name: scope for scope in current.visible.scopes()} if current.visible else {}
                graph = current.graph()
                seen = find_all(current, graph, scopes, self._clock())
                self.update(integration_id, seen, scopes, graph.is_undecided if graph else lambda _: False)
            self._refreshed[integration_id] = state, self._clock()

    def update(
        self,
        integration_id: str,
        seen: Iterable[Seen],
        scopes: Mapping[str, ScopeState],
        is_undecided: Callable[[Finding], bool],
    ) -> None:
        """Compare what is seen now with what is known.

        Args:
            integration_id: The integration.
            seen: All findings that it has now.
            scopes: Its scopes, by name.
            is_undecided: Whether a finding of a rule that is not seen may still be right.
        """
        now = self._clock().isoformat()
        seen = list(seen)
        with self._lock, transaction(self._db):
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM findings f WHERE f.integration = ?", (integration_id,))
            known = {(row.source, row.finding.id): row for row in map(FindingRow.of_row, rows.fetchall())}
            accepted = self._accepted_severities(integration_id)
            for each in seen:
                row = known.pop((each.source, each.finding.id), None)
                if row is None:
                    self._insert(integration_id, each, now)
                    continue
                severity = accepted.get(row.number)
                is_worse = severity is not None and SEVERITIES.index(each.finding.severity) > severity
                state: wire.FindingState = "accepted" if row.state == "accepted" and not is_worse else "open"
                if row[1:6] != (*each, state):
                    self._change(row, each, state, now)
            for row in known.values():
                if row.state in ("open", "accepted"):
                    state = row.state
                    is_judged = row.source == "connector" or not is_undecided(row.finding)
                    if any(_is_excluded(names, scopes) for names in row.scopes):
                        state, is_judged = "withdrawn", True
                    elif is_judged:
                        state = "resolved"
                    self._change(row, Seen(row.source, row.finding, is_judged, row.scopes), state, now)

    def decide(
        self, integration_id: str, number: int, state: Literal["open", "accepted"], *, name: str, reason: str
    ) -> None:
        """Accept an open finding, or reopen an accepted one.

        Args:
            integration_id: The integration.
            number: The finding.
            state: What it becomes.
            name: The name that the person typed.
            reason: Why.

        Raises:
            ForbiddenError: It is in another state, e.g. as someone decided meanwhile, or unknown.
        """
        before = "open" if state == "accepted" else "accepted"
        now = self._clock().isoformat()
        with self._lock, transaction(self._db):
            changed = self._db.execute(
                "UPDATE findings SET state = ?, changed_at = ?, is_reopened = is_reopened OR ?"
                " WHERE integration = ? AND number = ? AND state = ?",
                (state, now, state == "open", integration_id, number, before),
            )
            if not changed.rowcount:
                raise ForbiddenError(f"This finding is not {before} any more; nothing was changed.")
            self._add_event(number, state, now, name, reason)

    def list_findings(
        self,
        integration_id: str,
        *,
        states: Iterable[wire.FindingState] = STATES,
        severities: Iterable[Severity] = SEVERITIES,
        offset: int = 0,
        limit: int,
    ) -> FindingListing:
        """Return findings, open ones first, then by severity, then those that came into their state last."""
        states, places = tuple(states), tuple(map(SEVERITIES.index, severities))
        where = (
            f"f.integration = ? AND f.state IN ({_marks(states)}) AND f.severity IN ({_marks(places)})",
            (integration_id, *states, *places),
        )
        rank = "".join(f" WHEN '{state}' THEN {place}" for place, state in enumerate(STATES))
        rows = self._read(
            f"SELECT {_COLUMNS} FROM findings f WHERE {where[0]}"
            f" ORDER BY CASE f.state{rank} END, f.severity DESC, f.changed_at DESC, f.number LIMIT ? OFFSET ?",
            *where[1],
            limit,
            offset,
        )
        total = self._read(f"SELECT count(*) FROM findings f WHERE {where[0]}", *where[1])[0][0]
        return FindingListing(tuple(map(FindingRow.of_row, rows)), total, self.counts(integration_id))

    def counts(self, integration_id: str) -> Counter[tuple[wire.FindingState, Severity]]:
        """Count the findings by state and severity."""
        rows = self._read(
            "SELECT state, severity, count(*) FROM findings WHERE integration = ? GROUP BY 1, 2", integration_id
        )
        return Counter({(state, SEVERITIES[severity]): count for state, severity, count in rows})

    def count_open(self, integration_id: str) -> Counter[Severity]:
        """Count the open findings by severity."""
        found = self.counts(integration_id)
        return Counter({severity: found["open", severity] for severity in SEVERITIES})

    def after(self, integration_id: str, number: int, limit: int) -> tuple[FindingRow, ...]:
        """Return findings in the order in which they were first seen, after the one of a number."""
        rows = self._read(
            f"SELECT {_COLUMNS} FROM findings f WHERE f.integration = ? AND f.number > ? ORDER BY f.number LIMIT ?",
            integration_id,
            number,
            limit,
        )
        return tuple(map(FindingRow.of_row, rows))

    def history(self, number: int) -> tuple[Event, ...]:
        """Return the events of a finding, oldest first."""
        rows = self._read(
            "SELECT state, severity, at, name, reason FROM finding_events WHERE finding = ? ORDER BY number", number
        )
        return tuple(_to_event(*row) for row in rows)

    def decisions(self, integration_id: str) -> list[Decision]:
        """Return what people decided about the findings of an integration, oldest first."""
        rows = self._read(
            "SELECT f.finding, e.state, e.severity, e.at, e.name, e.reason FROM findings f"
            " JOIN finding_events e ON e.finding = f.number WHERE f.integration = ? AND e.name IS NOT NULL"
            " ORDER BY e.number",
            integration_id,
        )
        return [Decision(Finding.model_validate_json(finding), _to_event(*event)) for finding, *event in rows]

    def acceptance(self, row: FindingRow) -> Event | None:
        """Return who accepted a finding, and why; None where it is in another state."""
        return self.history(row.number)[-1] if row.state == "accepted" else None

    def forget(self, integration_id: str) -> None:
        """Delete everything of an integration."""
        with self._lock, transaction(self._db):
            numbers = "SELECT number FROM findings WHERE integration = ?"
            self._db.execute(f"DELETE FROM finding_events WHERE finding IN ({numbers})", (integration_id,))
            self._db.execute("DELETE FROM findings WHERE integration = ?", (integration_id,))
        self._refreshed.pop(integration_id, None)

    def _accepted_severities(self, integration_id: str) -> dict[int, int]:
        """Return the severity with which each accepted finding was accepted, by number."""
        rows = self._db.execute(
            "SELECT f.number, (SELECT e.severity FROM finding_events e WHERE e.finding = f.number"
            " ORDER BY e.number DESC LIMIT 1) FROM findings f WHERE f.integration = ? AND f.state = 'accepted'",
            (integration_id,),
        )
        return dict(rows.fetchall())

    def _insert(self, integration_id: str, seen: Seen, now: str) -> None:
        number = self._db.execute(
            "INSERT INTO findings (integration, source, id, finding, severity, scopes, is_judged, state, first_seen_at,"
            " changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?, ?)",
            (integration_id, seen.source, seen.finding.id, *_stored(seen), now, now),
        ).lastrowid
        self._add_event(int(number or 0), "open", now)

    def _change(self, row: FindingRow, seen: Seen, state: wire.FindingState, now: str) -> None:
        is_changed = state != row.state
        self._db.execute(
            "UPDATE findings SET finding = ?, severity = ?, scopes = ?, is_judged = ?, state = ?, changed_at = ?,"
            " is_reopened = is_reopened OR ? WHERE number = ?",
            (
                *(*_stored(seen), state, now if is_changed else row.changed_at.isoformat()),
                *(is_changed and state == "open", row.number),
            ),
        )
        if is_changed:
            self._add_event(row.number, state, now)

    def _add_event(
        self, number: int, state: wire.FindingState, now: str, name: str | None = None, reason: str | None = None
    ) -> None:
        self._db.execute(
            "INSERT INTO finding_events (finding, state, severity, at, name, reason)"
            " SELECT number, ?, severity, ?, ?, ? FROM findings WHERE number = ?",
            (state, now, name, reason, number),
        )


def _to_event(state: wire.FindingState, severity: int, at: str, name: str | None, reason: str | None) -> Event:
    return Event(state, SEVERITIES[severity], datetime.fromisoformat(at), name, reason)


def find_all(
    current: Current, graph: GraphView | None, scopes: Mapping[str, ScopeState], now: datetime
) -> Iterator[Seen]:
    """Find all findings of the current state of an integration.

    Args:
        current: The state.
        graph: The queries over it.
        scopes: Its scopes, by name.
        now: The time.
    """
    visible = current.visible
    if visible is None:
        return
    for record in visible.records("finding"):
        finding = Finding.model_validate_json(record.body)
        yield Seen("connector", finding, not record.is_unproven, _chains([record], scopes))

    def unproven_since(id_: str) -> datetime | None:
        grant = visible.record(RecordKey(type="grant", id=id_))
        moments = (scopes[name].unproven_since for name in grant.scopes if name in scopes) if grant else ()
        return max(filter(None, moments), default=None)

    for finding, keys in list(graph.findings(unproven_since, now)) if graph else ():
        records = [each for key in keys if (each := visible.record(key)) is not None]
        # That access is unproven is certain.
        is_judged = finding.kind == UNPROVEN.kind or not any(record.is_unproven for record in records)
        yield Seen("platform", finding, is_judged, _chains(records, scopes))


def _chains(records: Iterable[StoredRecord], scopes: Mapping[str, ScopeState]) -> tuple[tuple[str, ...], ...]:
    names = sorted(set(chain.from_iterable(record.scopes for record in records)))
    return tuple(tuple(_above(name, scopes)) for name in names)


def _above(name: str, scopes: Mapping[str, ScopeState]) -> Iterator[str]:
    """Yield a scope and those above it."""
    above: str | None = name
    passed: set[str] = set()
    while above is not None and above not in passed:
        yield above
        passed.add(above)
        above = scopes[above].parent if above in scopes else None


def _is_excluded(names: Iterable[str], scopes: Mapping[str, ScopeState]) -> bool:
    """Whether a scope was switched off, or, where it was not announced, the nearest above it that was."""
    nearest = next((scopes[name] for name in names if name in scopes and scopes[name].is_announced), None)
    return nearest is not None and nearest.ending == "excluded"


def _stored(seen: Seen) -> tuple[object, ...]:
    return (
        seen.finding.model_dump_json(exclude_defaults=True),
        SEVERITIES.index(seen.finding.severity),
        json.dumps(seen.scopes),
        seen.is_judged,
    )


def _marks(values: tuple[object, ...]) -> str:
    return ", ".join("?" * len(values))
