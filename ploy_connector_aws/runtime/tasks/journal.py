"""The task file of one integration: what was leased, what was begun, and every report until Ploy has it.

One SQLite file beside the snapshot file, and not in it: a snapshot can be made anew at any time, this cannot. Every
write is on the disk before the call returns, so that after the end of the process, however it came, the file says what
may have been done.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from ploy_connector_aws.platform import wire
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

from .held_task import COLUMNS, HeldTask, Report, to_held

_log = logging.getLogger(__name__)

ENDED_KEPT = 1000
"""So many tasks that have ended are kept to look at."""
BEGUN_KEPT = 10_000
"""Of so many changes it is remembered that they were begun."""

_VERSION = 1
_APPLICATION = 0x706C7481  # 'plt' and a number: tells the file from a snapshot file, whose name might be the same
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  task TEXT NOT NULL,                      -- as Ploy gave it, with the newest lease
  lease_ends_at TEXT NOT NULL,             -- at the earliest, by the clock of this machine
  is_lost INTEGER NOT NULL DEFAULT 0,      -- 1: Ploy does not take this lease any more
  attempts INTEGER NOT NULL DEFAULT 0,     -- how many were begun
  begun_at TEXT,                           -- when the newest of them was
  uncertainty TEXT,                              -- why a change may have taken effect without being confirmed
  last_failure TEXT,                            -- how the newest attempt failed, while it is to be tried again
  not_before TEXT,                         -- when it is to be
  report TEXT,                             -- waits in the outbox until ended_at
  ending TEXT,                             -- acknowledged, or why the task was dropped
  ended_at TEXT
);
CREATE INDEX tasks_open ON tasks (number) WHERE ended_at IS NULL;
CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL
"""
_BEGUN = """
CREATE TABLE IF NOT EXISTS begun_changes (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,                 -- the task's or that of the request
  account_id TEXT NOT NULL,
  entitlement_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS begun_changes_pair ON begun_changes (account_id, entitlement_id)
"""
_NEW_BEGUN = (
    "INSERT OR IGNORE INTO begun_changes (id, account_id, entitlement_id)"
    " SELECT id, json_extract(task, '$.account_id'), json_extract(task, '$.entitlement_id') FROM tasks"
    " WHERE attempts > 0 AND json_extract(task, '$.kind') IN ('grant', 'revoke')"
    " AND NOT coalesce(json_extract(task, '$.preview'), 0)"
)
ACKNOWLEDGED = "Ploy has the report."
"""How a task ends whose report was taken."""
_BEFORE = "The task was worked on before, and ended."
_CUT_OFF = "The runtime ended while an attempt was under way."
_UNUSABLE = "It does not fit the contract."


class Journal:
    """One integration's task file. May be used by several threads, and opened several times.

    Only the holder of the integration's ``TaskLock`` works on tasks; whoever syncs reads and settles verified changes.
    """

    def __init__(self, path: Path, connection: type[sqlite3.Connection] = sqlite3.Connection) -> None:
        """Open the file, and make it (readable by its owner only) when it is not there.

        Args:
            path: The file.
            connection: The class of the connection.

        Raises:
            StateError: It cannot be opened, is damaged, was written by a newer version, or belongs to another
                integration than the one that it is named after.
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
            for statement in _BEGUN.split(";\n"):
                self._db.execute(statement)
            self._db.execute(_NEW_BEGUN)  # a file of an older version of this program has tasks only
            bind(self._db, self.path, TASK_FILE)  # last: a bound file has every table

    def _read_version(self) -> tuple[int, int]:
        version, application = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")
        )
        return version, application

    def __enter__(self) -> Journal:
        """Use as a context manager: closes the file at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translate_errors(self.path, TASK_FILE), Transaction(self._db):
            yield self._db

    def _rows(self, condition: str, *values: object) -> list[HeldTask]:
        with self._lock, translate_errors(self.path, TASK_FILE):
            rows = self._db.execute(f"SELECT {COLUMNS} FROM tasks WHERE {condition}", values).fetchall()
        return [held for row in rows if (held := to_held(row)) is not None]

    # What is there.

    @property
    def worker_id(self) -> str:
        """Names this file at Ploy."""
        with self._lock, translate_errors(self.path, TASK_FILE):
            value: str = self._db.execute("SELECT value FROM facts WHERE name = 'worker_id'").fetchone()[0]
        return value

    @property
    def pending_poll(self) -> tuple[wire.LeaseRequest, datetime] | None:
        """What was asked of Ploy last, and when; what it gave may have been lost with the process."""
        with self._lock, translate_errors(self.path, TASK_FILE):
            facts = dict(self._db.execute("SELECT name, value FROM facts WHERE name IN ('poll', 'polled_at')"))
        if not facts:
            return None
        try:
            pending_poll = wire.LeaseRequest.model_validate_json(facts["poll"])
        except ValidationError:  # an older version asked with numbers that are out of their bounds
            return None
        return pending_poll, datetime.fromisoformat(facts["polled_at"])

    def set_pending_poll(self, pending_poll: wire.LeaseRequest, asked_at: datetime) -> None:
        """Keep what is going to be asked of Ploy, in place of what was before."""
        with self._writing() as db:
            facts = (("poll", pending_poll.model_dump_json()), ("polled_at", asked_at.isoformat()))
            db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)

    def note_settings(self, revision: int | None) -> None:
        """Note the settings that tasks are done with from now on. A change that was leased for others, and not begun,
        is lost: Ploy may have ordered it for those alone, and gives it anew if it is meant for these.
        """
        with self._writing() as db:
            known = db.execute("SELECT value FROM facts WHERE name = 'revision'").fetchone()
            db.execute("INSERT OR REPLACE INTO facts VALUES ('revision', ?)", (str(revision),))
            for held in self.open_tasks() if known and known[0] != str(revision) else ():
                if held.is_change and held.attempts == 0:
                    self.mark_lease_lost(held.task)

    def end_unusable(self, now: datetime) -> None:
        """End the tasks that an older version kept and that no call can name. Ploy makes manual tasks of them."""
        with self._writing() as db:
            rows = db.execute(f"SELECT number, {COLUMNS} FROM tasks WHERE ended_at IS NULL").fetchall()
            for number, *row in rows:
                if to_held(tuple(row)) is None:
                    _log.warning("task number %d of %s is dropped: %s", number, self.path.name, _UNUSABLE)
                    values = (now.isoformat(), _UNUSABLE, number)
                    db.execute("UPDATE tasks SET ended_at = ?, ending = ? WHERE number = ?", values)

    def open_tasks(self) -> list[HeldTask]:
        """The tasks without a report, as they were created."""
        held = self._rows("ended_at IS NULL AND report IS NULL ORDER BY number")
        return sorted(held, key=lambda each: each.task.created_at)

    def reports(self) -> list[HeldTask]:
        """The tasks whose reports Ploy has not acknowledged, oldest first."""
        return self._rows("ended_at IS NULL AND report IS NOT NULL ORDER BY number")

    def task(self, task_id: str) -> HeldTask | None:
        """One task, also when it has ended."""
        return next(iter(self._rows("id = ?", task_id)), None)

    # What happens to a task, in this order.

    def lease(self, task: wire.Task, ends_at: datetime) -> None:
        """Keep a task with its lease. One that is known goes on under the new lease; one that had ended begins anew.

        A report that something was done, and that Ploy did not take under an older lease, is still true: it is sent
        under the new one. Whatever begins anew is not said to have changed nothing, as it may have before.
        """
        with self._writing() as db:
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
        """Note that a lease goes on; ``task`` has its new length."""
        with self._writing() as db:
            db.execute(
                "UPDATE tasks SET task = ?, lease_ends_at = ? WHERE id = ? AND json_extract(task, '$.lease_id') = ?",
                (task.model_dump_json(), ends_at.isoformat(), task.id, task.lease_id),
            )

    def begin(self, task_id: str, now: datetime) -> HeldTask | None:
        """Note that an attempt begins, before anything is asked for.

        Returns:
            The task with its lease as it is now; None where it is not this runtime's any more.
        """
        with self._writing() as db:
            known = self.task(task_id)
            if known is None or known.is_lost or known.report is not None or known.ending is not None:
                return None
            uncertainty = known.uncertainty or (_CUT_OFF if known.is_change else None)
            db.execute(
                "UPDATE tasks SET attempts = attempts + 1, begun_at = ?, uncertainty = ? WHERE id = ?",
                (now.isoformat(), uncertainty, task_id),
            )
            if known.is_change:
                self._begin_change(task_id, known.task.account_id or "", known.task.entitlement_id or "")
            return known

    def _begin_change(self, id_: str, account_id: str, entitlement_id: str) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO begun_changes (id, account_id, entitlement_id) VALUES (?, ?, ?)",
            (id_, account_id, entitlement_id),
        )
        self._db.execute(
            "DELETE FROM begun_changes WHERE number <= (SELECT max(number) FROM begun_changes) - ?", (BEGUN_KEPT,)
        )

    def begin_change(self, id_: str, account_id: str, entitlement_id: str) -> None:
        """Note that a change that is no task begins, as ``begin`` does for a task."""
        with self._writing():
            self._begin_change(id_, account_id, entitlement_id)

    def was_changed(self, account_id: str, entitlement_id: str, except_by: str) -> bool:
        """Whether another request than one was begun that may have changed a grant, however it ended."""
        with self._lock, translate_errors(self.path, TASK_FILE):
            row = self._db.execute(
                "SELECT EXISTS (SELECT 1 FROM begun_changes WHERE account_id = ? AND entitlement_id = ? AND id != ?)",
                (account_id, entitlement_id, except_by),
            ).fetchone()
        return bool(row[0])

    def schedule_retry(
        self, task_id: str, last_failure: Failure, *, uncertainty: str | None, not_before: datetime
    ) -> None:
        """Note that an attempt failed and there is to be another.

        Args:
            task_id: The task.
            last_failure: How it failed.
            uncertainty: Why the change may have taken effect; None where it is certain that nothing was changed.
            not_before: When to try again.
        """
        with self._writing() as db:
            db.execute(
                "UPDATE tasks SET last_failure = ?, uncertainty = ?, not_before = ? WHERE id = ?",
                (last_failure.model_dump_json(exclude_defaults=True), uncertainty, not_before.isoformat(), task_id),
            )

    def finish(self, task_id: str, report: Report) -> None:
        """Put a task's one report into the outbox, and keep what it verified.

        Also where the lease was lost: Ploy takes the report of the newest lease, if nobody else got the task.
        """
        change = report.change if isinstance(report, wire.TaskDone) else None
        is_unknown = isinstance(report, wire.TaskFailed) and report.code == "state_unknown"
        with self._writing() as db:
            db.execute(
                "UPDATE tasks SET report = ?, uncertainty = iif(?, uncertainty, NULL) WHERE id = ?",
                (report.model_dump_json(), is_unknown, task_id),
            )
            self._remember(task_id, change)

    def mark_lease_lost(self, task: wire.Task) -> None:
        """Note that Ploy does not take the lease any more."""
        with self._writing() as db:
            db.execute(
                "UPDATE tasks SET is_lost = 1 WHERE id = ? AND json_extract(task, '$.lease_id') = ?",
                (task.id, task.lease_id),
            )

    def end(self, task: wire.Task, ending: str, now: datetime) -> bool:
        """Note that Ploy has acknowledged a report, or why a task is dropped.

        Returns:
            Whether it ended; not where the task was leased again meanwhile.
        """
        with self._writing() as db:
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

    # What was verified.

    def _remember(self, id_: str, change: AccessChange | None) -> None:
        verified = VerifiedChange.of(id_, change) if change else None
        if verified is not None and (verified.added or verified.removed):
            VerifiedChanges(self._db).add(verified)

    def keep_verified(self, id_: str, change: AccessChange) -> None:
        """Keep what an order that is no task has changed, as ``finish`` does for a task."""
        with self._writing():
            self._remember(id_, change)

    def verified(self, account_id: str | None = None) -> tuple[VerifiedChange, ...]:
        """The verified changes that no run has seen yet; all, or those that matter for one account's paths."""
        with self._lock, translate_errors(self.path, TASK_FILE):
            changes = VerifiedChanges(self._db)
            return changes.all() if account_id is None else changes.about(account_id)

    def confirm(self, confirmed: Mapping[str, datetime]) -> None:
        """Forget verified changes that a run has seen, as they were verified at the moment given for each."""
        with self._writing():
            VerifiedChanges(self._db).confirm(confirmed)
