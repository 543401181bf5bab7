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
from ploy_connector_aws.runtime.integration import Integration, open_connector, open_platform
from ploy_connector_aws.runtime.marks import Mark, Marks
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError
from ploy_connector_aws.spec import ConfigurationError, ConnectorContext

from .control import Control
from .failure_codes import UNEXPECTED, InterruptedSyncError, code_of, sentence_of
from .health import SCAN_LOOP, TASK_LOOP, Health, IntegrationHealth
from .metrics import IntegrationMetrics, Metrics
from .polling import Loop, MakeLoop, Workplace
from .scanning import ScanLoop
from .schedule import growing
from .sources import DesiredIntegration
from .task_runner import ServedTasks

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
    make_task_loop: MakeLoop = ServedTasks
    open_platform: OpenPlatform = open_platform
    open_connector: OpenConnector = open_connector


class IntegrationRunner:
    """One integration, from when it is wanted until it is not, or is wanted with other settings.

    Args:
        wanted: Which, and its settings.
        outfit: What it is served with.
        on_change: Called when it has ended, or is to be polled at another interval.
    """

    def __init__(self, wanted: DesiredIntegration, outfit: Dependencies, on_change: Callable[[], None]) -> None:
        self.wanted = wanted
        self._outfit = outfit
        self._on_change = on_change
        self.wishes = Control(outfit.health.monotonic, on_change)
        self.has_ended = False
        """Whether nothing of it runs any more."""
        self.lock_error: LockHeldError | None = None
        """Which other process works off its tasks, while one does."""
        self._stop = threading.Event()
        connector = wanted.settings.integration.connector
        self._metrics: IntegrationMetrics = outfit.metrics.of(wanted.id, connector)
        monotonic = outfit.health.monotonic
        self._marks = Marks(monotonic)
        self._vitals = IntegrationHealth(connector, monotonic(), self.wishes.scan_interval_seconds, marks=self._marks)
        self._metrics.ages_of(self._marks)
        self._left = 2
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._keep, args=(name, make), name=f"ploy-{name}-{wanted.id}", daemon=True)
            for name, make in ((SCAN_LOOP, self._make_scans), (TASK_LOOP, self._make_tasks))
        ]

    def start(self) -> None:
        """Begin to serve it."""
        self._outfit.health.watch(self.wanted.id, self._vitals)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have everything end soon; returns at once."""
        self._stop.set()
        self.wishes.close()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stop.is_set()

    def _keep(self, name: str, make: Callable[[ExitStack], Loop]) -> None:
        """Run a loop; when it crashes, make and run it anew after a while, until told to stop."""
        with logs.bound(integration=self.wanted.id, connector=self.wanted.settings.integration.connector, run_id=None):
            monotonic, crashes = self._outfit.health.monotonic, 0
            # What it does has marks of its own; this one shows that the thread lives.
            self._marks.begin(name, lambda: math.inf)
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
                    self._marks.end_calls(name)
                    error = raised if isinstance(raised, Exception) else RuntimeError(type(raised).__name__)
                    code = code_of(error)
                    self._note_loop(name, code, error)
                    level = logging.ERROR if code == UNEXPECTED else logging.WARNING
                    _log.log(level, "%s do not run: %s", name, sentence_of(error), extra={"code": code}, exc_info=error)
                # A loop that ran for long was well in between.
                crashes = crashes + 1 if monotonic() - began < self.wishes.scan_interval_seconds else 1
                self._stop.wait(growing(self.wishes.poll_interval_seconds, crashes, self.wishes.scan_interval_seconds))
        with self._lock:
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._outfit.health.forget(self.wanted.id)
            self._metrics.forget()
            self.has_ended = True
            self._on_change()

    def _note_loop(self, name: str, code: str | None, error: Exception | None) -> None:
        """Show that a loop runs or, with the word for why, that it does not."""
        with self._lock:
            down = {loop: why for loop, why in self._vitals.down.items() if loop != name}
            now = self._outfit.health.monotonic()
            self._vitals.down_since = {**self._vitals.down_since, name: self._vitals.down_since.get(name, now)}
            if code is None:
                self._vitals.down_since.pop(name)
            self._vitals.down = down if code is None else {**down, name: code}
        if name == SCAN_LOOP:
            self.wishes.refuse(error)
        elif isinstance(error, LockHeldError):
            self.lock_error = error
            self._on_change()
        else:
            self.lock_error = None

    def _make_scans(self, clients: ExitStack) -> Loop:
        platform = clients.enter_context(self._open_platform(SCAN_LOOP, RetryPolicy(sleep=self._sleep)))
        return ScanLoop(
            self.wanted.settings,
            self._open_for_scans(),
            platform,
            self.wishes,
            self._vitals,
            self._metrics,
            monotonic=self._outfit.health.monotonic,
            settings_revision=self.wanted.revision,
        )

    def _open_for_scans(self) -> Integration:
        try:
            opened = self._open_connector(SCAN_LOOP)
        except (ConfigurationError, InvalidConnectorError):
            self.wishes.opens_nothing = True
            raise
        self.wishes.opens_nothing = False
        return opened

    def _make_tasks(self, _: ExitStack) -> Loop:
        return self._outfit.make_task_loop(
            Workplace(
                self.wanted.settings,
                self.wanted.revision,
                lambda: self._open_connector(TASK_LOOP),
                # Whoever works off tasks waits out what fails by itself: a stop must not find it asleep in a call.
                lambda: self._open_platform(TASK_LOOP, RetryPolicy(max_attempts=1)),
                self.wishes,
                self._metrics,
                self._marks,
            )
        )

    def _open_platform(self, loop: str, retry: RetryPolicy) -> PlatformClient:
        return self._outfit.open_platform(
            self.wanted.settings,
            retry=retry,
            on_attempt=self._metrics.platform_answered,
            watch=lambda call: self._watch(loop, call),
        )

    def _open_connector(self, loop: str) -> Integration:
        mark = self._marks.current()
        reports_ends = threading.Event()

        def begin(service: str, operation: str) -> None:
            self._metrics.remote_called(service, operation)
            self._note_progress(loop, mark)
            if reports_ends.is_set():  # a connector need not
                self._marks.call_begins(loop, f"{service} {operation}")

        def end(*_: str) -> None:
            reports_ends.set()
            self._marks.call_ended()
            self._note_progress(loop, mark)

        return self._outfit.open_connector(
            self.wanted.settings,
            context=ConnectorContext(
                organisation=self.wanted.organisation,
                on_call=begin,
                on_answer=end,
                on_throttle=self._metrics.remote_throttled,
                on_left_out=self._metrics.left_out,
            ),
        )

    @contextmanager
    def _watch(self, loop: str, call: str) -> Iterator[None]:
        """Watch a call to Ploy."""
        with self._marks.call(loop, call):
            yield
        self._note_progress(loop, None)

    def _note_progress(self, loop: str, mark: Mark | None) -> None:
        if loop == SCAN_LOOP:
            self._vitals.note_progress(self._outfit.health.monotonic())
        elif mark is not None:
            mark.renew()

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise InterruptedSyncError
