"""The threads that work off one integration's tasks, from start to clean stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ploy_connector_aws.host import Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.runtime.heartbeats import Heartbeat, Heartbeats
from ploy_connector_aws.runtime.snapshot.lock import TaskLock

from .access_graph import AccessGraph
from .attempts import SyncNow
from .coordinator import TaskCoordinator
from .events import TaskEvents
from .journal import Journal
from .leases import LeaseRenewer, TaskPoller
from .outbox import Outbox
from .worker import Worker

_log = logging.getLogger(__name__)

WORKERS = 4
LONGEST_PAUSE_SECONDS = 60.0
"""No thread waits longer for the next round."""
_LOOKS_EVERY_SECONDS = 0.2


class _Work(Protocol):
    """What is done again and again."""

    @property
    def is_failing(self) -> bool:
        """Whether the last round did not do its work."""

    def step(self) -> float:
        """Do what is due; return how many seconds it is until the next time."""


class TaskLoop:
    """Works off the tasks of one integration.

    Args:
        integration_id: The integration's id at the platform.
        journal: The integration's task file.
        lock_path: The file that keeps two processes from working on one task file.
        snapshot_path: The integration's snapshot file; it is only read, and need not exist.
        open_connector: Makes a configured instance; each worker has its own.
        open_platform: Makes a client; each thread that calls Ploy has its own. Failures are waited out here, so its
            own retries should be few: a stop waits for them.
        sync_now: Makes a sync and says what came of it; a stop waits for it, so it must end when the service stops.
        workers: How many tasks are worked on at the same time.
        events: Told what happens.
        hindrance: Says why nothing but connection tests may begin; None where everything may.
        settings_revision: Of the settings that the connectors have, where they are Ploy's.
        marks: Where each thread shows that it does its work.
        now: The clock.
    """

    def __init__(
        self,
        integration_id: str,
        *,
        journal: Journal,
        lock_path: Path,
        snapshot_path: Path,
        open_connector: Callable[[], Connector],
        open_platform: Callable[[], PlatformClient],
        sync_now: SyncNow,
        workers: int = WORKERS,
        events: TaskEvents | None = None,
        hindrance: Callable[[], str | None] = lambda: None,
        settings_revision: int | None = None,
        heartbeats: Heartbeats | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._integration_id = integration_id
        self._journal = journal
        self._lock_path = lock_path
        self._known = AccessGraph(snapshot_path)
        self._open_connector = open_connector
        self._open_platform = open_platform
        self._sync_now = sync_now
        self._workers = workers
        self._events = events or TaskEvents()
        self._settings_revision = settings_revision
        self._heartbeats = heartbeats or Heartbeats()
        self._now = now
        self._coordinator = TaskCoordinator(journal, workers=workers, hindrance=hindrance, now=now)
        self._reports = True
        self._failure: BaseException | None = None

    def wake(self) -> None:
        """Have everything look again, e.g. because the clock was moved."""
        self._coordinator.notify()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, and then end cleanly; once.

        Then nothing new begins. What runs is let finish, and reported if Ploy answers; everything else stays in the
        task file for the next start. It takes as long as the longest call that is under way: a hook, a sync, the wait
        for a poll's answer.

        Raises:
            TasksRunningError: Another process works off the integration's tasks.
            StateError: The task file cannot be used any more.
        """
        self._coordinator.open(stop)
        with TaskLock(self._lock_path), ExitStack() as clients:
            self._journal.end_unusable(self._now())
            self._journal.note_settings(self._settings_revision)
            poll, keeping, outbox = self._open(clients)
            takers = [
                self._start(
                    "poll",
                    lambda heartbeat: self._repeat(poll, heartbeat, lambda: not self._coordinator.is_closed),
                    lambda: poll.interval_seconds,
                )
            ]
            takers += [self._start(f"worker-{number}", self._work) for number in range(1, self._workers + 1)]
            keeper = self._start("leases", lambda heartbeat: self._repeat(keeping, heartbeat, lambda: self._reports))
            sender = self._start("outbox", lambda heartbeat: self._send(outbox, heartbeat))
            while not self._coordinator.is_closed:
                stop.wait(_LOOKS_EVERY_SECONDS)
            self._coordinator.close()  # wakes whoever waits
            for thread in takers:
                thread.join()
            self._reports = False
            self._coordinator.notify()
            keeper.join()
            sender.join()
            self._known.close()
        # Whoever keeps this loop reports why it ended, and the marks of what has ended show nothing more.
        self._heartbeats.end(
            "poll", "leases", "outbox", *(f"worker-{number}" for number in range(1, self._workers + 1))
        )
        if self._failure is not None:
            raise self._failure

    def _open(self, clients: ExitStack) -> tuple[TaskPoller, LeaseRenewer, Outbox]:
        one, two, three = (clients.enter_context(self._open_platform()) for _ in range(3))
        return (
            TaskPoller(
                one,
                self._integration_id,
                self._journal,
                self._coordinator,
                self._events,
                self._now,
                settings_revision=self._settings_revision,
            ),
            LeaseRenewer(two, self._integration_id, self._journal, self._coordinator, self._now),
            Outbox(three, self._integration_id, self._journal, self._events, self._now),
        )

    def _start(
        self,
        name: str,
        target: Callable[[Heartbeat], None],
        interval: Callable[[], float] = lambda: LONGEST_PAUSE_SECONDS,
    ) -> threading.Thread:
        def run() -> None:
            try:
                target(self._heartbeats.begin(name, interval))
            except BaseException as error:  # noqa: BLE001 - one thread's end is everybody's, and is raised by run()
                self._failure = error
                self._coordinator.close()
            else:
                self._heartbeats.end(name)

        thread = threading.Thread(target=run, name=f"tasks-{self._integration_id}-{name}", daemon=True)
        thread.start()
        return thread

    def _repeat(self, work: _Work, heartbeat: Heartbeat, goes_on: Callable[[], bool]) -> None:
        while goes_on():
            version = self._coordinator.version
            pause = work.step()
            if not work.is_failing:
                heartbeat.renew()
            if goes_on():
                self._coordinator.wait(version, pause)

    def _work(self, heartbeat: Heartbeat) -> None:
        def sync_now(preview: bool) -> wire.SyncSummary:
            with heartbeat.waiting():
                return self._sync_now(preview)

        worker = Worker(
            self._coordinator,
            self._journal,
            self._known,
            self._open_connector,
            sync_now,
            self._events,
            self._now,
        )
        while not self._coordinator.is_closed:
            version = self._coordinator.version
            has_worked = worker.step()
            heartbeat.renew()
            if not has_worked:
                self._coordinator.wait(version, self._coordinator.pause_seconds())

    def _send(self, outbox: Outbox, heartbeat: Heartbeat) -> None:
        self._repeat(outbox, heartbeat, lambda: self._reports)
        outbox.step()  # what ended last
