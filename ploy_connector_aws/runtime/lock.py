"""One sync of an integration, and one process for its tasks, at a time; a crash leaves no lock behind."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from .store import UnusableStore


class LockTaken(Exception):
    """Another process does this for the integration now."""


class SyncRunning(LockTaken):
    """Another process is syncing this integration now."""


class TasksRunning(LockTaken):
    """Another process is working off this integration's tasks now."""


class _FileLock:
    """Held while the block runs. It is SQLite's own file lock, which the system releases when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> None:
        """Take the lock.

        Raises:
            LockTaken: Somebody else has it.
            UnusableStore: Its file cannot be made or used.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            # Taken by one thread and let go by another, where a service is stopped.
            self._db = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            self._db.execute("BEGIN EXCLUSIVE")
        except (OSError, sqlite3.Error) as error:
            if self._db is not None:
                self._db.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise self._busy() from None
            reason = error.strerror if isinstance(error, OSError) else error
            raise UnusableStore(
                f"The lock file {self._path.name} cannot be used: {reason}.",
                fix=f"let this user read and write {self._path.parent}",
            ) from error

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        if self._db is not None:
            self._db.close()

    def _busy(self) -> LockTaken:
        raise NotImplementedError


class SyncLock(_FileLock):
    """Held while an integration is synced; raises ``SyncRunning`` where another process has it."""

    def _busy(self) -> LockTaken:
        return SyncRunning("This integration is being synced by another process; wait until it ends.")


class TaskLock(_FileLock):
    """Held while an integration's tasks are worked off; raises ``TasksRunning`` where another process has it."""

    def _busy(self) -> LockTaken:
        return TasksRunning("This integration's tasks are being worked off by another process; stop one of the two.")
