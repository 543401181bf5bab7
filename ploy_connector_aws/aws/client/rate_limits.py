"""Our own rate budgets, one per AWS quota: kept under the quota, halved when AWS throttles, slowly recovered."""

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
"""Environment variable of the operator: multiplies all rates. 0.5 halves them; the local sandbox takes a big one."""

RATE_FACTORS = (0.01, 10_000.0)
"""The lowest and the highest rate factor. With the lowest, two calls of one quota are some seconds apart."""

CALLS_PER_SECOND: dict[str, float] = {"sso-admin": 16, "identitystore": 16}
"""By service. AWS allows 20 of either (AWS.md section 2.1); a fifth stays for the customer's own automation."""

CALLS_PER_SECOND_ELSEWHERE: float = 8
"""For services whose quota AWS does not publish."""

BUDGET_PER_OPERATION = frozenset({"identitystore"})
"""Services with a quota of its own for each call; sso-admin, in contrast, has one for all its calls together."""

_RECOVERED_PER_SECOND = 0.02
_LOWEST_SHARE = 1 / 32
_BURST_SECONDS = 0.25


class CancelledError(NotAppliedError):
    """The reading was stopped from outside, so a call that waited for its turn was not made."""


class RateLimiter:
    """When the next call may be made, for all threads and all integrations that share one quota.

    Args:
        calls_per_second: The most that is ever asked for.
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
        """The rate now."""
        with self._lock:
            return self._current_rate(self._clock())

    def reserve(self) -> float:
        """Take the next free place.

        Returns:
            After how many seconds the call may be made.
        """
        with self._lock:
            now = self._clock()
            # After a pause a few calls may follow each other at once, but never a quarter second's worth more.
            start = max(self._next_call_at, now - _BURST_SECONDS, self._paused_until)
            self._next_call_at = start + 1 / self._current_rate(now)
            return max(0.0, start - now)

    def slow_down(self, retry_after_seconds: float | None = None) -> None:
        """Take note that AWS throttled a call: halve the rate, at most once a second, and pause if AWS says so.

        Args:
            retry_after_seconds: How long AWS asks to wait; cut down to ``LONGEST_PAUSE_SECONDS``.
        """
        pause = to_pause_seconds(retry_after_seconds, LONGEST_PAUSE_SECONDS)
        with self._lock:
            now = self._clock()
            # Calls that were under way together are throttled together: that is one message, not many.
            if now - self._rate_set_at >= 1:
                self._rate = max(self._current_rate(now) / 2, self._ceiling * _LOWEST_SHARE)
                self._rate_set_at = now
            if pause is not None:
                self._paused_until = max(self._paused_until, now + pause)

    @property
    def is_paused(self) -> bool:
        """Whether AWS asked for a pause that is not over, maybe after a place was taken."""
        with self._lock:
            return self._clock() < self._paused_until

    def _current_rate(self, now: float) -> float:
        if self._rate_set_at == -math.inf:
            return self._ceiling
        return min(self._ceiling, self._rate + (now - self._rate_set_at) * _RECOVERED_PER_SECOND * self._ceiling)


class Throttle:
    """Makes every attempt of every call of one session wait for its turn in the budget of its quota.

    Args:
        account_id: The AWS account whose quotas are used up: an organisation's integrations with it share the budgets.
        environment: Where the operator's rate factor is looked up.
        wait: Sleeps; answers True when the reading was stopped meanwhile.
        organisation: Whose integration it is. Another organisation that names the same account, in error or in
            malice, neither takes places from the budgets nor slows them down.
        longest_wait_seconds: A call whose turn is further away is not made, for who cannot wait as long.
    """

    def __init__(
        self,
        account_id: str,
        environment: Mapping[str, str] = os.environ,
        wait: Callable[[float], bool] | None = None,
        *,
        organisation: str = "",
        longest_wait_seconds: float = math.inf,
    ) -> None:
        self._owner = (organisation, account_id)
        self._factor = read_rate_factor(environment)
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._longest_wait_seconds = longest_wait_seconds
        self._budgets: dict[tuple[str, str], RateLimiter] = {}

    def stop(self) -> None:
        """Let no further call be made, and wake those that wait."""
        self._stopped.set()

    def attach(self, client: BaseClient) -> None:
        """Make the client's calls wait: every attempt, before it is signed, so that no signature grows old."""
        service = client.meta.service_model.service_name
        region = client.meta.region_name

        def wait_for_turn(operation_name: str, **_: Any) -> None:
            budget = self.budget(service, region, operation_name)
            is_my_turn = False
            while not is_my_turn:
                seconds = budget.reserve()
                if seconds > self._longest_wait_seconds:
                    raise NotAppliedError(
                        f"AWS asked for a pause of calls of {operation_name}, so this one was not made.",
                        retry_after_seconds=seconds,
                    )
                if self._stopped.is_set() or (seconds > 0 and self._wait(seconds)):
                    raise CancelledError("The reading was stopped.")
                is_my_turn = not budget.is_paused

        def notice_throttling(parsed_response: Mapping[str, Any] | None, event_name: str, **_: Any) -> None:
            answer = parsed_response or {}
            if answer.get("Error", {}).get("Code") in THROTTLED_CODES:
                operation = event_name.rpartition(".")[2]
                # botocore reads the retry-after header only; identitystore says it in the body (AWS.md section 1.5).
                self.budget(service, region, operation).slow_down(answer.get("RetryAfterSeconds"))

        client.meta.events.register("before-sign.*.*", wait_for_turn)
        client.meta.events.register("response-received.*.*", notice_throttling)

    def budget(self, service: str, region: str, operation: str) -> RateLimiter:
        """Return the budget of the quota that AWS counts this operation in, in this Region."""
        quota = f"{service}:{operation}" if service in BUDGET_PER_OPERATION else service
        budget = self._budgets.get((quota, region))
        if budget is None:
            rate = CALLS_PER_SECOND.get(service, CALLS_PER_SECOND_ELSEWHERE) * self._factor
            with _REGISTRY_LOCK:
                budget = _REGISTRY.setdefault((*self._owner, quota, region, rate), RateLimiter(rate))
            self._budgets[quota, region] = budget
        return budget


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
"""The budgets in use in this process, by organisation, AWS account, quota, Region and rate."""

_REGISTRY_LOCK = threading.Lock()
