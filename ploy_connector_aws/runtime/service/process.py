"""The whole service: its sources, their integrations, and the endpoint; started together, and stopped within bounds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError

from .endpoint import Endpoint
from .runner import Dependencies
from .sources import to_sources
from .supervisor import Ownership, Supervisor

_log = logging.getLogger(__name__)

STOP_SECONDS = 8.0
"""How long a stop may take. Docker ends a container after 10; whatever is left then can be gone on with."""

WAIT_SECONDS = STOP_SECONDS - 1.5
"""How long what is under way is waited for then. The rest is for the end of the process, on a busy machine too."""

LAST_RESORT_SECONDS = STOP_SECONDS - 1
"""When a process that still waits for something is ended as it is."""


class Service:
    """Serves while the block runs.

    Args:
        configurations: One of each configuration file.
        health_port: Where health and metrics are shown; 0 for any port.
        outfit: What each integration is served with.
        stop_seconds: How long a stop waits for what is under way.

    Raises:
        ConfigurationError: Two configurations would serve the same integration, one has no usable address or token,
            or the port is taken.
    """

    def __init__(
        self,
        configurations: Iterable[OperatorSettings],
        *,
        health_port: int,
        dependencies: Dependencies | None = None,
        stop_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.dependencies = dependencies or Dependencies()
        self._stop_seconds = stop_seconds
        sources = to_sources(configurations, self.dependencies.metrics.platform_answered)
        ownership = Ownership()
        self._supervisors = [Supervisor(source, self.dependencies, ownership) for source in sources]
        self._threads = [
            threading.Thread(target=supervisor.run, name=f"ploy-{source.name}", daemon=True)
            for source, supervisor in zip(sources, self._supervisors, strict=True)
        ]
        self.endpoint = Endpoint(self.dependencies.metrics, self.dependencies.health, health_port)

    def __enter__(self) -> Service:
        """Begin to serve."""
        self.endpoint.__enter__()
        # In a thread of its own: a package that hangs while it is imported holds up nothing else.
        threading.Thread(target=_log_refused, name="refused-connectors", daemon=True).start()
        for thread in self._threads:
            thread.start()
        return self

    @property
    def lock_error(self) -> LockHeldError | None:
        """Which other process works off the tasks, where that is so of every integration; otherwise None."""
        lock_errors = [supervisor.lock_error for supervisor in self._supervisors]
        return lock_errors[0] if lock_errors and all(lock_errors) else None

    def __exit__(self, *_: object) -> None:
        """Stop; what does not end in time is left to the end of the process, and can be gone on with."""
        for supervisor in self._supervisors:
            supervisor.stop()
        deadline = time.monotonic() + self._stop_seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            _log.warning("not everything ended within %g seconds; it is gone on with later", self._stop_seconds)
        self.endpoint.__exit__()


def _log_refused() -> None:
    """Log once which installed connectors cannot be used."""
    for each in find_connectors().refused:
        _log.warning(
            "a connector was refused: %s",
            each.reason,
            extra={"connector": each.name, "distribution": each.distribution},
        )
