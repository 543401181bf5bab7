"""The context that a host passes to ``configure``: the organisation, counters, a scratch folder, a memory."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path


def _ignore(*_: str) -> None:
    """Count nothing."""


@dataclass(frozen=True)
class ConnectorContext:
    """The context of one connector instance, a parameter of ``configure``. The defaults do nothing.

    >>> def configure(self, config, context):
    ...     self.context = context
    """

    organisation: str = ""
    """An opaque name of the organisation that owns the integration. Instances share limited things, such as a budget of
    requests, with instances of the same organisation only."""
    on_call: Callable[[str, str], None] = _ignore
    """Call it from any thread before each request to the remote system, repeated ones included, with the name of the
    service and of the operation. Both become metric labels: use few values, and no data."""
    on_throttle: Callable[[str], None] = _ignore
    """Call it from any thread when the remote system asked for fewer requests, with the name of the service."""
    on_answer: Callable[[str, str], None] = _ignore
    """Call it in the thread of ``on_call``, with the same names, when that request has ended, with or without a
    response. It lets the host see a request that hangs."""
    on_left_out: Callable[[str], None] = _ignore
    """Call it from any thread when a listed item is left out because the remote system contradicts itself, with a short
    description that becomes a metric label and holds no data."""
    scratch_dir: Path | None = None
    """An existing folder for temporary files; None for the system's. The host removes what is left in it."""
    memory: MutableMapping[str, str] = field(default_factory=dict, compare=False)
    """What the connector remembers of this integration between runs, e.g. which of two methods of reading was cheaper.
    Short texts under short names, and no secrets. It only ever saves work: the host may lose it at any time, and drops
    it together with its snapshot. Any thread may use it; another process may change it meanwhile."""
    on_note: Callable[[str], None] = _ignore
    """Call it with a sentence for the operator about how the source was read, e.g. what would make it faster. It ends
    up in the log of a service and below the result of a command. Not for failures: those belong to their scopes."""
