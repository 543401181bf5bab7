"""Whether everything that is to be served is served: by integration and source, with a word for what is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

OVERDUE_INTERVALS = 3
"""After so many scan intervals without a success an integration, or a source, is not well."""


@dataclass
class Vitals:
    """The signs of life of one integration. Its threads write them; whoever asks reads."""

    connector: str
    since: float
    """The last success or, before the first, when it was started; monotonic seconds."""
    scan_interval_seconds: float
    is_paused: bool = False
    down: dict[str, str] = field(default_factory=dict)
    """The loops that do not run, each with the word for why. Exchanged as a whole, and never changed."""
    last_error: str | None = None
    """The word for what the last scan failed of; None after a success."""

    def reasons(self, now: float) -> list[str]:
        """The words for what is amiss."""
        found = [f"{loop}: {code}" for loop, code in sorted(self.down.items())]
        if not self.is_paused and now - self.since > OVERDUE_INTERVALS * self.scan_interval_seconds:
            found.append(f"overdue: {self.last_error}" if self.last_error else "overdue")
        return found


@dataclass
class SourceVitals:
    """Whether one source of integrations answers."""

    since: float
    interval_seconds: float
    has_answered: bool = False
    error: str | None = None
    refused: dict[str, str] = field(default_factory=dict)
    """The integrations that it names and that are not served, each with the word for why."""

    def reasons(self, now: float) -> list[str]:
        """The words for what is amiss."""
        found = [f"{integration}: {code}" for integration, code in sorted(self.refused.items())]
        late = now - self.since > OVERDUE_INTERVALS * self.interval_seconds
        if self.error is not None and (late or not self.has_answered):
            found.append(self.error)
        return found


class Health:
    """Everybody's signs of life. Safe to use from several threads.

    Args:
        monotonic: The clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self._lock = threading.Lock()
        self._integrations: dict[str, Vitals] = {}
        self._sources: dict[str, SourceVitals] = {}

    def watch(self, integration: str, vitals: Vitals) -> None:
        """Begin to watch an integration."""
        with self._lock:
            self._integrations[integration] = vitals

    def watch_source(self, name: str, vitals: SourceVitals) -> None:
        """Begin to watch a source."""
        with self._lock:
            self._sources[name] = vitals

    def forget(self, integration: str) -> None:
        """Watch an integration no longer."""
        with self._lock:
            self._integrations.pop(integration, None)

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether all is well, and the report of it as JSON values."""
        now = self.monotonic()
        with self._lock:
            integrations: dict[str, dict[str, Any]] = {
                id_: {"connector": vitals.connector, "paused": vitals.is_paused, "reasons": vitals.reasons(now)}
                for id_, vitals in sorted(self._integrations.items())
            }
            sources: dict[str, dict[str, Any]] = {
                name: {"reasons": vitals.reasons(now)} for name, vitals in sorted(self._sources.items())
            }
        is_well = not any(each["reasons"] for each in (*integrations.values(), *sources.values()))
        return is_well, {"status": "ok" if is_well else "failing", "integrations": integrations, "sources": sources}
