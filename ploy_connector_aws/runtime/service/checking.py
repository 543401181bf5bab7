"""The connection test of one integration that is served: at the start, once a day, and while it is blocked."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.spec import ConnectionReport, Connector

from .failures import code_of, sentence_of
from .wishes import Wishes

_log = logging.getLogger(__name__)

CHECK_EVERY_SECONDS = 24 * 3600.0


class DailyCheck:
    """Tests the connection when it is time to, and tells Ploy what came of it.

    Args:
        integration_id: The integration's id at Ploy.
        connector: Used by nobody else.
        platform: Used by nobody else.
        wishes: Told whether the connection may be used.
        monotonic: The clock.
    """

    def __init__(
        self,
        integration_id: str,
        connector: Connector,
        platform: PlatformClient,
        wishes: Wishes,
        monotonic: Callable[[], float],
    ) -> None:
        self._integration_id = integration_id
        self._connector = connector
        self._platform = platform
        self._wishes = wishes
        self._monotonic = monotonic
        self._made_at: float | None = None

    def make_if_due(self) -> None:
        """Make the test at the first time, after a day, and at every time while the connection is blocked."""
        now = self._monotonic()
        is_recent = self._made_at is not None and now - self._made_at < CHECK_EVERY_SECONDS
        if is_recent and self._wishes.blocked is None:
            return
        try:
            report = self._connector.hooks.test_connection()
        except Exception as error:  # noqa: BLE001 - the scan that follows says for itself what is wrong
            _log.warning("the connection could not be tested: %s", sentence_of(error), extra={"code": code_of(error)})
            return
        self._made_at = now
        self._wishes.note_report(report)
        self._tell(report)

    def _tell(self, report: ConnectionReport) -> None:
        troubles = [check.name for check in report.checks if check.outcome == "failed"]
        if troubles:
            _log.warning("the connection test found trouble", extra={"failed_checks": troubles})
        progress = wire.CheckProgress(check_id=uuid.uuid4().hex, number=1, is_final=True, report=report)
        try:
            self._platform.report_check(self._integration_id, progress)
        except PlatformError as error:
            # The next one is told again. What is dangerous is not used meanwhile, whatever Ploy knows of it.
            _log.warning("Ploy was not told of the connection test: %s", sentence_of(error))
