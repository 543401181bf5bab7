"""What a connector remembers of one integration between runs, kept in the integration's snapshot file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, MutableMapping
from contextlib import closing, suppress
from pathlib import Path

from .snapshot.state_file import StateError, is_there, read_database
from .snapshot.store import Store

MAX_NAME = 64
MAX_VALUE = 10_000
"""The longest name and value, in characters."""

_PREFIX = "connector:"
"""Distinguishes the connector's names from the runtime's own facts about the file."""


class SnapshotMemory(MutableMapping[str, str]):
    """A mapping in a snapshot file, which is opened for each access: any thread may use it.

    It only saves work, so a file that cannot be read or written is treated as if nothing had been remembered. What is
    changed is kept in memory until it is saved: a preview changes no file.

    Args:
        path: The snapshot file. Where it is missing, nothing is remembered: only a sync creates it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changes: dict[str, str | None] = {}
        """By name, what is not saved yet; None: forgotten."""

    def __getitem__(self, name: str) -> str:
        """Return a remembered text."""
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._read())

    def __len__(self) -> int:
        """Count the names."""
        return len(self._read())

    def __setitem__(self, name: str, value: str) -> None:
        """Remember a text.

        Raises:
            ValueError: The name or the text is too long.
        """
        if not 0 < len(name) <= MAX_NAME or len(value) > MAX_VALUE:
            raise ValueError(f"a connector remembers at most {MAX_VALUE} characters under {MAX_NAME}")
        self._changes[name] = value

    def __delitem__(self, name: str) -> None:
        """Forget a text."""
        if name not in self._read():
            raise KeyError(name)
        self._changes[name] = None

    def save(self) -> None:
        """Write what was changed to the file, and keep nothing else."""
        changes, self._changes = self._changes, {}
        if not changes:
            return
        with suppress(StateError, sqlite3.Error):
            if is_there(self._path):
                with Store(self._path) as store, store.transaction():
                    store.connection.executemany(
                        "DELETE FROM facts WHERE name = ?", ((_PREFIX + name,) for name in changes)
                    )
                    store.connection.executemany(
                        "INSERT INTO facts (name, value) VALUES (?, ?)",
                        ((_PREFIX + name, value) for name, value in changes.items() if value is not None),
                    )

    def discard(self) -> None:
        """Forget what was changed and not saved."""
        self._changes = {}

    def _read(self) -> dict[str, str]:
        found = self._read_file() | self._changes
        return {name: value for name, value in found.items() if value is not None}

    def _read_file(self) -> dict[str, str | None]:
        with suppress(StateError, sqlite3.Error):
            opened = read_database(self._path)
            if opened is not None:
                with closing(opened) as db:
                    rows = db.execute("SELECT name, value FROM facts WHERE name GLOB ?", (f"{_PREFIX}*",))
                    return {name.removeprefix(_PREFIX): value for name, value in rows}
        return {}
