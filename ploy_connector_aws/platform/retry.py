"""The retry policy of calls: how often, after which waits, and when to give up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ploy_connector_aws.spec.bounds import to_pause_seconds

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that are not about the request itself. All calls of the contract are idempotent."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with full jitter, bounded in number and in total time. The clock can be replaced."""

    max_attempts: int = 6
    max_seconds: float = 180
    """No wait begins that would end later than this after the first attempt began."""
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 20
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = random.random

    def wait_seconds(self, attempts: int, elapsed: float, retry_after: float | None) -> float | None:
        """Return how long to wait before the next attempt; None to give up.

        Args:
            attempts: How many attempts were made.
            elapsed: Seconds since the first began.
            retry_after: The pause that the platform asked for, in seconds; the wait is never shorter.
        """
        longest = min(self.longest_wait_seconds, self.first_wait_seconds * 2 ** (attempts - 1))
        wait = longest * self.jitter() if retry_after is None else retry_after + self.first_wait_seconds * self.jitter()
        return None if attempts >= self.max_attempts or elapsed + wait > self.max_seconds else wait

    def from_retry_after(self, header: str | None) -> float | None:
        """Read the header Retry-After, in seconds or as a date; None if it is missing or invalid.

        The pause is at most an hour: a runtime that waits longer gets no tasks.
        """
        if header is None:
            return None
        if header.strip().isdecimal():
            return to_pause_seconds(int(header.strip()[:9]))
        try:
            date = parsedate_to_datetime(header)
        except (ValueError, OverflowError, TypeError, IndexError):  # each for some text that is not a date
            return None
        # A date without a zone is read as UTC (RFC 9110 knows GMT only).
        return to_pause_seconds(max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - self.now()).total_seconds()))
