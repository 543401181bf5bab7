"""The connection test of one integration that is served: at the start, once a day, while blocked, and on doubt."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable

from ploy_connector_aws.host import Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.errors import code_of, message_of
from ploy_connector_aws.runtime.heartbeats import Heartbeats
from ploy_connector_aws.spec import Check, ConnectionReport, Failure, RejectedError, TemporaryError

from .control import Control
from .health import CHECK_LOOP

_log = logging.getLogger(__name__)

CHECK_EVERY_SECONDS = 24 * 3600.0

LONGEST_STEP_SECONDS = 60.0
"""A test may take three times as long, or three scan intervals where that is longer."""

UNTESTABLE = "connection-test"
"""The check that says why a test could not be made at all."""


class ConnectionMonitor:
    """Tests the connection when it is time to, and tells Ploy what came of it.

    Args:
        integration_id: The integration's id at Ploy.
        connector: Used by nobody else.
        platform: Used by nobody else.
        wishes: Told whether the connection may be used.
        monotonic: The clock.
        settings_revision: Of the settings that the connector has, where they are Ploy's.
        marks: Where it shows that tests are made.
    """

    def __init__(
        self,
        integration_id: str,
        connector: Connector,
        platform: PlatformClient,
        control: Control,
        monotonic: Callable[[], float],
        *,
        settings_revision: int | None = None,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._integration_id = integration_id
        self._connector = connector
        self._platform = platform
        self._control = control
        self._monotonic = monotonic
        self._heartbeat = (heartbeats or Heartbeats()).begin(CHECK_LOOP, lambda: CHECK_EVERY_SECONDS)
        self._settings_revision = settings_revision
        self._tried_at = -math.inf
        self._made_at = -math.inf
        self._is_requested = True
        self._missing: frozenset[str] = frozenset()
        """The permissions that the last test found missing."""
        self._denied: frozenset[str] | None = None
        """The permissions that the last scan was denied; None before the first."""
        self._unreported: wire.CheckProgress | None = None
        self._reports = 0
        """How many tests had been made after that one, whoever made them."""
        self._trouble = ""

    def require_usable(self) -> None:
        """Test the connection if it is time to, and let nothing be read of what is not proven.

        Raises:
            RejectedError: Others could use it, too.
            TemporaryError: It could not be tested yet.
        """
        self.test_if_due()
        if not self._control.is_tested:
            raise TemporaryError(f"Nothing is read before the connection could be tested. {self._trouble}".rstrip())
        if self._control.blocked is not None:
            raise RejectedError(f"Nothing is read. {self._control.blocked}", reason="connection_blocked")

    def test_if_due(self) -> None:
        """Make the test at the first time, after a day, when called for, and at every time while nothing is usable."""
        self._report_pending()
        is_old = self._monotonic() - self._made_at >= CHECK_EVERY_SECONDS
        if is_old or self._is_requested or self._control.blocked is not None:
            self._make()

    def test_if_requested(self) -> None:
        """Make the test now, if a scan has called for it, or none came so far as to make the first one."""
        if self._is_requested:
            self._make()

    def note_denied(self, permissions: frozenset[str]) -> None:
        """Note what a scan was denied: a test is called for if that is news, and not after each scan.

        Args:
            permissions: All of it.
        """
        is_news = permissions != (self._missing & permissions if self._denied is None else self._denied)
        self._denied = permissions
        if is_news:
            self._is_requested = True

    def note_authentication_failed(self, began: float) -> None:
        """Note that a scan was not let in: a test is called for, unless one was made for that scan.

        Args:
            began: When the scan began.
        """
        if self._tried_at < began:
            self._is_requested = True

    def _make(self) -> None:
        self._is_requested = False
        self._tried_at = self._monotonic()
        try:
            with self._heartbeat.step(max(self._control.scan_interval_seconds, LONGEST_STEP_SECONDS)):
                report = self._connector.test_connection()
        except Exception as error:  # noqa: BLE001 - whatever a connector raises is told, and proves nothing
            self._trouble = message_of(error)
            _log.warning(
                "the connection could not be tested: %s",
                self._trouble,
                extra={"code": code_of(error), **_named(self._connector)},
                exc_info=error,
            )
            report = _untestable(error)
        else:
            self._made_at = self._tried_at
            self._heartbeat.renew()
            self._missing = frozenset(
                permission
                for check in report.checks
                if check.outcome == "failed"
                for permission in check.missing_permissions
            )
            self._control.note_report(report)
        self._reports = self._control.reports
        troubles = [check.name for check in report.checks if check.outcome == "failed"]
        if troubles:
            _log.warning("the connection test found trouble", extra={"failed_checks": troubles})
        self._unreported = wire.CheckProgress(
            check_id=uuid.uuid4().hex,
            number=1,
            is_final=True,
            report=report,
            settings_revision=self._settings_revision,
        )
        self._report_pending()

    def _report_pending(self) -> None:
        """Tell Ploy of the last test; what it could not be told is told the next time, unless there is a newer one."""
        if self._reports != self._control.reports:
            self._unreported = None  # what was found since is told by whoever found it, and goes before
        if self._unreported is None:
            return
        try:
            self._platform.report_check(self._integration_id, self._unreported)
        except PlatformError as error:
            # What is dangerous is not used meanwhile, whatever Ploy knows of it.
            _log.warning("Ploy was not told of the connection test: %s", message_of(error))
        else:
            self._unreported = None


def _named(connector: Connector) -> dict[str, str]:
    return {"connector": connector.installed.name, "hook": "test_connection"}


def _untestable(error: Exception) -> ConnectionReport:
    failure = Failure.from_error(error)
    return ConnectionReport(
        checks=(
            Check(
                name=UNTESTABLE,
                outcome="failed",
                message=f"The connection could not be tested. {failure.message}",
                fix=failure.fix,
                missing_permissions=failure.missing_permissions,
                code=failure.code,
                request_id=failure.request_id,
            ),
        )
    )
