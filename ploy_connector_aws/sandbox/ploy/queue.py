"""One integration's tasks: given out under leases, one at a time for each pair, and ended by exactly one report."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.bounds import SHORTEST_INTERVAL_SECONDS
from ploy_connector_aws.spec.pages import Failure

from .database import open_database, transaction
from .problems import ProblemError, reason_of
from .registry import ForbiddenError
from .snapshots import Snapshots
from .sync_store import SyncStore
from .task_ledger import OrderedTask, Report, TaskEvent, TaskLedger
from .task_rules import check_done, unreported
from .verified import VerifiedChange, VerifiedChanges

_TIME_TO_DO = timedelta(hours=1)
"""The deadline of a task that was ordered without one."""

PREVIEW_COUNTS = timedelta(minutes=15)
"""So long after it was made a preview can be ordered; who looked longer ago must look again."""

_LONGEST_WAIT_SECONDS = 600
"""How long a look waits for a commit to the same file."""


class TaskQueue:
    """The tasks in the file of one integration. Safe to use from several threads.

    What time alone changes, leases that run out and deadlines that pass, is found by the next look, whoever looks. So
    nothing has to run for it, and a restart finds everything as it was.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime], lease: timedelta) -> None:
        self._db = open_database(path, busy_seconds=_LONGEST_WAIT_SECONDS)
        self._tasks = TaskLedger(self._db)
        self._tasks.create_tables()
        self._snapshots = Snapshots(self._db)
        self._snapshots.create_tables()
        self._verified = VerifiedChanges(self._db)
        self._verified.create_table()
        self._clock = clock
        self._lease = lease
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # What a runtime asks.

    def lease(
        self, request: wire.LeaseRequest, flags: wire.Flags, *, only_checks: bool = False
    ) -> tuple[wire.Task, ...]:
        """Give out what may be done now; the same tasks again where this very wish was answered before.

        Args:
            request: The wish; how long it may wait is the caller's affair.
            flags: What is wanted of the runtime now.
            only_checks: Whether nothing else may be given out.
        """
        if flags.paused or not request.max_tasks:
            return ()
        with self._look() as now:
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
        """Whether tasks were given out for this very wish: there is nothing to wait for then."""
        with self._lock:
            return self._tasks.is_answered(request)

    def extend(self, task_id: str, extension: wire.LeaseExtension) -> timedelta:
        """Let a lease go on, also one that has run out while nobody else got the task; for how long.

        Raises:
            ProblemError: The task is unknown, has ended, or is somebody else's by now.
        """
        with self._changing() as now:
            task = self._held(task_id, extension.lease_id)
            if task.ended_at is not None:
                raise ProblemError("lease_lost", "It has ended.")
            if task.state == "queued":
                self._tasks.note(task_id, TaskEvent(now, "taken_up_again", f"by {task.holder}"))
            self._renew(task, now)
            return self._lease_of(task, now)

    def complete(self, task_id: str, done: wire.TaskDone) -> wire.TaskStatus:
        """Take the report that a task was done, and lay what it changed over the picture, in one transaction.

        Raises:
            ProblemError: The report is not of this task, or cannot be true; the lease was lost, or another report came.
        """
        with self._changing() as now:
            task = self._held(task_id, done.lease_id)
            if not self._is_replay(task, done):
                check_done(task, done, now=now, generation=SyncStore(self._db).next_generation() - 1)
                self._tasks.end(task_id, "done", now, report=done)
                self._tasks.note(task_id, TaskEvent(now, "done", done.change.outcome if done.change else None))
                change = VerifiedChange.of(task_id, done.change) if done.change else None
                if change is not None:
                    self._verified.add(change, self._snapshots.visible)
        return wire.TaskStatus(id=task_id, state="done")

    def fail(self, task_id: str, failed: wire.TaskFailed) -> wire.TaskStatus:
        """Take the report that a task will not be done: it becomes a manual task.

        Raises:
            ProblemError: The lease was lost, or another report came.
        """
        with self._changing() as now:
            task = self._held(task_id, failed.lease_id)
            if not self._is_replay(task, failed):
                failure = Failure.model_validate(failed.model_dump(exclude={"lease_id"}))
                self._tasks.end(task_id, "manual", now, report=failed, failure=failure)
                self._tasks.note(task_id, TaskEvent(now, "manual", failure.code))
        return wire.TaskStatus(id=task_id, state="manual")

    # What a person orders, sees and decides.

    def create(
        self,
        kind: wire.TaskKind,
        *,
        account_id: str | None = None,
        entitlement_id: str | None = None,
        reason: str | None = None,
        preview: bool = False,
        deadline: datetime | None = None,
    ) -> OrderedTask:
        """Order something. What is not done an hour from now, or by the deadline, becomes a manual task.

        Raises:
            ForbiddenError: A grant or revoke, and nothing else, names an account and an entitlement; the deadline has
                passed; or a check is to be a preview, which it always is.
        """
        with self._changing() as now:
            return self._create(
                OrderedTask(
                    *(_new_id(), kind, preview, account_id, entitlement_id, reason),
                    *(now, deadline or now + _TIME_TO_DO),
                )
            )

    def order_previewed(self, preview_id: str, reason: str | None = None) -> tuple[OrderedTask, bool]:
        """Order what was previewed. A preview serves once: asked again, the same order is the answer.

        Args:
            preview_id: The preview, which a runtime has answered.
            reason: Why; without one, the preview's own.

        Returns:
            The order, and whether it is new.

        Raises:
            ProblemError: There is no such task.
            ForbiddenError: It is no answered preview of a grant or a revoke, or it is too old.
        """
        with self._changing() as now:
            seen = self._known(preview_id)
            before = self._tasks.ordered_after(preview_id)
            if before is not None:
                return self._known(before), False
            if not seen.preview or seen.state != "done" or seen.ended_at is None or seen.account_id is None:
                raise ForbiddenError("Only what was previewed can be ordered here.")
            if now - seen.ended_at > PREVIEW_COUNTS:
                raise ForbiddenError("This preview is too old: things may have changed since. Look again.")
            order = OrderedTask(
                *(_new_id(), seen.kind, False, seen.account_id, seen.entitlement_id, reason or seen.reason),
                *(now, now + _TIME_TO_DO),
            )
            self._tasks.use_preview(preview_id, order.id)
            return self._create(order), True

    def ordered_after(self, preview_id: str) -> str | None:
        """The task that was ordered on the strength of a preview."""
        with self._look():
            return self._tasks.ordered_after(preview_id)

    def is_too_old(self, preview: OrderedTask) -> bool:
        """Whether a preview was made so long ago that it cannot be ordered any more."""
        return preview.ended_at is not None and self._clock() - preview.ended_at > PREVIEW_COUNTS

    def tasks(self) -> list[OrderedTask]:
        """Every task as it is now, in the order in which they were created."""
        with self._look():
            return list(self._tasks.tasks())

    def task(self, task_id: str) -> OrderedTask:
        """One task as it is now.

        Raises:
            ProblemError: There is none of this id.
        """
        with self._look():
            return self._known(task_id)

    def history(self, task_id: str) -> tuple[TaskEvent, ...]:
        """What happened to a task, oldest first."""
        with self._look():
            return self._tasks.history(task_id)

    def manual(self) -> list[OrderedTask]:
        """The manual tasks that wait for a person, in the order in which they were created."""
        with self._look():
            return list(self._tasks.unresolved())

    def newest_failed(self, kind: wire.TaskKind) -> OrderedTask | None:
        """The newest task of a kind that was not done, whether or not a person is done with it."""
        with self._look():
            return self._tasks.newest_failed(kind)

    def resolve(self, task_id: str, note: str) -> OrderedTask:
        """Note that a person is done with a manual task. No report of it is taken from then on.

        Raises:
            ProblemError: There is no such task.
            ForbiddenError: It is not a manual task, or somebody was done with it already.
        """
        with self._changing() as now:
            self._resolve(task_id, note, now)
            return self._known(task_id)

    def order_again(self, task_id: str) -> OrderedTask:
        """Order what became a manual task once more, as a new task; the old one is resolved by it.

        Raises:
            ProblemError: There is no such task.
            ForbiddenError: It is not a manual task, or somebody was done with it already.
        """
        with self._changing() as now:
            old = self._known(task_id)
            new = OrderedTask(
                *(_new_id(), old.kind, old.preview, old.account_id, old.entitlement_id, old.reason),
                *(now, now + _TIME_TO_DO),
            )
            self._resolve(task_id, f"ordered again as {new.id}", now)
            return self._create(new)

    @contextmanager
    def _look(self) -> Iterator[datetime]:
        """Find what time has changed, and go on from there; nobody else looks meanwhile."""
        with self._lock:
            now = self._clock()
            # Transactions of their own: what time has changed stays so, whatever comes of this look.
            if run_out := self._tasks.run_out(now):
                with transaction(self._db):
                    for task in run_out:
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
        with self._look() as now, transaction(self._db):
            yield now

    def _give(self, request: wire.LeaseRequest, task: OrderedTask, now: datetime) -> OrderedTask:
        lease_id = uuid.uuid4().hex
        self._tasks.lease(task.id, lease_id, request, now + self._lease_of(task, now))
        self._tasks.note(task.id, TaskEvent(now, "leased", f"by {request.worker_id}"))
        return task._replace(lease_id=lease_id)

    def _renew(self, task: OrderedTask, now: datetime) -> OrderedTask:
        self._tasks.renew(task.id, now + self._lease_of(task, now))
        return task

    def _lease_of(self, task: OrderedTask, now: datetime) -> timedelta:
        """How long a lease lives: never beyond the deadline, so that nobody's wrong clock makes it a later one."""
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
            return False  # also where the platform itself gave it up at the deadline
        if task.report != report:
            raise ProblemError("task_conflict", None if task.report else "A person is done with it.")
        return True

    def _create(self, task: OrderedTask) -> OrderedTask:
        if task.deadline <= task.created_at:
            raise ForbiddenError("The deadline has passed.")
        if task.preview and task.kind == "check":
            raise ForbiddenError("A check changes nothing; it has no preview.")
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

    Before a deadline a lease may be shorter than the contract allows. It is answered as the shortest one: a runtime
    begins no write so shortly before the deadline.
    """
    return max(SHORTEST_INTERVAL_SECONDS, int(lease.total_seconds()))


def _new_id() -> str:
    return f"task-{uuid.uuid4().hex}"
