"""One integration that is served: its scans, and its loop beside them, each in a thread that nothing else can end."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from ploy_connector_aws.host import InvalidConnectorError
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.errors import UNEXPECTED, InterruptedSyncError, code_of, message_of
from ploy_connector_aws.runtime.heartbeats import Heartbeat, Heartbeats
from ploy_connector_aws.runtime.integration import Integration, open_connector, open_platform
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError
from ploy_connector_aws.spec import ConfigurationError, ConnectorContext

from .control import Control
from .health import SCAN_LOOP, TASK_LOOP, Health, IntegrationHealth
from .metrics import IntegrationMetrics, Metrics
from .polling import Loop, MakeLoop, TaskDependencies
from .scanning import ScanLoop
from .schedule import growing_seconds
from .sources import DesiredIntegration
from .task_runner import TaskRunner

_log = logging.getLogger(__name__)


class OpenPlatform(Protocol):
    """Makes a client for Ploy."""

    def __call__(
        self,
        settings: OperatorSettings,
        *,
        retry: RetryPolicy,
        on_attempt: Callable[[str, str], None],
        watch: Callable[[str], AbstractContextManager[None]],
    ) -> PlatformClient:
        """Make it."""


class OpenConnector(Protocol):
    """Makes a configured connector."""

    def __call__(self, settings: OperatorSettings, *, context: ConnectorContext) -> Integration:
        """Make it."""


@dataclass(frozen=True)
class Dependencies:
    """What every integration of the process is served with."""

    health: Health = field(default_factory=Health)
    metrics: Metrics = field(default_factory=Metrics)
    make_task_loop: MakeLoop = TaskRunner
    open_platform: OpenPlatform = open_platform
    open_connector: OpenConnector = open_connector


class IntegrationRunner:
    """One integration, from when it is wanted until it is not, or is wanted with other settings.

    Args:
        wanted: Which, and its settings.
        outfit: What it is served with.
        on_change: Called when it has ended, or is to be polled at another interval.
    """

    def __init__(self, desired: DesiredIntegration, dependencies: Dependencies, on_change: Callable[[], None]) -> None:
        self.desired = desired
        self._dependencies = dependencies
        self._on_change = on_change
        self.control = Control(dependencies.health.monotonic, on_change)
        self.has_ended = False
        """Whether nothing of it runs any more."""
        self.lock_error: LockHeldError | None = None
        """Which other process works off its tasks, while one does."""
        self._stop = threading.Event()
        connector = desired.settings.integration.connector
        self._metrics: IntegrationMetrics = dependencies.metrics.of(desired.id, connector)
        monotonic = dependencies.health.monotonic
        self._heartbeats = Heartbeats(monotonic)
        self._health = IntegrationHealth(
            connector, monotonic(), self.control.scan_interval_seconds, heartbeats=self._heartbeats
        )
        self._metrics.ages_of(self._heartbeats)
        self._threads_running = 2
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run_forever, args=(name, make), name=f"ploy-{name}-{desired.id}", daemon=True)
            for name, make in ((SCAN_LOOP, self._make_scans), (TASK_LOOP, self._make_tasks))
        ]

    def start(self) -> None:
        """Begin to serve it."""
        self._dependencies.health.watch(self.desired.id, self._health)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have everything end soon; returns at once."""
        self._stop.set()
        self.control.close()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stop.is_set()

    def _run_forever(self, name: str, make: Callable[[ExitStack], Loop]) -> None:
        """Run a loop; when it crashes, make and run it anew after a while, until told to stop."""
        with logs.bound(
            integration=self.desired.id, connector=self.desired.settings.integration.connector, run_id=None
        ):
            monotonic, crashes = self._dependencies.health.monotonic, 0
            # What it does has marks of its own; this one shows that the thread lives.
            self._heartbeats.begin(name, lambda: math.inf)
            while not self._stop.is_set():
                began = monotonic()
                try:
                    with ExitStack() as clients:
                        loop = make(clients)
                        self._note_loop(name, None, None)
                        loop.run(self._stop)
                        if not self._stop.is_set():
                            raise RuntimeError("a loop ended by itself")
                except InterruptedSyncError:
                    pass
                except BaseException as raised:  # noqa: BLE001 - a connector may even raise SystemExit
                    # Whatever it was, it ends neither the thread nor others.
                    self._heartbeats.end_calls(name)
                    error = raised if isinstance(raised, Exception) else RuntimeError(type(raised).__name__)
                    code = code_of(error)
                    self._note_loop(name, code, error)
                    level = logging.ERROR if code == UNEXPECTED else logging.WARNING
                    _log.log(level, "%s do not run: %s", name, message_of(error), extra={"code": code}, exc_info=error)
                # A loop that ran for long was well in between.
                crashes = crashes + 1 if monotonic() - began < self.control.scan_interval_seconds else 1
                self._stop.wait(
                    growing_seconds(self.control.poll_interval_seconds, crashes, self.control.scan_interval_seconds)
                )
        with self._lock:
            self._threads_running -= 1
            is_last = self._threads_running == 0
        if is_last:
            self._dependencies.health.forget(self.desired.id)
            self._metrics.forget()
            self.has_ended = True
            self._on_change()

    def _note_loop(self, name: str, code: str | None, error: Exception | None) -> None:
        """Show that a loop runs or, with the word for why, that it does not."""
        with self._lock:
            down = {loop: why for loop, why in self._health.down.items() if loop != name}
            now = self._dependencies.health.monotonic()
            self._health.down_since = {**self._health.down_since, name: self._health.down_since.get(name, now)}
            if code is None:
                self._health.down_since.pop(name)
            self._health.down = down if code is None else {**down, name: code}
        if name == SCAN_LOOP:
            self.control.refuse(error)
        elif isinstance(error, LockHeldError):
            self.lock_error = error
            self._on_change()
        else:
            self.lock_error = None

    def _make_scans(self, clients: ExitStack) -> Loop:
        platform = clients.enter_context(self._open_platform(SCAN_LOOP, RetryPolicy(sleep=self._sleep)))
        return ScanLoop(
            self.desired.settings,
            self._open_for_scans(),
            platform,
            self.control,
            self._health,
            self._metrics,
            monotonic=self._dependencies.health.monotonic,
            settings_revision=self.desired.revision,
        )

    def _open_for_scans(self) -> Integration:
        try:
            opened = self._open_connector(SCAN_LOOP)
        except (ConfigurationError, InvalidConnectorError):
            self.control.is_unconfigurable = True
            raise
        self.control.is_unconfigurable = False
        return opened

    def _make_tasks(self, _: ExitStack) -> Loop:
        return self._dependencies.make_task_loop(
            TaskDependencies(
                self.desired.settings,
                self.desired.revision,
                lambda: self._open_connector(TASK_LOOP),
                # Whoever works off tasks waits out what fails by itself: a stop must not find it asleep in a call.
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
            if reports_ends.is_set():  # a connector need not
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
            self._health.note_progress(self._dependencies.health.monotonic())
        elif heartbeat is not None:
            heartbeat.renew()

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise InterruptedSyncError
