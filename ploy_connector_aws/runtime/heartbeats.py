"""Heartbeats: when each loop of the service last did its work, so that a stalled loop is noticed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OVERDUE_INTERVALS = 3
"""After this many intervals without a successful round a loop is unhealthy."""

MINIMUM_INTERVAL_SECONDS = 5.0
"""The shortest interval of the contract. Tests use shorter ones, and a loaded machine is no failure."""

CALL_SECONDS = 65.0
"""A call that lasts longer is beyond its limit: at most 60 seconds, and some time to end it."""


class Heartbeat:
    """The heartbeat of one loop. The loop renews it; any thread reads it.

    Args:
        interval: Returns the current seconds between its rounds.
        monotonic: The clock.
    """

    def __init__(self, interval: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._interval = interval
        self._monotonic = monotonic
        self._thread = threading.current_thread()
        self._step: tuple[float, float] | None = None
        self._is_waiting = False
        self.at = monotonic()
        """When the loop last did its work, or began; monotonic seconds."""

    @property
    def is_timed(self) -> bool:
        """Whether its rounds have an interval."""
        return self._interval() < math.inf

    @property
    def is_of_this_thread(self) -> bool:
        """Whether the calling thread runs the loop."""
        return self._thread is threading.current_thread()

    def renew(self) -> None:
        """Record that the loop did its work, or made progress."""
        self.at = self._monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait in this block for work that has a heartbeat of its own."""
        self._is_waiting = True
        try:
            yield
        finally:
            self.renew()
            self._is_waiting = False

    @contextmanager
    def step(self, interval: float) -> Iterator[None]:
        """Run a step in this block that must end sooner than the loop's next round."""
        began = self._monotonic()
        self._step = began, began + OVERDUE_INTERVALS * interval
        try:
            yield
        finally:
            self._step = None

    def failure(self, now: float) -> tuple[str, float] | None:
        """Return what is wrong and since when; None where nothing is."""
        if not self._thread.is_alive():
            return "dead", self.at
        step = self._step
        if step is not None and now > step[1]:
            return "overdue", step[0]
        is_late = now - self.at > OVERDUE_INTERVALS * max(self._interval(), MINIMUM_INTERVAL_SECONDS)
        return ("overdue", self.at) if is_late and not self._is_waiting else None


class Heartbeats:
    """The heartbeats of one integration's loops, and its current calls; thread-safe.

    Args:
        monotonic: The clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._heartbeats: dict[str, Heartbeat] = {}
        self._calls: dict[int, tuple[str, str, float]] = {}

    def begin(self, loop: str, interval: Callable[[], float]) -> Heartbeat:
        """Start the heartbeat of the loop that the calling thread runs."""
        heartbeat = Heartbeat(interval, self._monotonic)
        with self._lock:
            self._heartbeats[loop] = heartbeat
        return heartbeat

    def end(self, *loops: str) -> None:
        """Remove the heartbeats of loops."""
        with self._lock:
            for loop in loops:
                self._heartbeats.pop(loop, None)

    def begin_call(self, loop: str, call: str) -> None:
        """Record that the calling thread makes a call for a loop. It makes one at a time."""
        with self._lock:
            self._calls[threading.get_ident()] = loop, call, self._monotonic()

    def end_call(self) -> None:
        """Record that the call of the calling thread has ended."""
        with self._lock:
            self._calls.pop(threading.get_ident(), None)

    def end_calls(self, loop: str) -> None:
        """Remove the calls of a loop that has ended."""
        with self._lock:
            self._calls = {thread: call for thread, call in self._calls.items() if call[0] != loop}

    @contextmanager
    def call(self, loop: str, name: str) -> Iterator[None]:
        """Make a call for a loop in this block."""
        self.begin_call(loop, name)
        try:
            yield
        finally:
            self.end_call()

    def current(self) -> Heartbeat | None:
        """Return the heartbeat of the loop that the calling thread runs; the newest where it runs several."""
        with self._lock:
            return next((each for each in reversed(self._heartbeats.values()) if each.is_of_this_thread), None)

    def ages(self) -> dict[str, float]:
        """Return how many seconds ago each loop did its work, without those that only show that their thread lives."""
        with self._lock:
            now = self._monotonic()
            return {loop: now - heartbeat.at for loop, heartbeat in self._heartbeats.items() if heartbeat.is_timed}

    def failing(self, now: float) -> dict[str, float]:
        """Return what is wrong, each with since when; in monotonic seconds."""
        with self._lock:
            heartbeats, calls = sorted(self._heartbeats.items()), sorted(self._calls.values())
        found = {f"{loop}: call beyond its limit: {call}": at for loop, call, at in calls if now - at > CALL_SECONDS}
        for loop, heartbeat in heartbeats:
            if failure := heartbeat.failure(now):
                found[f"{loop}: {failure[0]}"] = failure[1]
        return found
