"""The scans of one integration: one after the other, an interval apart, at once when asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformUnavailableError, SetupUnfinishedError
from ploy_connector_aws.runtime.backoff import retry_after_of
from ploy_connector_aws.runtime.errors import UNEXPECTED, InterruptedSyncError, code_of, is_transient, message_of
from ploy_connector_aws.runtime.integration import Integration, hello
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.compare import to_outcome
from ploy_connector_aws.runtime.snapshot.history import History
from ploy_connector_aws.runtime.snapshot.lock import SyncLock
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.engine import Sync, SyncResult
from ploy_connector_aws.runtime.sync.preview import preview
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.spec import AuthenticationError, TemporaryError

from .connection_monitor import ConnectionMonitor
from .control import Control, ScanRequest
from .health import IntegrationHealth
from .metrics import IntegrationMetrics
from .schedule import next_scan

_log = logging.getLogger(__name__)


class ScanLoop:
    """Makes the scans.

    Args:
        settings: The integration's.
        opened: A connector that nobody else uses.
        platform: A client that nobody else uses.
        wishes: What Ploy wants.
        vitals: Where it shows how it goes.
        metrics: Where it is counted.
        monotonic: The clock for intervals.
        now: The clock for moments.
        settings_revision: Of the settings, where they are Ploy's.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        opened: Integration,
        platform: PlatformClient,
        control: Control,
        health: IntegrationHealth,
        metrics: IntegrationMetrics,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        settings_revision: int | None = None,
    ) -> None:
        self._settings = settings
        self._opened = opened
        self._platform = platform
        self._control = control
        self._check = ConnectionMonitor(
            settings.integration.id,
            opened.connector,
            platform,
            control,
            monotonic,
            settings_revision=settings_revision,
            heartbeats=health.heartbeats,
        )
        self._health = health
        self._metrics = metrics
        self._monotonic = monotonic
        self._now = now
        self._stop = threading.Event()
        self._began = monotonic()
        self._transient_failures = 0
        self._retry_after = 0.0
        self._is_unfinished = False
        """Whether Ploy wanted nothing but tests when it was last asked."""

    def run(self, stop: threading.Event) -> None:
        """Scan until told to stop. One that is under way then is left so that it can be gone on with."""
        self._stop = stop
        try:
            self._recall()
        except Exception:
            self._catch_up()
            raise
        while not stop.is_set():
            self._began = began = self._monotonic()
            try:
                self._serve(self._control.take())
            finally:
                self._health.progress_at = None
            self._catch_up()
            ended = self._monotonic()
            self._control.wait(partial(self._due, began, ended))

    def _due(self, began: float, ended: float) -> float:
        return next_scan(
            began=began,
            ended=ended,
            interval=self._control.scan_interval_seconds,
            poll=self._control.poll_interval_seconds,
            transient_failures=self._transient_failures,
            retry_after=self._retry_after,
        )

    def _recall(self) -> None:
        """Show what is known from before this process began."""
        with self._store() as store:
            if (baseline := store.baseline) is not None:
                self._metrics.shows_reading_of(baseline.reading_started_at)
            ended = (each.ended_at for each in History(store.connection).entries() if each.ending == "committed")
            if (last := next(ended, None)) is not None:
                self._metrics.succeeded_at(last)

    def _serve(self, control: list[ScanRequest]) -> None:
        """Make one scan for everybody who asked for one or, when nobody did, because it is due."""
        previews = [request for request in control if request.preview]
        asked = [request for request in control if not request.preview]
        try:
            if previews:
                self._fulfil(previews, self._preview)
            if asked or not previews:
                self._fulfil(asked, self._scan)
        finally:
            # Whatever ended it, a connector may even raise SystemExit, nobody waits for what does not come.
            for request in control:
                if not request.summary.done():
                    request.summary.set_exception(TemporaryError("The scan broke off.", changed_nothing=True))

    def _fulfil(self, control: list[ScanRequest], make: Callable[[], wire.SyncSummary]) -> None:
        try:
            summary = make()
        except InterruptedSyncError:
            self._transient_failures, self._retry_after = 0, 0
            self._health.is_paused = self._control.flags.paused
            self._metrics.sync_ended("interrupted")
            _log.info("left where it was; it is gone on with later")
            error: Exception = TemporaryError("The scan was cut off, and is gone on with later.", changed_nothing=True)
        except SetupUnfinishedError as refusal:
            error = refusal
            self._note_unfinished()
        except Exception as raised:  # noqa: BLE001 - whatever it was, the next scan is made
            error = raised
            self._note_failure("failed", raised)
        else:
            for request in control:
                request.summary.set_result(summary)
            return
        for request in control:
            request.summary.set_exception(error)

    def _scan(self) -> wire.SyncSummary:
        with (
            SyncLock(self._settings.lock_path),
            self._store() as store,
            Journal(self._settings.tasks_path) as journal,
        ):
            result = Sync(
                self._opened.connector,
                store,
                self._platform,
                self._introduce,
                self._settings.integration.id,
                fingerprint=self._opened.identity,
                verified=journal,
                now=self._now,
                checkpoint=self._checkpoint,
            ).make()
            self._note(result)
            return to_summary(result)

    def _preview(self) -> wire.SyncSummary:
        self._check.require_usable()
        with preview(self._opened.connector, self._settings.snapshot_path, checkpoint=self._checkpoint) as found:
            return wire.SyncSummary(status="previewed", outcome=to_outcome(found.changes))

    @contextmanager
    def _store(self) -> Iterator[Store]:
        path = self._settings.snapshot_path
        with translate_errors(path), Store(path) as store:
            yield store

    def _introduce(self) -> wire.HelloAnswer:
        try:
            answer = hello(self._platform, self._settings, self._opened)
        except (PlatformUnavailableError, SetupUnfinishedError):
            self._check.require_usable()
            raise
        self._is_unfinished = False
        if not answer.flags.paused:
            self._check.require_usable()
        self._control.apply(answer, by_scan=True)
        if self._health.is_paused and not answer.flags.paused:
            self._health.since = self._monotonic()  # nothing was to be done until now
        self._health.is_paused = answer.flags.paused
        self._health.scan_interval_seconds = answer.scan_interval_seconds
        return answer

    def _catch_up(self) -> None:
        """Make the test that the last scan calls for, or the first where no scan came so far: tasks wait for it."""
        if not (self._control.flags.paused or self._stop.is_set()):
            self._check.test_if_requested()

    def _checkpoint(self) -> None:
        self._health.note_progress(self._monotonic())
        if self._stop.is_set() or self._control.flags.paused:
            raise InterruptedSyncError

    def _note(self, result: SyncResult) -> None:
        if result.status == "waiting" and result.error is not None:
            self._note_failure("waiting", result.error)
            return
        self._transient_failures, self._retry_after = 0, 0
        self._metrics.sync_ended(result.status)
        if result.run is not None:
            self._note_scopes(result.run)
        if result.answer is None or result.run is None:
            _log.info("paused by Ploy")
            return
        self._health.since, self._health.last_error = self._monotonic(), None
        self._metrics.succeeded_at(self._now())
        self._metrics.keeps_unproven(result.answer.unproven_scopes)
        if result.answer.status == "committed":
            self._metrics.shows_reading_of(result.run.reading_started_at)
        said = {"run_id": result.run.run_id, "generation": result.answer.generation}
        _log.info("scanned: %s", result.answer.status, extra=said)

    def _note_scopes(self, run: Run) -> None:
        """Have the connection tested where it turned out to be another than the last test found."""
        failures = [scope.failure for scope in run.scopes(only_announced=True) if scope.failure is not None]
        self._check.note_denied(frozenset(name for failure in failures for name in failure.missing_permissions))
        if any(failure.code == AuthenticationError.code for failure in failures):
            self._check.note_authentication_failed(self._began)

    def _note_unfinished(self) -> None:
        """Wait for the test that Ploy asks for: nothing failed. Another process may make it, so Ploy is asked again."""
        if not self._is_unfinished:
            _log.info("waits for a connection test of these settings to pass")
        self._is_unfinished = True
        self._transient_failures, self._retry_after = 1, 0
        self._control.await_test()
        self._health.since, self._health.last_error = self._monotonic(), None

    def _note_failure(self, ending: str, error: Exception) -> None:
        self._transient_failures = self._transient_failures + 1 if is_transient(error) or ending == "waiting" else 0
        self._retry_after = retry_after_of(error)
        if isinstance(error, AuthenticationError):
            self._check.note_authentication_failed(self._began)
        self._health.last_error = code = code_of(error)
        if self._control.is_tested and self._control.blocked is not None:
            self._health.since = self._monotonic()  # it did all that may be done with what is blocked: it was tested
            self._control.await_test()
        self._metrics.sync_ended(ending)
        level = logging.ERROR if code == UNEXPECTED else logging.WARNING
        _log.log(level, "scan %s: %s", ending, message_of(error), extra={"code": code}, exc_info=error)


def to_summary(result: SyncResult) -> wire.SyncSummary:
    """What came of a sync, in the words of the contract."""
    if result.changes is None:
        return wire.SyncSummary(status=result.status)
    found = result.answer or to_outcome(result.changes)
    return wire.SyncSummary(
        status=result.status,
        run_id=result.run.run_id if result.run and result.answer else None,
        generation=result.answer.generation if result.answer else None,
        outcome=wire.Outcome(**{name: getattr(found, name) for name in wire.Outcome.model_fields}),
    )
