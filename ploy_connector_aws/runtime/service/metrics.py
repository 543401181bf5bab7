"""Prometheus metrics of the service. Labels are ids, names and codes: no secret, and no personal data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ploy_connector_aws.runtime.heartbeats import Heartbeats

_LABELS = ("integration", "connector")


class _LoopAges(Collector):
    """The ages of the loops' heartbeats, computed at each scrape."""

    def __init__(self) -> None:
        self.heartbeats: dict[tuple[str, str], Heartbeats] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "ploy_loop_age_seconds", "How long ago a loop last did its work.", labels=(*_LABELS, "loop")
        )
        for labels, heartbeats in list(self.heartbeats.items()):
            for loop, age in heartbeats.ages().items():
                family.add_metric((*labels, loop), age)
        yield family


class Metrics:
    """All metrics of a process, in a registry of their own.

    Args:
        now: The clock, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter
        self.now = now
        self._registry = CollectorRegistry()
        self.last_success = self._gauge(
            "ploy_last_success_timestamp_seconds", "When the last scan ended that Ploy committed or holds for review."
        )
        self.lag = self._gauge("ploy_lag_seconds", "Age of the data that Ploy shows, since its reading began.")
        self.unproven = self._gauge("ploy_unproven_scopes", "Scopes that the last scan could not read completely.")
        self.outbox = self._gauge("ploy_outbox_tasks", "Ended tasks whose report Ploy has not acknowledged.")
        self.loops = _LoopAges()
        self._registry.register(self.loops)
        self.syncs = self._counter("ploy_syncs", "Scans, by ending.", "ending")
        self.tasks = self._counter("ploy_tasks", "Tasks, by outcome.", "kind", "outcome")
        self.platform_calls = self._counter(
            "ploy_platform_calls", "Attempts of calls to Ploy, by status.", "call", "status"
        )
        self.remote_calls = self._counter(
            "ploy_remote_calls", "Attempts of calls to the remote system.", "service", "operation"
        )
        self.remote_throttles = self._counter(
            "ploy_remote_throttles", "Throttled calls to the remote system.", "service"
        )

        self.left_out = self._counter(
            "ploy_left_out", "Contradictory entries of the remote system that the connector left out.", "what"
        )

    def of(self, integration: str, connector: str) -> IntegrationMetrics:
        """Return the metrics of one integration."""
        return IntegrationMetrics(self, integration, connector)

    def platform_answered(self, call: str, status: str) -> None:
        """Count a call to Ploy that belongs to no integration."""
        self.platform_calls.labels("", "", call, status).inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, _LABELS, registry=self._registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, (*_LABELS, *labels), registry=self._registry)


class IntegrationMetrics:
    """The metrics of one integration; thread-safe."""

    def __init__(self, metrics: Metrics, integration: str, connector: str) -> None:
        self._metrics = metrics
        self._labels = (integration, connector)

    def sync_ended(self, ending: str) -> None:
        """Count a scan."""
        self._metrics.syncs.labels(*self._labels, ending).inc()

    def succeeded_at(self, moment: datetime) -> None:
        """Set when the last uploaded scan ended."""
        self._metrics.last_success.labels(*self._labels).set(moment.timestamp())

    def shows_reading_of(self, began: datetime) -> None:
        """Set when the reading began of the data that Ploy shows."""
        began_at = began.timestamp()
        self._metrics.lag.labels(*self._labels).set_function(lambda: self._metrics.now() - began_at)

    def keeps_unproven(self, scopes: int) -> None:
        """Set the number of unproven scopes."""
        self._metrics.unproven.labels(*self._labels).set(scopes)

    def task_ended(self, kind: str, outcome: str) -> None:
        """Count a task."""
        self._metrics.tasks.labels(*self._labels, kind, outcome).inc()

    def waits_in_outbox(self, tasks: int) -> None:
        """Set the number of reports that Ploy has not acknowledged."""
        self._metrics.outbox.labels(*self._labels).set(tasks)

    def platform_answered(self, call: str, status: str) -> None:
        """Count a call to Ploy."""
        self._metrics.platform_calls.labels(*self._labels, call, status).inc()

    def remote_called(self, service: str, operation: str) -> None:
        """Count a call to the remote system."""
        self._metrics.remote_calls.labels(*self._labels, service, operation).inc()

    def remote_throttled(self, service: str) -> None:
        """Count a throttled call to the remote system."""
        self._metrics.remote_throttles.labels(*self._labels, service).inc()

    def left_out(self, what: str) -> None:
        """Count an entry that the connector left out."""
        self._metrics.left_out.labels(*self._labels, what).inc()

    def ages_of(self, heartbeats: Heartbeats) -> None:
        """Show the ages of its loops' heartbeats."""
        self._metrics.loops.heartbeats[self._labels] = heartbeats

    def forget(self) -> None:
        """Remove the gauges of an integration that ended; its counters stay."""
        metrics = self._metrics
        metrics.loops.heartbeats.pop(self._labels, None)
        for gauge in (metrics.last_success, metrics.lag, metrics.unproven, metrics.outbox):
            gauge.remove(*self._labels)
