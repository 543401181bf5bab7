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

    It only saves work, so a file that cannot be read or written is treated as if nothing had been remembered.

    Args:
        path: The snapshot file. Where it is missing, nothing is remembered: only a sync creates it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

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
        self._write("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (_PREFIX + name, value))

    def __delitem__(self, name: str) -> None:
        """Forget a text."""
        if name not in self._read():
            raise KeyError(name)
        self._write("DELETE FROM facts WHERE name = ?", (_PREFIX + name,))

    def _read(self) -> dict[str, str]:
        with suppress(StateError, sqlite3.Error):
            opened = read_database(self._path)
            if opened is not None:
                with closing(opened) as db:
                    rows = db.execute(
                        "SELECT name, value FROM facts WHERE substr(name, 1, ?) = ?", (len(_PREFIX), _PREFIX)
                    )
                    return {name.removeprefix(_PREFIX): value for name, value in rows}
        return {}

    def _write(self, statement: str, values: tuple[str, ...]) -> None:
        with suppress(StateError, sqlite3.Error):
            if is_there(self._path):
                with Store(self._path) as store:
                    store.connection.execute(statement, values)
