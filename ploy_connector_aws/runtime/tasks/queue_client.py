"""The runtime's side of Ploy's task queue: polling for tasks, renewing their leases, and sending their reports."""

from __future__ import annotations

import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import (
    PlatformError,
    PlatformRejectedError,
    TaskGoneError,
    UnknownIntegrationError,
)
from ploy_connector_aws.runtime.backoff import Backoff
from ploy_connector_aws.spec.bounds import SHORTEST_INTERVAL_SECONDS

from .coordinator import LONGEST_PAUSE_SECONDS, TaskContext
from .journal import ACKNOWLEDGED, HeldTask
from .local_changes import LocalChanges

_log = logging.getLogger(__name__)

_SHARE_LEFT = 2 / 3
"""A lease is extended when less than this share of it is left."""

LONGEST_WAIT_SECONDS = 5
"""The longest long poll: a stop waits for its answer, which may bring tasks."""


class QueueClient(ABC):
    """Base of the three parts, which call Ploy in rounds. Each is used by one thread.

    Args:
        platform: A client that only this thread uses.
        context: What the parts of the task loop share.
    """

    backoff_seconds: ClassVar[tuple[float, float]]
    """The first and the longest wait after calls that Ploy did not answer."""

    def __init__(self, platform: PlatformClient, context: TaskContext) -> None:
        self._platform = platform
        self._context = context
        self._journal = context.journal
        self._coordinator = context.coordinator
        self._now = context.now
        self._backoff = Backoff(*self.backoff_seconds)

    @property
    def interval_seconds(self) -> float:
        """The longest time between two rounds."""
        return LONGEST_PAUSE_SECONDS

    @property
    def is_failing(self) -> bool:
        """Whether Ploy did not answer the last call."""
        return self._backoff.is_failing

    @abstractmethod
    def step(self) -> float:
        """Do what is due; return the seconds until the next round."""


class TaskPoller(QueueClient):
    """Polls Ploy for tasks."""

    backoff_seconds = (1, 60)

    def __init__(self, platform: PlatformClient, context: TaskContext) -> None:
        super().__init__(platform, context)
        self._interval = timedelta(seconds=10)
        # Repeat the previous process's last poll: it may have died before receiving the answer, and its tasks would
        # otherwise wait for their leases to expire. They are done with the current settings.
        self._unanswered = context.journal.pending_poll
        if self._unanswered is not None:
            request, asked_at = self._unanswered
            self._unanswered = request.model_copy(update={"settings_revision": context.settings_revision}), asked_at
        self._last: datetime | None = None
        self._was_full = False
        self._was_answered = False

    @property
    def interval_seconds(self) -> float:
        """The interval between polls."""
        return self._interval.total_seconds()

    def step(self) -> float:
        """Poll if it is time; return the seconds until the next time."""
        if (seconds := self._seconds_left()) > 0:
            return seconds
        # A poll whose answer was lost is repeated. Its leases began after the first time that it was made.
        request, asked_at = self._unanswered = self._unanswered or self._new_poll()
        try:
            answer = self._platform.lease_tasks(self._context.integration_id, request)
        except PlatformError as error:
            _log.warning("no tasks from Ploy: %s", error)
            self._backoff.failed(self._now(), error)
            return self._backoff.seconds(self._now())
        for task in answer.tasks:
            self._journal.lease(task, asked_at + timedelta(seconds=task.lease_seconds))
        for unusable in answer.unusable:
            self._fail_unusable(unusable, asked_at)
        self._unanswered = None
        self._was_answered = True
        self._backoff.succeeded()
        self._context.events.polled(answer)
        self._interval = timedelta(seconds=answer.poll_interval_seconds)
        self._was_full = request.max_tasks == 0
        # After an answer with tasks there may be more at once; otherwise the next poll is one interval later.
        self._last = None if answer.tasks else asked_at
        self._coordinator.set_flags(answer.flags)
        return self._seconds_left()

    def _seconds_left(self) -> float:
        now = self._now()
        if (seconds := self._backoff.seconds(now)) > 0:
            return seconds
        if self._last is None or (self._was_full and self._coordinator.capacity() > 0):
            return 0.0
        return max(0.0, (self._last + self._interval - now).total_seconds())

    def _fail_unusable(self, task: wire.UnusableTask, asked_at: datetime) -> None:
        """Fail a task that does not fit the contract. Where Ploy does not answer, it leases the task again."""
        _log.warning("task %s does not fit the contract: %s", task.id or "without a usable id", task.field)
        if task.id is None or task.lease_id is None:
            return  # no call can name it: Ploy makes a manual task of it at its deadline
        known = self._journal.task(task.id)
        if known is not None:
            # An earlier attempt may have changed something, so the task continues as Ploy described it before. The
            # length of the new lease is unknown: it counts as expired until it is extended.
            again = {"lease_id": task.lease_id, "lease_seconds": SHORTEST_INTERVAL_SECONDS}
            self._journal.lease(known.task.model_copy(update=again), asked_at)
            return
        report = wire.TaskFailed(
            lease_id=task.lease_id,
            code="task_unusable",
            message=f"Nothing was changed: Ploy's description of the task does not fit the contract ({task.field}).",
            fix="request it again",
        )
        try:
            self._platform.fail_task(self._context.integration_id, task.id, report)
        except PlatformError as error:
            _log.warning("task %s: the report was not accepted: %s", task.id, error)

    def _new_poll(self) -> tuple[wire.LeaseRequest, datetime]:
        capacity, asked_at = self._coordinator.capacity(), self._now()
        # Do not wait for the first answer: it brings Ploy's flags.
        longest = LONGEST_WAIT_SECONDS if capacity and self._was_answered else 0
        request = wire.LeaseRequest(
            request_id=uuid.uuid4().hex,
            worker_id=self._journal.worker_id,
            max_tasks=capacity,
            wait_seconds=min(int(self._interval.total_seconds()), longest),
            settings_revision=self._context.settings_revision,
        )
        if capacity:
            self._journal.set_pending_poll(request, asked_at)
        return request, asked_at


class LeaseRenewer(QueueClient):
    """Extends the leases of tasks that have no report yet."""

    backoff_seconds = (1, 15)

    def step(self) -> float:
        """Extend the leases that are due; return the seconds until the next is due."""
        if (seconds := self._backoff.seconds(self._now())) > 0:
            return seconds
        pause = LONGEST_PAUSE_SECONDS
        for held in sorted(self._journal.open_tasks(), key=lambda each: each.lease_ends_at):
            # After the deadline Ploy keeps no lease, but still accepts a report under the newest one.
            if held.is_lost or self._now() >= held.task.deadline:
                continue
            left = held.lease_ends_at - self._now()
            due = (left - timedelta(seconds=held.task.lease_seconds) * _SHARE_LEFT).total_seconds()
            if due <= 0:
                if not self._extend(held.task):
                    return self._backoff.seconds(self._now())
                due = held.task.lease_seconds * (1 - _SHARE_LEFT)
            pause = min(pause, due)
        return pause

    def _extend(self, task: wire.Task) -> bool:
        """Extend one lease; return False where Ploy did not answer."""
        asked_at = self._now()
        extension = wire.LeaseExtension(lease_id=task.lease_id)
        try:
            extended = self._platform.extend_lease(self._context.integration_id, task.id, extension)
        except TaskGoneError as error:
            _log.warning("task %s: the lease was lost: %s", task.id, error)
            self._journal.mark_lease_lost(task)
            self._coordinator.notify()
        except PlatformError as error:
            _log.warning("task %s: the lease could not be extended: %s", task.id, error)
            self._backoff.failed(self._now(), error)
            return False
        else:
            seconds = extended.lease_seconds
            renewed = task.model_copy(update={"lease_seconds": seconds})
            self._journal.extend(renewed, asked_at + timedelta(seconds=seconds))
            self._coordinator.set_flags(extended.flags)
        self._backoff.succeeded()
        return True


class Outbox(QueueClient):
    """Sends each report of the task file until Ploy acknowledges it, or another runtime has the task."""

    backoff_seconds = (2, 300)

    def __init__(self, platform: PlatformClient, context: TaskContext) -> None:
        super().__init__(platform, context)
        self._changes = LocalChanges(context.journal)
        self._rejected: dict[str, Backoff] = {}

    def step(self) -> float:
        """Send the reports that are due; return the seconds until the next is due."""
        for held in self._journal.reports():
            if self._seconds_left(held.task.id) == 0:
                self._send(held)
        for report in self._changes.unreported():
            if self._seconds_left(report.id) == 0:
                self._send_change(report)
        waiting = [held.task.id for held in self._journal.reports()]
        waiting += [report.id for report in self._changes.unreported()]
        self._context.events.outbox(len(waiting))
        return min([self._seconds_left(id_) for id_ in waiting], default=LONGEST_PAUSE_SECONDS)

    def _seconds_left(self, id_: str) -> float:
        now, rejected = self._now(), self._rejected.get(id_)
        return max(self._backoff.seconds(now), rejected.seconds(now) if rejected else 0.0)

    def _call(self, id_: str, call: Callable[[], object]) -> bool:
        """Make a call about a report; return False where the report waits.

        Raises:
            TaskGoneError: Ploy will not accept it.
        """
        try:
            call()
        except TaskGoneError:
            self._succeeded(id_)
            raise
        except PlatformError as error:
            _log.warning("%s: the report waits: %s", id_, error)
            backoff = self._backoff
            if isinstance(error, PlatformRejectedError) and not isinstance(error, UnknownIntegrationError):
                backoff = self._rejected.setdefault(id_, Backoff(*self.backoff_seconds))
            backoff.failed(self._now(), error)
            return False
        self._succeeded(id_)
        return True

    def _succeeded(self, id_: str) -> None:
        self._backoff.succeeded()
        self._rejected.pop(id_, None)

    def _send_change(self, report: wire.ChangeReport) -> None:
        try:
            is_sent = self._call(report.id, partial(self._platform.report_change, self._context.integration_id, report))
        except TaskGoneError as error:  # no answer to a change without a task: the report waits like a rejected one
            _log.warning("%s: the report waits: %s", report.id, error)
            self._rejected.setdefault(report.id, Backoff(*self.backoff_seconds)).failed(self._now(), error)
            return
        if is_sent:
            self._changes.note_reported(report.id, self._now())
            _log.info("%s: reported: a change that a command made", report.id)

    def _send(self, held: HeldTask) -> None:
        """Send one report under the newest lease."""
        task, integration_id = held.task, self._context.integration_id
        assert held.report is not None
        report = held.report.model_copy(update={"lease_id": task.lease_id})
        gone: TaskGoneError | None = None
        try:
            if isinstance(report, wire.TaskDone):
                is_sent = self._call(task.id, partial(self._platform.complete_task, integration_id, task.id, report))
            else:
                is_sent = self._call(task.id, partial(self._platform.fail_task, integration_id, task.id, report))
        except TaskGoneError as error:
            gone = error
        else:
            if not is_sent:
                return
        # A task that was leased again meanwhile does not end: its report is sent once more, under that lease.
        ending = f"The report was dropped: {gone.message}" if gone else ACKNOWLEDGED
        if not self._journal.end(task, ending, self._now()):
            return
        if gone is None:
            _log.info("task %s: reported: %s", task.id, _outcome(report))
            self._context.events.acknowledged(task.kind)
        else:
            _log.warning("task %s: the report is dropped: %s", task.id, gone)


def _outcome(report: wire.TaskDone | wire.TaskFailed) -> str:
    if isinstance(report, wire.TaskFailed):
        return report.code
    return report.change.outcome if report.change else "done"
