"""Shared state of one integration: Ploy's flags and intervals, blockers, and the scans that tasks asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ploy_connector_aws.host.blockers import CONNECTION_TEST, PLATFORM, Blocker, to_blockers
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.errors import code_of, message_of
from ploy_connector_aws.runtime.tasks.coordinator import PAUSED, READ_ONLY
from ploy_connector_aws.spec import Check, ConnectionReport, TemporaryError

_DEFAULTS = wire.HelloAnswer()

_NOT_TESTED = Blocker(CONNECTION_TEST, "not_tested", "The connection was not tested yet.")


@dataclass(frozen=True)
class ScanRequest:
    """A scan that a task asked for."""

    preview: bool
    summary: Future[wire.SyncSummary] = field(default_factory=Future)


class Control:
    """Written by the poller and the connection tests, read by the scanner and the task loop; thread-safe.

    Args:
        monotonic: The clock for intervals.
        on_new_poll_interval: Called when Ploy asks for another interval between polls.
        now: The clock for moments.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        on_new_poll_interval: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._monotonic = monotonic
        self._on_new_poll_interval = on_new_poll_interval
        self._now = now
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_closed = False
        self._requests: list[ScanRequest] = []
        self._refusal: Exception | None = None
        self._failed_checks: tuple[Check, ...] = ()
        self._awaits_test = True
        self._blockers: tuple[Blocker, ...] = ()
        self._set_blockers(CONNECTION_TEST, [_NOT_TESTED])
        self.is_unconfigurable = False
        """Whether the settings open no connector."""
        self.reports = 0
        """The number of connection tests that were made."""
        self.on_report: Callable[[], None] = lambda: None
        """Called after each connection test."""
        self.flags: wire.Flags = _DEFAULTS.flags
        self.scan_interval_seconds: float = _DEFAULTS.scan_interval_seconds
        self.poll_interval_seconds: float = _DEFAULTS.poll_interval_seconds

    def apply(self, answer: wire.HelloAnswer | wire.LeaseAnswer, *, by_scan: bool = False) -> None:
        """Take over Ploy's flags and intervals. A scan is due at once when Ploy requests everything or ends a pause.

        Args:
            answer: Ploy's answer.
            by_scan: Whether a scan that begins asked for it, so that none is due any more.
        """
        with self._changed:
            before, self.flags = self.flags, answer.flags
            self.scan_interval_seconds = answer.scan_interval_seconds
            is_new_interval = self.poll_interval_seconds != answer.poll_interval_seconds
            self.poll_interval_seconds = answer.poll_interval_seconds
            if (self.flags.full_requested and not before.full_requested) or (before.paused and not self.flags.paused):
                self._is_woken = True
            if by_scan:
                self._is_woken = self._awaits_test = False
            flags = ((PAUSED, answer.flags.paused), (READ_ONLY, answer.flags.read_only))
            self._set_blockers(PLATFORM, [each for each, is_set in flags if is_set])
            self._changed.notify_all()
        if is_new_interval:
            self._on_new_poll_interval()

    def note_report(self, report: ConnectionReport) -> None:
        """Record whether a connection test allows use of the connection. Only a passed check lifts its blocker."""
        with self._changed:
            self._failed_checks = report.blockers(self._failed_checks)
            self._set_blockers(CONNECTION_TEST, to_blockers(self._failed_checks))
            self.reports += 1
        self.on_report()

    def note_loop(self, loop: str, error: Exception | None) -> None:
        """Record why a loop does not run; None where it runs."""
        with self._changed:
            self._set_blockers(loop, [Blocker(loop, code_of(error), message_of(error))] if error else [])

    def _set_blockers(self, source: str, found: Iterable[Blocker]) -> None:
        """Replace the blockers of one source; one that stays keeps its beginning."""
        began = {each.code: each.since for each in self._blockers if each.source == source}
        now = self._now()
        self._blockers = (
            *(each for each in self._blockers if each.source != source),
            *(replace(each, since=began.get(each.code, now)) for each in found),
        )

    def blockers(self) -> tuple[Blocker, ...]:
        """Return all that keeps the integration from being read or changed now, whichever gate decided it."""
        if not self.is_unconfigurable:
            return self._blockers
        # With settings that open no connector there is nothing to test or use: every attempt fails by itself.
        return tuple(each for each in self._blockers if each.code != _NOT_TESTED.code)

    def connection_blocker(self) -> Blocker | None:
        """Return why the connection must not be used, as far as tests of it show; None where it may be."""
        return next((each for each in self.blockers() if each.source == CONNECTION_TEST), None)

    def await_test(self) -> None:
        """Record that no scan may begin before a connection test has passed."""
        with self._changed:
            self._awaits_test = True

    def note_reported_test(self) -> None:
        """Record that Ploy has the report of a test that it asked for: a scan that was not possible before is due now.

        It counts also before the first scan, which may be about to be refused for an outdated reason.
        """
        with self._changed:
            self._is_woken = self._is_woken or self._awaits_test
            self._changed.notify_all()

    @property
    def is_tested(self) -> bool:
        """Whether a connection test was made."""
        return self.reports > 0

    def request_scan(self, *, preview: bool = False) -> wire.SyncSummary:
        """Request a scan that begins from now on, and wait until it has ended.

        Args:
            preview: Only report what would change.

        Raises:
            TemporaryError: The service stops, or the scan was cut off.
            ConnectorError: Nothing at all could be read.
            PlatformError: The platform refused.
            SyncRunningError, StateError: The state cannot be used, now or at all.
            Exception: Whatever else fails a scan, or prevents scans.
        """
        request = ScanRequest(preview)
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            self._requests.append(request)
            self._changed.notify_all()
        return request.summary.result()

    def take_requests(self) -> list[ScanRequest]:
        """Return the scans that were requested since the last call."""
        with self._changed:
            taken, self._requests = self._requests, []
            return taken

    def wait(self, due: Callable[[], float]) -> None:
        """Wait until a moment, which may move meanwhile, or until a scan is requested before it."""
        with self._changed:
            while not (self._is_woken or self._requests or self._is_closed):
                left = due() - self._monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._is_woken = False

    def refuse_scans(self, error: Exception | None) -> None:
        """Fail requests for scans at once with this error while no scan is possible; None: scans are possible again."""
        with self._changed:
            if self._is_closed:
                return
            self._refusal = error
            if error is not None:
                for request in self._requests:
                    request.summary.set_exception(error)
                self._requests = []

    def close(self) -> None:
        """End every wait."""
        self.refuse_scans(TemporaryError("The service stops, so the scan was not made.", changed_nothing=True))
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
