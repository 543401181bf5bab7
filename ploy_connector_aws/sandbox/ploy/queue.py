"""Task queue of one integration: tasks are leased, one at a time for each pair, and exactly one report ends each."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Unpack

from pydantic import ValidationError

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.bounds import SHORTEST_INTERVAL_SECONDS
from ploy_connector_aws.spec.pages import Failure

from .database import transaction
from .problems import ProblemError, reason_of
from .registry import ForbiddenError
from .sync_store import SyncStore
from .task_ledger import SCHEMA, OrderedTask, Report, TaskEvent, TaskLedger, TaskOptions
from .task_rules import REPORTED, check_done, copy_task, new_task, to_ended, unreported
from .verified import IntegrationFile, VerifiedChange

PREVIEW_LIFETIME = timedelta(minutes=15)
"""Previews expire after 15 minutes."""

_LONGEST_WAIT_SECONDS = 600
"""How long a statement waits for a commit to the same file."""


class TaskQueue(IntegrationFile):
    """The tasks in the file of one integration. Safe to use from several threads.

    Every call first applies what time alone changes: expired leases and passed deadlines. So no timer has to run, and
    a restart changes nothing.

    Args:
        path: The file.
        clock: Returns the time (UTC).
        lease: How long a runtime has a task when it does not extend its lease.
        notify: Called when a report or an order may have made tasks available; ``create`` and ``order_again`` leave
            that to their caller, which first stores what belongs to the new task.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime],
        lease: timedelta,
        notify: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(path, SCHEMA, clock=clock, lease=lease, busy_seconds=_LONGEST_WAIT_SECONDS)
        self._tasks = TaskLedger(self._db)
        self._notify = notify

    # What a runtime calls.

    def lease(
        self, request: wire.LeaseRequest, flags: wire.Flags, *, only_checks: bool = False
    ) -> tuple[wire.Task, ...]:
        """Lease the tasks that may start now; a repeated request gets the same tasks again.

        Args:
            request: The request; its ``wait_seconds`` are the caller's concern.
            flags: The flags of the integration.
            only_checks: Whether to lease connection tests only.
        """
        if flags.paused or not request.max_tasks:
            return ()
        with self._reading() as now:
            if self._tasks.is_answered(request):
                given = [
                    task
                    for task in self._tasks.leased_for(request)
                    if not (flags.read_only and task.is_change) and (task.kind == "check" or not only_checks)
                ]
                give = self._renew
            else:
                given = self._tasks.waiting(request.max_tasks, is_read_only=flags.read_only, only_checks=only_checks)
                give = partial(self._give, request)
            if not given:
                return ()
            with transaction(self._db):
                return tuple(self._to_wire(give(task, now), now) for task in given)

    def is_answered(self, request: wire.LeaseRequest) -> bool:
        """Whether this request got tasks before; then it does not wait for more."""
        with self._lock:
            return self._tasks.is_answered(request)

    def extend(self, task_id: str, extension: wire.LeaseExtension) -> timedelta:
        """Extend a lease, also an expired one if the task was not leased again; return its length.

        Raises:
            ProblemError: The task is unknown, has ended, or was leased again.
        """
        with self._changing() as now:
            task = self._held(task_id, extension.lease_id)
            if task.ended_at is not None:
                raise ProblemError("lease_lost", "It has ended.")
            if task.state == "queued":
                self._tasks.note(task_id, TaskEvent(now, "resumed", f"by {task.holder}"))
            self._renew(task, now)
            return self._lease_of(task, now)

    def complete(self, task_id: str, done: wire.TaskDone) -> wire.TaskStatus:
        """Take the report that a task was done, and store its verified change, in one transaction.

        Raises:
            ProblemError: The report contradicts the task, the lease was lost, or there is another report.
        """
        with self._changing() as now:
            task = self._held(task_id, done.lease_id)
            if not self._is_replay(task, done):
                self._end(task._replace(report=done), now)
        self._notify()  # the next task of its pair may be leased
        return wire.TaskStatus(id=task_id, state="done")

    def fail(self, task_id: str, failed: wire.TaskFailed) -> wire.TaskStatus:
        """Take the report that a task failed: it becomes a manual task.

        Raises:
            ProblemError: The lease was lost, or there is another report.
        """
        with self._changing() as now:
            task = self._held(task_id, failed.lease_id)
            if not self._is_replay(task, failed):
                self._end(task._replace(report=failed), now)
        self._notify()
        return wire.TaskStatus(id=task_id, state="manual")

    def record_change(self, report: wire.ChangeReport) -> wire.ChangeRecorded:
        """Take the report of a change that was made without a task, as that of a task that has ended.

        Raises:
            ProblemError: The report contradicts itself or the time, or there is another one of this id.
        """
        with self._changing() as now:
            task, known = to_ended(report, now), self._tasks.task(report.id)
            if known is not None:
                if any(getattr(known, field) != getattr(task, field) for field in REPORTED):
                    raise ProblemError("change_conflict")
                return wire.ChangeRecorded(id=report.id)
            self._tasks.add(task)
            self._tasks.note(task.id, TaskEvent(task.created_at, "made", "by the command line"))
            self._end(task, now)
        return wire.ChangeRecorded(id=report.id)

    # What a person orders, reads and decides.

    def create(self, kind: wire.TaskKind, **options: Unpack[TaskOptions]) -> OrderedTask:
        """Create a task. It becomes a manual task if it is not done by the deadline, or within an hour.

        Raises:
            ForbiddenError: The account and the entitlement are missing from a grant or revoke, or given for another
                kind; the deadline has passed; or the task is a preview of a check.
        """
        with self._changing() as now:
            return self._create(new_task(kind, now, **options))

    def order_previewed(
        self, preview_id: str, reason: str | None = None, requested_by: str | None = None
    ) -> OrderedTask:
        """Create the task that a preview was for. Repeated, return the same task.

        Args:
            preview_id: The preview, which a runtime has answered.
            reason: The reason; None takes the preview's own.
            requested_by: The name of the person who orders it, as typed.

        Raises:
            ProblemError: There is no such task.
            ForbiddenError: It is not an answered preview of a grant or a revoke, or it has expired.
        """
        with self._changing() as now:
            preview = self._known(preview_id)
            before = self._tasks.order_of(preview_id)
            if before is not None:
                return self._known(before)
            if not preview.preview or preview.state != "done" or preview.account_id is None:
                raise ForbiddenError("Only what was previewed can be ordered here.")
            if self.is_expired(preview):
                raise ForbiddenError("This preview has expired: access may have changed since. Preview it again.")
            order = self._create(copy_task(preview, now, reason=reason or preview.reason, requested_by=requested_by))
            self._tasks.use_preview(preview_id, order.id)
        self._notify()
        return order

    def order_of(self, preview_id: str) -> str | None:
        """Return the id of the task that was created from a preview."""
        with self._reading():
            return self._tasks.order_of(preview_id)

    def is_expired(self, preview: OrderedTask) -> bool:
        """Whether a preview is too old to create its task."""
        return preview.ended_at is not None and self._clock() - preview.ended_at > PREVIEW_LIFETIME

    def tasks(self) -> list[OrderedTask]:
        """Return every task, in the order in which they were created."""
        with self._reading():
            return list(self._tasks.tasks())

    def task(self, task_id: str) -> OrderedTask:
        """Return one task.

        Raises:
            ProblemError: The id is unknown.
        """
        with self._reading():
            return self._known(task_id)

    def history(self, task_id: str) -> tuple[TaskEvent, ...]:
        """Return the history of a task, oldest event first."""
        with self._reading():
            return self._tasks.history(task_id)

    def manual(self) -> list[OrderedTask]:
        """Return the manual tasks that wait for a person, in the order in which they were created."""
        with self._reading():
            return list(self._tasks.unresolved())

    def newest_failed(self, kind: wire.TaskKind) -> OrderedTask | None:
        """Return the newest manual task of a kind, resolved or not."""
        with self._reading():
            return self._tasks.newest_failed(kind)

    def resolve(self, task_id: str, note: str) -> OrderedTask:
        """Resolve a manual task. Later reports of it are rejected.

        Raises:
            ProblemError: There is no such task.
            ForbiddenError: It is not a manual task, or it was resolved already.
        """
        with self._changing() as now:
            self._resolve(task_id, note, now)
            return self._known(task_id)

    def order_again(self, task_id: str) -> OrderedTask:
        """Create a manual task once more, as a new task; this resolves the old one.

        Raises:
            ProblemError: There is no such task.
            ForbiddenError: It is not a manual task, or it was resolved already.
        """
        with self._changing() as now:
            old = self._known(task_id)
            new = copy_task(old, now, reason=old.reason, preview=old.preview)
            self._resolve(task_id, f"ordered again as {new.id}", now)
            return self._create(new)

    @contextmanager
    def _reading(self) -> Iterator[datetime]:
        """Apply what time has changed, and hold the lock for the block."""
        with self._lock:
            now = self._clock()
            # In transactions of their own: these changes stay, whether or not the block succeeds.
            if expired := self._tasks.expired(now):
                with transaction(self._db):
                    for task in expired:
                        self._tasks.queue(task.id)
                        self._tasks.note(task.id, TaskEvent(now, "lease_ended", f"of {task.holder}"))
            if overdue := self._tasks.overdue(now):
                with transaction(self._db):
                    for task in overdue:
                        failure = unreported(task)
                        self._tasks.end(task.id, "manual", now, failure=failure)
                        self._tasks.note(task.id, TaskEvent(now, "manual", failure.code))
            yield now

    @contextmanager
    def _changing(self) -> Iterator[datetime]:
        with self._reading() as now, transaction(self._db):
            yield now

    def _end(self, task: OrderedTask, now: datetime) -> None:
        """End a task with its report, and store the change that was verified."""
        report = task.report
        if isinstance(report, wire.TaskFailed):
            failure = Failure.model_validate(report.model_dump(exclude={"lease_id"}))
            self._tasks.end(task.id, "manual", now, report=report, failure=failure)
            self._tasks.note(task.id, TaskEvent(now, "manual", failure.code))
        elif report is not None:
            check_done(task, report, now=now, generation=SyncStore(self._db).next_generation() - 1)
            self._tasks.end(task.id, "done", now, report=report)
            self._tasks.note(task.id, TaskEvent(now, "done", report.change.outcome if report.change else None))
            change = VerifiedChange.of(task.id, report.change) if report.change else None
            if change is not None:
                self._verified.add(change, self._snapshots.visible)

    def _give(self, request: wire.LeaseRequest, task: OrderedTask, now: datetime) -> OrderedTask:
        lease_id = uuid.uuid4().hex
        self._tasks.lease(task.id, lease_id, request, now + self._lease_of(task, now))
        self._tasks.note(task.id, TaskEvent(now, "leased", f"by {request.worker_id}"))
        return task._replace(lease_id=lease_id)

    def _renew(self, task: OrderedTask, now: datetime) -> OrderedTask:
        self._tasks.renew(task.id, now + self._lease_of(task, now))
        return task

    def _lease_of(self, task: OrderedTask, now: datetime) -> timedelta:
        """Return the length of a lease: never beyond the deadline, so that a wrong clock cannot extend it."""
        return min(self._lease, task.deadline - now)

    def _known(self, task_id: str) -> OrderedTask:
        task = self._tasks.task(task_id)
        if task is None:
            raise ProblemError("task_unknown")
        return task

    def _held(self, task_id: str, lease_id: str) -> OrderedTask:
        task = self._known(task_id)
        if task.lease_id != lease_id:
            raise ProblemError("lease_lost")
        return task

    @staticmethod
    def _is_replay(task: OrderedTask, report: Report) -> bool:
        if task.report is None and task.resolved_at is None:
            return False  # also where the platform ended the task at its deadline
        if task.report != report:
            raise ProblemError("task_conflict", None if task.report else "A person has resolved it.")
        return True

    def _create(self, task: OrderedTask) -> OrderedTask:
        if task.deadline <= task.created_at:
            raise ForbiddenError("The deadline has passed.")
        if task.preview and task.kind == "check":
            raise ForbiddenError("A check changes nothing and has no preview.")
        try:
            self._to_wire(task, task.created_at)
        except ValidationError as error:
            raise ForbiddenError(reason_of(error)) from None
        self._tasks.add(task)
        self._tasks.note(task.id, TaskEvent(task.created_at, "created", task.reason))
        return task

    def _resolve(self, task_id: str, note: str, now: datetime) -> None:
        task = self._known(task_id)
        if task.state != "manual" or task.resolved_at is not None:
            raise ForbiddenError("The task does not wait for a person.")
        self._tasks.resolve(task_id, now)
        self._tasks.note(task_id, TaskEvent(now, "resolved", note))

    def _to_wire(self, task: OrderedTask, now: datetime) -> wire.Task:
        return wire.Task(
            id=task.id,
            kind=task.kind,
            preview=task.preview,
            account_id=task.account_id,
            entitlement_id=task.entitlement_id,
            reason=task.reason,
            created_at=task.created_at,
            deadline=task.deadline,
            lease_id=task.lease_id or "",
            lease_seconds=lease_seconds(self._lease_of(task, now)),
        )


def lease_seconds(lease: timedelta) -> int:
    """Return the length of a lease as the contract has it.

    Just before a deadline a lease is shorter than the contract allows, and is reported as the shortest one: a runtime
    begins no write so shortly before the deadline.
    """
    return max(SHORTEST_INTERVAL_SECONDS, int(lease.total_seconds()))
