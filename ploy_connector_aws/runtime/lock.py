"""One sync of one integration at a time, on this machine; a crash leaves no lock behind."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path


class SyncRunning(Exception):
    """Another process is syncing this integration now."""


class SyncLock:
    """Held while the block runs. It is SQLite's own file lock, which the system releases when the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> None:
        """Take the lock.

        Raises:
            SyncRunning: Somebody else has it.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            self._db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._db.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise SyncRunning("This integration is being synced by another process; wait until it ends.") from None

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        if self._db is not None:
            self._db.close()
