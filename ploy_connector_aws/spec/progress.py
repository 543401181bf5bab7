"""How far a connection test is, told while it is made, so that a person who waits for it sees the first checks at once.

>>> def test_connection(self):
...     checks = self.try_to_enter()
...     tell_checks(checks)
...     return ConnectionReport(checks=(*checks, *self.try_the_rest()))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .hook_calls import to_safe_report
from .reports import Check, ConnectionReport

_hear: ContextVar[Callable[[ConnectionReport], None] | None] = ContextVar("hear", default=None)


def tell_checks(checks: Iterable[Check]) -> None:
    """Tell who waits for it how far a connection test is. Where nobody does, nothing happens.

    Args:
        checks: All so far. Called in the thread in which ``test_connection`` was called.
    """
    hear = _hear.get()
    if hear is not None:
        hear(to_safe_report(ConnectionReport(checks=tuple(checks))))


@contextmanager
def hearing_checks(hear: Callable[[ConnectionReport], None]) -> Iterator[None]:
    """Hear, while the block runs, how far a connection test in this thread is."""
    token = _hear.set(hear)
    try:
        yield
    finally:
        _hear.reset(token)
