"""Whether everything that is to be served is served: by integration and source, with a word for what is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ploy_connector_aws.runtime.heartbeats import MINIMUM_INTERVAL_SECONDS, OVERDUE_INTERVALS, Heartbeats


@dataclass
class IntegrationHealth:
    """The signs of life of one integration. Its threads write them; whoever asks reads."""

    connector: str
    since: float
    """The last scan that did its work or, before the first, when it was started; monotonic seconds."""
    scan_interval_seconds: float
    is_paused: bool = False
    down: dict[str, str] = field(default_factory=dict)
    """The loops that do not run, each with the word for why. Exchanged as a whole, and never changed."""
    down_since: dict[str, float] = field(default_factory=dict)
    """Since when. Exchanged with it."""
    last_error: str | None = None
    """The word for what the last scan failed of; None after a success."""
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    """The marks of its other loops, and its calls."""
    progress_at: float | None = None
    """When the scan that is under way came further; None between scans."""

    def note_progress(self, now: float) -> None:
        """Note that the scan that is under way came further. Where scans are overdue, only one that ends is a success:
        each may fail at the same place.
        """
        if not self._is_overdue(now):
            self.progress_at = now

    def failing(self, now: float) -> dict[str, float]:
        """What is not well, each with since when: in monotonic seconds."""
        found = {f"{loop}: {code}": self.down_since.get(loop, self.since) for loop, code in sorted(self.down.items())}
        # While a loop is down its marks are not looked at: why is known.
        marked = self.heartbeats.failing(now)
        if self.is_paused:
            marked.pop(f"{CHECK_LOOP}: overdue", None)
        elif self._is_overdue(now):
            found[f"{SCAN_LOOP}: overdue" + (f": {self.last_error}" if self.last_error else "")] = self._moved_at
        return {**found, **marked}

    @property
    def _moved_at(self) -> float:
        return max(self.since, self.progress_at or self.since)

    def _is_overdue(self, now: float) -> bool:
        return now - self._moved_at > OVERDUE_INTERVALS * max(self.scan_interval_seconds, MINIMUM_INTERVAL_SECONDS)


SCAN_LOOP, TASK_LOOP, CHECK_LOOP = "scans", "tasks", "check"
"""The names of loops, as they are reported."""


@dataclass
class SourceHealth:
    """Whether one source of integrations answers."""

    since: float
    interval_seconds: float
    has_answered: bool = False
    error: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    """The integrations that it names and that are not served, each with the word for why."""
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    """The mark of its loop, which shows a dead thread, and its calls."""

    def failing(self, now: float) -> dict[str, float]:
        """What is not well, each with since when: in monotonic seconds."""
        found = {f"{integration}: {code}": self.since for integration, code in sorted(self.refused.items())}
        is_late = now - self.since > OVERDUE_INTERVALS * max(self.interval_seconds, MINIMUM_INTERVAL_SECONDS)
        if is_late or (self.error is not None and not self.has_answered):
            found[self.error or "overdue"] = self.since
        return {**found, **self.heartbeats.failing(now)}


class Health:
    """Everybody's signs of life. Safe to use from several threads.

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
        """Begin to watch an integration."""
        with self._lock:
            self._integrations[integration] = health

    def watch_source(self, name: str, health: SourceHealth) -> None:
        """Begin to watch a source."""
        with self._lock:
            self._sources[name] = health

    def forget(self, integration: str) -> None:
        """Watch an integration no longer."""
        with self._lock:
            self._integrations.pop(integration, None)

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether all is well, and the report of it as JSON values."""
        with self._lock:
            integrations: dict[str, dict[str, Any]] = {
                id_: {"connector": health.connector, "paused": health.is_paused, **self._show(health)}
                for id_, health in sorted(self._integrations.items())
            }
            sources = {name: self._show(health) for name, health in sorted(self._sources.items())}
        is_well = not any(each["reasons"] for each in (*integrations.values(), *sources.values()))
        return is_well, {"status": "ok" if is_well else "failing", "integrations": integrations, "sources": sources}

    def _show(self, health: IntegrationHealth | SourceHealth) -> dict[str, Any]:
        """The reasons, and since when each is one."""
        monotonic, now = self.monotonic(), self._now()
        failing = health.failing(monotonic)
        since = {
            reason: (now - timedelta(seconds=monotonic - at)).isoformat(timespec="seconds")
            for reason, at in failing.items()
        }
        return {"reasons": list(since), "since": since}
