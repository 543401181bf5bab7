"""The places for changes of assignments that AWS has under way at once; one stays taken while that is not known.

AWS allows ten outstanding changes in one instance (its quota "outstanding account assignments").
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from .clock import Clock

PLACES = 10
"""So many may be under way in one instance at once."""

KEPT = timedelta(minutes=5)
"""How long a change whose end was not learnt is taken to be under way; most end within seconds."""

PAUSES_SECONDS = (1.0,) * 30
"""How long a place is waited for."""


class Place:
    """One place, taken for one order."""

    def __init__(self) -> None:
        self.is_open = True
        """Whether AWS may still have the change under way. Whoever learns that it has ended says so here."""


class AssignmentSlots:
    """The places of one instance, for all threads and integrations of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._kept_until: list[datetime] = []

    @contextmanager
    def place(self, clock: Clock) -> Iterator[Place | None]:
        """Take a place, waiting a bounded time for it; None where none became free.

        Args:
            clock: The time.
        """
        is_mine = self._take(clock.now())
        for pause in PAUSES_SECONDS:
            if is_mine:
                break
            clock.wait(pause)
            is_mine = self._take(clock.now())
        if not is_mine:
            yield None
            return
        place = Place()
        try:
            yield place
        finally:
            with self._lock:
                self._taken -= 1
                if place.is_open:
                    self._kept_until.append(clock.now() + KEPT)

    def _take(self, now: datetime) -> bool:
        with self._lock:
            self._kept_until = [moment for moment in self._kept_until if moment > now]
            if self._taken + len(self._kept_until) >= PLACES:
                return False
            self._taken += 1
            return True


def outstanding_in(instance_arn: str) -> AssignmentSlots:
    """The places of an instance.

    Args:
        instance_arn: The instance of IAM Identity Center.
    """
    with _LOCK:
        return _INSTANCES.setdefault(instance_arn, AssignmentSlots())


_INSTANCES: dict[str, AssignmentSlots] = {}
_LOCK = threading.Lock()
