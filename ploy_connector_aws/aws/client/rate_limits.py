"""Rate limiters, one per AWS quota: they stay below the quota, halve when AWS throttles, and recover slowly."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from botocore.client import BaseClient

from ploy_connector_aws.spec import ConfigurationError
from ploy_connector_aws.spec.bounds import to_pause_seconds

from .api_errors import LONGEST_PAUSE_SECONDS, THROTTLED_CODES
from .errors import NotAppliedError

RATE_FACTOR_VARIABLE = "PLOY_AWS_RATE_FACTOR"
"""Environment variable of the operator: multiplies all rates. 0.5 halves them; the local sandbox uses a big one."""

RATE_FACTORS = (0.01, 10_000.0)
"""The lowest and the highest rate factor. The lowest puts some seconds between two calls of one quota."""

CALLS_PER_SECOND: dict[str, float] = {"sso-admin": 16, "identitystore": 16}
"""By service. AWS allows 20 of either (AWS.md section 2.1); a fifth is left to the customer's own automation."""

CALLS_PER_SECOND_ELSEWHERE: float = 8
"""For services whose quota AWS does not publish."""

LIMIT_PER_OPERATION = frozenset({"identitystore"})
"""Services with one quota per operation; sso-admin, in contrast, has one for all operations together."""

_RECOVERED_PER_SECOND = 0.02
_LOWEST_SHARE = 1 / 32
_BURST_SECONDS = 0.25

_USED_CALLS_PER_SECOND = 250.0
"""A rate above this one needs no more threads: one interpreter makes about a thousand calls a second, whatever their
number, and each thread more that could run only costs changes of the running thread."""

_SPARE = 2
"""So many times the threads of an even latency: some calls take longer."""

_LATENCY_WEIGHT = 1 / 8
"""Of the last attempt, in the average."""


class CancelledError(NotAppliedError):
    """The read was cancelled, so a call that waited for its rate limiter was not sent."""


class RateLimiter:
    """Rate limiter for one AWS quota, shared by all threads and integrations that use it.

    Args:
        calls_per_second: The highest rate.
        clock: Monotonic seconds.
    """

    def __init__(self, calls_per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ceiling = calls_per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._rate = calls_per_second
        self._rate_set_at = -math.inf
        self._next_call_at = -math.inf
        self._paused_until = -math.inf

    @property
    def calls_per_second(self) -> float:
        """The current rate."""
        with self._lock:
            return self._current_rate(self._clock())

    def acquire(self) -> float:
        """Reserve the next call.

        Returns:
            The seconds to wait before the call.
        """
        with self._lock:
            now = self._clock()
            # After an idle time a quarter second's worth of calls may be sent at once, and no more.
            start = max(self._next_call_at, now - _BURST_SECONDS, self._paused_until)
            self._next_call_at = start + 1 / self._current_rate(now)
            return max(0.0, start - now)

    def back_off(self, retry_after_seconds: float | None = None) -> None:
        """Halve the rate, at most once a second, after AWS throttled a call; pause if AWS asks for it.

        Args:
            retry_after_seconds: The pause that AWS asks for; at most ``LONGEST_PAUSE_SECONDS`` of it count.
        """
        pause = to_pause_seconds(retry_after_seconds, LONGEST_PAUSE_SECONDS)
        with self._lock:
            now = self._clock()
            # Concurrent calls are throttled together: that is one signal, not many.
            if now - self._rate_set_at >= 1:
                self._rate = max(self._current_rate(now) / 2, self._ceiling * _LOWEST_SHARE)
                self._rate_set_at = now
            if pause is not None:
                self._paused_until = max(self._paused_until, now + pause)

    @property
    def is_paused(self) -> bool:
        """Whether a pause that AWS asked for is not over; it may have begun after a call was reserved."""
        with self._lock:
            return self._clock() < self._paused_until

    def _current_rate(self, now: float) -> float:
        if self._rate_set_at == -math.inf:
            return self._ceiling
        return min(self._ceiling, self._rate + (now - self._rate_set_at) * _RECOVERED_PER_SECOND * self._ceiling)


class Throttle:
    """Makes every attempt of every call of one session wait for the rate limiter of its quota.

    Args:
        account_id: The AWS account that has the quotas: an organisation's integrations with it share the limiters.
        environment: Holds the operator's rate factor.
        wait: Sleeps; returns True when the read was cancelled meanwhile.
        organisation: The owner of the integration. Another organisation that names the same account, in error or in
            malice, gets limiters of its own.
        longest_wait_seconds: Fail instead of waiting longer than this.
        clock: Monotonic seconds, of the latency.
    """

    def __init__(
        self,
        account_id: str,
        environment: Mapping[str, str] = os.environ,
        wait: Callable[[float], bool] | None = None,
        *,
        organisation: str = "",
        longest_wait_seconds: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._owner = (organisation, account_id)
        self._factor = read_rate_factor(environment)
        self._cancelled = threading.Event()
        self._wait = wait or self._cancelled.wait
        self._longest_wait_seconds = longest_wait_seconds
        self._limiters: dict[tuple[str, str], RateLimiter] = {}
        self._latencies: dict[str, float] = {}
        """The seconds that an attempt takes, from its signature to the parsed response, by service."""
        self._sent = threading.local()

    def stop(self) -> None:
        """Cancel: refuse further calls, and wake those that wait."""
        self._cancelled.set()

    def attach(self, client: BaseClient) -> None:
        """Make the client wait before each attempt is signed, so that no signature grows old."""
        service = client.meta.service_model.service_name
        region = client.meta.region_name

        def wait_for_limiter(operation_name: str, **_: Any) -> None:
            limiter = self.limiter(service, region, operation_name)
            may_send = False
            while not may_send:
                seconds = limiter.acquire()
                if seconds > self._longest_wait_seconds:
                    raise NotAppliedError(
                        f"AWS is throttling {operation_name}; the call was skipped.",
                        retry_after_seconds=seconds,
                    )
                if self._cancelled.is_set() or (seconds > 0 and self._wait(seconds)):
                    raise CancelledError("The read was cancelled.")
                # Meanwhile AWS may have asked for a pause.
                may_send = seconds == 0 or not limiter.is_paused
            self._sent.at = self._clock()

        def note_response(parsed_response: Mapping[str, Any] | None, event_name: str, **_: Any) -> None:
            now = self._clock()
            latency = now - getattr(self._sent, "at", now)
            average = self._latencies.get(service, latency)
            self._latencies[service] = average + (latency - average) * _LATENCY_WEIGHT
            response = parsed_response or {}
            if response.get("Error", {}).get("Code") in THROTTLED_CODES:
                operation = event_name.rpartition(".")[2]
                # botocore reads the Retry-After header only; identitystore has the pause in the body (AWS.md 1.5).
                self.limiter(service, region, operation).back_off(response.get("RetryAfterSeconds"))

        client.meta.events.register("before-sign.*.*", wait_for_limiter)
        client.meta.events.register("response-received.*.*", note_response)

    def needed_threads(self, service: str) -> int:
        """Return how many threads use up the rate of a service, each of which makes one call after the other.

        As many calls are under way as the rate times the seconds that one takes (Little's law).
        """
        rate = min(self._rate(service), _USED_CALLS_PER_SECOND)
        return max(1, math.ceil(_SPARE * rate * self._latencies.get(service, 0)))

    def limiter(self, service: str, region: str, operation: str) -> RateLimiter:
        """Return the limiter of the quota that AWS counts this operation in, in this Region."""
        quota = f"{service}:{operation}" if service in LIMIT_PER_OPERATION else service
        limiter = self._limiters.get((quota, region))
        if limiter is None:
            rate = self._rate(service)
            with _REGISTRY_LOCK:
                limiter = _REGISTRY.setdefault((*self._owner, quota, region, rate), RateLimiter(rate))
            self._limiters[quota, region] = limiter
        return limiter

    def _rate(self, service: str) -> float:
        return CALLS_PER_SECOND.get(service, CALLS_PER_SECOND_ELSEWHERE) * self._factor


def read_rate_factor(environment: Mapping[str, str]) -> float:
    """Read the operator's rate factor; 1 where none is set.

    Raises:
        ConfigurationError: It is not a number in ``RATE_FACTORS``.
    """
    text = environment.get(RATE_FACTOR_VARIABLE, "1")
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    lowest, highest = RATE_FACTORS
    if not lowest <= factor <= highest:
        raise ConfigurationError(
            f"{RATE_FACTOR_VARIABLE} must be a positive number, from {lowest:g} to {highest:g}.",
            field=RATE_FACTOR_VARIABLE,
        )
    return factor


_REGISTRY: WeakValueDictionary[tuple[str, str, str, str, float], RateLimiter] = WeakValueDictionary()
"""The limiters in use in this process, by organisation, AWS account, quota, Region and rate."""

_REGISTRY_LOCK = threading.Lock()
