"""A report is sent until Ploy has it, through outages and restarts, or until the task is somebody else's."""

from __future__ import annotations

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks.attempts import to_deadline_report
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED

from .task_runtime import Runtime, Stage


def done(stage: Stage) -> Runtime:
    """A runtime that has done one task, which Ploy does not know yet."""
    stage.queue.order("grant", "ann", "g")
    runtime = Runtime(stage)
    runtime.poller.step()
    runtime.worker.step()
    return runtime


def test_a_report_waits_through_an_outage_of_hours_and_a_restart(stage: Stage) -> None:
    runtime = done(stage)
    stage.queue.is_down = True
    pauses = []
    for _ in range(10):
        pauses.append(runtime.outbox.step())
        stage.clock.move(pauses[-1])
    runtime.close()
    stage.clock.move(4 * 3600)
    assert stage.queue.is_worked_off, "Ploy made a manual task of it meanwhile"
    stage.queue.is_down = False
    stage.work_off()
    stage.check()
    assert isinstance(stage.queue.result("t1"), wire.TaskDone)
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_task_leased_again_is_not_done_again_and_its_report_goes_under_the_new_lease(stage: Stage) -> None:
    runtime = done(stage)
    stage.clock.move(61)
    runtime.poller.step()
    assert stage.queue.entries["t1"].leases == 2
    assert not runtime.worker.step()
    runtime.outbox.step()
    assert isinstance(stage.queue.result("t1"), wire.TaskDone)
    assert len(stage.club.calls) == 1
    runtime.close()


def test_a_report_under_a_lease_that_was_lost_is_dropped_and_noted(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = done(stage)
    stage.clock.move(61)
    stage.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
    runtime.outbox.step()
    held = runtime.journal.task("t1")
    assert held is not None
    assert (runtime.journal.reports(), held.ending) == ([], "The report was dropped: lease_lost")
    assert "task t1: the report is dropped: lease_lost" in caplog.text
    runtime.close()


def test_what_was_done_is_reported_when_the_task_is_leased_again_although_its_report_was_dropped(stage: Stage) -> None:
    runtime = done(stage)
    stage.clock.move(61)
    stage.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
    runtime.outbox.step()
    stage.clock.move(61)
    stage.work_off(runtime)
    report = stage.queue.result("t1")
    assert isinstance(report, wire.TaskDone)
    assert report.change is not None
    assert (report.change.outcome, stage.club.effects("t1")) == ("applied", 1)


def test_what_was_ended_and_begins_anew_is_not_said_to_have_changed_nothing(stage: Stage) -> None:
    runtime = done(stage)
    runtime.outbox.step()
    held = runtime.journal.task("t1")
    assert held is not None
    assert held.ending == ACKNOWLEDGED
    runtime.journal.lease(held.task, held.lease_ends_at)  # Ploy was restored from a backup
    again = runtime.journal.task("t1")
    assert again is not None
    assert (again.report, again.ending) == (None, None)
    report = to_deadline_report(again, "Nobody came to it.")
    assert isinstance(report, wire.TaskFailed)
    assert report.code == "state_unknown"


def test_a_report_that_ploy_does_not_take_keeps_no_other_waiting(stage: Stage) -> None:
    stage.queue.order("grant", "ann", "g")
    stage.queue.order("grant", "bob", "g")
    runtime = Runtime(stage)
    runtime.poller.step()
    while runtime.worker.step():
        pass
    stage.queue.refused = {"t1"}
    runtime.outbox.step()
    assert [held.task.id for held in runtime.journal.reports()] == ["t1"]
    stage.queue.refused = set()
    stage.work_off(runtime)
    stage.check()
