"""What the service counts, as Prometheus reads it. Labels are ids, names and words: no secret, and nobody's data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ploy_connector_aws.runtime.heartbeats import Heartbeats

_WHOSE = ("integration", "connector")


class _LoopAges(Collector):
    """How long ago each loop did its work, as it is when asked."""

    def __init__(self) -> None:
        self.heartbeats: dict[tuple[str, str], Heartbeats] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "ploy_loop_age_seconds", "How long ago a loop last did its work.", labels=(*_WHOSE, "loop")
        )
        for whose, heartbeats in list(self.heartbeats.items()):
            for loop, age in heartbeats.ages().items():
                family.add_metric((*whose, loop), age)
        yield family


class Metrics:
    """All of a process's numbers, in a registry of its own.

    Args:
        now: The clock, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nobody asked for
        self.now = now
        self._registry = CollectorRegistry()
        self.last_success = self._gauge(
            "ploy_last_success_timestamp_seconds", "When the last scan ended that Ploy committed or holds for review."
        )
        self.lag = self._gauge("ploy_lag_seconds", "How long ago the reading began of what Ploy shows.")
        self.unproven = self._gauge("ploy_unproven_scopes", "Parts that Ploy keeps without proof since the last scan.")
        self.outbox = self._gauge(
            "ploy_outbox_tasks", "Tasks that have ended, and whose report Ploy does not have yet."
        )
        self.loops = _LoopAges()
        self._registry.register(self.loops)
        self.syncs = self._counter("ploy_syncs", "Scans, by how they ended.", "ending")
        self.tasks = self._counter("ploy_tasks", "Tasks, by what came of them.", "kind", "outcome")
        self.platform_calls = self._counter(
            "ploy_platform_calls", "Attempts of calls to Ploy, by the answer's status.", "call", "status"
        )
        self.remote_calls = self._counter(
            "ploy_remote_calls", "Attempts of calls to what a connector reads.", "service", "operation"
        )
        self.remote_throttles = self._counter(
            "ploy_remote_throttles", "How often it asked for fewer requests.", "service"
        )

        self.left_out = self._counter(
            "ploy_left_out", "What it lists and a connector left out, as it contradicts itself.", "what"
        )

    def of(self, integration: str, connector: str) -> IntegrationMetrics:
        """The numbers of one integration."""
        return IntegrationMetrics(self, integration, connector)

    def platform_answered(self, call: str, status: str) -> None:
        """Count a call to Ploy that is of no integration."""
        self.platform_calls.labels("", "", call, status).inc()

    def render(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, _WHOSE, registry=self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, (*_WHOSE, *labels), registry=self._registry)


class IntegrationMetrics:
    """The numbers of one integration; to be told from any thread."""

    def __init__(self, metrics: Metrics, integration: str, connector: str) -> None:
        self._metrics = metrics
        self._whose = (integration, connector)

    def sync_ended(self, ending: str) -> None:
        """Count a scan."""
        self._metrics.syncs.labels(*self._whose, ending).inc()

    def succeeded_at(self, moment: datetime) -> None:
        """Note when the last scan ended that was handed over."""
        self._metrics.last_success.labels(*self._whose).set(moment.timestamp())

    def shows_reading_of(self, began: datetime) -> None:
        """Note when the reading began of what Ploy shows."""
        began_at = began.timestamp()
        self._metrics.lag.labels(*self._whose).set_function(lambda: self._metrics.now() - began_at)

    def keeps_unproven(self, scopes: int) -> None:
        """Note how many scopes are unproven."""
        self._metrics.unproven.labels(*self._whose).set(scopes)

    def task_ended(self, kind: str, outcome: str) -> None:
        """Count a task."""
        self._metrics.tasks.labels(*self._whose, kind, outcome).inc()

    def waits_in_outbox(self, tasks: int) -> None:
        """Note how many reports of tasks Ploy does not have yet."""
        self._metrics.outbox.labels(*self._whose).set(tasks)

    def platform_answered(self, call: str, status: str) -> None:
        """Count a call to Ploy."""
        self._metrics.platform_calls.labels(*self._whose, call, status).inc()

    def remote_called(self, service: str, operation: str) -> None:
        """Count a call to what the connector reads."""
        self._metrics.remote_calls.labels(*self._whose, service, operation).inc()

    def remote_throttled(self, service: str) -> None:
        """Count that it asked for fewer requests."""
        self._metrics.remote_throttles.labels(*self._whose, service).inc()

    def left_out(self, what: str) -> None:
        """Count something that the connector left out."""
        self._metrics.left_out.labels(*self._whose, what).inc()

    def ages_of(self, heartbeats: Heartbeats) -> None:
        """Show the ages of the marks of its loops."""
        self._metrics.loops.heartbeats[self._whose] = heartbeats

    def forget(self) -> None:
        """Say nothing more of an integration that is not served any more; what was counted stays counted."""
        metrics = self._metrics
        metrics.loops.heartbeats.pop(self._whose, None)
        for gauge in (metrics.last_success, metrics.lag, metrics.unproven, metrics.outbox):
            gauge.remove(*self._whose)
