"""The task file of one integration: leased tasks, begun attempts, and every report until Ploy has acknowledged it.

One SQLite file beside the snapshot file, not in it: a snapshot can be rebuilt at any time, this file cannot. Every
write is on the disk before the call returns, so that after a crash the file states what may have been done.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot import schema
from ploy_connector_aws.runtime.snapshot.state_file import (
    TASK_FILE,
    StateError,
    bind,
    is_bound,
    open_database,
    translate_errors,
    use_log,
)
from ploy_connector_aws.runtime.snapshot.store import Transaction
from ploy_connector_aws.runtime.snapshot.verified_changes import VerifiedChange, VerifiedChanges
from ploy_connector_aws.spec import AccessChange, Failure

from . import local_changes

ENDED_KEPT = 1000
"""How many ended tasks stay in the file for inspection."""
BEGUN_KEPT = 10_000
"""Of how many changes the file records that they began."""

_MIGRATIONS: tuple[schema.Migration, ...] = (local_changes.create_table,)
_VERSION = 1 + len(_MIGRATIONS)
_APPLICATION = 0x706C7481  # 'plt' and a number: tells the file from a snapshot file, whose name might be the same
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  task TEXT NOT NULL,                      -- as Ploy sent it, with the newest lease
  lease_ends_at TEXT NOT NULL,             -- at the earliest, by the clock of this machine
  is_lost INTEGER NOT NULL DEFAULT 0,      -- 1: Ploy no longer accepts this lease
  attempts INTEGER NOT NULL DEFAULT 0,     -- how many began
  begun_at TEXT,                           -- when the newest of them began
  uncertainty TEXT,                        -- why a change may have taken effect without being confirmed
  last_failure TEXT,                       -- how the newest attempt failed, while a retry is due
  not_before TEXT,                         -- when the retry is due
  report TEXT,                             -- waits in the outbox until ended_at
  ending TEXT,                             -- acknowledged, or why the task was dropped
  ended_at TEXT
);
CREATE INDEX tasks_open ON tasks (number) WHERE ended_at IS NULL;
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE begun_changes (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,                 -- the id of the task or of the request
  account_id TEXT NOT NULL,
  entitlement_id TEXT NOT NULL
);
CREATE INDEX begun_changes_pair ON begun_changes (account_id, entitlement_id)
"""
ACKNOWLEDGED = "Ploy has the report."
"""The ending of a task whose report Ploy accepted."""
_BEFORE = "The task was worked on before, and ended."
_CUT_OFF = "The runtime ended while an attempt was under way."

Report: TypeAlias = wire.TaskDone | wire.TaskFailed
_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


@dataclass(frozen=True)
class HeldTask:
    """A task in the task file."""

    task: wire.Task
    lease_ends_at: datetime
    is_lost: bool
    attempts: int
    uncertainty: str | None
    """Why the change may have taken effect without being confirmed; None where it certainly changed nothing."""
    last_failure: Failure | None
    not_before: datetime | None
    report: Report | None
    ending: str | None

    @property
    def is_change(self) -> bool:
        """Whether the task is a grant or a revoke, and not only a preview of one."""
        return self.task.kind in ("grant", "revoke") and not self.task.preview


_COLUMNS = "task, lease_ends_at, is_lost, attempts, uncertainty, last_failure, not_before, report, ending"


def _to_held(row: tuple[Any, ...]) -> HeldTask:
    task, lease_ends_at, is_lost, attempts, uncertainty, last_failure, not_before, report, ending = row
    return HeldTask(
        task=wire.Task.model_validate_json(task),
        lease_ends_at=datetime.fromisoformat(lease_ends_at),
        is_lost=bool(is_lost),
        attempts=attempts,
        uncertainty=uncertainty,
        last_failure=Failure.model_validate_json(last_failure) if last_failure else None,
        not_before=datetime.fromisoformat(not_before) if not_before else None,
        report=_REPORT.validate_json(report) if report else None,
        ending=ending,
    )


class Journal(AbstractContextManager["Journal"]):
    """One integration's task file. Thread-safe, and may be opened several times.

    Only the holder of the integration's ``TaskLock`` works on tasks; a sync reads and confirms verified changes.
    """

    def __init__(self, path: Path, connection: type[sqlite3.Connection] = sqlite3.Connection) -> None:
        """Open the file; create it (readable by its owner only) where it is missing.

        Args:
            path: The file.
            connection: The class of the connection.

        Raises:
            StateError: It cannot be opened, is damaged, was written by a newer version, or belongs to another
                integration than the one in its name.
        """
        self.path = path
        self._lock = threading.RLock()
        self._db = open_database(path, TASK_FILE, connection)
        try:
            with translate_errors(path, TASK_FILE):
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        use_log(self._db)
        self._db.execute("PRAGMA synchronous=FULL")
        if self._read_version() == (_VERSION, _APPLICATION) and is_bound(self._db, self.path, TASK_FILE):
            return  # without a write, which would have to wait for another process
        with Transaction(self._db):
            version, application = self._read_version()
            if version == 0:
                for statement in _TABLES.split(";\n"):
                    self._db.execute(statement)
                VerifiedChanges(self._db).create_table()
                local_changes.create_table(self._db)
                self._db.execute("INSERT INTO facts VALUES ('worker_id', ?)", (uuid.uuid4().hex,))
                self._db.execute(f"PRAGMA application_id={_APPLICATION}")
                self._db.execute(f"PRAGMA user_version={_VERSION}")
            elif application != _APPLICATION:
                raise StateError(
                    f"The task file {self.path.name} cannot be used: it is another kind of file.",
                    fix="give the integration another id, or keep its state in another folder",
                )
            elif version > _VERSION:
                raise StateError(
                    f"The task file {self.path.name} was written by a newer version.", fix="update this program"
                )
            else:
                schema.migrate(self._db, version, _MIGRATIONS)
            bind(self._db, self.path, TASK_FILE)  # last: a bound file has every table

    def _read_version(self) -> tuple[int, int]:
        row: tuple[int, int] = self._db.execute(
            "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id"
        ).fetchone()
        return row

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction; may be nested."""
        with self._lock, translate_errors(self.path, TASK_FILE), Transaction(self._db):
            yield self._db

    def read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._lock, translate_errors(self.path, TASK_FILE):
            return self._db.execute(sql, values).fetchall()

    def _rows(self, condition: str, *values: object) -> list[HeldTask]:
        rows = self.read(f"SELECT {_COLUMNS} FROM tasks WHERE {condition}", *values)
        try:
            return [_to_held(row) for row in rows]
        except ValidationError:
            message = f"The task file {self.path.name} cannot be used: it holds a task that does not fit the contract."
            raise StateError(message, fix=TASK_FILE.rebuild_hint) from None

    @property
    def worker_id(self) -> str:
        """The name of this file in Ploy."""
        return str(self.read("SELECT value FROM facts WHERE name = 'worker_id'")[0][0])

    @property
    def pending_poll(self) -> tuple[wire.LeaseRequest, datetime] | None:
        """The last poll, and when it was made; its answer may have been lost with the process."""
        facts: dict[str, str] = dict(self.read("SELECT name, value FROM facts WHERE name IN ('poll', 'polled_at')"))
        if not facts:
            return None
        return wire.LeaseRequest.model_validate_json(facts["poll"]), datetime.fromisoformat(facts["polled_at"])

    def set_pending_poll(self, request: wire.LeaseRequest, asked_at: datetime) -> None:
        """Record a poll before it is made, in place of the one before."""
        with self.writing() as db:
            facts = (("poll", request.model_dump_json()), ("polled_at", asked_at.isoformat()))
            db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)

    def set_settings_revision(self, revision: int | None) -> None:
        """Record the revision of the settings that tasks are done with from now on.

        A change that was leased under another revision and has not begun counts as lost: Ploy may have meant it for
        that revision alone, and leases it again if it is meant for this one.
        """
        with self.writing() as db:
            known = db.execute("SELECT value FROM facts WHERE name = 'revision'").fetchone()
            db.execute("INSERT OR REPLACE INTO facts VALUES ('revision', ?)", (str(revision),))
            for held in self.open_tasks() if known and known[0] != str(revision) else ():
                if held.is_change and held.attempts == 0:
                    self.mark_lease_lost(held.task)

    def open_tasks(self) -> list[HeldTask]:
        """Return the tasks without a report, in the order of their creation."""
        held = self._rows("ended_at IS NULL AND report IS NULL ORDER BY number")
        return sorted(held, key=lambda each: each.task.created_at)

    def reports(self) -> list[HeldTask]:
        """Return the tasks whose reports Ploy has not acknowledged, oldest first."""
        return self._rows("ended_at IS NULL AND report IS NOT NULL ORDER BY number")

    def task(self, task_id: str) -> HeldTask | None:
        """Return one task, also when it has ended."""
        return next(iter(self._rows("id = ?", task_id)), None)

    def lease(self, task: wire.Task, ends_at: datetime) -> None:
        """Keep a task with its lease. A known task continues under the new lease; an ended one starts over.

        A report of success that Ploy did not accept under an older lease is still true: it is sent under the new one.
        A task that starts over may have changed something before, so it is never reported as having changed nothing.
        """
        with self.writing() as db:
            known = self.task(task.id)
            is_owed = known is not None and isinstance(known.report, wire.TaskDone) and known.ending != ACKNOWLEDGED
            was_begun = known is not None and known.is_change and known.attempts > 0
            db.execute(
                "INSERT INTO tasks (id, task, lease_ends_at) VALUES (:id, :task, :ends) ON CONFLICT (id) DO UPDATE SET"
                " task = :task, lease_ends_at = :ends, is_lost = 0, ended_at = NULL, ending = NULL,"
                " report = iif(ended_at IS NULL OR :is_owed, report, NULL),"
                " uncertainty = iif(ended_at IS NULL OR :is_owed, uncertainty, coalesce(uncertainty, :before)),"
                " last_failure = iif(ended_at IS NULL, last_failure, NULL),"
                " not_before = iif(ended_at IS NULL, not_before, NULL)",
                {
                    "id": task.id,
                    "task": task.model_dump_json(),
                    "ends": ends_at.isoformat(),
                    "is_owed": is_owed,
                    "before": _BEFORE if was_begun else None,
                },
            )

    def extend(self, task: wire.Task, ends_at: datetime) -> None:
        """Record the new end of a lease; ``task`` has its new length."""
        with self.writing() as db:
            db.execute(
                "UPDATE tasks SET task = ?, lease_ends_at = ? WHERE id = ? AND json_extract(task, '$.lease_id') = ?",
                (task.model_dump_json(), ends_at.isoformat(), task.id, task.lease_id),
            )

    def begin(self, task_id: str, now: datetime) -> HeldTask | None:
        """Record that an attempt begins, before any call is made.

        Returns:
            The task with its current lease; None where it belongs to another runtime now.
        """
        with self.writing() as db:
            known = self.task(task_id)
            if known is None or known.is_lost or known.report is not None or known.ending is not None:
                return None
            uncertainty = known.uncertainty or (_CUT_OFF if known.is_change else None)
            db.execute(
                "UPDATE tasks SET attempts = attempts + 1, begun_at = ?, uncertainty = ? WHERE id = ?",
                (now.isoformat(), uncertainty, task_id),
            )
            if known.is_change:
                self.begin_change(task_id, known.task.account_id or "", known.task.entitlement_id or "")
            return known

    def begin_change(self, id_: str, account_id: str, entitlement_id: str) -> None:
        """Record that a change of a task or a request begins."""
        with self.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO begun_changes (id, account_id, entitlement_id) VALUES (?, ?, ?)",
                (id_, account_id, entitlement_id),
            )
            db.execute(
                "DELETE FROM begun_changes WHERE number <= (SELECT max(number) FROM begun_changes) - ?", (BEGUN_KEPT,)
            )

    def was_changed(self, account_id: str, entitlement_id: str, except_by: str) -> bool:
        """Return whether another request may have changed a grant: whether one began, however it ended."""
        others = "SELECT 1 FROM begun_changes WHERE account_id = ? AND entitlement_id = ? AND id != ? LIMIT 1"
        return bool(self.read(others, account_id, entitlement_id, except_by))

    def schedule_retry(
        self, task_id: str, last_failure: Failure, *, uncertainty: str | None, not_before: datetime
    ) -> None:
        """Record that an attempt failed and a retry is due.

        Args:
            task_id: The task.
            last_failure: How it failed.
            uncertainty: Why the change may have taken effect; None where it certainly changed nothing.
            not_before: When the retry is due.
        """
        with self.writing() as db:
            db.execute(
                "UPDATE tasks SET last_failure = ?, uncertainty = ?, not_before = ? WHERE id = ?",
                (last_failure.model_dump_json(exclude_defaults=True), uncertainty, not_before.isoformat(), task_id),
            )

    def finish(self, task_id: str, report: Report) -> None:
        """Put a task's one report into the outbox, and keep the change that it verified.

        A lost lease does not matter: Ploy accepts the report of the newest lease unless it leased the task again.
        """
        change = report.change if isinstance(report, wire.TaskDone) else None
        is_unknown = isinstance(report, wire.TaskFailed) and report.code == "state_unknown"
        with self.writing() as db:
            db.execute(
                "UPDATE tasks SET report = ?, uncertainty = iif(?, uncertainty, NULL) WHERE id = ?",
                (report.model_dump_json(), is_unknown, task_id),
            )
            if change is not None:
                self.keep_verified(task_id, change)

    def mark_lease_lost(self, task: wire.Task) -> None:
        """Record that Ploy no longer accepts the lease."""
        with self.writing() as db:
            db.execute(
                "UPDATE tasks SET is_lost = 1 WHERE id = ? AND json_extract(task, '$.lease_id') = ?",
                (task.id, task.lease_id),
            )

    def end(self, task: wire.Task, ending: str, now: datetime) -> bool:
        """Record that Ploy has acknowledged a report, or why a task is dropped.

        Returns:
            Whether it ended; False where the task was leased again meanwhile.
        """
        with self.writing() as db:
            is_ended = db.execute(
                "UPDATE tasks SET ended_at = ?, ending = ?"
                " WHERE id = ? AND json_extract(task, '$.lease_id') = ? AND ended_at IS NULL",
                (now.isoformat(), ending, task.id, task.lease_id),
            ).rowcount
            db.execute(
                "DELETE FROM tasks WHERE number IN (SELECT number FROM tasks WHERE ended_at IS NOT NULL"
                " ORDER BY ended_at DESC LIMIT -1 OFFSET ?)",
                (ENDED_KEPT,),
            )
        return is_ended > 0

    def keep_verified(self, id_: str, change: AccessChange) -> None:
        """Keep what a task or a request verified, until a run has read it."""
        verified = VerifiedChange.of(id_, change)
        if verified is not None and (verified.added or verified.removed):
            with self.writing() as db:
                VerifiedChanges(db).add(verified)

    def verified(self, account_id: str | None = None) -> tuple[VerifiedChange, ...]:
        """Return the verified changes that no run has read yet: all, or those that affect one account's paths."""
        with self._lock, translate_errors(self.path, TASK_FILE):
            changes = VerifiedChanges(self._db)
            return changes.all() if account_id is None else changes.about(account_id)

    def confirm(self, confirmed: Mapping[str, datetime]) -> None:
        """Forget verified changes that a run has read; each is given with the moment of its verification."""
        with self.writing():
            VerifiedChanges(self._db).confirm(confirmed)
