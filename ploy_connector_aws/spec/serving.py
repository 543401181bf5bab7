"""For whom an instance of a connector works, and who counts what it asks of others.

A host serves many integrations in one process. It says this when it opens an instance; a connector that cares asks
for it in ``configure``, and keeps it:

>>> def configure(self, config):
...     self.serving = current_serving()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


def _uncounted(*_: str) -> None:
    """Nobody counts."""


@dataclass(frozen=True)
class Serving:
    """What a host says of the integration that an instance is opened for. Without a host, nothing is said."""

    organisation: str = ""
    """Whose integration it is, as a word without meaning. What instances share, such as a budget of requests, they
    share with instances of the same word and with no others."""
    on_call: Callable[[str, str], None] = _uncounted
    """To be called from any thread before each request to the remote system, repeated ones included: with the name of
    the service and of the operation. Both become labels of metrics: they are few, and never hold data."""
    on_throttle: Callable[[str], None] = _uncounted
    """To be called from any thread when the remote system asked for fewer requests: with the name of the service."""
    on_answer: Callable[[str, str], None] = _uncounted
    """To be called from the same thread as ``on_call``, with the same words, when that request has ended: with an
    answer or without. A host can then see a request that hangs."""
    on_left_out: Callable[[str], None] = _uncounted
    """To be called from any thread when something that the remote system lists is left out of what is read, as it
    contradicts itself: with what it is, in a few words that become a label of a metric and never hold data."""


_current: ContextVar[Serving | None] = ContextVar("serving", default=None)


def current_serving() -> Serving:
    """Say for whom the instance works that is being configured in this thread."""
    return _current.get() or Serving()


@contextmanager
def serving(now: Serving | None) -> Iterator[None]:
    """Say it while the block runs. A host that opens connectors by ``InstalledConnector.open`` needs it not."""
    token = _current.set(now)
    try:
        yield
    finally:
        _current.reset(token)
