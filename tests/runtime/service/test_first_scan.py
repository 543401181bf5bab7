"""The first scan after a set-up: it begins as soon as the platform has the passed test, and waiting is no failure."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from ploy_connector_aws.runtime.service.health import Health
from ploy_connector_aws.runtime.service.runner import IntegrationRunner

from .service_harness import PATIENCE, ServiceHarness
from .test_connection_monitor import FIXED, OPEN_TO_ALL

NEVER_SECONDS = 100 * PATIENCE
"""An interval that does not end within a test."""


def serve_unfinished(harness: ServiceHarness, poll_seconds: float = NEVER_SECONDS) -> IntegrationRunner:
    """Run an integration whose settings have passed no test, until the platform has refused its first scan."""
    harness.shuts_out.add("one")
    harness.intervals |= {"scan_interval_seconds": NEVER_SECONDS, "poll_interval_seconds": poll_seconds}
    runner = harness.serve("one")
    runner.control.poll_interval_seconds = poll_seconds
    harness.until(lambda: harness.reports["one"] != [])
    return runner


def test_the_first_scan_begins_as_soon_as_the_platform_has_the_passed_test(harness: ServiceHarness) -> None:
    control = serve_unfinished(harness).control
    harness.shuts_out.clear()
    control.note_reported_test()
    harness.next_commit("one")


def test_each_connector_of_a_service_is_closed_when_it_ends(harness: ServiceHarness) -> None:
    harness.serve("one")
    harness.next_commit("one")
    source = harness.sources["one"]
    assert (source.opened, source.closed) == (2, 0)  # one for scans, one for tasks
    harness.close()
    assert (source.opened, source.closed) == (2, 2)


def test_a_report_that_arrives_while_a_scan_is_being_refused_is_not_missed(harness: ServiceHarness) -> None:
    def report() -> None:
        harness.shuts_out.clear()
        harness.runner[0].control.note_reported_test()

    harness.sources["one"].on_test = report  # the scan makes a test of its own once it was refused
    serve_unfinished(harness)
    harness.next_commit("one")


def test_a_test_that_another_process_reported_is_noticed_at_the_next_poll(harness: ServiceHarness) -> None:
    serve_unfinished(harness, poll_seconds=0.05)
    harness.shuts_out.clear()
    harness.next_commit("one")


def test_a_reported_test_that_failed_changes_nothing_and_the_next_one_counts(harness: ServiceHarness) -> None:
    control = serve_unfinished(harness).control
    control.note_reported_test()
    harness.shuts_out.clear()
    control.note_reported_test()
    harness.next_commit("one")


def test_the_scan_begins_at_once_when_a_reported_test_lifts_a_blocker(harness: ServiceHarness) -> None:
    source = harness.sources["one"]
    source.report = OPEN_TO_ALL
    harness.intervals["scan_interval_seconds"] = NEVER_SECONDS
    control = harness.serve("one").control
    harness.until(lambda: harness.counted("ploy_syncs_total") == {("failed", "one"): 1})
    source.report = FIXED
    control.note_report(FIXED)
    control.note_reported_test()
    harness.next_commit("one")


def test_a_requested_test_of_a_running_integration_makes_no_scan_due(harness: ServiceHarness) -> None:
    harness.intervals["scan_interval_seconds"] = NEVER_SECONDS
    control = harness.serve("one").control
    harness.next_commit("one")
    control.note_reported_test()
    harness.next_polls("one", 3)
    assert harness.counted("ploy_syncs_total") == {("committed", "one"): 1}


def times_asked(harness: ServiceHarness) -> Callable[[], int]:
    """Count from now on how often a scan introduces itself."""
    asked: list[str] = []
    harness.on_call = lambda name: asked.append(name) if name == "hello" else None
    return lambda: len(asked)


def test_waiting_for_the_first_test_is_neither_a_failure_nor_overdue(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    harness.health = Health(lambda: now[0])
    caplog.set_level(logging.INFO)
    asked = times_asked(harness)
    control = serve_unfinished(harness).control
    for _ in range(3):
        now[0] += 10 * 900
        before = asked()
        control.note_reported_test()
        harness.until(lambda before=before: asked() > before)  # type: ignore[misc]
    harness.until(lambda: harness.reasons() == {"one": []})
    assert harness.counted("ploy_syncs_total") == {}
    waits = [record for record in caplog.records if "waits for a connection test" in record.getMessage()]
    assert (len(waits), waits[0].levelno) == (1, logging.INFO)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
