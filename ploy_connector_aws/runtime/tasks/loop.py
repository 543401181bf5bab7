"""The threads that work on one integration's tasks, from start to clean stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ploy_connector_aws.host import Blocker, Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.runtime.heartbeats import Heartbeat, Heartbeats
from ploy_connector_aws.runtime.snapshot.lock import TaskLock

from .access_graph import AccessGraph
from .attempts import SyncNow
from .coordinator import TaskContext, TaskCoordinator, TaskEvents
from .journal import Journal
from .leases import LeaseRenewer, TaskPoller
from .outbox import Outbox
from .worker import Worker

WORKERS = 4
LONGEST_PAUSE_SECONDS = 60.0
"""No thread waits longer for the next round."""
_STOP_CHECK_SECONDS = 0.2


class _Work(Protocol):
    """Work in rounds."""

    @property
    def is_failing(self) -> bool:
        """Whether the last round failed."""

    def step(self) -> float:
        """Do what is due; return the seconds until the next round."""


@dataclass
class TaskLoop:
    """Works on the tasks of one integration.

    Args:
        integration_id: The integration's id at the platform.
        journal: The integration's task file.
        lock_path: The file that keeps two processes from working on one task file.
        snapshot_path: The integration's snapshot file; it is only read, and need not exist.
        open_connector: Makes a configured instance; each worker has its own.
        open_platform: Makes a client; each thread that calls Ploy has its own. The loop waits after failures itself,
            so the client's own retries should be few: a stop waits for them.
        sync_now: Runs a sync and returns its summary; a stop waits for it, so it must end when the service stops.
        workers: How many tasks are worked on at the same time.
        events: Callbacks.
        connection_blocker: Returns why only connection tests may begin; None where everything may.
        settings_revision: The revision of the connectors' settings, where they come from Ploy.
        heartbeats: The heartbeat of each thread.
        now: The clock.
    """

    integration_id: str
    _: KW_ONLY
    journal: Journal
    lock_path: Path
    snapshot_path: Path
    open_connector: Callable[[], Connector]
    open_platform: Callable[[], PlatformClient]
    sync_now: SyncNow
    workers: int = WORKERS
    events: TaskEvents = field(default_factory=TaskEvents)
    connection_blocker: Callable[[], Blocker | None] = lambda: None
    settings_revision: int | None = None
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        """Create what the threads share."""
        self._access_graph = AccessGraph(self.snapshot_path)
        self._coordinator = TaskCoordinator(
            self.journal, workers=self.workers, connection_blocker=self.connection_blocker, now=self.now
        )
        self._context = TaskContext(self.integration_id, self.journal, self._coordinator, self.events, self.now)
        self._sends_reports = True
        self._failure: BaseException | None = None

    def wake(self) -> None:
        """Make every thread look again, for example because the clock was moved."""
        self._coordinator.notify()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set, and then end cleanly; once.

        After that nothing new begins. What runs may finish, and is reported if Ploy answers; everything else stays in
        the task file for the next start. The end takes as long as the longest call under way: a hook, a sync, or a
        long poll.

        Raises:
            TasksRunningError: Another process works on the integration's tasks.
            StateError: The task file cannot be used any more.
        """
        coordinator = self._coordinator
        coordinator.open(stop)
        worker_names = [f"worker-{number}" for number in range(1, self.workers + 1)]
        with TaskLock(self.lock_path), ExitStack() as clients:
            self.journal.set_settings_revision(self.settings_revision)
            one, two, three = (clients.enter_context(self.open_platform()) for _ in range(3))
            poller = TaskPoller(one, self._context, settings_revision=self.settings_revision)
            renewer, outbox = LeaseRenewer(two, self._context), Outbox(three, self._context)
            takers = [
                self._start(
                    "poll",
                    lambda heartbeat: self._repeat(poller, heartbeat, lambda: not coordinator.is_closed),
                    lambda: poller.interval_seconds,
                ),
                *(self._start(name, self._work) for name in worker_names),
            ]
            reporters = [
                self._start("leases", lambda heartbeat: self._repeat(renewer, heartbeat, lambda: self._sends_reports)),
                self._start("outbox", lambda heartbeat: self._send(outbox, heartbeat)),
            ]
            while not coordinator.is_closed:
                stop.wait(_STOP_CHECK_SECONDS)
            coordinator.close()  # wakes the threads that wait
            for thread in takers:
                thread.join()
            self._sends_reports = False
            coordinator.notify()
            for thread in reporters:
                thread.join()
            self._access_graph.close()
        # The caller reports why the loop ended; heartbeats of ended threads would only repeat it.
        self.heartbeats.end("poll", "leases", "outbox", *worker_names)
        if self._failure is not None:
            raise self._failure

    def _start(
        self,
        name: str,
        target: Callable[[Heartbeat], None],
        interval: Callable[[], float] = lambda: LONGEST_PAUSE_SECONDS,
    ) -> threading.Thread:
        def run() -> None:
            try:
                target(self.heartbeats.begin(name, interval))
            except BaseException as error:  # noqa: BLE001 - the end of one thread ends all, and run() raises its error
                self._failure = error
                self._coordinator.close()
            else:
                self.heartbeats.end(name)

        thread = threading.Thread(target=run, name=f"tasks-{self.integration_id}-{name}", daemon=True)
        thread.start()
        return thread

    def _repeat(self, work: _Work, heartbeat: Heartbeat, continues: Callable[[], bool]) -> None:
        while continues():
            version = self._coordinator.version
            pause = work.step()
            if not work.is_failing:
                heartbeat.renew()
            if continues():
                self._coordinator.wait(version, pause)

    def _work(self, heartbeat: Heartbeat) -> None:
        def sync_now(preview: bool) -> wire.SyncSummary:
            with heartbeat.waiting():
                return self.sync_now(preview)

        worker = Worker(self._context, self._access_graph, self.open_connector, sync_now)
        while not self._coordinator.is_closed:
            version = self._coordinator.version
            has_worked = worker.step()
            heartbeat.renew()
            if not has_worked:
                self._coordinator.wait(version, self._coordinator.pause_seconds())

    def _send(self, outbox: Outbox, heartbeat: Heartbeat) -> None:
        self._repeat(outbox, heartbeat, lambda: self._sends_reports)
        outbox.step()  # the reports of the tasks that ended last
