"""Reports are sent until Ploy has acknowledged each, or says that the task is not this runtime's any more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import (
    PlatformError,
    PlatformRejectedError,
    TaskGoneError,
    UnknownIntegrationError,
)
from ploy_connector_aws.runtime.backoff import Backoff

from .events import TaskEvents
from .held_task import HeldTask
from .journal import ACKNOWLEDGED, Journal

_log = logging.getLogger(__name__)

_FIRST_SECONDS, _LONGEST_SECONDS = 2.0, 300.0
_LONGEST_PAUSE_SECONDS = 60.0


class Outbox:
    """Sends the reports of the task file. Used by one thread.

    Args:
        platform: Used by this thread only.
        integration_id: The integration's id at the platform.
        journal: The task file.
        events: Told what happens.
        now: The clock.
    """

    def __init__(
        self,
        platform: PlatformClient,
        integration_id: str,
        journal: Journal,
        events: TaskEvents,
        now: Callable[[], datetime],
    ) -> None:
        self._platform = platform
        self._integration_id = integration_id
        self._journal = journal
        self._events = events
        self._now = now
        self._outage = Backoff(_FIRST_SECONDS, _LONGEST_SECONDS)
        self._refused: dict[str, Backoff] = {}

    @property
    def is_failing(self) -> bool:
        """Whether Ploy did not answer to the last report."""
        return self._outage.is_failing

    def step(self) -> float:
        """Send what waits; return how many seconds it is until something is to be sent again."""
        for held in self._journal.reports():
            if self._seconds_left(held) == 0:
                self._send(held)
        waiting = self._journal.reports()
        self._events.outbox(len(waiting))
        return min([self._seconds_left(held) for held in waiting], default=_LONGEST_PAUSE_SECONDS)

    def _seconds_left(self, held: HeldTask) -> float:
        now, refused = self._now(), self._refused.get(held.task.id)
        return max(self._outage.seconds(now), refused.seconds(now) if refused else 0.0)

    def _send(self, held: HeldTask) -> None:
        """Send one report under the newest lease."""
        task = held.task
        assert held.report is not None
        report = held.report.model_copy(update={"lease_id": task.lease_id})
        try:
            if isinstance(report, wire.TaskDone):
                self._platform.complete_task(self._integration_id, task.id, report)
            else:
                self._platform.fail_task(self._integration_id, task.id, report)
        except TaskGoneError as error:
            self._drop(task, error)
            return
        except PlatformError as error:
            _log.warning("task %s: the report waits: %s", task.id, error)
            is_about_this_one = isinstance(error, PlatformRejectedError) and not isinstance(
                error, UnknownIntegrationError
            )
            backoff = (
                self._refused.setdefault(task.id, Backoff(_FIRST_SECONDS, _LONGEST_SECONDS))
                if is_about_this_one
                else self._outage
            )
            backoff.failed(self._now(), error)
            return
        self._outage.succeeded()
        self._refused.pop(task.id, None)
        # Where it was leased again meanwhile, the report is sent once more, under that lease.
        if self._journal.end(task, ACKNOWLEDGED, self._now()):
            _log.info("task %s: reported: %s", task.id, _outcome(report))
            self._events.acknowledged(task.kind)

    def _drop(self, task: wire.Task, error: TaskGoneError) -> None:
        self._outage.succeeded()
        self._refused.pop(task.id, None)
        if self._journal.end(task, f"The report was dropped: {error.message}", self._now()):
            _log.warning("task %s: the report is dropped: %s", task.id, error)
            self._events.dropped(task.kind)


def _outcome(report: wire.TaskDone | wire.TaskFailed) -> str:
    if isinstance(report, wire.TaskFailed):
        return report.code
    return report.change.outcome if report.change else "done"
