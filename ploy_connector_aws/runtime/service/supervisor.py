"""The whole service: a supervisor for each source starts, stops and restarts its integrations; and the endpoint."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable

from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.platform.wire import HelloAnswer
from ploy_connector_aws.runtime.backoff import retry_after_of
from ploy_connector_aws.runtime.errors import code_of, message_of
from ploy_connector_aws.runtime.heartbeats import Heartbeats
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError

from .endpoint import Endpoint
from .health import SOURCE_LOOP, SourceHealth
from .runner import Dependencies, IntegrationRunner
from .sources import DesiredIntegration, DesiredState, Source, to_sources

_log = logging.getLogger(__name__)

_HELLO = HelloAnswer()

STOP_SECONDS = 8.0
"""How long a stop may take. Docker kills a container after 10; the next start resumes what was interrupted."""

WAIT_SECONDS = STOP_SECONDS - 1.5
"""How long a stop waits for work under way. The rest is for the end of the process, on a busy machine too."""

LAST_RESORT_SECONDS = STOP_SECONDS - 1
"""When a process that still waits for something is killed."""


class Ownership:
    """Which source runs which integration, so that no two run the same one; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, str] = {}

    def take(self, integration: str, source: str) -> bool:
        """Claim an integration; return False while another source has it."""
        with self._lock:
            return self._holders.setdefault(integration, source) == source

    def release(self, integration: str) -> None:
        """End the claim on an integration."""
        with self._lock:
            self._holders.pop(integration, None)


class Supervisor:
    """Makes the running integrations match one source. While the source does not answer, they continue to run.

    Args:
        source: The source.
        dependencies: What all integrations share.
        ownership: Which source of this process runs which integration.
    """

    def __init__(self, source: Source, dependencies: Dependencies, ownership: Ownership) -> None:
        self._source = source
        self._dependencies = dependencies
        self._ownership = ownership
        self._monotonic = dependencies.health.monotonic
        self._health = SourceHealth(
            self._monotonic(), _HELLO.poll_interval_seconds, heartbeats=Heartbeats(self._monotonic)
        )
        self._state = DesiredState(())
        self._running: dict[str, IntegrationRunner] = {}
        self._poll_interval: float = _HELLO.poll_interval_seconds
        self._polled_at = -math.inf
        self._retry_after = 0.0
        self.lock_error: LockHeldError | None = None
        """The other process that works on the tasks, where that is so for every integration of this source."""
        self._is_stopped = False
        self._woken = threading.Event()
        dependencies.health.watch_source(source.name, self._health)

    def stop(self) -> None:
        """Make it and all that it runs end soon; returns at once."""
        self._is_stopped = True
        self._woken.set()

    def run(self) -> None:
        """Poll, and start and stop integrations, until stopped and everything has ended."""
        self._health.heartbeats.begin(SOURCE_LOOP, lambda: math.inf)
        while not self._is_stopped:
            if self._seconds_left() <= 0:
                self._poll()
            self._reconcile(self._state.integrations)
            self._woken.wait(max(0, self._seconds_left()))
            self._woken.clear()
        self._reconcile(())
        while self._running:
            self._woken.wait()
            self._woken.clear()
            self._reconcile(())
        self._source.close()
        self._health.heartbeats.end(SOURCE_LOOP)

    def _poll(self) -> None:
        health = self._health
        self._polled_at, self._retry_after = self._monotonic(), 0.0
        try:
            with health.heartbeats.call(SOURCE_LOOP, "integrations"):
                self._state = self._source.read()
        except Exception as error:  # noqa: BLE001 - whatever it was, integrations continue to run, and the next poll follows
            code, self._retry_after = code_of(error), retry_after_of(error)
            if health.error != code:  # logged once, and not at every poll
                _log.warning("%s does not answer: %s", self._source.name, message_of(error), extra={"code": code})
            health.error = code
        else:
            if health.error is not None:
                _log.warning("%s answers again", self._source.name)
            health.since, health.has_answered, health.error = self._monotonic(), True, None

    def _seconds_left(self) -> float:
        """Return the seconds until the next poll."""
        return self._polled_at + max(self._retry_after, self._interval()) - self._monotonic()

    def _interval(self) -> float:
        """Return the shortest poll interval of the running integrations; the last one known where none runs."""
        if self._running:
            self._poll_interval = min(each.control.poll_interval_seconds for each in self._running.values())
        self._health.interval_seconds = self._poll_interval
        return self._poll_interval

    def _reconcile(self, desired: tuple[DesiredIntegration, ...]) -> None:
        by_id = {each.id: each for each in desired}
        for id_, runner in list(self._running.items()):
            if runner.has_ended:
                del self._running[id_]
                self._ownership.release(id_)
            elif not runner.is_stopping and (reason := _reason_to_stop(runner.desired, by_id.get(id_))):
                _log.info("%s", reason, extra={"integration": id_})
                runner.stop()
        refused = {name: code_of(error) for name, error in self._state.unusable.items()}
        for id_, each in by_id.items():
            if id_ in self._running:
                continue  # a changed one starts once the old one has ended
            if self._ownership.take(id_, self._source.name):
                self._start(each)
            else:
                refused[id_] = "served_twice"
        for id_ in refused.keys() - self._health.refused.keys():
            _log.error("%s: does not run: %s", self._source.name, refused[id_], extra={"integration": id_})
        self._health.refused = refused
        lock_errors = [runner.lock_error for runner in self._running.values()]
        self.lock_error = lock_errors[0] if lock_errors and all(lock_errors) else None

    def _start(self, desired: DesiredIntegration) -> None:
        runner = IntegrationRunner(desired, self._dependencies, self._woken.set)
        self._running[desired.id] = runner
        _log.info("integration started", extra={"integration": desired.id, "connector": desired.connector})
        runner.start()


def _reason_to_stop(running: DesiredIntegration, desired: DesiredIntegration | None) -> str | None:
    if desired is None:
        return "integration removed"
    return "settings changed; integration restarts" if desired.digest != running.digest else None


class Service:
    """Runs all integrations while the block runs.

    Args:
        configurations: The settings of each configuration file.
        health_port: The port of health and metrics; 0 for any free one.
        dependencies: What all integrations share.
        stop_seconds: How long a stop waits for work under way.

    Raises:
        ConfigurationError: Two configurations name the same integration, one has no usable address or token,
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
        """Start the endpoint and every source."""
        self.endpoint.__enter__()
        # In a thread of its own: a package that hangs while it is imported holds up nothing else.
        threading.Thread(target=_log_refused, name="refused-connectors", daemon=True).start()
        for thread in self._threads:
            thread.start()
        return self

    @property
    def lock_error(self) -> LockHeldError | None:
        """The other process that works on the tasks, where that is so for every integration; otherwise None."""
        lock_errors = [supervisor.lock_error for supervisor in self._supervisors]
        return lock_errors[0] if lock_errors and all(lock_errors) else None

    def __exit__(self, *_: object) -> None:
        """Stop. Work that does not end in time ends with the process, and the next start resumes it."""
        for supervisor in self._supervisors:
            supervisor.stop()
        deadline = time.monotonic() + self._stop_seconds
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            _log.warning("not everything ended within %g seconds; the next start resumes it", self._stop_seconds)
        self.endpoint.__exit__()


def _log_refused() -> None:
    """Log once which installed connectors cannot be used."""
    for each in find_connectors().refused:
        _log.warning(
            "a connector was refused: %s",
            each.reason,
            extra={"connector": each.name, "distribution": each.distribution},
        )
