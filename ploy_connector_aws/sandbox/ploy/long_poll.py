"""Waiting for tasks without holding a thread, so that however many runtimes wait, everybody else is served."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain

from ploy_connector_aws.platform import wire


class Bell:
    """What one asker hears, in the loop in which it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()
        self.is_waited_for = False

    def ring(self) -> None:
        """Wake the asker. From any thread."""
        self._loop.call_soon_threadsafe(self._heard.set)

    def hush(self) -> None:
        """Forget what was heard so far."""
        self._heard.clear()

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or has rung since it was hushed; so long at the most."""
        self.is_waited_for = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), seconds)
        self.is_waited_for = False


class Bells:
    """The bells of all who ask, by integration. Safe to use from several threads."""

    def __init__(self, look_again_seconds: float = 1) -> None:
        self.look_again_seconds = look_again_seconds
        """What time alone changes, a lease that runs out say, rings no bell: it is found so much later at the most."""
        self._bells: defaultdict[str, set[Bell]] = defaultdict(set)
        self._lock = threading.Lock()
        self.is_stopped = False

    def waiting(self, integration_id: str) -> int:
        """How many wait now, having found nothing."""
        with self._lock:
            return sum(bell.is_waited_for for bell in self._bells.get(integration_id, ()))

    def ring(self, integration_id: str) -> None:
        """Something may have come to an integration."""
        with self._lock:
            for bell in self._bells.get(integration_id, ()):
                bell.ring()

    def stop(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self.is_stopped = True
            for bell in chain.from_iterable(self._bells.values()):
                bell.ring()

    @contextmanager
    def listening(self, integration_id: str) -> Iterator[Bell]:
        """Have a bell for the block."""
        bell = Bell()
        with self._lock:
            self._bells[integration_id].add(bell)
        try:
            yield bell
        finally:
            with self._lock:
                self._bells[integration_id].remove(bell)
                if not self._bells[integration_id]:
                    del self._bells[integration_id]


async def wait_for_tasks(
    bells: Bells,
    integration_id: str,
    request: wire.LeaseRequest,
    look: Callable[[], tuple[wire.LeaseAnswer, bool]],
    is_disconnected: Callable[[], Awaitable[bool]],
) -> wire.LeaseAnswer:
    """Look for tasks until there are any, the flags change, the wait is over, or the server stops.

    Args:
        bells: What rings when something may have come.
        integration_id: Whose.
        request: The wish.
        look: Gives out what may be done now, and says whether there is nothing to wait for. It runs in a thread of
            asyncio's own pool, which is apart from the one that serves the routes.
        is_disconnected: Whether the asker is gone. Then nothing is given out, as nobody would do it.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + request.wait_seconds
    flags: wire.Flags | None = None
    with bells.listening(integration_id) as bell:
        while not await is_disconnected():
            bell.hush()
            answer, is_final = await asyncio.to_thread(look)
            left, flags = ends_at - loop.time(), flags or answer.flags
            if is_final or left <= 0 or bells.is_stopped or answer.flags != flags:
                return answer
            await bell.wait(min(left, bells.look_again_seconds))
    return wire.LeaseAnswer()
