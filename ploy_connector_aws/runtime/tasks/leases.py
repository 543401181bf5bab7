"""Tasks are asked for, and kept while they are worked on or wait to be."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError, TaskGoneError
from ploy_connector_aws.runtime.backoff import Backoff
from ploy_connector_aws.spec.bounds import SHORTEST_INTERVAL_SECONDS

from .coordinator import TaskCoordinator
from .events import TaskEvents
from .journal import Journal

_log = logging.getLogger(__name__)

_SHARE_LEFT = 2 / 3
"""A lease is extended when less than this share of it is left."""
_LONGEST_PAUSE_SECONDS = 60.0

LONGEST_WAIT_SECONDS = 5
"""So long a question for tasks may wait for one: a stop waits for its answer, which may bring some."""


class TaskPoller:
    """Asks Ploy for tasks. Used by one thread.

    Args:
        platform: Used by this thread only.
        integration_id: The integration's id at the platform.
        journal: The task file.
        board: Says how many are wanted, and learns what Ploy allows.
        events: Told what happens.
        now: The clock.
        settings_revision: Of the settings that tasks are done with, where they are Ploy's.
    """

    def __init__(
        self,
        platform: PlatformClient,
        integration_id: str,
        journal: Journal,
        coordinator: TaskCoordinator,
        events: TaskEvents,
        now: Callable[[], datetime],
        *,
        settings_revision: int | None = None,
    ) -> None:
        self._platform = platform
        self._integration_id = integration_id
        self._journal = journal
        self._coordinator = coordinator
        self._events = events
        self._now = now
        self._backoff = Backoff(1, 60)
        self._interval = timedelta(seconds=10)
        # What another process asked for last is asked for again: it may have ended before it had the answer, and the
        # tasks in it would wait for the end of their leases. They are done with the settings that there are now.
        self._revision = settings_revision
        self._unanswered = self._renewed(journal.pending_poll)
        self._last: datetime | None = None
        self._was_full = False
        self._was_answered = False

    @property
    def interval_seconds(self) -> float:
        """Between two questions."""
        return self._interval.total_seconds()

    @property
    def is_failing(self) -> bool:
        """Whether Ploy did not answer the last one."""
        return self._backoff.is_failing

    def step(self) -> float:
        """Ask, when it is time to; return how many seconds it is until the next time."""
        if (seconds := self._seconds_left()) > 0:
            return seconds
        # An answer that was lost is asked for again. Its leases began after the first time that it was asked for.
        request, asked_at = self._unanswered = self._unanswered or self._new_poll()
        try:
            answer = self._platform.lease_tasks(self._integration_id, request)
        except PlatformError as error:
            _log.warning("no tasks from Ploy: %s", error)
            self._backoff.failed(self._now(), error)
            self._events.poll_failed(type(error).__name__)
            return self._backoff.seconds(self._now())
        for task in answer.tasks:
            self._journal.lease(task, asked_at + timedelta(seconds=task.lease_seconds))
            self._events.leased(task.kind)
        for unusable in answer.unusable:
            self._fail_alone(unusable, asked_at)
        self._unanswered = None
        self._was_answered = True
        self._backoff.succeeded()
        self._events.polled(answer)
        self._interval = timedelta(seconds=answer.poll_interval_seconds)
        self._was_full = request.max_tasks == 0
        # Where there was something there may be more; otherwise an interval lies between one question and the next.
        self._last = None if answer.tasks else asked_at
        self._coordinator.note(answer.flags)
        return self._seconds_left()

    def _seconds_left(self) -> float:
        now = self._now()
        if (seconds := self._backoff.seconds(now)) > 0:
            return seconds
        if self._last is None or (self._was_full and self._coordinator.capacity() > 0):
            return 0.0
        return max(0.0, (self._last + self._interval - now).total_seconds())

    def _fail_alone(self, task: wire.UnusableTask, asked_at: datetime) -> None:
        """Deal with a task that does not fit the contract. Where Ploy does not answer, it gives the task out again."""
        _log.warning("task %s does not fit the contract: %s", task.id or "without a usable id", task.field)
        if task.id is None or task.lease_id is None:
            return  # no call can name it: Ploy makes a manual task of it at its deadline
        known = self._journal.task(task.id)
        if known is not None:
            # An earlier attempt may have changed something, so it goes on as Ploy described it before. How long the
            # new lease lives is not known: it counts as run out until it is extended.
            again = {"lease_id": task.lease_id, "lease_seconds": SHORTEST_INTERVAL_SECONDS}
            self._journal.lease(known.task.model_copy(update=again), asked_at)
            return
        report = wire.TaskFailed(
            lease_id=task.lease_id,
            code="task_unusable",
            message=f"Nothing was changed: Ploy's description of the task does not fit the contract ({task.field}).",
            fix="order it again",
        )
        try:
            self._platform.fail_task(self._integration_id, task.id, report)
        except PlatformError as error:
            _log.warning("task %s: the report was not taken: %s", task.id, error)

    def _renewed(
        self, pending_poll: tuple[wire.LeaseRequest, datetime] | None
    ) -> tuple[wire.LeaseRequest, datetime] | None:
        if pending_poll is None:
            return None
        request, asked_at = pending_poll
        return request.model_copy(update={"settings_revision": self._revision}), asked_at

    def _new_poll(self) -> tuple[wire.LeaseRequest, datetime]:
        request, asked_at = self._to_request(), self._now()
        if request.max_tasks:
            self._journal.set_pending_poll(request, asked_at)
        return request, asked_at

    def _to_request(self) -> wire.LeaseRequest:
        most = self._coordinator.capacity()
        # The first answer says what Ploy allows: it is not waited for.
        longest = LONGEST_WAIT_SECONDS if most and self._was_answered else 0
        return wire.LeaseRequest(
            request_id=uuid.uuid4().hex,
            worker_id=self._journal.worker_id,
            max_tasks=most,
            wait_seconds=min(int(self._interval.total_seconds()), longest),
            settings_revision=self._revision,
        )


class LeaseRenewer:
    """Extends the leases of tasks that have no report yet. Used by one thread.

    Args:
        platform: Used by this thread only.
        integration_id: The integration's id at the platform.
        journal: The task file.
        board: Learns what Ploy allows.
        now: The clock.
    """

    def __init__(
        self,
        platform: PlatformClient,
        integration_id: str,
        journal: Journal,
        coordinator: TaskCoordinator,
        now: Callable[[], datetime],
    ) -> None:
        self._platform = platform
        self._integration_id = integration_id
        self._journal = journal
        self._coordinator = coordinator
        self._now = now
        self._backoff = Backoff(1, 15)

    @property
    def is_failing(self) -> bool:
        """Whether Ploy did not answer when a lease was extended last."""
        return self._backoff.is_failing

    def step(self) -> float:
        """Extend what is due; return how many seconds it is until the next is."""
        if (seconds := self._backoff.seconds(self._now())) > 0:
            return seconds
        pause = _LONGEST_PAUSE_SECONDS
        for held in sorted(self._journal.open_tasks(), key=lambda each: each.lease_ends_at):
            # After the deadline Ploy keeps no lease, but still takes a report under the newest one.
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
        """Extend one lease; False where Ploy did not answer."""
        asked_at = self._now()
        try:
            extended = self._platform.extend_lease(
                self._integration_id, task.id, wire.LeaseExtension(lease_id=task.lease_id)
            )
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
            self._journal.extend(
                task.model_copy(update={"lease_seconds": seconds}), asked_at + timedelta(seconds=seconds)
            )
            self._coordinator.note(extended.flags)
        self._backoff.succeeded()
        return True
