"""The first scan after a set-up: it begins as soon as the platform has the passed test, and waiting is no failure."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from ploy_connector_aws.runtime.service.health import Health
from ploy_connector_aws.runtime.service.runner import IntegrationRunner

from .service_harness import PATIENCE, House
from .test_connection_monitor import MENDED, OPEN_TO_ALL

NEVER_SECONDS = 100 * PATIENCE
"""An interval that does not end within a test."""


def serve_unfinished(house: House, poll_seconds: float = NEVER_SECONDS) -> IntegrationRunner:
    """Serve an integration whose settings have passed no test, until the platform has refused its first scan."""
    house.shuts_out.add("one")
    house.intervals |= {"scan_interval_seconds": NEVER_SECONDS, "poll_interval_seconds": poll_seconds}
    served = house.serve("one")
    served.control.poll_interval_seconds = poll_seconds
    house.until(lambda: house.reports["one"] != [])
    return served


def test_the_first_scan_begins_as_soon_as_the_platform_has_the_passed_test(house: House) -> None:
    control = serve_unfinished(house).control
    house.shuts_out.clear()
    control.note_reported_test()
    house.next_commit("one")


def test_a_report_that_arrives_while_a_scan_is_being_refused_is_not_missed(house: House) -> None:
    def report() -> None:
        house.shuts_out.clear()
        house.served[0].control.note_reported_test()

    house.sources["one"].on_test = report  # the scan makes a test of its own once it was refused
    serve_unfinished(house)
    house.next_commit("one")


def test_a_test_that_another_process_reported_is_noticed_at_the_next_poll(house: House) -> None:
    serve_unfinished(house, poll_seconds=0.05)
    house.shuts_out.clear()
    house.next_commit("one")


def test_a_reported_test_that_failed_changes_nothing_and_the_next_one_counts(house: House) -> None:
    control = serve_unfinished(house).control
    control.note_reported_test()
    house.shuts_out.clear()
    control.note_reported_test()
    house.next_commit("one")


def test_the_scan_begins_at_once_when_a_reported_test_ends_a_block(house: House) -> None:
    source = house.sources["one"]
    source.report = OPEN_TO_ALL
    house.intervals["scan_interval_seconds"] = NEVER_SECONDS
    control = house.serve("one").control
    house.until(lambda: house.counted("ploy_syncs_total") == {("failed", "one"): 1})
    source.report = MENDED
    control.note_report(MENDED)
    control.note_reported_test()
    house.next_commit("one")


def test_an_ordered_test_of_an_integration_in_use_makes_no_scan_due(house: House) -> None:
    house.intervals["scan_interval_seconds"] = NEVER_SECONDS
    control = house.serve("one").control
    house.next_commit("one")
    control.note_reported_test()
    house.next_polls("one", 3)
    assert house.counted("ploy_syncs_total") == {("committed", "one"): 1}


def times_asked(house: House) -> Callable[[], int]:
    """Count from now on how often a scan introduces itself."""
    asked: list[str] = []
    house.on_call = lambda name: asked.append(name) if name == "hello" else None
    return lambda: len(asked)


def test_waiting_for_the_first_test_is_neither_a_failure_nor_overdue(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    house.health = Health(lambda: now[0])
    caplog.set_level(logging.INFO)
    asked = times_asked(house)
    control = serve_unfinished(house).control
    for _ in range(3):
        now[0] += 10 * 900
        before = asked()
        control.note_reported_test()
        house.until(lambda before=before: asked() > before)  # type: ignore[misc]
    house.until(lambda: house.reasons() == {"one": []})
    assert house.counted("ploy_syncs_total") == {}
    waits = [record for record in caplog.records if "waits for a connection test" in record.getMessage()]
    assert (len(waits), waits[0].levelno) == (1, logging.INFO)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
