"""How long to wait after failures that follow one another: longer each time, up to a limit."""

from __future__ import annotations

from datetime import datetime, timedelta

from ploy_connector_aws.spec.bounds import to_pause_seconds


def growing_seconds(failures: int, first: float, longest: float) -> float:
    """The wait after so many failures in a row: twice as long each time.

    Args:
        failures: How many there were; at least 1.
        first: The wait after the first.
        longest: No wait is longer.
    """
    return min(longest, first * 2.0 ** min(failures - 1, 30))


def retry_after_of(error: Exception) -> float:
    """How many seconds the other side asked to wait; 0 where an error does not say it in a number.

    Also a connector's error is bounded here: its class may be the connector's own.
    """
    return to_pause_seconds(getattr(error, "retry_after_seconds", None)) or 0.0


class Backoff:
    """Says when something that failed may be tried again."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first = first_seconds
        self._longest = longest_seconds
        self._failures = 0
        self._until: datetime | None = None

    @property
    def is_failing(self) -> bool:
        """Whether it failed when it was tried last."""
        return self._failures > 0

    def seconds(self, now: datetime) -> float:
        """How long is still to wait; 0 where it may be tried."""
        return max(0.0, (self._until - now).total_seconds()) if self._until else 0.0

    def failed(self, now: datetime, error: Exception) -> None:
        """Note a failure. The wait is at least as long as the other side asked for in it."""
        self._failures += 1
        wait = max(growing_seconds(self._failures, self._first, self._longest), retry_after_of(error))
        self._until = now + timedelta(seconds=wait)

    def succeeded(self) -> None:
        """Note a success: the next failure is a first one."""
        self._failures, self._until = 0, None
