"""Locks: of an integration's syncs, of its tasks, and of commands that change access. A crash leaves none behind."""

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

_ALONE_SECONDS = 30.0
_program: str | None = None


def name_process(program: str) -> None:
    """Set the name of this process in the messages of other processes that want its locks."""
    global _program
    _program = program


class LockHeldError(PloyError):
    """Another process holds a lock of the integration.

    Args:
        message: What that process does, and which one it is.
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
    """Another process handles this integration's tasks now."""


class _FileLock:
    """Held while the block runs. It is SQLite's own file lock, which the system releases when the process ends.

    No other process can read a database that SQLite has locked, so the database cannot name the holder. A small text
    file beside it does; it is no database, so opening and closing it loses no lock. It is read only while the lock is
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
            LockHeldError: Another process has it.
            StateError: Its file cannot be made or used.
        """
        create(self._path, LOCK_FILE)
        with translate_errors(self._path, LOCK_FILE):
            # A service that stops releases it in another thread.
            db = connect(self._path, "rw", timeout_seconds=0)
            try:
                db.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                db.close()
                if code_of(error) == sqlite3.SQLITE_BUSY:
                    raise self._to_error() from None
                raise
        self._db = db
        self._write_holder()

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        if self._db is not None:
            with suppress(OSError):
                self._note.unlink(missing_ok=True)
            self._db.close()
            self._db = None

    def _write_holder(self) -> None:
        """Write which process this is; the lock works without that note, too."""
        noted = {"process": os.getpid(), "host": socket.gethostname(), "program": _program}
        with suppress(OSError):
            self._note.unlink(missing_ok=True)  # left by a crash
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

    def _to_error(self) -> LockHeldError:
        holder = self._read_holder()
        message = f"{self._message}: {holder}." if holder else f"{self._message}."
        return self._error(message, holder=holder, fix=self._fix)


class SyncLock(_FileLock):
    """Held while an integration is synced; raises ``SyncRunningError`` where another process has it."""

    _error = SyncRunningError
    _message = "Another process is already syncing this integration"
    _fix = "wait until that process ends its sync"


class TaskLock(_FileLock):
    """Held while an integration's tasks are handled; raises ``TasksRunningError`` where another process has it."""

    _error = TasksRunningError
    _message = "Another process is already handling this integration's tasks"
    _fix = "stop that process first, or leave the integration to it"


class ChangeLock:
    """Shared by the commands that are changing access; one that holds it alone knows that no other command is.

    Args:
        path: The lock file.
        alone: Whether to hold it alone, without waiting for the others.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self._path = path
        self._alone = alone
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> bool:
        """Take the lock; return whether it is held: False where it was wanted alone and others have it.

        Raises:
            StateError: Its file cannot be made or used.
        """
        create(self._path, LOCK_FILE)
        with translate_errors(self._path, LOCK_FILE):
            # Who has it alone only updates a few rows meanwhile, so that the others wait for it.
            db = connect(self._path, "rw", timeout_seconds=0 if self._alone else _ALONE_SECONDS)
            try:
                db.execute("BEGIN EXCLUSIVE" if self._alone else "BEGIN")
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # a deferred transaction locks by reading
            except sqlite3.Error as error:
                db.close()
                if self._alone and code_of(error) == sqlite3.SQLITE_BUSY:
                    return False
                raise
        self._db = db
        return True

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        if self._db is not None:
            self._db.close()
            self._db = None
