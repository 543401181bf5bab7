"""Health of the service: by integration and source, the reasons why something does not run, and what blocks it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ploy_connector_aws.host import Blocker
from ploy_connector_aws.runtime.heartbeats import MINIMUM_INTERVAL_SECONDS, OVERDUE_INTERVALS, Heartbeats

SCAN_LOOP, TASK_LOOP, CHECK_LOOP, SOURCE_LOOP = "scans", "tasks", "check", "source"
"""The names of loops in health reports."""


@dataclass
class IntegrationHealth:
    """The health of one integration. Its threads write it; any thread reads it."""

    connector: str
    since: float
    """When the last scan succeeded or, before the first, when the integration started; monotonic seconds."""
    scan_interval_seconds: float
    is_paused: bool = False
    down: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The loops that do not run, each with the code of the reason, and since when. Replaced as a whole."""
    last_error: str | None = None
    """The code of the last scan's error; None after a success."""
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    """The heartbeats of its other loops, and its calls."""
    blockers: Callable[[], tuple[Blocker, ...]] = tuple
    """What keeps the integration from being read or changed now."""
    progress_at: float | None = None
    """When the current scan last made progress; None between scans."""

    def note_progress(self, now: float) -> None:
        """Record progress of the current scan. Once scans are overdue only one that ends counts: each may fail at the
        same place.
        """
        if not self._is_overdue(now):
            self.progress_at = now

    def failing(self, now: float) -> dict[str, float]:
        """Return each reason why it is unhealthy, and since when; in monotonic seconds."""
        found = {f"{loop}: {code}": since for loop, (code, since) in sorted(self.down.items())}
        late = self.heartbeats.failing(now)
        if self.is_paused:
            late.pop(f"{CHECK_LOOP}: overdue", None)
        elif self._is_overdue(now):
            found[f"{SCAN_LOOP}: overdue" + (f": {self.last_error}" if self.last_error else "")] = self._progress_at
        return {**found, **late}

    @property
    def _progress_at(self) -> float:
        return max(self.since, self.progress_at or self.since)

    def _is_overdue(self, now: float) -> bool:
        longest = OVERDUE_INTERVALS * max(self.scan_interval_seconds, MINIMUM_INTERVAL_SECONDS)
        return now - self._progress_at > longest


@dataclass
class SourceHealth:
    """The health of one source of integrations."""

    since: float
    interval_seconds: float
    has_answered: bool = False
    error: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    """The integrations that it names and that do not run, each with the code of the reason."""
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    """The heartbeat of its loop, which shows a dead thread, and its calls."""

    def failing(self, now: float) -> dict[str, float]:
        """Return each reason why it is unhealthy, and since when; in monotonic seconds."""
        found = {f"{integration}: {code}": self.since for integration, code in sorted(self.refused.items())}
        is_late = now - self.since > OVERDUE_INTERVALS * max(self.interval_seconds, MINIMUM_INTERVAL_SECONDS)
        if is_late or (self.error is not None and not self.has_answered):
            found[self.error or "overdue"] = self.since
        return {**found, **self.heartbeats.failing(now)}


class Health:
    """The health of everything that the process runs; thread-safe.

    Args:
        monotonic: The clock for intervals.
        now: The clock for moments.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._integrations: dict[str, IntegrationHealth] = {}
        self._sources: dict[str, SourceHealth] = {}

    def watch(self, integration: str, health: IntegrationHealth) -> None:
        """Add an integration."""
        with self._lock:
            self._integrations[integration] = health

    def watch_source(self, name: str, health: SourceHealth) -> None:
        """Add a source."""
        with self._lock:
            self._sources[name] = health

    def forget(self, integration: str) -> None:
        """Remove an integration."""
        with self._lock:
            self._integrations.pop(integration, None)

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Return whether everything is healthy, and the report as JSON values."""
        with self._lock:
            integrations: dict[str, dict[str, Any]] = {
                id_: {
                    "connector": health.connector,
                    "paused": health.is_paused,
                    "blockers": [blocker.to_json() for blocker in health.blockers()],
                    **self._reasons(health),
                }
                for id_, health in sorted(self._integrations.items())
            }
            sources = {name: self._reasons(health) for name, health in sorted(self._sources.items())}
        is_well = not any(each["reasons"] for each in (*integrations.values(), *sources.values()))
        return is_well, {"status": "ok" if is_well else "failing", "integrations": integrations, "sources": sources}

    def _reasons(self, health: IntegrationHealth | SourceHealth) -> dict[str, Any]:
        monotonic, now = self.monotonic(), self._now()
        since = {
            reason: (now - timedelta(seconds=monotonic - at)).isoformat(timespec="seconds")
            for reason, at in health.failing(monotonic).items()
        }
        return {"reasons": list(since), "since": since}
