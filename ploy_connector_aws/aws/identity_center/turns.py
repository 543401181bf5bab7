"""Lets one thread find out about a thing while the others that need it wait for what it learns."""

from __future__ import annotations

import threading
from collections import defaultdict


class KeyedLock:
    """A lock for each thing. Held while it is looked up and, where it is not known yet, read."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, id_: str) -> threading.Lock:
        """Give the lock of one thing: the same one to every thread."""
        with self._making:
            return self._turns[id_]
