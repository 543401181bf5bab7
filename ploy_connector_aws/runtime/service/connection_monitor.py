"""The connection test of one running integration: at the start, once a day, while blocked, and on doubt."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

from ploy_connector_aws.host import Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.errors import code_of, message_of, to_failed_report
from ploy_connector_aws.runtime.heartbeats import Heartbeats
from ploy_connector_aws.spec import Failure, RejectedError, TemporaryError

from .control import Control
from .health import CHECK_LOOP

_log = logging.getLogger(__name__)

CHECK_EVERY_SECONDS = 24 * 3600.0

LONGEST_STEP_SECONDS = 60.0
"""A test may take three times as long, or three scan intervals where that is longer."""

UNTESTABLE = "connection-test"
"""The check that states why a test was not possible at all."""


@dataclass
class ConnectionMonitor:
    """Tests the connection when it is time to, and reports the result to Ploy. Used by one thread.

    Args:
        integration_id: The integration's id in Ploy.
        connector: A connector that only this thread uses.
        platform: A client that only this thread uses.
        control: Learns whether the connection may be used.
        monotonic: The clock.
        settings_revision: The revision of the connector's settings, where they come from Ploy.
        heartbeats: Where the heartbeat of the tests is shown.
    """

    integration_id: str
    connector: Connector
    platform: PlatformClient
    control: Control
    monotonic: Callable[[], float]
    _: KW_ONLY
    settings_revision: int | None = None
    heartbeats: Heartbeats = field(default_factory=Heartbeats)

    def __post_init__(self) -> None:
        """Start the heartbeat, in the thread that makes the tests."""
        self._heartbeat = self.heartbeats.begin(CHECK_LOOP, lambda: CHECK_EVERY_SECONDS)
        self._tried_at = self._made_at = -math.inf
        self._is_requested = True
        self._missing: frozenset[str] = frozenset()
        """The permissions that the last test found missing."""
        self._denied: frozenset[str] | None = None
        """The permissions that the last scan was denied; None before the first."""
        self._unreported: wire.CheckProgress | None = None
        self._reports = 0
        """The number of tests, of any origin, when the last one here was made."""
        self._failure = ""

    def require_usable(self) -> None:
        """Test the connection if it is time to, and stop everything that is not proven safe.

        Raises:
            RejectedError: Another party could use the connection, too.
            TemporaryError: The connection could not be tested yet.
        """
        self.test_if_due()
        if not self.control.is_tested:
            raise TemporaryError(f"Nothing is read before the connection could be tested. {self._failure}".rstrip())
        if (blocker := self.control.connection_blocker()) is not None:
            raise RejectedError(f"Nothing is read. {blocker.message}", reason="connection_blocked")

    def test_if_due(self) -> None:
        """Test the first time, after a day, on request, and at every call while the connection is blocked."""
        self._report_pending()
        is_old = self.monotonic() - self._made_at >= CHECK_EVERY_SECONDS
        if is_old or self._is_requested or self.control.connection_blocker() is not None:
            self._test()

    def test_if_requested(self) -> None:
        """Test now if a scan requested it, or if no scan got far enough to make the first test."""
        if self._is_requested:
            self._test()

    def note_denied(self, permissions: frozenset[str]) -> None:
        """Request a test if a scan was denied other permissions than before; not after each scan.

        Args:
            permissions: All that the scan was denied.
        """
        is_news = permissions != (self._missing & permissions if self._denied is None else self._denied)
        self._denied = permissions
        if is_news:
            self._is_requested = True

    def note_authentication_failed(self, began: float) -> None:
        """Request a test because a scan could not authenticate, unless one was made for that scan.

        Args:
            began: When the scan began.
        """
        if self._tried_at < began:
            self._is_requested = True

    def _test(self) -> None:
        self._is_requested = False
        self._tried_at = self.monotonic()
        try:
            with self._heartbeat.step(max(self.control.scan_interval_seconds, LONGEST_STEP_SECONDS)):
                report = self.connector.test_connection()
        except Exception as error:  # noqa: BLE001 - every error of a connector is reported, and proves nothing
            self._failure = message_of(error)
            _log.warning(
                "the connection could not be tested: %s",
                self._failure,
                extra={
                    "code": code_of(error),
                    "connector": self.connector.installed.name,
                    "hook": "test_connection",
                },
                exc_info=error,
            )
            failure = Failure.from_error(error)
            report = to_failed_report(UNTESTABLE, failure, "The connection could not be tested. ", code=failure.code)
        else:
            self._made_at = self._tried_at
            self._heartbeat.renew()
            self._missing = frozenset(
                permission
                for check in report.checks
                if check.outcome == "failed"
                for permission in check.missing_permissions
            )
            self.control.note_report(report)
        self._reports = self.control.reports
        failed = [check.name for check in report.checks if check.outcome == "failed"]
        if failed:
            _log.warning("the connection test failed", extra={"failed_checks": failed})
        self._unreported = wire.CheckProgress(
            check_id=uuid.uuid4().hex,
            number=1,
            is_final=True,
            report=report,
            settings_revision=self.settings_revision,
        )
        self._report_pending()

    def _report_pending(self) -> None:
        """Report the last test to Ploy. A failed report is repeated at the next call, unless there is a newer one."""
        if self._reports != self.control.reports:
            self._unreported = None  # a newer test takes precedence, and its maker reports it
        if self._unreported is None:
            return
        try:
            self.platform.report_check(self.integration_id, self._unreported)
        except PlatformError as error:
            # A blocked connection is not used meanwhile, whatever Ploy knows of it.
            _log.warning("could not report the connection test to Ploy: %s", message_of(error))
        else:
            self._unreported = None
