"""Waits after consecutive failures: twice as long each time, up to a limit."""

from __future__ import annotations

from datetime import datetime, timedelta

from ploy_connector_aws.spec.bounds import to_pause_seconds


def growing_seconds(failures: int, first: float, longest: float) -> float:
    """Return the wait after a number of failures in a row.

    Args:
        failures: How many there were; at least 1.
        first: The wait after the first.
        longest: The limit.
    """
    return min(longest, first * 2.0 ** min(failures - 1, 30))


def retry_after_of(error: Exception) -> float:
    """Return the pause in seconds that the other side asked for; 0 where the error has no usable number.

    The bound applies to every error: a connector may raise a class of its own.
    """
    return to_pause_seconds(getattr(error, "retry_after_seconds", None)) or 0.0


class Backoff:
    """Decides when a loop may try again after failures."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first = first_seconds
        self._longest = longest_seconds
        self._failures = 0
        self._until: datetime | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0

    def seconds(self, now: datetime) -> float:
        """Return the rest of the wait; 0 where the next try may begin."""
        return max(0.0, (self._until - now).total_seconds()) if self._until else 0.0

    def failed(self, now: datetime, error: Exception) -> None:
        """Record a failure. The wait is at least as long as the pause that the error asks for."""
        self._failures += 1
        wait = max(growing_seconds(self._failures, self._first, self._longest), retry_after_of(error))
        self._until = now + timedelta(seconds=wait)

    def succeeded(self) -> None:
        """Record a success; the next failure counts as the first."""
        self._failures, self._until = 0, None
