"""One running integration: its scans and its task loop, each in a thread that restarts it after a crash."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ploy_connector_aws.host import InvalidConnectorError
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.backoff import growing_seconds
from ploy_connector_aws.runtime.errors import UNEXPECTED, InterruptedSyncError, code_of, message_of
from ploy_connector_aws.runtime.heartbeats import Heartbeat, Heartbeats
from ploy_connector_aws.runtime.integration import Integration, open_connector, open_platform
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError
from ploy_connector_aws.runtime.tasks import Journal, TaskEvents, TaskLoop
from ploy_connector_aws.spec import ConfigurationError, ConnectionReport, ConnectorContext

from .control import Control
from .health import SCAN_LOOP, TASK_LOOP, Health, IntegrationHealth
from .metrics import IntegrationMetrics, Metrics
from .scanning import ScanLoop
from .sources import DesiredIntegration

_log = logging.getLogger(__name__)


class Loop(Protocol):
    """Work that continues until it is stopped."""

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. An error is logged, and the loop is made and run again after a while."""


@dataclass(frozen=True)
class TaskDependencies:
    """What the task loop of one integration works with: connectors and clients of its own, and shared state."""

    settings: OperatorSettings
    revision: int | None
    """The revision of the settings, where Ploy reported one."""
    open_connector: Callable[[], Integration]
    open_platform: Callable[[], PlatformClient]
    control: Control
    metrics: IntegrationMetrics
    heartbeats: Heartbeats = field(default_factory=Heartbeats)


class TaskRunner:
    """Runs the task loop of one integration.

    Args:
        dependencies: What it works with.
    """

    def __init__(self, dependencies: TaskDependencies) -> None:
        self._dependencies = dependencies

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set.

        Raises:
            TasksRunningError: Another process works on the integration's tasks.
            StateError: The task file cannot be used.
        """
        own, settings = self._dependencies, self._dependencies.settings
        with Journal(settings.tasks_path) as journal, own.open_platform() as reporter:
            loop = TaskLoop(
                settings.integration.id,
                journal=journal,
                lock_path=settings.tasks_lock_path,
                snapshot_path=settings.snapshot_path,
                open_connector=lambda: own.open_connector().connector,
                open_platform=own.open_platform,
                sync_now=lambda preview: own.control.request_scan(preview=preview),
                events=_TaskEvents(own, reporter),
                settings_revision=own.revision,
                connection_blocker=own.control.connection_blocker,
                heartbeats=own.heartbeats,
            )
            own.control.on_report = loop.wake
            loop.run(stop)


class _TaskEvents(TaskEvents):
    """Applies what Ploy answers, and counts the results of tasks."""

    def __init__(self, dependencies: TaskDependencies, reporter: PlatformClient) -> None:
        self._dependencies = dependencies
        self._reporter = reporter
        self._reporting = threading.Lock()
        self._unreported: str | None = None
        """The connection test whose progress could not be reported."""

    def checks_so_far(self, task_id: str, attempt: int, number: int, report: ConnectionReport) -> None:
        check_id = f"{task_id}.{attempt}"
        progress = wire.CheckProgress(
            check_id=check_id,
            number=number,
            report=report,
            task_id=task_id,
            settings_revision=self._dependencies.revision,
        )
        with self._reporting:
            if check_id == self._unreported:
                return
            try:
                self._reporter.report_check(self._dependencies.settings.integration.id, progress)
            except PlatformError:
                # Progress is best effort: the task's own report carries everything.
                self._unreported = check_id

    def checked(self, report: ConnectionReport) -> None:
        self._dependencies.control.note_report(report)

    def acknowledged(self, kind: wire.TaskKind) -> None:
        if kind == "check":
            self._dependencies.control.note_reported_test()

    def polled(self, answer: wire.LeaseAnswer) -> None:
        self._dependencies.control.apply(answer)

    def ended(self, kind: wire.TaskKind, outcome: str) -> None:
        self._dependencies.metrics.task_ended(kind, outcome)

    def outbox(self, waiting: int) -> None:
        self._dependencies.metrics.waits_in_outbox(waiting)


MakeLoop: TypeAlias = Callable[[TaskDependencies], Loop]


@dataclass(frozen=True)
class Dependencies:
    """What all integrations of the process share."""

    health: Health = field(default_factory=Health)
    metrics: Metrics = field(default_factory=Metrics)
    make_task_loop: MakeLoop = TaskRunner
    open_platform: Callable[..., PlatformClient] = open_platform
    open_connector: Callable[..., Integration] = open_connector


class IntegrationRunner:
    """Runs one integration with one version of its settings, until it is stopped.

    Args:
        desired: The integration, and its settings.
        dependencies: What all integrations share.
        on_change: Called when it has ended, or when its poll interval changes.
    """

    def __init__(self, desired: DesiredIntegration, dependencies: Dependencies, on_change: Callable[[], None]) -> None:
        self.desired = desired
        self._dependencies = dependencies
        self._on_change = on_change
        self._monotonic = dependencies.health.monotonic
        self.control = Control(self._monotonic, on_change)
        self.has_ended = False
        """Whether none of its threads runs any more."""
        self.lock_error: LockHeldError | None = None
        """The process that works on its tasks, while that is another one."""
        self._stop = threading.Event()
        connector = desired.connector
        self._metrics: IntegrationMetrics = dependencies.metrics.of(desired.id, connector)
        self._heartbeats = Heartbeats(self._monotonic)
        self._health = IntegrationHealth(
            connector,
            self._monotonic(),
            self.control.scan_interval_seconds,
            heartbeats=self._heartbeats,
            blockers=self.control.blockers,
        )
        self._metrics.ages_of(self._heartbeats)
        self._lock = threading.Lock()
        loops = ((SCAN_LOOP, self._make_scans), (TASK_LOOP, self._make_tasks))
        self._threads_running = len(loops)
        self._threads = [
            threading.Thread(target=self._run_forever, args=loop, name=f"ploy-{loop[0]}-{desired.id}", daemon=True)
            for loop in loops
        ]

    def start(self) -> None:
        """Start its threads."""
        self._dependencies.health.watch(self.desired.id, self._health)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Make everything end soon; returns at once."""
        self._stop.set()
        self.control.close()

    @property
    def is_stopping(self) -> bool:
        """Whether it was stopped."""
        return self._stop.is_set()

    def _run_forever(self, name: str, make: Callable[[ExitStack], Loop]) -> None:
        """Run a loop; after a crash, make and run it again after a while, until stopped."""
        with logs.bound(integration=self.desired.id, connector=self.desired.connector, run_id=None):
            crashes = 0
            # The work has heartbeats of its own; this one shows that the thread lives.
            self._heartbeats.begin(name, lambda: math.inf)
            while not self._stop.is_set():
                began = self._monotonic()
                try:
                    with ExitStack() as clients:
                        loop = make(clients)
                        self._note_loop(name, None)
                        loop.run(self._stop)
                        if not self._stop.is_set():
                            raise RuntimeError("a loop ended by itself")
                except InterruptedSyncError:
                    pass
                except BaseException as raised:  # noqa: BLE001 - a connector may even raise SystemExit
                    # No error may end this thread or others.
                    self._heartbeats.end_calls(name)
                    error = raised if isinstance(raised, Exception) else RuntimeError(type(raised).__name__)
                    code = code_of(error)
                    self._note_loop(name, error)
                    level = logging.ERROR if code == UNEXPECTED else logging.WARNING
                    _log.log(level, "%s do not run: %s", name, message_of(error), extra={"code": code}, exc_info=error)
                # A loop that ran for long counts as recovered in between.
                longest = self.control.scan_interval_seconds
                crashes = crashes + 1 if self._monotonic() - began < longest else 1
                self._stop.wait(growing_seconds(crashes, self.control.poll_interval_seconds, longest))
        with self._lock:
            self._threads_running -= 1
            is_last = self._threads_running == 0
        if is_last:
            self._dependencies.health.forget(self.desired.id)
            self._metrics.forget()
            self.has_ended = True
            self._on_change()

    def _note_loop(self, name: str, error: Exception | None) -> None:
        """Show that a loop runs or, with its error, that it does not."""
        with self._lock:
            down = dict(self._health.down)
            _, since = down.pop(name, (None, self._monotonic()))
            if error is not None:
                down[name] = code_of(error), since
            self._health.down = down
        self.control.note_loop(name, error)
        if name == SCAN_LOOP:
            self.control.refuse_scans(error)
        elif isinstance(error, LockHeldError):
            self.lock_error = error
            self._on_change()
        else:
            self.lock_error = None

    def _make_scans(self, clients: ExitStack) -> Loop:
        platform = clients.enter_context(self._open_platform(SCAN_LOOP, RetryPolicy(sleep=self._sleep)))
        try:
            integration = self._open_connector(SCAN_LOOP)
            clients.enter_context(integration.connector)
        except (ConfigurationError, InvalidConnectorError):
            self.control.is_unconfigurable = True
            raise
        self.control.is_unconfigurable = False
        return ScanLoop(
            integration,
            platform,
            self.control,
            self._health,
            self._metrics,
            monotonic=self._monotonic,
            settings_revision=self.desired.revision,
        )

    def _make_tasks(self, _: ExitStack) -> Loop:
        return self._dependencies.make_task_loop(
            TaskDependencies(
                self.desired.settings,
                self.desired.revision,
                lambda: self._open_connector(TASK_LOOP),
                # The task loop does its own back-off, so disable client retries: a stop would wait for their pauses.
                lambda: self._open_platform(TASK_LOOP, RetryPolicy(max_attempts=1)),
                self.control,
                self._metrics,
                self._heartbeats,
            )
        )

    def _open_platform(self, loop: str, retry: RetryPolicy) -> PlatformClient:
        return self._dependencies.open_platform(
            self.desired.settings,
            retry=retry,
            on_attempt=self._metrics.platform_answered,
            watch=lambda call: self._watch(loop, call),
        )

    def _open_connector(self, loop: str) -> Integration:
        heartbeat = self._heartbeats.current()
        reports_ends = threading.Event()

        def begin(service: str, operation: str) -> None:
            self._metrics.remote_called(service, operation)
            self._note_progress(loop, heartbeat)
            if reports_ends.is_set():  # a connector need not report them
                self._heartbeats.begin_call(loop, f"{service} {operation}")

        def end(*_: str) -> None:
            reports_ends.set()
            self._heartbeats.end_call()
            self._note_progress(loop, heartbeat)

        return self._dependencies.open_connector(
            self.desired.settings,
            context=ConnectorContext(
                organisation=self.desired.organisation,
                on_call=begin,
                on_answer=end,
                on_throttle=self._metrics.remote_throttled,
                on_left_out=self._metrics.left_out,
                on_note=lambda note: _log.info("%s", note),
            ),
        )

    @contextmanager
    def _watch(self, loop: str, call: str) -> Iterator[None]:
        """Watch a call to Ploy."""
        with self._heartbeats.call(loop, call):
            yield
        self._note_progress(loop, None)

    def _note_progress(self, loop: str, heartbeat: Heartbeat | None) -> None:
        if loop == SCAN_LOOP:
            self._health.note_progress(self._monotonic())
        elif heartbeat is not None:
            heartbeat.renew()

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise InterruptedSyncError
