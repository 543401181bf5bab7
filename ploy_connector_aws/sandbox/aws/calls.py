"""The record of calls to the local AWS: one entry per HTTP request, including retries."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

HIDDEN_PARAMETERS = frozenset({"ExternalId"})
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Call:
    """One request: caller, operation and result.

    `status` is 0 if the connection was cut instead of a response. An external id is a secret: its presence is recorded,
    its value is not.
    """

    service: str
    operation: str
    action: str
    account_id: str | None
    principal_arn: str | None
    session_name: str | None
    region: str
    access_key_id: str
    status: int
    error_code: str | None
    parameters: Mapping[str, Any]


_watchers: list[Callable[[Call], object]] = []


def watch(callback: Callable[[Call], object]) -> None:
    """Passes every later call of every local AWS of this process to a callback."""
    _watchers.append(callback)


class Calls:
    """The last calls, oldest first. Safe to read while other threads call."""

    def __init__(self, limit: int) -> None:
        self._calls: deque[Call] = deque(maxlen=limit)
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Adds a call; drops the oldest one at the limit."""
        with self._lock:
            self._calls.append(call)
        for show in _watchers:
            show(call)

    def clear(self) -> None:
        """Forgets every call."""
        with self._lock:
            self._calls.clear()

    def to(self, *operations: str) -> list[Call]:
        """The calls of these operations, in the order in which they were answered."""
        return [call for call in self if call.operation in operations]

    def __iter__(self) -> Iterator[Call]:
        """The calls so far; later ones do not disturb the reader."""
        with self._lock:
            return iter(list(self._calls))

    def __len__(self) -> int:
        """How many calls are kept."""
        return len(self._calls)

    def __getitem__(self, index: int) -> Call:
        """The call at this place, oldest first."""
        with self._lock:
            return self._calls[index]


def to_recordable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call without its secrets."""
    return {name: HIDDEN if name in HIDDEN_PARAMETERS else value for name, value in parameters.items()}
