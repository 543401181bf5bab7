"""The file of each integration, opened when it is first wanted: one side takes its syncs, the other its tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from .queue import TaskQueue
from .syncs import Syncs


class Files:
    """A folder with one SQLite file for each integration. Safe to use from several threads.

    Args:
        folder: Where they are.
        clock: Tells the time (UTC).
        lease: How long an open sync is kept when nothing arrives.
        task_lease: How long a runtime has a task when it does not extend its lease.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime], lease: timedelta, task_lease: timedelta) -> None:
        self._folder = folder
        self._clock = clock
        self._lease = lease
        self._task_lease = task_lease
        self._opened: dict[str, tuple[Syncs, TaskQueue]] = {}
        self._removed: list[tuple[Syncs, TaskQueue]] = []
        self._lock = threading.Lock()

    def open(self, integration_id: str, check: Callable[[str], object]) -> tuple[Syncs, TaskQueue]:
        """Both sides of an integration's file; its tables are there from then on.

        Args:
            integration_id: Whose.
            check: Refuses, by an exception, the id of no integration; asked before a file is made.
        """
        with self._lock:
            if integration_id not in self._opened:
                check(integration_id)
                path = self.path(integration_id)
                # Both at once, before anything long can be done to the file.
                handover = Syncs(path, clock=self._clock, lease=self._lease)
                self._opened[integration_id] = (handover, TaskQueue(path, clock=self._clock, lease=self._task_lease))
            return self._opened[integration_id]

    def path(self, integration_id: str) -> Path:
        """Where an integration's file is."""
        return self._folder / f"{integration_id}.sqlite"

    def remove(self, integration_id: str) -> None:
        """Delete the file of an integration that there is no more. Who looks at it right now still sees it."""
        with self._lock:
            opened = self._opened.pop(integration_id, None)
            if opened is not None:
                self._removed.append(opened)
            for path in self._folder.glob(f"{integration_id}.sqlite*"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close all files."""
        for handover, queue in (*self._opened.values(), *self._removed):
            handover.close()
            queue.close()
