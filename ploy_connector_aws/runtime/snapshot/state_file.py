"""State files: SQLite databases in the state folder, and how they are created, checked, opened and archived.

SQLite guards a database with POSIX locks, which belong to the process and the file: when a process closes *any*
descriptor of a file, it loses every lock that it holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2). Then
another process believes to be the last user, and deletes the write-ahead log under this one. So this module alone
connects to state files, and no code opens an existing one by other means than SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ploy_connector_aws.spec.errors import PloyError


class StateError(PloyError):
    """A state file cannot be used; the message states why, and ``fix`` what to do."""

    code = "state_unusable"


@dataclass(frozen=True)
class FileKind:
    """A kind of state file: its name, and how to rebuild it."""

    name: str
    rebuild_hint: str
    ending: str
    """The suffix after the integration's id in its name."""

    def integration_of(self, path: Path) -> str | None:
        """Return the id of the integration that a file is named after; None for a name that has not this ending."""
        name = path.name.removesuffix(self.ending)
        return name if name != path.name else None


REBUILD = "ploy-connector sync --rebuild sets the file aside and reads everything again"
SNAPSHOT_FILE = FileKind("snapshot file", REBUILD, ".sqlite")
TASK_FILE = FileKind("task file", "set the file aside: Ploy makes manual tasks of those that it held", ".tasks.sqlite")
LOCK_FILE = FileKind("lock file", "remove the file while no ploy-connector is running", ".lock")
_SQLITE_ERRORS: dict[int, tuple[str, str | None]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", "make room on the disk and try again; committed data is safe"),
    sqlite3.SQLITE_IOERR: (
        "the disk failed",
        "check the disk and its free space, and try again; committed data is safe",
    ),
    sqlite3.SQLITE_READONLY: ("it may only be read", "let this user write to the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "let this user read and write the file and its folder"),
    sqlite3.SQLITE_PERM: ("it may not be used", "let this user read and write the file and its folder"),
    sqlite3.SQLITE_BUSY: ("another process is using it", "wait until that process ends"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", None),
    sqlite3.SQLITE_NOTADB: ("it is not a {name}", None),
    sqlite3.SQLITE_ERROR: ("its tables are not those of this version", None),
}
"""By SQLite's result code: what is wrong with a file, and what to do; None where it must be rebuilt."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_PARTS = ("", "-wal", "-shm", "-journal")
"""The suffixes of the files that belong to an SQLite database."""

_REMOVE = "move it out of the state folder"
_NOT_REGULAR: dict[int, tuple[str, str]] = {
    stat.S_IFLNK: (
        "it is a symbolic link, and its target was not touched",
        "replace the link by the file itself, or remove it; the whole state folder may be a link",
    ),
    stat.S_IFDIR: ("it is a folder", _REMOVE),
    stat.S_IFIFO: ("it is a named pipe", _REMOVE),
    stat.S_IFSOCK: ("it is a socket", _REMOVE),
    stat.S_IFCHR: ("it is a device", _REMOVE),
    stat.S_IFBLK: ("it is a device", _REMOVE),
}
_MOVED = ("another process removed it at this moment", "run the command again")
_FOREIGN = ("it belongs to another user", "run this as the user that owns the file, or change its owner")
# Two names of one database have two write-ahead logs: howtocorrupt.html, 2.5.
_LINKED = ("it has a second name (a hard link)", "remove the other name, or replace this file by a copy")

_BUSY_SECONDS = 5.0
_RETRY_SECONDS = 0.02
_CREATING = threading.Lock()
"""Held while a file is created or looked up, so that no thread has it open in SQLite before the descriptor that created
it is closed."""


@contextmanager
def translate_errors(path: Path, kind: FileKind = SNAPSHOT_FILE) -> Iterator[None]:
    """Turn SQLite's errors into one that states what is wrong with a state file, and what to do.

    Raises:
        StateError: SQLite failed in the block, because of the file or its disk.
    """
    try:
        yield
    except sqlite3.Error as error:
        reason, fix = _SQLITE_ERRORS.get(code_of(error), (str(error), None))
        raise _unusable(path, kind, reason.format(name=kind.name), fix or kind.rebuild_hint) from error


@contextmanager
def _reachable(path: Path, kind: FileKind) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unusable(path, kind, str(error.strerror), f"let this user read and write {path.parent}") from error


def _unusable(path: Path, kind: FileKind, reason: str, fix: str) -> StateError:
    return StateError(f"The {kind.name} {path.name} cannot be used: {reason}.", fix=fix)


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def identity(path: Path, kind: FileKind = SNAPSHOT_FILE) -> tuple[int, int] | None:
    """Check that a state file and its parts are regular files of this user alone; return the file's device and inode.

    No descriptor is opened for that, and no link followed.

    Returns:
        None where the file is missing.

    Raises:
        StateError: Something else is in its place, such as a link.
    """
    found: dict[str, os.stat_result] = {}
    with _CREATING, _reachable(path, kind):
        for ending in _PARTS:
            part = path.with_name(path.name + ending)
            with suppress(FileNotFoundError):
                found[ending] = status = part.lstat()
                if refusal := _refusal(status):
                    raise _unusable(part, kind, *refusal)
                if stat.S_IMODE(status.st_mode) != 0o600:
                    part.chmod(0o600)
    return (found[""].st_dev, found[""].st_ino) if "" in found else None


def is_there(path: Path, kind: FileKind = SNAPSHOT_FILE) -> bool:
    """Return whether a state file exists; raises as ``identity`` does."""
    return identity(path, kind) is not None


def _refusal(status: os.stat_result) -> tuple[str, str] | None:
    if not stat.S_ISREG(status.st_mode):
        return _NOT_REGULAR.get(stat.S_IFMT(status.st_mode), ("it is not a regular file", _REMOVE))
    if status.st_uid != os.geteuid():
        return _FOREIGN
    return _LINKED if status.st_nlink > 1 else None


def create(path: Path, kind: FileKind) -> None:
    """Create a state file, readable by its owner only, unless something of that name exists.

    Raises:
        StateError: It cannot be created, or something else is in its place.
    """
    with _CREATING, _reachable(path, kind):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # O_EXCL neither opens an existing file nor follows a link
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    identity(path, kind)


def connect(
    path: Path,
    mode: Literal["rw", "ro"],
    connection: type[sqlite3.Connection] = sqlite3.Connection,
    *,
    timeout_seconds: float = _BUSY_SECONDS,
) -> sqlite3.Connection:
    """Connect to a state file that exists and was checked. SQLite reads nothing of it yet."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(
        uri, timeout=timeout_seconds, isolation_level=None, check_same_thread=False, factory=connection, uri=True
    )


def open_database(
    path: Path, kind: FileKind = SNAPSHOT_FILE, connection: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open a state file; create it (readable by its owner only) where it is missing.

    Raises:
        StateError: It cannot be opened, or belongs to another integration.
    """
    create(path, kind)
    return _open(path, kind, "rw", connection)


def read_database(path: Path, kind: FileKind = SNAPSHOT_FILE) -> sqlite3.Connection | None:
    """Open a state file read-only; None where it is missing.

    Raises:
        StateError: It cannot be opened, or belongs to another integration.
    """
    return _open(path, kind, "ro") if identity(path, kind) else None


def _open(
    path: Path,
    kind: FileKind,
    mode: Literal["rw", "ro"],
    connection: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    before = identity(path, kind)
    if before is None:
        raise _unusable(path, kind, *_MOVED)
    with translate_errors(path, kind):
        db = connect(path, mode, connection)
        try:
            is_bound(db, path, kind)  # reads: from here on this connection shares the lock that ``archive`` needs
            if identity(path, kind) != before:
                raise _unusable(path, kind, *_MOVED)
        except BaseException:
            db.close()
            raise
        return db


def use_log(db: sqlite3.Connection) -> None:
    """Use a write-ahead log, so that readers and the writer of a database do not wait for each other.

    SQLite does not wait for another connection that is writing before it changes the mode of a new file, but fails at
    once (sqlite3BtreeBeginTrans in btree.c waits only where no transaction is open, and here one is).
    """
    ends_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > ends_at:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def is_bound(db: sqlite3.Connection, path: Path, kind: FileKind) -> bool:
    """Return whether a state file records the integration in its name; False where it records none yet.

    A file without an integration in its name belongs to none.

    Raises:
        StateError: It belongs to another integration.
    """
    expected = kind.integration_of(path)
    if expected is None:
        return True
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone():
        return False
    row = db.execute("SELECT value FROM facts WHERE name = 'integration'").fetchone()
    if row is None:
        return False
    if (bound := str(row[0])) != expected:
        reason = f"it belongs to the integration {bound!r}, not to {expected!r}"
        raise _unusable(path, kind, reason, f"rename the file to {bound}{kind.ending}, or: {kind.rebuild_hint}")
    return True


def bind(db: sqlite3.Connection, path: Path, kind: FileKind) -> None:
    """Record in a state file which integration it belongs to, where it records none yet."""
    if not is_bound(db, path, kind):
        db.execute("INSERT INTO facts VALUES ('integration', ?)", (kind.integration_of(path),))


def archive(path: Path) -> Path | None:
    """Rename a snapshot file, so that the next sync starts without it.

    The platform loses nothing: it keeps what it shows and compares with that. The caller holds both locks of the
    integration.

    Returns:
        Its new path; None where there was no file.

    Raises:
        StateError: Another process has the file open, or it cannot be moved.
    """
    kept = path.with_name(f"{path.name}.set-aside")
    if identity(path) is None:
        return None
    with _alone(path), _reachable(path, SNAPSHOT_FILE):
        for ending in _PARTS:
            part, archived = path.with_name(path.name + ending), kept.with_name(kept.name + ending)
            archived.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                part.replace(archived)
    return kept


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lock every other process out of a snapshot file while the block runs.

    In this locking mode SQLite locks the file itself, which every other connection that has read it shares, before it
    reads its content (https://www.sqlite.org/wal.html, "Use of WAL Without Shared-Memory"). A file that it then
    cannot read is used by no other process.

    Raises:
        StateError: Another process has the file open.
    """
    with translate_errors(path):
        db = connect(path, "rw", timeout_seconds=0)
    try:
        with translate_errors(path):
            try:
                db.execute("PRAGMA locking_mode=EXCLUSIVE")
                db.execute("BEGIN EXCLUSIVE")
            except sqlite3.DatabaseError as error:
                if code_of(error) not in _DAMAGED:
                    raise
        yield
    finally:
        db.close()  # SQLite notices that the file was moved, and leaves its log alone
