"""What Ploy wants of one integration now: its flags, its intervals, and the scans that it asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import Check, ConnectionReport, TemporaryError

_FIRST = wire.HelloAnswer()


@dataclass(frozen=True)
class ScanRequest:
    """A scan that a task asked for."""

    preview: bool
    summary: Future[wire.SyncSummary] = field(default_factory=Future)


class Control:
    """Said by whoever polls, heeded by whoever scans; safe to use from several threads.

    Args:
        monotonic: The clock.
        on_new_pace: Called when Ploy wants another interval between polls.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, on_new_pace: Callable[[], None] = lambda: None
    ) -> None:
        self._monotonic = monotonic
        self._on_new_pace = on_new_pace
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_closed = False
        self._asked: list[ScanRequest] = []
        self._refusal: Exception | None = None
        self._blocking: tuple[Check, ...] = ()
        self._awaits_test = True
        self.is_unconfigurable = False
        """Whether the settings open no connector."""
        self.reports = 0
        """How many tests of the connection were made."""
        self.on_report: Callable[[], None] = lambda: None
        """Called after each test of the connection."""
        self.flags: wire.Flags = _FIRST.flags
        self.scan_interval_seconds: float = _FIRST.scan_interval_seconds
        self.poll_interval_seconds: float = _FIRST.poll_interval_seconds

    def apply(self, answer: wire.HelloAnswer | wire.LeaseAnswer, *, by_scan: bool = False) -> None:
        """Take what Ploy says now. A scan is due at once when it wants everything sent, or ends a pause.

        Args:
            answer: What it says.
            by_scan: A scan that begins asked for it, so it is not due any more.
        """
        with self._changed:
            before, self.flags = self.flags, answer.flags
            self.scan_interval_seconds = answer.scan_interval_seconds
            is_new_pace = self.poll_interval_seconds != answer.poll_interval_seconds
            self.poll_interval_seconds = answer.poll_interval_seconds
            if (self.flags.full_requested and not before.full_requested) or (before.paused and not self.flags.paused):
                self._is_woken = True
            if by_scan:
                self._is_woken = self._awaits_test = False
            self._changed.notify_all()
        if is_new_pace:
            self._on_new_pace()

    def note_report(self, report: ConnectionReport) -> None:
        """Note whether the connection may be used, as a test of it found. What blocks it ends by being proven only."""
        with self._changed:
            self._blocking = report.blockers(self._blocking)
            self.reports += 1
        self.on_report()

    def await_test(self) -> None:
        """Note that no scan may be made until a connection test has passed."""
        with self._changed:
            self._awaits_test = True

    def note_reported_test(self) -> None:
        """Note that Ploy has the report of a test that it asked for: a scan that could not be made before is due now.

        It counts also before the first scan, which may be on its way to a refusal that is out of date.
        """
        with self._changed:
            self._is_woken = self._is_woken or self._awaits_test
            self._changed.notify_all()

    @property
    def is_tested(self) -> bool:
        """Whether a test of the connection was made."""
        return self.reports > 0

    @property
    def blocked(self) -> str | None:
        """Why the connection must not be used at all, as far as tests of it show; None where it may be."""
        if self._blocking:
            return self._blocking[0].message
        # With settings that open no connector there is nothing to test or use: whatever is tried says so by itself.
        return None if self.is_tested or self.is_unconfigurable else "The connection was not tested yet."

    def ask(self, *, preview: bool = False) -> wire.SyncSummary:
        """Have a scan made that begins from now on, and wait until it has ended.

        Args:
            preview: Only say what would change.

        Raises:
            TemporaryError: The service stops, or the scan was cut off.
            ConnectorError: Nothing at all could be read.
            PlatformError: The platform refused.
            SyncRunningError, StateError: The state cannot be used, now or at all.
            Exception: Whatever else a scan fails of, or keeps scans from being made at all.
        """
        request = ScanRequest(preview)
        with self._changed:
            if self._refusal is not None:
                raise self._refusal
            self._asked.append(request)
            self._changed.notify_all()
        return request.summary.result()

    def take(self) -> list[ScanRequest]:
        """The scans that were asked for since the last time."""
        with self._changed:
            taken, self._asked = self._asked, []
            return taken

    def wait(self, due: Callable[[], float]) -> None:
        """Wait until a moment, which may move meanwhile, or until a scan is wanted before it."""
        with self._changed:
            while not (self._is_woken or self._asked or self._is_closed):
                left = due() - self._monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._is_woken = False

    def refuse(self, error: Exception | None) -> None:
        """While no scan can be made, whoever asks for one is told why at once; None once scans are made again."""
        with self._changed:
            if self._is_closed:
                return
            self._refusal = error
            if error is not None:
                for request in self._asked:
                    request.summary.set_exception(error)
                self._asked = []

    def close(self) -> None:
        """Let nobody wait any longer."""
        self.refuse(_stopping())
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def _stopping() -> TemporaryError:
    return TemporaryError("The service stops, so the scan was not made.", changed_nothing=True)
