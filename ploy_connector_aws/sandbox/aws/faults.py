"""Fault injection: denials, throttling, errors, delays and cut connections, as AWS has them at times."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypedDict, Unpack

from .access_denied import AwsError, ErrorKind, common_error
from .requests import ApiRequest


class ConnectionCutError(Exception):
    """The connection is to be reset instead of answered."""


# Calls per second and what they are counted by (AWS.md 2.1): Identity Center has one budget for all of
# its API, Identity Store one per API and store; both count each account and Region on their own.
QUOTAS: Mapping[str, tuple[float, Callable[[ApiRequest], str]]] = {
    "sso-admin": (20.0, lambda _: ""),
    "identitystore": (20.0, lambda request: f"{request.operation} {request.parameters.get('IdentityStoreId')}"),
}


Where = Callable[[ApiRequest], bool]
"""Selects calls by their Region or parameters: a count alone strikes a different one whenever calls run at once."""


def in_regions(*regions: str) -> Where:
    """Selects the calls that are made in one of these Regions."""
    return lambda request: request.region in regions


def about(*things: str) -> Where:
    """Selects the calls that have one of these ids, ARNs or names as a parameter."""
    return lambda request: any(value in things for value in request.parameters.values())


@dataclass
class Rule:
    """A fault that strikes every `every`-th call of its operations (all, when none is named).

    It stops by itself after `times` strikes; `struck` counts them. One that comes `afterwards` strikes a call that was
    carried out, and takes away its answer. `where` selects calls; with `each`, the calls of one operation with the same
    Region and parameters are counted on their own: `every=1, times=1` strikes the first attempt at each call.
    """

    inject: Callable[[ApiRequest], object]
    operations: frozenset[str] = frozenset()
    every: int = 1
    times: int | None = None
    afterwards: bool = False
    where: Where | None = None
    each: bool = False
    seen: int = 0
    struck: int = 0
    _seen: Counter[str] = field(default_factory=Counter)
    _struck: Counter[str] = field(default_factory=Counter)

    def is_due(self, request: ApiRequest) -> bool:
        """Counts the call if it is selected; true when the fault strikes it."""
        if (self.operations and not _names(request, self.operations)) or (self.where and not self.where(request)):
            return False
        counted = f"{request.action} {request.region} {sorted(request.parameters.items())}" if self.each else ""
        self._seen[counted] += 1
        self.seen += 1
        if self._seen[counted] % self.every or (self.times is not None and self._struck[counted] >= self.times):
            return False
        self._struck[counted] += 1
        self.struck += 1
        return True


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class When(TypedDict, total=False):
    """When a rule strikes, see ``Rule``."""

    times: int | None
    afterwards: bool
    where: Where | None
    each: bool


class Faults:
    """The switches of one local AWS. Operations are named `ListUsers` or `identitystore:ListUsers`."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Switches every fault off."""
        with self._lock:
            self._rules: list[Rule] = []
            self._denied: frozenset[str] = frozenset()
            self._empty_pages: frozenset[str] | None = None
            self._rates_limited = False
            self._buckets: dict[str, _Bucket] = {}
            self._left_out: dict[str, frozenset[str]] = {}

    def deny(self, *operations: str) -> None:
        """Takes these permissions away from every caller, as if no identity policy allowed them."""
        with self._lock:
            self._denied |= set(operations)

    def allow(self, *operations: str) -> None:
        """Takes back a `deny`."""
        with self._lock:
            self._denied -= set(operations)

    def throttle(
        self,
        every: int = 1,
        *operations: str,
        retry_after_seconds: int | None = None,
        reason: str | None = None,
        **when: Unpack[When],
    ) -> Rule:
        """Throttles every n-th call; `reason` may be KMS_THROTTLING."""
        given = {"RetryAfterSeconds": retry_after_seconds, "Reason": reason}
        members = {name: value for name, value in given.items() if value is not None}
        return self._add(lambda request: _raise(_throttled(request, members)), operations, every, **when)

    def limit_rates(self) -> None:
        """Switches AWS's real quotas on: a token bucket that holds one second's calls."""
        with self._lock:
            self._rates_limited = True

    def fail(self, every: int = 1, *operations: str, **when: Unpack[When]) -> Rule:
        """Returns an internal error, status 500, for every n-th call; `afterwards`: although it was carried out."""
        return self._add(
            lambda request: _raise(common_error(ErrorKind.INTERNAL, request.protocol)), operations, every, **when
        )

    def cut_connection(self, every: int = 1, *operations: str, **when: Unpack[When]) -> Rule:
        """Resets the connection of every n-th call instead of a response; `afterwards`: it was carried out."""
        return self._add(lambda _: _raise(ConnectionCutError()), operations, every, **when)

    def answer(
        self,
        operation: str,
        code: str,
        *,
        status: int = 400,
        message: str = "",
        members: Mapping[str, Any] | None = None,
        every: int = 1,
        **when: Unpack[When],
    ) -> Rule:
        """Returns a scripted error for an operation, for example `Reason` KMS_ACCESS_DENIED."""
        return self._add(lambda _: _raise(AwsError(code, message, status, members or {})), (operation,), every, **when)

    def delay(self, seconds: float, *operations: str, **when: Unpack[When]) -> Rule:
        """Delays the responses of these operations, or of all."""
        return self._add(lambda _: time.sleep(seconds), operations, **when)

    def before(
        self, operation: str | None, callback: Callable[[], object], *, nth: int = 1, **when: Unpack[When]
    ) -> Rule:
        """Runs a callback once, just before the n-th call of an operation, or of any, is processed.

        A fault that it switches on starts with the next call.
        """
        when.setdefault("times", 1)
        return self._add(lambda _: callback(), (operation,) if operation else (), nth, **when)

    def empty_pages(self, *operations: str) -> None:
        """Puts an empty page with a token before every real page of these operations, or of all."""
        with self._lock:
            self._empty_pages = frozenset(operations)

    def leave_out(self, operation: str, *members: str) -> None:
        """Leaves members out of the answers of an operation of the seven services whose resources are listed."""
        with self._lock:
            self._left_out[operation] = frozenset(members)

    def left_out(self, request: ApiRequest) -> frozenset[str]:
        """The members, in the words of the wire, that do not occur in the answer."""
        return self._left_out.get(request.operation, frozenset()) | self._left_out.get(request.action, frozenset())

    def inject(self, request: ApiRequest, account_id: str) -> None:
        """Lets the faults that are due happen to a call.

        Raises:
            AwsError: the call ends with this answer.
            ConnectionCutError: the call ends without one.
        """
        self._take_token(request, account_id)
        for rule in self._due(request, afterwards=False):
            rule.inject(request)

    def inject_after(self, request: ApiRequest) -> None:
        """Lets the faults that are due happen to a call that was carried out and not yet answered.

        Raises:
            AwsError: the call ends with this answer.
            ConnectionCutError: the call ends without one.
        """
        for rule in self._due(request, afterwards=True):
            rule.inject(request)

    def is_denied(self, request: ApiRequest) -> bool:
        """True when `deny` took this permission away."""
        return _names(request, self._denied)

    def has_empty_pages(self, request: ApiRequest) -> bool:
        """True when an empty page comes first."""
        operations = self._empty_pages
        return operations is not None and (not operations or _names(request, operations))

    def _add(
        self, inject: Callable[[ApiRequest], object], operations: Iterable[str], every: int = 1, **when: Unpack[When]
    ) -> Rule:
        rule = Rule(inject, frozenset(operations), every, **when)
        with self._lock:
            self._rules.append(rule)
        return rule

    def _due(self, request: ApiRequest, *, afterwards: bool) -> list[Rule]:
        with self._lock:
            return [rule for rule in self._rules if rule.afterwards == afterwards and rule.is_due(request)]

    def _take_token(self, request: ApiRequest, account_id: str) -> None:
        if not self._rates_limited or request.service.name not in QUOTAS:
            return
        rate, counted_by = QUOTAS[request.service.name]
        key = f"{account_id} {request.region} {request.service.name} {counted_by(request)}"
        now = self._monotonic()
        with self._lock:
            bucket = self._buckets.setdefault(key, _Bucket(rate, now))
            bucket.tokens = min(rate, bucket.tokens + (now - bucket.filled_at) * rate)
            bucket.filled_at = now
            if bucket.tokens < 1:
                raise _throttled(request, {})
            bucket.tokens -= 1


def _raise(error: Exception) -> NoReturn:
    raise error


def _throttled(request: ApiRequest, members: Mapping[str, Any]) -> AwsError:
    return common_error(ErrorKind.THROTTLED, request.protocol, members=members)


def _names(request: ApiRequest, operations: frozenset[str]) -> bool:
    return request.operation in operations or request.action in operations
