"""Long polls for tasks that hold no thread, so that any number of waiting runtimes leaves the server free."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain

from ploy_connector_aws.platform import wire


class Waiter:
    """One waiting call, in the event loop in which it was created."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self.is_waiting = False

    def notify(self) -> None:
        """Wake the call. From any thread."""
        self._loop.call_soon_threadsafe(self._event.set)

    def clear(self) -> None:
        """Forget all notifications so far."""
        self._event.clear()

    async def wait(self, seconds: float) -> None:
        """Wait until a notification since the last ``clear``, at most for some seconds."""
        self.is_waiting = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
        self.is_waiting = False


class Waiters:
    """The waiting calls, by integration. Safe to use from several threads."""

    def __init__(self, recheck_seconds: float = 1) -> None:
        self.recheck_seconds = recheck_seconds
        """Lease expiry triggers no notification; the next poll of this interval finds it."""
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._lock = threading.Lock()
        self.is_stopped = False

    def count(self, integration_id: str) -> int:
        """Return how many calls wait for an integration now."""
        with self._lock:
            return sum(waiter.is_waiting for waiter in self._waiters.get(integration_id, ()))

    def notify(self, integration_id: str) -> None:
        """Wake the calls of an integration, as its tasks or flags may have changed."""
        with self._lock:
            for waiter in self._waiters.get(integration_id, ()):
                waiter.notify()

    def stop(self) -> None:
        """End all waiting, now and later."""
        with self._lock:
            self.is_stopped = True
            for waiter in chain.from_iterable(self._waiters.values()):
                waiter.notify()

    @contextmanager
    def registered(self, integration_id: str) -> Iterator[Waiter]:
        """Register a waiter for the block."""
        waiter = Waiter()
        with self._lock:
            self._waiters[integration_id].add(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiters[integration_id].remove(waiter)
                if not self._waiters[integration_id]:
                    del self._waiters[integration_id]


async def wait_for_tasks(
    waiters: Waiters,
    integration_id: str,
    request: wire.LeaseRequest,
    try_lease: Callable[[], tuple[wire.LeaseAnswer, bool]],
    is_disconnected: Callable[[], Awaitable[bool]],
) -> wire.LeaseAnswer:
    """Try to lease tasks until there are any, the flags change, ``wait_seconds`` elapse, or the server stops.

    Args:
        waiters: The waiting calls.
        integration_id: The integration.
        request: The lease request.
        try_lease: Leases what may start now; returns the answer and whether there is nothing to wait for. It runs in
            asyncio's own thread pool, which is apart from the one that serves the routes.
        is_disconnected: Whether the caller has disconnected. It then gets no tasks, as it could not carry them out.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + request.wait_seconds
    flags: wire.Flags | None = None
    with waiters.registered(integration_id) as waiter:
        while not await is_disconnected():
            waiter.clear()
            answer, is_final = await asyncio.to_thread(try_lease)
            left, flags = ends_at - loop.time(), flags or answer.flags
            if is_final or left <= 0 or waiters.is_stopped or answer.flags != flags:
                return answer
            await waiter.wait(min(left, waiters.recheck_seconds))
    return wire.LeaseAnswer()
