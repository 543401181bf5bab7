"""Keeps the integrations that run equal to what one source says: started, stopped, and restarted on any change."""

from __future__ import annotations

import logging
import math
import threading

from ploy_connector_aws.platform.wire import HelloAnswer
from ploy_connector_aws.runtime.backoff import retry_after_of
from ploy_connector_aws.runtime.errors import code_of, message_of
from ploy_connector_aws.runtime.heartbeats import Heartbeats
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError

from .health import SourceHealth
from .runner import Dependencies, IntegrationRunner
from .sources import DesiredIntegration, DesiredState, Source

_log = logging.getLogger(__name__)

_HELLO = HelloAnswer()

SOURCE_LOOP = "source"
"""The name of this loop, as it is reported."""


class Ownership:
    """Which source serves which integration, so that no two serve the same one. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, str] = {}

    def take(self, integration: str, source: str) -> bool:
        """Claim an integration; False while another source has it."""
        with self._lock:
            return self._holders.setdefault(integration, source) == source

    def give_back(self, integration: str) -> None:
        """Let another source have it."""
        with self._lock:
            self._holders.pop(integration, None)


class Supervisor:
    """Watches one source, in the thread that runs it. What it cannot ask leaves running what runs.

    Args:
        source: The source.
        outfit: What each integration is served with.
        claims: What the sources of this process serve.
    """

    def __init__(self, source: Source, dependencies: Dependencies, ownership: Ownership) -> None:
        self._source = source
        self._dependencies = dependencies
        self._ownership = ownership
        self._monotonic = dependencies.health.monotonic
        self._health = SourceHealth(
            self._monotonic(), _HELLO.poll_interval_seconds, heartbeats=Heartbeats(self._monotonic)
        )
        self._answer = DesiredState(())
        self._running: dict[str, IntegrationRunner] = {}
        self._poll_interval: float = _HELLO.poll_interval_seconds
        self._polled_at = -math.inf
        self._retry_after = 0.0
        self.lock_error: LockHeldError | None = None
        """Which other process works off the tasks, where all the integrations of this source are another's."""
        self._is_stopped = False
        self._woken = threading.Event()
        dependencies.health.watch_source(source.name, self._health)

    def stop(self) -> None:
        """Have it end, with all that it runs, soon; returns at once."""
        self._is_stopped = True
        self._woken.set()

    def run(self) -> None:
        """Poll, and start and stop what has to be, until told to stop and everything has ended."""
        self._health.heartbeats.begin(SOURCE_LOOP, lambda: math.inf)
        while not self._is_stopped:
            if self._threads_running() <= 0:
                self._poll()
            self._reconcile(self._answer.desired)
            self._woken.wait(max(0, self._threads_running()))
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
                self._answer = self._source.read()
        except Exception as error:  # noqa: BLE001 - whatever it was, what runs goes on, and the next poll is made
            code, self._retry_after = code_of(error), retry_after_of(error)
            if health.error != code:  # said once, and not at every poll
                _log.warning("%s cannot be asked: %s", self._source.name, message_of(error), extra={"code": code})
            health.error = code
        else:
            if health.error is not None:
                _log.warning("%s answers again", self._source.name)
            health.since, health.has_answered, health.error = self._monotonic(), True, None

    def _threads_running(self) -> float:
        """How many seconds are left until the next poll."""
        return self._polled_at + max(self._retry_after, self._interval()) - self._monotonic()

    def _interval(self) -> float:
        """The shortest that Ploy wants for one of the integrations; the last one known where none is served."""
        if self._running:
            self._poll_interval = min(each.control.poll_interval_seconds for each in self._running.values())
        self._health.interval_seconds = self._poll_interval
        return self._poll_interval

    def _reconcile(self, desired: tuple[DesiredIntegration, ...]) -> None:
        by_id = {each.id: each for each in desired}
        for id_, served in list(self._running.items()):
            if served.has_ended:
                del self._running[id_]
                self._ownership.give_back(id_)
            elif not served.is_stopping and (reason := _reason_to_stop(served.desired, by_id.get(id_))):
                _log.info("%s", reason, extra={"integration": id_})
                served.stop()
        refused = {name: code_of(error) for name, error in self._answer.unusable.items()}
        for id_, each in by_id.items():
            if id_ in self._running:
                continue  # one that is wanted anew is started once the old one has ended
            if self._ownership.take(id_, self._source.name):
                self._start(each)
            else:
                refused[id_] = "served_twice"
        for id_ in refused.keys() - self._health.refused.keys():
            _log.error("%s: not served: %s", self._source.name, refused[id_], extra={"integration": id_})
        self._health.refused = refused
        lock_errors = [served.lock_error for served in self._running.values()]
        self.lock_error = lock_errors[0] if lock_errors and all(lock_errors) else None

    def _start(self, desired: DesiredIntegration) -> None:
        served = IntegrationRunner(desired, self._dependencies, self._woken.set)
        self._running[desired.id] = served
        _log.info("served", extra={"integration": desired.id, "connector": desired.settings.integration.connector})
        served.start()


def _reason_to_stop(served: DesiredIntegration, desired: DesiredIntegration | None) -> str | None:
    if desired is None:
        return "not served any more"
    return "its settings have changed; begun anew" if desired.digest != served.digest else None
