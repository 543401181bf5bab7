"""The folder of a sandbox: one sandbox at a time, begun empty each time, and never a file lost that is not its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ploy_connector_aws.runtime.snapshot.lock import LockHeldError, SyncLock
from ploy_connector_aws.spec import ConfigurationError

_MARK = "sandbox.lock"
"""Says that a sandbox made the rest, and whether one is running on it now."""

_MADE = ("token", "ploy.toml", "environment", "ploy/ploy.sqlite*", "ploy/integrations/int-*", "state/int-*")
"""All that a sandbox, and a sync with its configuration, writes there."""

_MADE_FOLDERS = ("ploy/integrations", "ploy", "state")


class SandboxFolder:
    """Held while the block runs.

    Nothing of an earlier sandbox is of use to the next: the local AWS lives in memory, so all its ids are others then.

    Args:
        path: Made if it is not there, readable by this user only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.was_emptied = False
        self._lock = SyncLock(path / _MARK)

    def __enter__(self) -> SandboxFolder:
        """Take the folder, and remove what an earlier sandbox left in it.

        Raises:
            ConfigurationError: Another sandbox runs there, or there is something in the way that no sandbox made.
        """
        is_known = (self.path / _MARK).exists()
        in_the_way = next((path for path in self._made() if not is_known or path.is_dir()), None)
        if in_the_way is not None:
            raise ConfigurationError(
                f"In {self.path} there is {in_the_way.relative_to(self.path)} already, which no sandbox made.",
                fix="choose another folder",
            )
        self._take(self._lock, "Another sandbox is running")
        try:
            for path in self.path.glob("state/int-*.lock"):
                # A service or a sync of an earlier sandbox, which would lose its files.
                lock = SyncLock(path)
                self._take(lock, "Another process works on the state of an earlier sandbox")
                lock.__exit__()
            self._empty()
        except BaseException:
            self._lock.__exit__()
            raise
        return self

    def _take(self, lock: SyncLock, what: str) -> None:
        try:
            lock.__enter__()
        except LockHeldError as error:
            named = f"{what} in {self.path}" + (f": {error.holder}." if error.holder else ".")
            raise ConfigurationError(named, fix="end it, or choose another folder") from None

    def __exit__(self, *_: object) -> None:
        """Let it go; what is in it stays, to look at."""
        self._lock.__exit__()

    def write(self, name: str, text: str) -> None:
        """Write a file that only this user can read."""
        new = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(new, "w", encoding="utf-8") as file:  # noqa: PTH123 - a Path cannot be opened with a mode of its own
            file.write(text)

    def _made(self) -> Iterator[Path]:
        return (path for pattern in _MADE for path in self.path.glob(pattern))

    def _empty(self) -> None:
        for path in list(self._made()):
            path.unlink()
            self.was_emptied = True
        for name in _MADE_FOLDERS:
            folder = self.path / name
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
