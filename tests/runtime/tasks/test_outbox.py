"""The outbox: a report is sent until Ploy has it, through outages and restarts, or another runtime has the task."""

from __future__ import annotations

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks.attempts import to_deadline_report
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED

from .task_runtime import Runtime, TaskRuntimeHarness


def done(harness: TaskRuntimeHarness) -> Runtime:
    """A runtime that has done one task, which Ploy does not know yet."""
    harness.queue.order("grant", "ann", "g")
    runtime = Runtime(harness)
    runtime.poller.step()
    runtime.worker.step()
    return runtime


def test_a_report_waits_through_an_outage_of_hours_and_a_restart(harness: TaskRuntimeHarness) -> None:
    runtime = done(harness)
    harness.queue.is_down = True
    pauses = []
    for _ in range(10):
        pauses.append(runtime.outbox.step())
        harness.clock.move(pauses[-1])
    runtime.close()
    harness.clock.move(4 * 3600)
    assert harness.queue.is_worked_off, "Ploy made a manual task of it meanwhile"
    harness.queue.is_down = False
    harness.work_off()
    harness.check()
    assert isinstance(harness.queue.result("t1"), wire.TaskDone)
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_task_leased_again_is_not_done_again_and_its_report_goes_under_the_new_lease(
    harness: TaskRuntimeHarness,
) -> None:
    runtime = done(harness)
    harness.clock.move(61)
    runtime.poller.step()
    assert harness.queue.entries["t1"].leases == 2
    assert not runtime.worker.step()
    runtime.outbox.step()
    assert isinstance(harness.queue.result("t1"), wire.TaskDone)
    assert len(harness.memberships.calls) == 1
    runtime.close()


def test_a_report_under_a_lease_that_was_lost_is_dropped_and_noted(
    harness: TaskRuntimeHarness, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = done(harness)
    harness.clock.move(61)
    harness.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
    runtime.outbox.step()
    held = runtime.journal.task("t1")
    assert held is not None
    assert (runtime.journal.reports(), held.ending) == ([], "The report was dropped: lease_lost")
    assert "task t1: the report is dropped: lease_lost" in caplog.text
    runtime.close()


def test_a_dropped_report_of_success_is_sent_when_the_task_is_leased_again(
    harness: TaskRuntimeHarness,
) -> None:
    runtime = done(harness)
    harness.clock.move(61)
    harness.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
    runtime.outbox.step()
    harness.clock.move(61)
    harness.work_off(runtime)
    report = harness.queue.result("t1")
    assert isinstance(report, wire.TaskDone)
    assert report.change is not None
    assert (report.change.outcome, harness.memberships.effects("t1")) == ("applied", 1)


def test_an_ended_task_that_starts_over_is_never_reported_as_unchanged(harness: TaskRuntimeHarness) -> None:
    runtime = done(harness)
    runtime.outbox.step()
    held = runtime.journal.task("t1")
    assert held is not None
    assert held.ending == ACKNOWLEDGED
    runtime.journal.lease(held.task, held.lease_ends_at)  # Ploy was restored from a backup
    again = runtime.journal.task("t1")
    assert again is not None
    assert (again.report, again.ending) == (None, None)
    report = to_deadline_report(again, "No worker was free.")
    assert isinstance(report, wire.TaskFailed)
    assert report.code == "state_unknown"


def test_a_rejected_report_delays_no_other(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.queue.order("grant", "bob", "g")
    runtime = Runtime(harness)
    runtime.poller.step()
    while runtime.worker.step():
        pass
    harness.queue.refused = {"t1"}
    runtime.outbox.step()
    assert [held.task.id for held in runtime.journal.reports()] == ["t1"]
    harness.queue.refused = set()
    harness.work_off(runtime)
    harness.check()
