"""Tables of one integration's tasks: the tasks, their leases and previews, and their history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias, TypedDict

from pydantic import TypeAdapter

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.pages import Failure

TaskState: TypeAlias = Literal["queued", "leased", "done", "manual"]

Report: TypeAlias = wire.TaskDone | wire.TaskFailed

_REPORT: TypeAdapter[Report] = TypeAdapter(Report)

SCHEMA = """
CREATE TABLE IF NOT EXISTS ploy_tasks (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  preview INTEGER NOT NULL,
  account_id TEXT,
  entitlement_id TEXT,
  reason TEXT,
  created_at TEXT NOT NULL,
  deadline TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued',
  attempts INTEGER NOT NULL DEFAULT 0,
  lease_id TEXT,
  lease_ends_at TEXT,
  holder TEXT,
  report TEXT,
  failure TEXT,
  ended_at TEXT,
  resolved_at TEXT,
  made_by TEXT,  -- NULL: ordered here
  requested_by TEXT,
  is_change INTEGER NOT NULL AS (kind IN ('grant', 'revoke') AND NOT preview) STORED,
  turn INTEGER NOT NULL AS (iif(kind = 'revoke' AND NOT preview, 0, 1)) STORED
);
CREATE INDEX IF NOT EXISTS ploy_tasks_waiting ON ploy_tasks (turn, number) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS ploy_tasks_of_a_pair ON ploy_tasks (account_id, entitlement_id, number)
  WHERE is_change AND state IN ('queued', 'leased');
CREATE INDEX IF NOT EXISTS ploy_tasks_leased ON ploy_tasks (lease_ends_at) WHERE state = 'leased';
CREATE INDEX IF NOT EXISTS ploy_tasks_due ON ploy_tasks (deadline) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS ploy_tasks_by_state ON ploy_tasks (state, number);
CREATE TABLE IF NOT EXISTS ploy_leases (
  id TEXT PRIMARY KEY, task TEXT NOT NULL, holder TEXT NOT NULL, request TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ploy_leases_by_request ON ploy_leases (request, holder);
CREATE TABLE IF NOT EXISTS ploy_task_events (
  number INTEGER PRIMARY KEY, task TEXT NOT NULL, at TEXT NOT NULL, event TEXT NOT NULL, detail TEXT, name TEXT
);
CREATE TABLE IF NOT EXISTS ploy_previewed_orders (preview TEXT PRIMARY KEY, task TEXT NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS ploy_task_events_by_task ON ploy_task_events (task, number);
"""

_FIRST_OF_ITS_PAIR = (
    "NOT (t.is_change AND EXISTS (SELECT 1 FROM ploy_tasks before WHERE before.is_change"
    " AND before.state IN ('queued', 'leased') AND before.account_id = t.account_id"
    " AND before.entitlement_id = t.entitlement_id AND before.number < t.number))"
)


class OrderedTask(NamedTuple):
    """A task as the platform stores it."""

    id: str
    kind: wire.TaskKind
    preview: bool
    account_id: str | None
    entitlement_id: str | None
    reason: str | None
    created_at: datetime
    deadline: datetime
    state: TaskState = "queued"
    attempts: int = 0
    """How often it was leased."""
    lease_id: str | None = None
    """The newest lease, expired or not."""
    lease_ends_at: datetime | None = None
    holder: str | None = None
    report: Report | None = None
    failure: Failure | None = None
    """Why it is a manual task: by the runtime's report, or by the platform at the deadline."""
    ended_at: datetime | None = None
    resolved_at: datetime | None = None
    """When a person resolved a manual task."""
    made_by: Literal["command_line"] | None = None
    """What made the change without a task; None where it was ordered here."""
    requested_by: str | None = None
    """By whom: the name as it was typed here or, on the command line, that of the operating system's user."""

    @property
    def is_change(self) -> bool:
        """Whether it changes access: a grant or a revoke, and no preview."""
        return self.kind in ("grant", "revoke") and not self.preview


class TaskOptions(TypedDict, total=False):
    """What a person may add to the kind of a task."""

    account_id: str | None
    entitlement_id: str | None
    reason: str | None
    requested_by: str | None
    preview: bool
    deadline: datetime | None
    """By default an hour later."""


class TaskEvent(NamedTuple):
    """One event in the history of a task."""

    at: datetime
    event: Literal["created", "made", "leased", "lease_ended", "resumed", "done", "manual", "resolved"]
    detail: str | None = None
    name: str | None = None
    """The name that the person typed who ordered or resolved it."""


class TaskLedger:
    """Tables in an integration's file, so that a report changes them and the verified changes in one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, task: OrderedTask) -> None:
        """Add a task."""
        self._db.execute(
            "INSERT INTO ploy_tasks (id, kind, preview, account_id, entitlement_id, reason, created_at, deadline,"
            " made_by, requested_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(task.id, task.kind, task.preview, task.account_id, task.entitlement_id, task.reason),
                *(_text(task.created_at), _text(task.deadline), task.made_by, task.requested_by),
            ),
        )

    def task(self, task_id: str) -> OrderedTask | None:
        """Return one task."""
        return next(self._tasks("id = ?", task_id), None)

    def tasks(self) -> Iterator[OrderedTask]:
        """Iterate over all tasks, in the order of their creation."""
        return self._tasks("1 ORDER BY number")

    def unresolved(self) -> Iterator[OrderedTask]:
        """Iterate over the manual tasks that wait for a person, in the order of their creation."""
        return self._tasks("state = 'manual' AND resolved_at IS NULL ORDER BY number")

    def newest_failed(self, kind: wire.TaskKind) -> OrderedTask | None:
        """Return the newest manual task of a kind, resolved or not."""
        return next(self._tasks("state = 'manual' AND kind = ? ORDER BY number DESC LIMIT 1", kind), None)

    def waiting(self, most: int, *, is_read_only: bool, only_checks: bool) -> list[OrderedTask]:
        """Return the tasks that may be leased now, in the order in which they are leased."""
        allowed = f"{_FIRST_OF_ITS_PAIR}{' AND NOT t.is_change' if is_read_only else ''}"
        allowed += " AND t.kind = 'check'" if only_checks else ""
        return list(self._tasks(f"t.state = 'queued' AND {allowed} ORDER BY t.turn, t.number LIMIT ?", most))

    def expired(self, now: datetime) -> list[OrderedTask]:
        """Return the tasks with an expired lease."""
        return list(self._tasks("state = 'leased' AND lease_ends_at <= ?", _text(now)))

    def overdue(self, now: datetime) -> list[OrderedTask]:
        """Return the queued tasks whose deadline has passed."""
        return list(self._tasks("state = 'queued' AND deadline <= ?", _text(now)))

    def lease(self, task_id: str, lease_id: str, request: wire.LeaseRequest, ends_at: datetime) -> None:
        """Lease a task to a worker."""
        self._db.execute(
            "UPDATE ploy_tasks SET state = 'leased', attempts = attempts + 1, lease_id = ?, lease_ends_at = ?,"
            " holder = ? WHERE id = ?",
            (lease_id, _text(ends_at), request.worker_id, task_id),
        )
        self._db.execute(
            "INSERT INTO ploy_leases VALUES (?, ?, ?, ?)", (lease_id, task_id, request.worker_id, request.request_id)
        )

    def is_answered(self, request: wire.LeaseRequest) -> bool:
        """Whether this request got tasks."""
        found = self._db.execute(
            "SELECT 1 FROM ploy_leases WHERE request = ? AND holder = ?", (request.request_id, request.worker_id)
        ).fetchone()
        return found is not None

    def leased_for(self, request: wire.LeaseRequest) -> list[OrderedTask]:
        """Return the tasks that this request leased and that are still under these leases, in the same order."""
        return list(
            self._tasks(
                "t.state = 'leased' AND t.lease_id IN (SELECT id FROM ploy_leases WHERE request = ? AND holder = ?)"
                " ORDER BY t.turn, t.number",
                *(request.request_id, request.worker_id),
            )
        )

    def renew(self, task_id: str, ends_at: datetime) -> None:
        """Extend the newest lease, also an expired one."""
        self._db.execute(
            "UPDATE ploy_tasks SET state = 'leased', lease_ends_at = ? WHERE id = ?", (_text(ends_at), task_id)
        )

    def queue(self, task_id: str) -> None:
        """Return a task to its place in the queue."""
        self._db.execute("UPDATE ploy_tasks SET state = 'queued' WHERE id = ?", (task_id,))

    def end(
        self,
        task_id: str,
        state: Literal["done", "manual"],
        now: datetime,
        *,
        report: Report | None = None,
        failure: Failure | None = None,
    ) -> None:
        """End a task, with a runtime's report or without one."""
        self._db.execute(
            "UPDATE ploy_tasks SET state = ?, ended_at = ?, report = ?, failure = ? WHERE id = ?",
            (
                *(state, _text(now)),
                report.model_dump_json() if report else None,
                failure.model_dump_json() if failure else None,
                task_id,
            ),
        )

    def resolve(self, task_id: str, now: datetime) -> None:
        """Mark a manual task as resolved."""
        self._db.execute("UPDATE ploy_tasks SET resolved_at = ? WHERE id = ?", (_text(now), task_id))

    def use_preview(self, preview_id: str, task_id: str) -> None:
        """Store the task that was created from a preview; a preview has only one."""
        self._db.execute("INSERT INTO ploy_previewed_orders VALUES (?, ?)", (preview_id, task_id))

    def order_of(self, preview_id: str) -> str | None:
        """Return the id of the task that was created from a preview."""
        found = self._db.execute("SELECT task FROM ploy_previewed_orders WHERE preview = ?", (preview_id,)).fetchone()
        return found[0] if found else None

    def note(self, task_id: str, event: TaskEvent) -> None:
        """Add to a task's history."""
        self._db.execute(
            "INSERT INTO ploy_task_events (task, at, event, detail, name) VALUES (?, ?, ?, ?, ?)",
            (task_id, _text(event.at), event.event, event.detail, event.name),
        )

    def history(self, task_id: str) -> tuple[TaskEvent, ...]:
        """Return the history of a task, oldest event first."""
        rows = self._db.execute(
            "SELECT at, event, detail, name FROM ploy_task_events WHERE task = ? ORDER BY number", (task_id,)
        )
        return tuple(TaskEvent(datetime.fromisoformat(at), *event) for at, *event in rows)

    def _tasks(self, where: str, *values: object) -> Iterator[OrderedTask]:
        rows = self._db.execute(
            "SELECT id, kind, preview, account_id, entitlement_id, reason, created_at, deadline, state, attempts,"
            " lease_id, lease_ends_at, holder, report, failure, ended_at, resolved_at, made_by, requested_by"
            f" FROM ploy_tasks t WHERE {where}",
            values,
        )
        for row in rows:
            task = OrderedTask(*row)
            yield task._replace(
                preview=bool(task.preview),
                created_at=datetime.fromisoformat(row[6]),
                deadline=datetime.fromisoformat(row[7]),
                lease_ends_at=_moment(row[11]),
                report=_REPORT.validate_json(row[13]) if row[13] else None,
                failure=Failure.model_validate_json(row[14]) if row[14] else None,
                ended_at=_moment(row[15]),
                resolved_at=_moment(row[16]),
            )


def _text(moment: datetime) -> str:
    # In one zone and one length, so that texts compare as moments do.
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
