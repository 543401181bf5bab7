"""What the threads of one integration's tasks share in memory: who works on what, what Ploy allows, and a bell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ploy_connector_aws.platform import wire

from .held_task import HeldTask
from .journal import Journal

REPORT_MARGIN = timedelta(seconds=30)
"""No attempt begins or writes so shortly before a task's deadline: the report needs time, too."""
LEASE_MARGIN = timedelta(seconds=5)
"""No write begins that could end later than this before the end of the lease."""

_MOST_HELD = 100
"""Tasks that wait for another attempt keep no worker, but their leases are kept one by one."""
_LONGEST_PAUSE_SECONDS = 60.0


def last_moment(task: wire.Task) -> datetime:
    """When it is too late for another attempt."""
    return task.deadline - REPORT_MARGIN


def write_before(held: HeldTask) -> datetime:
    """When every write of an attempt at a task must have ended."""
    return min(held.lease_ends_at - LEASE_MARGIN, last_moment(held.task))


class TaskCoordinator:
    """Decides which task is worked on next. May be used by several threads.

    Args:
        journal: The task file.
        workers: How many work at the same time.
        hindrance: Says why nothing but connection tests may begin; None where everything may.
        now: The clock.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        workers: int,
        hindrance: Callable[[], str | None] = lambda: None,
        now: Callable[[], datetime],
    ) -> None:
        self._hindrance = hindrance
        self._journal = journal
        self._workers = workers
        self._now = now
        self._condition = threading.Condition()
        self._version = 0
        self._working: dict[str, tuple[str, ...]] = {}
        self.flags: wire.Flags | None = None
        """What Ploy said last; nothing is begun before it has said anything."""
        self._stop = threading.Event()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing more may begin."""
        return self._is_closed or self._stop.is_set()

    def open(self, stop: threading.Event) -> None:
        """Let things begin until ``stop`` is set, or it is closed."""
        self._stop = stop

    # What may be done.

    def take(self) -> HeldTask | None:
        """Choose a task that nobody works on, and keep it for the caller: to attempt it, to report that its deadline
        has come, or to drop it because its lease was lost. Give it back with ``release``.

        Revokes go first, then as they were created. Of the tasks on one pair only the oldest is ever chosen, and the
        next when Ploy has the report of that.
        """
        with self._condition:
            if self.is_closed:
                return None
            held = self._journal.open_tasks()
            first = {_key(each): each.task.id for each in reversed(held)}
            busy = {*self._working.values(), *(_key(each) for each in self._journal.reports())}
            for each in sorted(held, key=lambda each: each.task.kind != "revoke"):
                id_, key = each.task.id, _key(each)
                if id_ not in self._working and key not in busy and first[key] == id_ and self._is_due(each):
                    self._working[id_] = key
                    return each
        return None

    def release(self, held: HeldTask) -> None:
        """Say that the caller is done with a task that it took."""
        with self._condition:
            self._working.pop(held.task.id, None)
        self.notify()

    def _is_due(self, held: HeldTask) -> bool:
        now = self._now()
        if held.is_lost or now >= last_moment(held.task):
            return True
        return (held.not_before is None or held.not_before <= now) and self.hindrance(held) is None

    def hindrance(self, held: HeldTask) -> str | None:
        """Why an attempt may not begin now; None where it may."""
        flags = self.flags
        if flags is None:
            return "Ploy could not be asked whether it may be begun."
        if flags.paused:
            return "The integration is paused."
        if flags.read_only and held.is_change:
            return "The integration is read-only."
        if held.task.kind != "check" and (hindrance := self._hindrance()) is not None:
            return hindrance
        if held.lease_ends_at - self._now() < timedelta(seconds=held.task.lease_seconds) / 2:
            return "Its lease could not be kept."
        return None

    def capacity(self) -> int:
        """How many tasks more are wanted of Ploy: as many as can be begun soon."""
        now = self._now()
        held = self._journal.open_tasks()
        ready = sum(each.not_before is None or each.not_before <= now for each in held)
        return max(0, min(2 * self._workers - ready, _MOST_HELD - len(held)))

    def pause_seconds(self) -> float:
        """How long nothing new is due by itself."""
        now = self._now()
        moments = [
            moment
            for each in self._journal.open_tasks()
            for moment in (each.not_before, last_moment(each.task))
            if moment is not None and moment > now
        ]
        return min([(moment - now).total_seconds() for moment in moments], default=_LONGEST_PAUSE_SECONDS)

    def note(self, flags: wire.Flags) -> None:
        """Note what Ploy allows now."""
        self.flags = flags
        self.notify()

    # The bell.

    @property
    def version(self) -> int:
        """How often it has rung; look before looking at anything else, and wait for the next."""
        return self._version

    def notify(self) -> None:
        """Have every thread look again."""
        with self._condition:
            self._version += 1
            self._condition.notify_all()

    def wait(self, version: int, seconds: float) -> None:
        """Wait until it has rung since, or for so long."""
        with self._condition:
            self._condition.wait_for(lambda: self._version != version, timeout=min(seconds, _LONGEST_PAUSE_SECONDS))

    def close(self) -> None:
        """Let nothing more begin."""
        self._is_closed = True
        self.notify()


def _key(held: HeldTask) -> tuple[str, ...]:
    """What no two tasks may work on at the same time."""
    task = held.task
    if held.is_change:
        return ("pair", task.account_id or "", task.entitlement_id or "")
    return ("sync",) if task.kind == "sync" else ("task", task.id)
