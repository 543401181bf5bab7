"""The outbox: each report is sent until Ploy acknowledges it, or states that another runtime has the task."""

from __future__ import annotations

import logging

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import (
    PlatformError,
    PlatformRejectedError,
    TaskGoneError,
    UnknownIntegrationError,
)
from ploy_connector_aws.runtime.backoff import Backoff

from .coordinator import TaskContext
from .journal import ACKNOWLEDGED, HeldTask

_log = logging.getLogger(__name__)

_FIRST_SECONDS, _LONGEST_SECONDS = 2.0, 300.0
_LONGEST_PAUSE_SECONDS = 60.0


class Outbox:
    """Sends the reports of the task file. Used by one thread.

    Args:
        platform: A client that only this thread uses.
        context: What the parts of the task loop share.
    """

    def __init__(self, platform: PlatformClient, context: TaskContext) -> None:
        self._platform = platform
        self._context = context
        self._journal = context.journal
        self._now = context.now
        self._outage = Backoff(_FIRST_SECONDS, _LONGEST_SECONDS)
        self._rejected: dict[str, Backoff] = {}

    @property
    def is_failing(self) -> bool:
        """Whether Ploy did not answer the last report."""
        return self._outage.is_failing

    def step(self) -> float:
        """Send the reports that are due; return the seconds until the next is due."""
        for held in self._journal.reports():
            if self._seconds_left(held) == 0:
                self._send(held)
        waiting = self._journal.reports()
        self._context.events.outbox(len(waiting))
        return min([self._seconds_left(held) for held in waiting], default=_LONGEST_PAUSE_SECONDS)

    def _seconds_left(self, held: HeldTask) -> float:
        now, rejected = self._now(), self._rejected.get(held.task.id)
        return max(self._outage.seconds(now), rejected.seconds(now) if rejected else 0.0)

    def _send(self, held: HeldTask) -> None:
        """Send one report under the newest lease."""
        task, integration_id = held.task, self._context.integration_id
        assert held.report is not None
        report = held.report.model_copy(update={"lease_id": task.lease_id})
        gone: TaskGoneError | None = None
        try:
            if isinstance(report, wire.TaskDone):
                self._platform.complete_task(integration_id, task.id, report)
            else:
                self._platform.fail_task(integration_id, task.id, report)
        except TaskGoneError as error:
            gone = error
        except PlatformError as error:
            _log.warning("task %s: the report waits: %s", task.id, error)
            backoff = self._outage
            if isinstance(error, PlatformRejectedError) and not isinstance(error, UnknownIntegrationError):
                backoff = self._rejected.setdefault(task.id, Backoff(_FIRST_SECONDS, _LONGEST_SECONDS))
            backoff.failed(self._now(), error)
            return
        self._outage.succeeded()
        self._rejected.pop(task.id, None)
        # A task that was leased again meanwhile does not end: its report is sent once more, under that lease.
        ending = f"The report was dropped: {gone.message}" if gone else ACKNOWLEDGED
        if not self._journal.end(task, ending, self._now()):
            return
        if gone is None:
            _log.info("task %s: reported: %s", task.id, _outcome(report))
            self._context.events.acknowledged(task.kind)
        else:
            _log.warning("task %s: the report is dropped: %s", task.id, gone)
            self._context.events.dropped(task.kind)


def _outcome(report: wire.TaskDone | wire.TaskFailed) -> str:
    if isinstance(report, wire.TaskFailed):
        return report.code
    return report.change.outcome if report.change else "done"
