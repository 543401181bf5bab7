"""Describes the permission sets while the people are listed: the two have quotas of their own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

Key = tuple[str, str]
"""An operation and the ARN that it is about."""

_MOST_THREADS = 4


class ReadAhead:
    """Makes calls before their results are needed. A result, or an error, is used once, as if the call were made then.

    Nothing may rest on the moment of such a call but what began with the whole read.

    Args:
        on_stop: Called by ``stop`` to wake threads that wait for something else.
        threads: Returns how many threads are needed; at most ``_MOST_THREADS`` are used.
    """

    def __init__(
        self, on_stop: Callable[[], None] = lambda: None, threads: Callable[[], int] = lambda: _MOST_THREADS
    ) -> None:
        self._on_stop = on_stop
        self._count_threads = threads
        self._lock = threading.Lock()
        self._waiting: deque[Key] = deque()
        self._calls: dict[Key, Callable[[], Any]] = {}
        """Those that no thread has begun."""
        self._results: dict[Key, Future[Any]] = {}
        self._threads: list[threading.Thread] = []
        self._is_stopped = False

    def add(self, key: Key, call: Callable[[], Any]) -> None:
        """Make a call soon; a call may add others."""
        with self._lock:
            if self._is_stopped:
                return
            self._calls[key] = call
            self._waiting.append(key)
            self._threads = [each for each in self._threads if each.is_alive()]
            if len(self._threads) < min(self._count_threads(), _MOST_THREADS):
                thread = threading.Thread(target=self._work, name="ploy-aws-reader", daemon=True)
                self._threads.append(thread)
                thread.start()

    def take(self, key: Key, call: Callable[[], T]) -> T:
        """Return the result of a call, made ahead or now.

        Args:
            key: Its key.
            call: Makes it, unless it was begun.

        Raises:
            Exception: What the call raised.
        """
        with self._lock:
            self._calls.pop(key, None)
            future = self._results.pop(key, None)
        if future is None:
            return call()
        result: T = future.result()
        return result

    def stop(self) -> None:
        """Make no more calls, and wait for those that were begun."""
        with self._lock:
            self._is_stopped = True
            self._calls.clear()
            threads, self._threads = self._threads, []
        if any(each.is_alive() for each in threads):
            self._on_stop()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    # ``add`` starts another thread: this one must not count as alive any more.
                    self._threads = [each for each in self._threads if each is not threading.current_thread()]
                    return
                key = self._waiting.popleft()
                call = self._calls.pop(key, None)
                if call is None:
                    continue
                future = self._results[key] = Future()
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised where the result is needed
                future.set_exception(error)
