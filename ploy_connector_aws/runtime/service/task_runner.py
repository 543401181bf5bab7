"""The tasks of one integration that is served: the loop that works them off, told what it may and counted."""

from __future__ import annotations

import threading

from ploy_connector_aws.host import Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.tasks.events import TaskEvents
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.runtime.tasks.loop import TaskLoop
from ploy_connector_aws.spec import ConnectionReport

from .polling import TaskDependencies


class TaskRunner:
    """Works off the tasks until told to stop. Whatever it opens is its own, and closed at the end.

    Args:
        place: What it works with.
    """

    def __init__(self, place: TaskDependencies) -> None:
        self._place = place

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set.

        Raises:
            TasksRunningError: Another process works off the integration's tasks.
            StateError: The task file cannot be used.
        """
        place, settings = self._place, self._place.settings
        with Journal(settings.tasks_path) as journal, self._open_platform() as reporter:
            loop = TaskLoop(
                settings.integration.id,
                journal=journal,
                lock_path=settings.tasks_lock_path,
                snapshot_path=settings.snapshot_path,
                open_connector=self._open_connector,
                open_platform=self._open_platform,
                sync_now=lambda preview: place.control.ask(preview=preview),
                events=_Counted(place, reporter),
                settings_revision=place.revision,
                hindrance=lambda: place.control.blocked,
                heartbeats=place.heartbeats,
            )
            place.control.on_report = loop.wake
            loop.run(stop)

    def _open_connector(self) -> Connector:
        return self._place.open_connector().connector

    def _open_platform(self) -> PlatformClient:
        return self._place.open_platform()


class _Counted(TaskEvents):
    """Heeds what Ploy says with every answer, and counts what comes of the tasks."""

    def __init__(self, place: TaskDependencies, reporter: PlatformClient) -> None:
        self._place = place
        self._reporter = reporter
        self._one_at_a_time = threading.Lock()
        self._unreported: str | None = None
        """The connection test of which Ploy could not be told."""

    def checks_so_far(self, task_id: str, attempt: int, number: int, report: ConnectionReport) -> None:
        check_id = f"{task_id}.{attempt}"
        progress = wire.CheckProgress(
            check_id=check_id,
            number=number,
            report=report,
            task_id=task_id,
            settings_revision=self._place.revision,
        )
        with self._one_at_a_time:
            if check_id == self._unreported:
                return
            try:
                self._reporter.report_check(self._place.settings.integration.id, progress)
            except PlatformError:
                # Only for who watches: the task's own report has all of it, and must not wait for a Ploy in trouble.
                self._unreported = check_id

    def checked(self, report: ConnectionReport) -> None:
        self._place.control.note_report(report)

    def acknowledged(self, kind: wire.TaskKind) -> None:
        if kind == "check":
            self._place.control.note_reported_test()

    def polled(self, answer: wire.LeaseAnswer) -> None:
        self._place.control.apply(answer)

    def ended(self, kind: wire.TaskKind, outcome: str, seconds: float) -> None:  # noqa: ARG002
        self._place.metrics.task_ended(kind, outcome)

    def outbox(self, waiting: int) -> None:
        self._place.metrics.waits_in_outbox(waiting)
