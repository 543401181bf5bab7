"""The folder of a sandbox: one sandbox at a time, emptied at each start, and only of files that a sandbox created."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from ploy_connector_aws.spec import ConfigurationError

_LOCK_FILE = "sandbox.lock"
"""Shows that a sandbox created the other files. While a sandbox runs, it is locked and names the process."""

_CREATED = ("token", "ploy.toml", "environment", "ploy/ploy.sqlite*", "ploy/integrations/int-*", "state/int-*")
"""All that a sandbox, and a sync with its configuration, writes there."""

_CREATED_FOLDERS = ("ploy/integrations", "ploy", "state")


class SandboxFolder:
    """Locked while the block runs.

    Nothing of an earlier sandbox is of use to the next: the local AWS lives in memory, so all its ids differ then.

    Args:
        path: Created if it is not there, readable by this user only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.was_emptied = False
        self._stack = ExitStack()

    def __enter__(self) -> SandboxFolder:
        """Lock the folder, and remove what an earlier sandbox left in it.

        Raises:
            ConfigurationError: Another sandbox runs there, a process uses the state of an earlier one, or the folder
                contains a file of the same name that no sandbox created.
        """
        is_known = (self.path / _LOCK_FILE).exists()
        foreign = next((path for path in self._created() if not is_known or path.is_dir()), None)
        if foreign is not None:
            raise ConfigurationError(
                f"{self.path} already contains {foreign.relative_to(self.path)}, which no sandbox created.",
                fix="choose another folder",
            )
        with ExitStack() as stack:
            stack.callback(os.close, self._lock())
            for path in self.path.glob("state/int-*.lock"):
                self._check_state_unused(path)
            self._empty()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock the folder; its files stay for inspection."""
        self._stack.close()

    def write(self, name: str, text: str) -> None:
        """Write a file that only this user can read."""
        new = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(new, "w", encoding="utf-8") as file:  # noqa: PTH123 - a Path cannot be opened with a mode of its own
            file.write(text)

    def _lock(self) -> int:
        """Return the descriptor that holds the lock; the system releases it when the process ends."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 300).decode(errors="replace")
            os.close(file)
            raise self._in_use("Another sandbox is running", holder) from None
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        return file

    def _check_state_unused(self, lock: Path) -> None:
        """Refuse while a service or a sync of an earlier sandbox runs: it would lose its files.

        The state's locks are SQLite's. A process may open such a file through SQLite only, or it loses its own locks.
        """
        with closing(sqlite3.connect(f"{lock.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as database:
            try:
                database.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise ConfigurationError(f"{lock} cannot be checked: {error}.", fix="remove it") from None
                raise self._in_use("Another process works on the state of an earlier sandbox", _holder(lock)) from None

    def _in_use(self, what: str, holder: str) -> ConfigurationError:
        return ConfigurationError(
            f"{what} in {self.path}" + (f": {holder}." if holder else "."),
            fix="stop that process, or choose another folder",
        )

    def _created(self) -> Iterator[Path]:
        return (path for pattern in _CREATED for path in self.path.glob(pattern))

    def _empty(self) -> None:
        for path in list(self._created()):
            path.unlink()
            self.was_emptied = True
        for name in _CREATED_FOLDERS:
            folder = self.path / name
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _holder(lock: Path) -> str:
    """Name the process in the note beside a lock of the state."""
    try:
        noted = json.loads(lock.with_name(f"{lock.name}.holder").read_text(encoding="utf-8"))
        process, program = f"process {int(noted['process'])}", noted["program"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"{program} ({process})" if program else process
