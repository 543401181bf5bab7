"""Opening the SQLite files of the local Ploy: readable by their owner only, and never through a link.

SQLite's locks belong to the process and the file: closing any descriptor of a file loses them
(https://www.sqlite.org/howtocorrupt.html, 2.2). So only SQLite opens an existing file.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ploy_connector_aws.spec import ConfigurationError

VERSION = 1
"""The version of the tables in all files, in SQLite's ``user_version``: one more with each change of a table or of what
its columns mean. Files of other versions are rejected, not migrated; those from before the first version have 0."""

_PARTS = ("", "-wal", "-shm", "-journal")
"""The suffixes of the files that belong to a database."""

_NOT_REGULAR = {
    stat.S_IFLNK: "it is a symbolic link, and its target was not touched",
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
}
_WAL_BYTES = 16 * 1024 * 1024

_CREATING = threading.Lock()
"""Held during the creation of a file, so that no thread opens it in SQLite before the descriptor is closed."""


def open_database(path: Path, *, busy_seconds: float = 5) -> sqlite3.Connection:
    """Open a file, and create it if it does not exist.

    Args:
        path: The file.
        busy_seconds: How long a statement waits for another connection that is writing.

    Raises:
        ConfigurationError: The file cannot be used, another version wrote it, or something else is in its place.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _CREATING, suppress(FileExistsError):  # O_EXCL neither opens an existing file nor follows a link
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    identity = _check(path)
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    try:
        db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            f" PRAGMA temp_store=FILE; PRAGMA journal_size_limit={_WAL_BYTES}"
        )
        if _check(path) != identity:
            raise _error(path, "another process replaced it at this moment")
        _check_version(db, path)
    except sqlite3.Error as error:
        db.close()
        raise _error(path, str(error)) from error
    except BaseException:
        db.close()
        raise
    return db


class DatabaseFile:
    """A connection to a file, which the threads of this process share.

    Args:
        path: The file.
        schema: Statements that create the missing tables.
        busy_seconds: How long a statement waits for another connection that is writing.
    """

    def __init__(self, path: Path, schema: str, *, busy_seconds: float = 5) -> None:
        self.path = path
        self._db = open_database(path, busy_seconds=busy_seconds)
        self._db.executescript(schema)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _read(self, sql: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _write(self, sql: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(sql, values).rowcount


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit at the end of the block; roll back when it raises."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it already
            db.execute("ROLLBACK")
        raise


def _check(path: Path) -> tuple[int, int]:
    """Check that a file and its parts are regular files of this user alone; return its device and inode."""
    identity = (0, 0)
    for ending in _PARTS:
        part = path.with_name(path.name + ending)
        try:
            status = part.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise _error(part, _NOT_REGULAR.get(stat.S_IFMT(status.st_mode), "it is not a regular file"))
        if status.st_uid != os.geteuid():
            raise _error(part, "it belongs to another user")
        if status.st_nlink > 1:
            raise _error(part, "it has a second name (a hard link)")
        part.chmod(0o600)
        identity = identity if ending else (status.st_dev, status.st_ino)
    return identity


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    """Check the version of a file; a file without tables gets it."""
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    if found == VERSION:
        return
    if found or db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        fix = f"start with another folder, or remove the folder {path.parent}"
        raise _error(path, "another version of this program wrote it", fix)
    db.execute(f"PRAGMA user_version={VERSION}")


def _error(path: Path, reason: str, fix: str = "start the sandbox in another folder") -> ConfigurationError:
    return ConfigurationError(f"The file of the local Ploy {path.name} cannot be used: {reason}.", fix=fix)
