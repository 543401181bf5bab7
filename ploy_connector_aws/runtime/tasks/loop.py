"""The task loop of one integration: its threads, from start to clean stop, and what each worker does with a task."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

from ploy_connector_aws.host import Blocker, Connector, InvalidConnectorError
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.runtime.backoff import growing_seconds
from ploy_connector_aws.runtime.heartbeats import Heartbeat, Heartbeats
from ploy_connector_aws.runtime.snapshot.lock import TaskLock
from ploy_connector_aws.spec import AccessChange, ConnectionReport, ConnectorError, Failure, KnownAccess

from .access_graph import AccessGraph
from .attempts import (
    Failed,
    Result,
    Retry,
    Succeeded,
    SyncNow,
    attempt_change,
    attempt_check,
    attempt_sync,
    to_deadline_report,
    to_failed_check,
    to_report,
    to_request,
    uncertainty_after,
)
from .coordinator import (
    LONGEST_PAUSE_SECONDS,
    TaskContext,
    TaskCoordinator,
    TaskEvents,
    attempt_deadline,
    write_before,
)
from .journal import HeldTask, Journal
from .queue_client import LeaseRenewer, Outbox, QueueClient, TaskPoller

_log = logging.getLogger(__name__)

WORKERS = 4
_STOP_CHECK_SECONDS = 0.2

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 5.0, 60.0
_HOOKS: dict[str, str] = {"grant": "grant", "revoke": "revoke", "check": "test_connection"}
"""The hook that does each kind of task."""
_NEEDS_NEW_CONNECTOR = frozenset({"internal", "authentication"})
"""After such a failure the next attempt uses a new instance of the connector."""


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
        self._context = TaskContext(
            self.integration_id, self.journal, self._coordinator, self.events, self.now, self.settings_revision
        )
        self._workers_ended = threading.Event()
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
            poller, renewer, outbox = (
                part(clients.enter_context(self.open_platform()), self._context)
                for part in (TaskPoller, LeaseRenewer, Outbox)
            )
            takers = [
                self._start("poll", partial(self._repeat, poller, self._is_closed), lambda: poller.interval_seconds),
                *(self._start(name, self._work) for name in worker_names),
            ]
            reporters = [
                self._start("leases", partial(self._repeat, renewer, self._workers_ended.is_set)),
                self._start("outbox", partial(self._send, outbox)),
            ]
            while not coordinator.is_closed:
                stop.wait(_STOP_CHECK_SECONDS)
            coordinator.close()  # wakes the threads that wait
            for thread in takers:
                thread.join()
            self._workers_ended.set()
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

    def _is_closed(self) -> bool:
        return self._coordinator.is_closed

    def _repeat(self, part: QueueClient, is_over: Callable[[], bool], heartbeat: Heartbeat) -> None:
        while not is_over():
            version = self._coordinator.version
            pause = part.step()
            if not part.is_failing:
                heartbeat.renew()
            if not is_over():
                self._coordinator.wait(version, pause)

    def _work(self, heartbeat: Heartbeat) -> None:
        def sync_now(preview: bool) -> wire.SyncSummary:
            with heartbeat.waiting():
                return self.sync_now(preview)

        worker = Worker(self._context, self._access_graph, self.open_connector, sync_now)
        with closing(worker):
            while not self._coordinator.is_closed:
                version = self._coordinator.version
                has_worked = worker.step()
                heartbeat.renew()
                if not has_worked:
                    self._coordinator.wait(version, self._coordinator.pause_seconds())

    def _send(self, outbox: QueueClient, heartbeat: Heartbeat) -> None:
        self._repeat(outbox, self._workers_ended.is_set, heartbeat)
        outbox.step()  # the reports of the tasks that ended last


class Worker:
    """Works on one task at a time. Used by one thread.

    Args:
        context: What the parts of the task loop share.
        access_graph: The paths of the last sync.
        open_connector: Makes a configured instance for this worker alone; called when the first task needs one.
        sync_now: Runs a sync.
    """

    def __init__(
        self,
        context: TaskContext,
        access_graph: AccessGraph,
        open_connector: Callable[[], Connector],
        sync_now: SyncNow,
    ) -> None:
        self._context = context
        self._journal = context.journal
        self._events = context.events
        self._now = context.now
        self._access_graph = access_graph
        self._open_connector = open_connector
        self._sync_now = sync_now
        self._connector: Connector | None = None

    def step(self) -> bool:
        """Do what is due for one task; return False where nothing is due."""
        coordinator = self._context.coordinator
        held = coordinator.take()
        if held is None:
            return False
        try:
            if held.is_lost:
                self._drop(held)
            elif self._now() >= attempt_deadline(held.task):
                blocker = coordinator.blocker(held)
                message = blocker.message if blocker else "No worker was free for it."
                self._journal.finish(held.task.id, to_deadline_report(held, message))
            else:
                self._attempt(held)
        finally:
            coordinator.release(held)
        return True

    def close(self) -> None:
        """Close its connector; the next task opens another."""
        if self._connector is not None:
            self._connector.close()
            self._connector = None

    def _attempt(self, held: HeldTask) -> None:
        task = held.task
        # What takes time and writes nothing comes before the attempt is recorded as begun.
        result = None if task.kind == "sync" else self._open(task)
        known = self._find_known(task) if result is None else None
        begun = self._journal.begin(task.id, self._now())
        if begun is None:
            return
        result = result or self._call(begun, known)
        now = self._now()
        self._events.ended(task.kind, _outcome(result))
        if isinstance(result, Succeeded) and result.is_from_connector and isinstance(result.result, ConnectionReport):
            self._events.checked(result.result)
        if not isinstance(result, Retry):
            if isinstance(result, Failed) and result.failure.code == "nonsense":
                self._log_failure(begun, result.failure)
            self._journal.finish(task.id, to_report(begun, result))
            return
        self._log_failure(begun, result.failure)
        if result.failure.code in _NEEDS_NEW_CONNECTOR:
            self.close()
        wait = growing_seconds(begun.attempts + 1, _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS)
        not_before = now + timedelta(seconds=max(wait, result.retry_after_seconds))
        uncertainty = uncertainty_after(begun, result)
        self._journal.schedule_retry(task.id, result.failure, uncertainty=uncertainty, not_before=not_before)

    def _log_failure(self, begun: HeldTask, failure: Failure) -> None:
        connector = self._connector.installed.name if self._connector else None
        _log.warning(
            "task %s: attempt %d failed: %s",
            begun.task.id,
            begun.attempts + 1,
            failure.message,
            extra={"hook": _HOOKS.get(begun.task.kind), "connector": connector},
        )

    def _open(self, task: wire.Task) -> Result | None:
        """Open the connector where none is open; return the attempt's result where that fails."""
        try:
            self._connector = self._connector or self._open_connector()
        except InvalidConnectorError as error:
            return Failed(Failure(code="connector_refused", message=str(error)))
        except ConnectorError as error:
            return to_failed_check(error) if task.kind == "check" else Failed(Failure.from_error(error))
        except Exception as error:  # noqa: BLE001 - whatever a connector raises must not end the host
            return Retry(Failure.from_error(error), may_have_changed=False)
        return None

    def _find_known(self, task: wire.Task) -> KnownAccess | None:
        if task.account_id is None or task.entitlement_id is None:
            return None  # neither a grant nor a revoke
        changes = self._journal.verified(task.account_id)
        return self._access_graph.find(task.account_id, task.entitlement_id, changes)

    def _call(self, begun: HeldTask, known: KnownAccess | None) -> Result:
        task = begun.task
        if task.kind == "sync":
            return attempt_sync(self._sync_now, preview=task.preview)
        assert self._connector is not None, "it is opened before the attempt begins"
        if task.kind == "check":
            return attempt_check(self._connector, partial(self._report_progress, begun, count(1)))
        assert known is not None, "it is found before the attempt begins"
        was_changed = begun.attempts > 0 or self._journal.was_changed(
            task.account_id or "", task.entitlement_id or "", task.id
        )
        # The lease may have been extended since the task was taken.
        request = to_request(begun, known, write_before(begun), was_changed=was_changed)
        return attempt_change(self._connector, request, begun, self._now)

    def _report_progress(self, begun: HeldTask, numbers: Iterator[int], report: ConnectionReport) -> None:
        self._events.checks_so_far(begun.task.id, begun.attempts + 1, next(numbers), report)

    def _drop(self, held: HeldTask) -> None:
        ending = "The lease was lost before it was done."
        if self._journal.end(held.task, ending, self._now()):
            _log.warning("task %s: dropped: %s", held.task.id, ending)


def _outcome(result: Result) -> str:
    if isinstance(result, Succeeded):
        return result.result.outcome if isinstance(result.result, AccessChange) else "done"
    return result.failure.code if isinstance(result, Failed) else "again"
