"""The scans of one integration: one after the other, an interval apart, and at once on request."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from functools import partial

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformUnavailableError, SetupUnfinishedError
from ploy_connector_aws.runtime.backoff import growing_seconds, retry_after_of
from ploy_connector_aws.runtime.errors import UNEXPECTED, InterruptedSyncError, code_of, is_transient, message_of
from ploy_connector_aws.runtime.integration import Integration
from ploy_connector_aws.runtime.snapshot.compare import to_outcome
from ploy_connector_aws.runtime.snapshot.history import History
from ploy_connector_aws.runtime.snapshot.lock import SyncLock
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.engine import SyncResult
from ploy_connector_aws.runtime.sync.preview import preview
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.spec import AuthenticationError, TemporaryError

from .connection_monitor import ConnectionMonitor
from .control import Control, ScanRequest
from .health import IntegrationHealth
from .metrics import IntegrationMetrics

_log = logging.getLogger(__name__)


def next_scan(
    *, began: float, ended: float, interval: float, poll: float, failures: int = 0, retry_after: float = 0
) -> float:
    """Return when the next scan is due; all moments are monotonic seconds.

    Args:
        began: When the last one began.
        ended: When it ended.
        interval: The interval between the beginnings of two scans.
        poll: No failed scan is followed by another one sooner than this.
        failures: How many scans in a row failed for a transient reason.
        retry_after: The pause that the other side asked for. It is never undercut.
    """
    due = max(began + interval, ended)
    if failures:
        due = min(due, ended + growing_seconds(failures, poll, interval))
        due = max(due, ended + poll)
    return max(due, ended + retry_after)


@dataclass
class ScanLoop:
    """Runs the scans.

    Args:
        integration: The integration, with a connector that only this thread uses.
        platform: A client that only this thread uses.
        control: Ploy's flags and intervals, and requests for scans.
        health: Where results and progress are shown.
        metrics: Where results are counted.
        monotonic: The clock for intervals.
        now: The clock for moments.
        settings_revision: The revision of the settings, where they come from Ploy.
    """

    integration: Integration
    platform: PlatformClient
    control: Control
    health: IntegrationHealth
    metrics: IntegrationMetrics
    _: KW_ONLY
    monotonic: Callable[[], float]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    settings_revision: int | None = None

    def __post_init__(self) -> None:
        """Create the monitor of the connection."""
        self._settings = self.integration.settings
        self._monitor = ConnectionMonitor(
            self._settings.integration.id,
            self.integration.connector,
            self.platform,
            self.control,
            self.monotonic,
            settings_revision=self.settings_revision,
            heartbeats=self.health.heartbeats,
        )
        self._stop = threading.Event()
        self._began = self.monotonic()
        self._transient_failures = 0
        self._retry_after = 0.0
        self._is_unfinished = False
        """Whether Ploy's last answer allowed nothing but tests."""

    def run(self, stop: threading.Event) -> None:
        """Scan until stopped. A scan under way then is left so that the next one resumes it."""
        self._stop = stop
        try:
            self._show_last_commit()
        except Exception:
            self._test_if_requested()
            raise
        while not stop.is_set():
            self._began = began = self.monotonic()
            try:
                self._serve(self.control.take_requests())
            finally:
                self.health.progress_at = None
            self._test_if_requested()
            ended = self.monotonic()
            self.control.wait(partial(self._due, began, ended))

    def _due(self, began: float, ended: float) -> float:
        return next_scan(
            began=began,
            ended=ended,
            interval=self.control.scan_interval_seconds,
            poll=self.control.poll_interval_seconds,
            failures=self._transient_failures,
            retry_after=self._retry_after,
        )

    def _show_last_commit(self) -> None:
        """Show the results from before this process began."""
        with self._store() as store:
            if (baseline := store.baseline) is not None:
                self.metrics.shows_reading_of(baseline.reading_started_at)
            ended = (each.ended_at for each in History(store.connection).entries() if each.ending == "committed")
            if (last := next(ended, None)) is not None:
                self.metrics.succeeded_at(last)

    def _serve(self, requests: list[ScanRequest]) -> None:
        """Run one scan for all requests or, without any, because it is due; and one preview for those of previews."""
        previews = [request for request in requests if request.preview]
        scans = [request for request in requests if not request.preview]
        try:
            if previews:
                self._fulfil(previews, self._preview)
            if scans or not previews:
                self._fulfil(scans, self._scan)
        finally:
            # Whatever ended it (a connector may even raise SystemExit), no request may wait for ever.
            for request in requests:
                if not request.summary.done():
                    request.summary.set_exception(TemporaryError("The scan broke off.", changed_nothing=True))

    def _fulfil(self, requests: list[ScanRequest], make: Callable[[], wire.SyncSummary]) -> None:
        try:
            summary = make()
        except InterruptedSyncError:
            self._transient_failures, self._retry_after = 0, 0
            self.health.is_paused = self.control.flags.paused
            self.metrics.sync_ended("interrupted")
            _log.info("interrupted; the next scan resumes")
            error: Exception = TemporaryError("The scan was interrupted; the next one resumes.", changed_nothing=True)
        except SetupUnfinishedError as refusal:
            error = refusal
            self._note_unfinished()
        except Exception as raised:  # noqa: BLE001 - the next scan runs whatever it was
            error = raised
            self._note_failure("failed", raised)
        else:
            for request in requests:
                request.summary.set_result(summary)
            return
        for request in requests:
            request.summary.set_exception(error)

    def _scan(self) -> wire.SyncSummary:
        with (
            SyncLock(self._settings.lock_path),
            self._store() as store,
            Journal(self._settings.tasks_path) as journal,
        ):
            result = self.integration.sync(
                self.platform,
                store,
                journal,
                introduce=self._introduce,
                now=self.now,
                checkpoint=self._checkpoint,
            )
            self._note(result)
            return to_summary(result)

    def _preview(self) -> wire.SyncSummary:
        self._monitor.require_usable()
        connector, path = self.integration.connector, self._settings.snapshot_path
        with preview(connector, path, checkpoint=self._checkpoint) as found:
            return wire.SyncSummary(status="previewed", outcome=to_outcome(found.changes))

    @contextmanager
    def _store(self) -> Iterator[Store]:
        path = self._settings.snapshot_path
        with translate_errors(path), Store(path) as store:
            yield store

    def _introduce(self) -> wire.HelloAnswer:
        try:
            answer = self.integration.introduce(self.platform)
        except (PlatformUnavailableError, SetupUnfinishedError):
            self._monitor.require_usable()
            raise
        self._is_unfinished = False
        if not answer.flags.paused:
            self._monitor.require_usable()
        self.control.apply(answer, by_scan=True)
        if self.health.is_paused and not answer.flags.paused:
            self.health.since = self.monotonic()  # during a pause no scan was due
        self.health.is_paused = answer.flags.paused
        self.health.scan_interval_seconds = answer.scan_interval_seconds
        return answer

    def _test_if_requested(self) -> None:
        """Run the test that the last scan requested, or the first where no scan got that far: tasks wait for it."""
        if not (self.control.flags.paused or self._stop.is_set()):
            self._monitor.test_if_requested()

    def _checkpoint(self) -> None:
        self.health.note_progress(self.monotonic())
        if self._stop.is_set() or self.control.flags.paused:
            raise InterruptedSyncError

    def _note(self, result: SyncResult) -> None:
        if result.status == "waiting" and result.error is not None:
            self._note_failure("waiting", result.error)
            return
        self._transient_failures, self._retry_after = 0, 0
        self.metrics.sync_ended(result.status)
        if result.run is not None:
            self._note_scopes(result.run)
        if result.answer is None or result.run is None:
            _log.info("paused by Ploy")
            return
        self.health.since, self.health.last_error = self.monotonic(), None
        self.metrics.succeeded_at(self.now())
        self.metrics.keeps_unproven(result.answer.unproven_scopes)
        if result.answer.status == "committed":
            self.metrics.shows_reading_of(result.run.reading_started_at)
        facts = {"run_id": result.run.run_id, "generation": result.answer.generation}
        _log.info("scanned: %s", result.answer.status, extra=facts)

    def _note_scopes(self, run: Run) -> None:
        """Request a connection test where the scan found another state than the last test."""
        failures = [scope.failure for scope in run.scopes(only_announced=True) if scope.failure is not None]
        self._monitor.note_denied(frozenset(name for failure in failures for name in failure.missing_permissions))
        if any(failure.code == AuthenticationError.code for failure in failures):
            self._monitor.note_authentication_failed(self._began)

    def _note_unfinished(self) -> None:
        """Wait for the test that Ploy asks for: nothing failed. Another process may run it, so ask Ploy again."""
        if not self._is_unfinished:
            _log.info("waits for a connection test of these settings to pass")
        self._is_unfinished = True
        self._transient_failures, self._retry_after = 1, 0
        self.control.await_test()
        self.health.since, self.health.last_error = self.monotonic(), None

    def _note_failure(self, ending: str, error: Exception) -> None:
        self._transient_failures = self._transient_failures + 1 if is_transient(error) or ending == "waiting" else 0
        self._retry_after = retry_after_of(error)
        if isinstance(error, AuthenticationError):
            self._monitor.note_authentication_failed(self._began)
        self.health.last_error = code = code_of(error)
        if self.control.is_tested and self.control.connection_blocker() is not None:
            self.health.since = self.monotonic()  # the only work that a blocked integration may do is its test
            self.control.await_test()
        self.metrics.sync_ended(ending)
        level = logging.ERROR if code == UNEXPECTED else logging.WARNING
        _log.log(level, "scan %s: %s", ending, message_of(error), extra={"code": code}, exc_info=error)


def to_summary(result: SyncResult) -> wire.SyncSummary:
    """Convert the result of a sync to the contract's summary."""
    if result.changes is None:
        return wire.SyncSummary(status=result.status)
    found = result.answer or to_outcome(result.changes)
    return wire.SyncSummary(
        status=result.status,
        run_id=result.run.run_id if result.run and result.answer else None,
        generation=result.answer.generation if result.answer else None,
        outcome=wire.Outcome(**{name: getattr(found, name) for name in wire.Outcome.model_fields}),
    )
