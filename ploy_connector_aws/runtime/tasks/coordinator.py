"""Shared in-memory state of an integration's task threads: claims, Ploy's flags, and a condition variable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ploy_connector_aws.host.blockers import PLATFORM, Blocker
from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import ConnectionReport

from .journal import HeldTask, Journal

REPORT_MARGIN = timedelta(seconds=30)
"""No attempt begins or writes so shortly before a task's deadline: the report needs time, too."""
LEASE_MARGIN = timedelta(seconds=5)
"""No write begins that could end later than this before the end of the lease."""

_MAX_HELD = 100
"""Tasks that wait for a retry occupy no worker, but each lease is renewed on its own."""
LONGEST_PAUSE_SECONDS = 60.0
"""No thread waits longer for the next round."""

NOT_ASKED = Blocker(PLATFORM, "not_asked", "Ploy has not answered yet, so the task may not begin.")
PAUSED = Blocker(PLATFORM, "paused", "The integration is paused.")
READ_ONLY = Blocker(PLATFORM, "read_only", "The integration is read-only.")
LEASE_NOT_RENEWED = Blocker("lease", "not_renewed", "Its lease could not be renewed.")


def attempt_deadline(task: wire.Task) -> datetime:
    """Return when it is too late to begin another attempt."""
    return task.deadline - REPORT_MARGIN


def write_before(held: HeldTask) -> datetime:
    """Return when every write of an attempt must have ended."""
    return min(held.lease_ends_at - LEASE_MARGIN, attempt_deadline(held.task))


class TaskEvents:
    """Callbacks of the task loop, which do nothing here. Any thread calls them; each returns at once."""

    def ended(self, kind: wire.TaskKind, outcome: str) -> None:
        """An attempt at a task ended.

        Args:
            kind: The task's kind.
            outcome: The outcome of a change, ``done``, ``again``, or the code of a failure.
        """

    def checks_so_far(self, task_id: str, attempt: int, number: int, report: ConnectionReport) -> None:
        """A connection test that a task asked for has completed some checks.

        Args:
            task_id: The task.
            attempt: The number of the attempt, from 1.
            number: Counts the calls of one attempt, from 1.
            report: All checks so far.
        """

    def checked(self, report: ConnectionReport) -> None:
        """A connection test that a task asked for ended with a report."""

    def outbox(self, waiting: int) -> None:
        """The number of reports that Ploy has not acknowledged."""

    def acknowledged(self, kind: wire.TaskKind) -> None:
        """Ploy acknowledged the report of a task."""

    def polled(self, answer: wire.LeaseAnswer) -> None:
        """Ploy answered a poll for tasks."""


class TaskCoordinator:
    """Decides which task is worked on next; thread-safe.

    Args:
        journal: The task file.
        workers: How many tasks are worked on at the same time.
        connection_blocker: Returns why only connection tests may begin; None where everything may.
        now: The clock.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        workers: int,
        connection_blocker: Callable[[], Blocker | None] = lambda: None,
        now: Callable[[], datetime],
    ) -> None:
        self._connection_blocker = connection_blocker
        self._journal = journal
        self._workers = workers
        self._now = now
        self._condition = threading.Condition()
        self._version = 0
        self._working: dict[str, tuple[str, ...]] = {}
        self.flags: wire.Flags | None = None
        """Ploy's last flags; no task begins before the first answer."""
        self._stop = threading.Event()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether no further task may begin."""
        return self._is_closed or self._stop.is_set()

    def open(self, stop: threading.Event) -> None:
        """Allow tasks to begin until ``stop`` is set or ``close`` is called."""
        self._stop = stop

    def take(self) -> HeldTask | None:
        """Claim a task for the caller: to attempt it, to report a missed deadline, or to drop it after a lost lease.

        Revokes take precedence, then the order of creation. Of the tasks on one pair only the oldest is ever chosen,
        and the next one once Ploy has the report of that. The caller ends the claim with ``release``.
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
        """End the claim on a task."""
        with self._condition:
            self._working.pop(held.task.id, None)
        self.notify()

    def _is_due(self, held: HeldTask) -> bool:
        now = self._now()
        if held.is_lost or now >= attempt_deadline(held.task):
            return True
        return (held.not_before is None or held.not_before <= now) and self.blocker(held) is None

    def blocker(self, held: HeldTask) -> Blocker | None:
        """Return why an attempt at a task may not begin now; None where it may."""
        flags = self.flags
        if flags is None:
            return NOT_ASKED
        if flags.paused:
            return PAUSED
        if flags.read_only and held.is_change:
            return READ_ONLY
        if held.task.kind != "check" and (blocker := self._connection_blocker()) is not None:
            return blocker
        if held.lease_ends_at - self._now() < timedelta(seconds=held.task.lease_seconds) / 2:
            return LEASE_NOT_RENEWED
        return None

    def capacity(self) -> int:
        """Return how many more tasks to lease: as many as can begin soon."""
        now = self._now()
        held = self._journal.open_tasks()
        ready = sum(each.not_before is None or each.not_before <= now for each in held)
        return max(0, min(2 * self._workers - ready, _MAX_HELD - len(held)))

    def pause_seconds(self) -> float:
        """Return how long no task falls due by the clock alone."""
        now = self._now()
        moments = [
            moment
            for each in self._journal.open_tasks()
            for moment in (each.not_before, attempt_deadline(each.task))
            if moment is not None and moment > now
        ]
        return min([(moment - now).total_seconds() for moment in moments], default=LONGEST_PAUSE_SECONDS)

    def set_flags(self, flags: wire.Flags) -> None:
        """Record Ploy's flags."""
        self.flags = flags
        self.notify()

    @property
    def version(self) -> int:
        """Change counter. Read it before reading any other state, then pass it to ``wait``."""
        return self._version

    def notify(self) -> None:
        """Wake every thread that waits."""
        with self._condition:
            self._version += 1
            self._condition.notify_all()

    def wait(self, version: int, seconds: float) -> None:
        """Wait for a change after this version, at most for some seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._version != version, timeout=min(seconds, LONGEST_PAUSE_SECONDS))

    def close(self) -> None:
        """Let no further task begin."""
        self._is_closed = True
        self.notify()


@dataclass(frozen=True)
class TaskContext:
    """What the poller, the renewer, the outbox and the workers of one integration share."""

    integration_id: str
    journal: Journal
    coordinator: TaskCoordinator
    events: TaskEvents
    now: Callable[[], datetime]
    settings_revision: int | None = None
    """The revision of the settings that tasks are done with, where they come from Ploy."""


def _key(held: HeldTask) -> tuple[str, ...]:
    """Return the key that no two tasks may work on at the same time."""
    task = held.task
    if held.is_change:
        return ("pair", task.account_id or "", task.entitlement_id or "")
    return ("sync",) if task.kind == "sync" else ("task", task.id)
