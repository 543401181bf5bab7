"""Waiting for tasks without holding a thread, so that however many runtimes wait, everybody else is served."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from ploy_connector_aws.platform import wire


class Bells:
    """Wake whoever waits for something to come to an integration. Rung from any thread."""

    def __init__(self) -> None:
        self._ringers: defaultdict[str, set[Callable[[], None]]] = defaultdict(set)
        self._lock = threading.Lock()
        self.is_stopped = False

    def ring(self, integration_id: str) -> None:
        """Something may have come."""
        with self._lock:
            for ring in self._ringers.get(integration_id, ()):
                ring()

    def stop(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self.is_stopped = True
            for ringers in self._ringers.values():
                for ring in ringers:
                    ring()

    @contextmanager
    def listening(self, integration_id: str) -> Iterator[asyncio.Event]:
        """Have an event set at each ring for the block, in the loop that is running."""
        heard, loop = asyncio.Event(), asyncio.get_running_loop()

        def ring() -> None:
            loop.call_soon_threadsafe(heard.set)

        with self._lock:
            self._ringers[integration_id].add(ring)
        try:
            yield heard
        finally:
            with self._lock:
                self._ringers[integration_id].remove(ring)
                if not self._ringers[integration_id]:
                    del self._ringers[integration_id]


async def wait_for_tasks(
    bells: Bells,
    integration_id: str,
    request: wire.LeaseRequest,
    look: Callable[[], tuple[wire.LeaseAnswer, bool]],
    is_disconnected: Callable[[], Awaitable[bool]],
    *,
    look_again_seconds: float = 1,
) -> wire.LeaseAnswer:
    """Look for tasks until there are any, the flags change, the wait is over, or the server stops.

    Args:
        bells: What rings when something may have come.
        integration_id: Whose.
        request: The wish.
        look: Gives out what may be done now, and says whether there is nothing to wait for. It runs in a thread of
            asyncio's own pool, which is apart from the one that serves the routes.
        is_disconnected: Whether the asker is gone. Then nothing is given out, as nobody would do it.
        look_again_seconds: What time alone changes, a lease that runs out say, rings no bell: it is found after so
            long at the latest.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + request.wait_seconds
    flags: wire.Flags | None = None
    with bells.listening(integration_id) as heard:
        while not await is_disconnected():
            heard.clear()
            answer, is_final = await asyncio.to_thread(look)
            left, flags = ends_at - loop.time(), flags or answer.flags
            if is_final or left <= 0 or bells.is_stopped or answer.flags != flags:
                return answer
            with suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), min(left, look_again_seconds))
    return wire.LeaseAnswer()
