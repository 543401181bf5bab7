"""Health reports, metrics, and their endpoint."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ploy_connector_aws.host import Blocker
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.service.control import Control
from ploy_connector_aws.runtime.service.endpoint import Endpoint
from ploy_connector_aws.runtime.service.health import Health, IntegrationHealth, SourceHealth
from ploy_connector_aws.runtime.service.metrics import Metrics
from ploy_connector_aws.runtime.snapshot.lock import TasksRunningError
from ploy_connector_aws.spec import Check, ConfigurationError, ConnectionReport
from tests.deadlines import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        pytest.param({}, [], id="a success three intervals ago"),
        pytest.param({"since": 99}, ["scans: overdue"], id="a success longer ago"),
        pytest.param({"since": 99, "last_error": "authentication"}, ["scans: overdue: authentication"], id="and why"),
        pytest.param({"since": 99, "is_paused": True}, [], id="Ploy asks for a pause"),
        pytest.param({"down": {"tasks": ("unexpected", 100)}}, ["tasks: unexpected"], id="a loop that does not run"),
        pytest.param({"last_error": "temporary"}, [], id="an error that is not overdue yet"),
    ],
)
def test_health_of_an_integration(changes: dict[str, Any], reasons: list[str]) -> None:
    health = IntegrationHealth(**{"connector": "aws", "since": 100, "scan_interval_seconds": 300, **changes})
    assert list(health.failing(now=1000)) == reasons


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        pytest.param({"error": None}, [], id="no poll yet"),
        pytest.param({}, ["platform_unavailable"], id="it never answered"),
        pytest.param({"has_answered": True}, [], id="it answered three intervals ago"),
        pytest.param({"has_answered": True, "since": 99}, ["platform_unavailable"], id="it answered longer ago"),
        pytest.param({"error": None, "refused": {"int-1": "served_twice"}}, ["int-1: served_twice"], id="one refused"),
    ],
)
def test_health_of_a_source(changes: dict[str, Any], reasons: list[str]) -> None:
    health = SourceHealth(**{"since": 100, "interval_seconds": 300, "error": "platform_unavailable", **changes})
    assert list(health.failing(now=1000)) == reasons


@pytest.fixture
def health() -> Health:
    return Health(lambda: 1000.0, lambda: datetime(2026, 1, 1, 0, 16, 40, tzinfo=UTC))


@pytest.fixture
def endpoint(health: Health) -> Iterator[Endpoint]:
    metrics = Metrics(lambda: 1060.0)
    one = metrics.of("int-1", "aws")
    one.task_ended("grant", "done")
    one.waits_in_outbox(2)
    one.shows_reading_of(datetime.fromtimestamp(1000, UTC))
    with Endpoint(metrics, health, 0) as serving:
        yield serving


def get(endpoint: Endpoint, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_health_is_a_status_and_names_what_is_unhealthy(endpoint: Endpoint, health: Health) -> None:
    assert get(endpoint, "/healthz")[0] == 200
    reason = "scans: overdue: authentication"
    health.watch("int-1", IntegrationHealth("aws", since=0, scan_interval_seconds=60, last_error="authentication"))
    health.watch_source("source-1", SourceHealth(since=990, interval_seconds=60))
    status, body = get(endpoint, "/healthz")
    assert (status, json.loads(body)) == (
        503,
        {
            "status": "failing",
            "integrations": {
                "int-1": {
                    "connector": "aws",
                    "paused": False,
                    "blockers": [],
                    "reasons": [reason],
                    "since": {reason: "2026-01-01T00:00:00+00:00"},
                }
            },
            "sources": {"source-1": {"reasons": [], "since": {}}},
        },
    )


def test_metrics_are_what_prometheus_reads(endpoint: Endpoint) -> None:
    status, body = get(endpoint, "/metrics")
    samples = {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert (status, samples) == (
        200,
        {
            ("ploy_tasks_total", "aws", "int-1", "grant", "done"): 1,
            ("ploy_outbox_tasks", "aws", "int-1"): 2,
            ("ploy_lag_seconds", "aws", "int-1"): 60,
        },
    )


def test_other_pages_and_other_host_names_are_refused(endpoint: Endpoint) -> None:
    assert [get(endpoint, path)[0] for path in ("/", "/metrics/../etc", "/healthz?x")] == [404, 404, 404]
    assert get(endpoint, "/metrics", host="localhost:9464")[0] == 200
    assert get(endpoint, "/metrics", host="rebound.example") == (421, "Unknown Host header.\n")


def test_it_listens_on_loopback_only_and_reports_a_taken_port(endpoint: Endpoint) -> None:
    assert endpoint._server.socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(ConfigurationError, match="cannot listen on port"):
        Endpoint(Metrics(), Health(), endpoint._server.server_port)


def test_each_blocker_names_its_gate_and_keeps_its_beginning(endpoint: Endpoint, health: Health) -> None:
    moments = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(4)]
    now = moments[0]
    control = Control(now=lambda: now)
    not_tested = Blocker("connection_test", "not_tested", "The connection was not tested yet.", moments[0])
    assert control.blockers() == (not_tested,)

    now = moments[1]
    control.apply(wire.HelloAnswer(flags=wire.Flags(paused=True, read_only=True)))
    control.note_loop("tasks", TasksRunningError("Process 7 has the tasks.", fix="stop it"))
    paused = Blocker("platform", "paused", "The integration is paused.", moments[1])
    read_only = Blocker("platform", "read_only", "The integration is read-only.", moments[1])
    locked = Blocker("tasks", "tasks_running", "Process 7 has the tasks. Fix: stop it", moments[1])
    assert control.blockers() == (not_tested, paused, read_only, locked)

    now = moments[2]
    failed = Check(name="external-id", outcome="failed", message="Others could use the role.", is_blocking=True)
    control.note_report(ConnectionReport(checks=(failed,)))
    control.apply(wire.HelloAnswer(flags=wire.Flags(read_only=True)))
    open_to_others = Blocker("connection_test", "external-id", "Others could use the role.", moments[2])
    assert control.blockers() == (locked, open_to_others, read_only)
    assert control.connection_blocker() == open_to_others

    now = moments[3]
    control.note_report(ConnectionReport(checks=(failed,)))
    control.note_loop("tasks", None)
    health.watch("int-1", IntegrationHealth("aws", since=990, scan_interval_seconds=60, blockers=control.blockers))
    report = json.loads(get(endpoint, "/healthz")[1])
    assert sorted(report["integrations"]["int-1"]["blockers"], key=lambda each: str(each["source"])) == [
        open_to_others.to_json(),
        read_only.to_json(),
    ]
    assert open_to_others.to_json()["since"] == "2026-01-01T02:00:00+00:00"
