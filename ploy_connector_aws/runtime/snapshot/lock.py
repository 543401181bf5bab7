"""One sync of an integration, and one process for its tasks, at a time; a crash leaves no lock behind."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from ploy_connector_aws.spec.errors import PloyError

from .state_file import LOCK_FILE, code_of, connect, create, translate_errors

_program: str | None = None


def name_process(program: str) -> None:
    """Set how this process is named to other processes that want a lock of it."""
    global _program
    _program = program


class LockHeldError(PloyError):
    """Another process does this for the integration now.

    Args:
        message: What it does, and which process it is.
        holder: That process alone, where it is known.
        fix: What to do.
    """

    code = "tasks_running"

    def __init__(self, message: str, *, holder: str | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.holder = holder


class SyncRunningError(LockHeldError):
    """Another process is syncing this integration now."""

    code = "sync_running"
    is_transient = True


class TasksRunningError(LockHeldError):
    """Another process is working off this integration's tasks now."""


class _FileLock:
    """Held while the block runs. It is SQLite's own file lock, which the system releases when the process ends.

    SQLite lets no other process read a database that is locked so, so it cannot hold who locked it. A small text file
    beside it notes that; it is no database, so opening and closing it loses no lock. It is read only while the lock is
    held, and each holder replaces what a crash left in it.
    """

    _error: ClassVar[type[LockHeldError]]
    _message: ClassVar[str]
    _fix: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note = path.with_name(f"{path.name}.holder")
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> None:
        """Take the lock.

        Raises:
            LockHeldError: Somebody else has it.
            StateError: Its file cannot be made or used.
        """
        create(self._path, LOCK_FILE)
        with translate_errors(self._path, LOCK_FILE):
            # Taken by one thread and let go by another, where a service is stopped.
            db = connect(self._path, "rw", timeout_seconds=0)
            try:
                db.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                db.close()
                if code_of(error) == sqlite3.SQLITE_BUSY:
                    raise self._refusal() from None
                raise
        self._db = db
        self._write_holder()

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        if self._db is not None:
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
            self._db.close()
            self._db = None

    def _write_holder(self) -> None:
        """Note which process this is; without the note the lock is held all the same."""
        noted = {"process": os.getpid(), "host": socket.gethostname(), "program": _program}
        with suppress(OSError):
            self._note.unlink(missing_ok=True)  # what a crash has left
            number = os.open(self._note, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(noted, file)

    def _read_holder(self) -> str | None:
        try:
            if self._note.is_symlink() or not self._note.is_file():
                return None
            noted = json.loads(self._note.read_text(encoding="utf-8"))
            process, host, program = int(noted["process"]), str(noted["host"]), noted["program"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        where = f"process {process}" if host == socket.gethostname() else f"process {process} on {host}"
        return f"{program} ({where})" if program else where

    def _refusal(self) -> LockHeldError:
        holder = self._read_holder()
        message = f"{self._message}: {holder}." if holder else f"{self._message}."
        return self._error(message, holder=holder, fix=self._fix)


class SyncLock(_FileLock):
    """Held while an integration is synced; raises ``SyncRunningError`` where another process has it."""

    _error = SyncRunningError
    _message = "This integration is being synced by another process"
    _fix = "wait until that process ends its sync"


class TaskLock(_FileLock):
    """Held while an integration's tasks are worked off; raises ``TasksRunningError`` where another process has it."""

    _error = TasksRunningError
    _message = "This integration's tasks are being worked off by another process"
    _fix = "stop that process first, or leave the integration to it"
