"""The progress of a connection test, reported while it runs, so that a person sees the first checks at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from .reports import Check

Progress: TypeAlias = Callable[[Iterable[Check]], None]
"""A parameter of ``test_connection``: takes all checks so far, in the thread in which the hook was called.

>>> def test_connection(self, progress):
...     checks = self.assume_role()
...     progress(checks)
...     return ConnectionReport(checks=(*checks, *self.probe_permissions()))
"""


def ignore_progress(checks: Iterable[Check]) -> None:
    """Ignore the progress of a connection test, for a host that shows none."""
