"""Slots for changes of assignments: AWS allows ten in progress in one instance, for all threads of this process.

The limit is AWS's quota "outstanding account assignments". A slot whose change has an unknown outcome stays taken.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from .sessions import Clock

MAX_CHANGES = 10
"""Changes that may be in progress in one instance."""

UNKNOWN_HOLD = timedelta(minutes=5)
"""How long a change with an unknown outcome counts as in progress; most end within seconds."""

PAUSES_SECONDS = (1.0,) * 30
"""Pauses between the attempts to get a slot."""


class Slot:
    """One slot, taken for one change."""

    def __init__(self) -> None:
        self.is_in_progress = True
        """Whether AWS may still be working on the change. The caller clears it on learning that it has ended."""


class AssignmentSlots:
    """The slots of one instance, for all threads and integrations of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._held_until: list[datetime] = []

    @contextmanager
    def acquire(self, clock: Clock) -> Iterator[Slot | None]:
        """Take a slot, after a bounded wait; None if none became free.

        Args:
            clock: The clock.
        """
        for pause in (*PAUSES_SECONDS, None):
            if self._take(clock.now()):
                break
            if pause is None:
                yield None
                return
            clock.wait(pause)
        slot = Slot()
        try:
            yield slot
        finally:
            with self._lock:
                self._taken -= 1
                if slot.is_in_progress:
                    self._held_until.append(clock.now() + UNKNOWN_HOLD)

    def _take(self, now: datetime) -> bool:
        with self._lock:
            self._held_until = [moment for moment in self._held_until if moment > now]
            if self._taken + len(self._held_until) >= MAX_CHANGES:
                return False
            self._taken += 1
            return True


def slots_of(instance_arn: str) -> AssignmentSlots:
    """Return the slots of an instance.

    Args:
        instance_arn: The instance of IAM Identity Center.
    """
    with _LOCK:
        return _INSTANCES.setdefault(instance_arn, AssignmentSlots())


_INSTANCES: dict[str, AssignmentSlots] = {}
_LOCK = threading.Lock()
