"""Leases: tasks are leased as workers are free, renewed meanwhile, and begun only under a sufficient lease."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ploy_connector_aws.host import Blocker
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks import Journal, TaskEvents
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED
from ploy_connector_aws.spec import AccessRequest
from tests.runtime.records import START

from .fake_task_queue import NOT_REPORTED
from .task_runtime import Runtime, TaskRuntimeHarness


def test_revokes_take_precedence_then_older_tasks(harness: TaskRuntimeHarness) -> None:
    for kind, person in [("grant", "a"), ("revoke", "b"), ("grant", "c"), ("revoke", "d")]:
        harness.queue.order(kind, person, "g")  # type: ignore[arg-type]
    harness.work_off()
    assert [request.account_id for request in harness.memberships.calls] == ["b", "d", "a", "c"]


def test_tasks_that_wait_for_a_retry_occupy_no_worker(harness: TaskRuntimeHarness) -> None:
    for number in range(12):
        harness.queue.order("grant", f"p{number}", "g")
    harness.memberships.mishaps = dict.fromkeys(range(1, 10), "later")
    runtime = Runtime(harness)
    for _ in range(4):
        runtime.turn()
    assert (len(harness.memberships.history), len(runtime.journal.open_tasks())) == (3, 9)
    harness.work_off(runtime)
    assert len(harness.memberships.history) == 12


def test_a_lease_is_renewed_while_the_task_waits_for_a_retry(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    harness.memberships.mishaps = {1: "later"}
    harness.work_off()
    assert harness.queue.entries[task_id].leases == 1
    assert harness.queue.calls.count("extend_lease") == 6


def test_an_attempt_must_write_before_the_lease_and_the_deadline_end(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.queue.order("grant", "bob", "g", minutes=1)
    harness.work_off()
    assert {request.account_id: request.write_before for request in harness.memberships.calls} == {
        "ann": START + timedelta(seconds=55),
        "bob": START + timedelta(seconds=30),
    }


def test_no_task_begins_under_a_lease_about_to_expire(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    runtime = Runtime(harness)
    runtime.poller.step()
    harness.clock.move(31)
    assert not runtime.worker.step()
    runtime.renewer.step()
    assert runtime.worker.step()
    assert harness.memberships.calls[0].write_before == START + timedelta(seconds=31 + 55)
    runtime.close()


def test_a_task_leased_to_another_runtime_is_not_begun(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    runtime = Runtime(harness)
    runtime.poller.step()
    harness.clock.move(61)
    other = harness.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
    runtime.renewer.step()
    assert runtime.worker.step(), "it is dropped"
    assert not runtime.worker.step()
    dropped = runtime.journal.task(task_id)
    assert dropped is not None
    assert (dropped.ending, harness.memberships.calls, len(other.tasks)) == (
        "The lease was lost before it was done.",
        [],
        1,
    )
    runtime.close()


class Recorder(TaskEvents):
    def __init__(self) -> None:
        self.all: list[tuple[object, ...]] = []

    def ended(self, kind: wire.TaskKind, outcome: str) -> None:
        self.all.append(("ended", kind, outcome))

    def outbox(self, waiting: int) -> None:
        self.all.append(("outbox", waiting))

    def acknowledged(self, kind: wire.TaskKind) -> None:
        self.all.append(("acknowledged", kind))

    def polled(self, answer: wire.LeaseAnswer) -> None:
        self.all.append(("polled",))


def test_a_report_of_success_is_sent_also_after_the_lease_was_lost(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    runtime = Runtime(harness)

    def mark_lease_lost(request: AccessRequest) -> None:
        # Ploy gave the task up at its deadline, so it extends no lease; it still takes the report of the newest one.
        held = runtime.journal.task(request.request_id)
        assert held is not None
        runtime.journal.mark_lease_lost(held.task)

    harness.memberships.on_call = mark_lease_lost
    runtime.poller.step()
    runtime.worker.step()
    runtime.outbox.step()
    report = harness.queue.result(task_id)
    assert isinstance(report, wire.TaskDone)
    assert report.change is not None
    assert report.change.outcome == "applied"
    runtime.close()


def test_a_report_that_crosses_a_new_lease_is_sent_under_it_without_another_attempt(
    harness: TaskRuntimeHarness,
) -> None:
    harness.queue.order("grant", "ann", "g")
    runtime = Runtime(harness)
    runtime.poller.step()
    runtime.worker.step()
    harness.clock.move(61)
    # Ploy gives the task again, and the report under the old lease comes before that answer is heard.
    pending_poll = wire.LeaseRequest(request_id="again", worker_id=runtime.journal.worker_id, max_tasks=1)
    answer = harness.queue.lease_tasks("one", pending_poll)
    runtime.outbox.step()
    (held,) = [runtime.journal.task(task.id) for task in answer.tasks]
    assert held is not None
    assert held.ending is not None
    for task in answer.tasks:
        runtime.journal.lease(task, harness.clock() + timedelta(seconds=task.lease_seconds))
    harness.memberships.calls.clear()
    runtime.worker.step()
    runtime.outbox.step()
    report = harness.queue.result(held.task.id)
    assert isinstance(report, wire.TaskDone)
    assert report.change is not None
    assert (report.change.outcome, harness.memberships.calls) == ("applied", [])
    runtime.close()


def test_the_next_task_of_a_pair_waits_until_the_report_of_the_one_before_is_taken(harness: TaskRuntimeHarness) -> None:
    first = harness.queue.order("grant", "ann", "g")
    runtime = Runtime(harness)
    runtime.poller.step()
    runtime.worker.step()
    held = runtime.journal.task(first)
    assert held is not None
    another = held.task.model_copy(update={"id": "another", "kind": "revoke", "lease_id": "l2"})
    runtime.journal.lease(another, held.lease_ends_at)
    assert runtime.coordinator.take() is None
    runtime.outbox.step()
    taken = runtime.coordinator.take()
    assert taken is not None
    assert taken.task.id == "another"
    older = another.model_copy(update={"id": "older", "created_at": another.created_at - timedelta(hours=1)})
    runtime.journal.lease(older, held.lease_ends_at)
    assert runtime.coordinator.take() is None, "no second worker takes a task on the same pair"
    runtime.close()


def test_a_report_of_a_task_leased_by_another_worker_is_rejected_and_the_verified_change_is_kept(
    harness: TaskRuntimeHarness,
) -> None:
    task_id = harness.queue.order("grant", "ann", "g")
    reported = Recorder()
    runtime = Runtime(harness, events=reported)

    def mark_lease_lost(_: AccessRequest) -> None:
        harness.clock.move(61)
        harness.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
        runtime.renewer.step()

    # The write begins too late, so that a connector that keeps to the time it was given would not make it.
    harness.memberships.keeps_time = False
    harness.memberships.on_call = mark_lease_lost
    runtime.poller.step()
    runtime.worker.step()
    runtime.outbox.step()
    held = runtime.journal.task(task_id)
    assert held is not None
    assert held.ending is not None
    assert (held.ending.startswith("The report was dropped"), harness.queue.result(task_id)) == (True, None)
    assert [change.id for change in runtime.journal.verified()] == [task_id]
    assert reported.all[-2:] == [("ended", "grant", "applied"), ("outbox", 0)]
    runtime.close()


@pytest.mark.parametrize(
    ("flags", "begun"),
    [
        (wire.Flags(), ["grant", "grant preview", "check", "sync"]),
        (wire.Flags(read_only=True), ["grant preview", "check", "sync"]),
        (wire.Flags(paused=True), []),
    ],
)
def test_what_ploy_allows_is_obeyed_for_tasks_that_are_here_already(
    harness: TaskRuntimeHarness, flags: wire.Flags, begun: list[str]
) -> None:
    harness.queue.order("grant", "ann", "g", minutes=3)
    harness.queue.order("grant", "bob", "g", preview=True, minutes=3)
    harness.queue.order("check", minutes=3)
    harness.queue.order("sync", minutes=3)
    names = {"t1": "grant", "t2": "grant preview", "t3": "check", "t4": "sync"}
    runtime = Runtime(harness)
    runtime.poller.step()
    harness.queue.flags = flags
    harness.clock.move(25)
    runtime.renewer.step()  # its answers bring the flags
    while runtime.worker.step():
        pass
    done = [names[held.task.id] for held in runtime.journal.reports()]
    assert done == begun
    # The others wait until their deadlines, and are then reported as not done.
    harness.work_off(runtime)
    reason = "paused" if flags.paused else "read-only"
    for id_, name in names.items():
        report = harness.queue.result(id_)
        assert isinstance(report, wire.TaskDone) == (name in begun)
        if isinstance(report, wire.TaskFailed):
            assert (report.code, report.message.endswith(f"The integration is {reason}.")) == ("not_done", True)
    harness.check()


def test_of_a_connection_that_others_could_use_nothing_but_tests_begin(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g", minutes=3)
    harness.queue.order("grant", "bob", "g", preview=True, minutes=3)
    harness.queue.order("sync", minutes=3)
    check = harness.queue.order("check", minutes=3)
    blocked = [Blocker("connection_test", "assume-role", "Others are let in, too.")]
    runtime = Runtime(harness, connection_blocker=lambda: blocked[0] if blocked else None)
    runtime.poller.step()
    while runtime.worker.step():
        pass
    assert ([held.task.id for held in runtime.journal.reports()], harness.memberships.calls) == ([check], [])
    blocked.clear()
    while runtime.worker.step():
        pass
    assert len(runtime.journal.reports()) == 4
    runtime.close()


def test_after_a_start_no_task_begins_before_ploy_has_answered(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    first = Runtime(harness)
    first.poller.step()
    first.close()
    again = Runtime(harness)
    assert not again.worker.step()
    again.coordinator.set_flags(wire.Flags())
    assert again.worker.step()
    again.close()


def test_a_task_that_nobody_may_begin_is_reported_before_its_deadline(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g", minutes=2)
    runtime = Runtime(harness)
    runtime.poller.step()
    harness.queue.flags = wire.Flags(paused=True)
    harness.work_off(runtime, seconds=15)
    report = harness.queue.result(task_id)
    assert isinstance(report, wire.TaskFailed)
    assert report != NOT_REPORTED
    assert (report.code, report.message) == (
        "not_done",
        "It was not done before its deadline, and nothing was changed. The integration is paused.",
    )


def test_of_two_tasks_on_one_pair_the_younger_waits_whatever_ploy_gives_out(harness: TaskRuntimeHarness) -> None:
    tasks = [
        wire.Task(
            id=id_,
            kind=kind,
            account_id="ann",
            entitlement_id="g",
            created_at=START + timedelta(seconds=second),
            deadline=START + timedelta(hours=1),
            lease_id=f"lease of {id_}",
            lease_seconds=60,
        )
        for id_, kind, second in [("younger", "revoke", 1), ("older", "grant", 0)]
    ]
    runtime = Runtime(harness)
    runtime.coordinator.set_flags(wire.Flags())
    for task in tasks:
        runtime.journal.lease(task, START + timedelta(seconds=60))
    older = runtime.coordinator.take()
    assert older is not None
    assert older.task.id == "older"
    assert runtime.coordinator.take() is None
    runtime.coordinator.release(older)
    while runtime.worker.step():
        pass
    assert [request.request_id for request in harness.memberships.calls] == ["older"]
    runtime.journal.end(older.task, ACKNOWLEDGED, START)
    while runtime.worker.step():
        pass
    assert [request.request_id for request in harness.memberships.calls] == ["older", "younger"]
    runtime.close()


def test_events_report_what_happens(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.memberships.mishaps = {1: "nothing"}
    harness.queue.faults = {2: "lost"}
    reported = Recorder()
    runtime = Runtime(harness, events=reported)
    runtime.turn()
    harness.clock.move(10)
    runtime.turn()
    harness.clock.move(10)
    runtime.turn()
    assert reported.all == [
        ("polled",),
        ("ended", "grant", "again"),
        ("outbox", 0),
        ("ended", "grant", "applied"),
        ("acknowledged", "grant"),
        ("outbox", 0),
        ("polled",),
        ("outbox", 0),
    ]
    runtime.close()


def test_the_holder_stays_the_same_for_one_task_file(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.folder / "a.sqlite") as one, Journal(harness.folder / "b.sqlite") as other:
        assert one.worker_id != other.worker_id
        with Journal(harness.folder / "a.sqlite") as again:
            assert again.worker_id == one.worker_id


def test_two_syncs_are_never_made_at_the_same_time(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("sync")
    harness.queue.order("sync")
    runtime = Runtime(harness)
    runtime.poller.step()
    first = runtime.coordinator.take()
    assert first is not None
    assert runtime.coordinator.take() is None
    runtime.coordinator.release(first)
    harness.work_off(runtime)
    harness.check()


def test_a_task_that_slept_past_its_deadline_is_reported_as_not_done(harness: TaskRuntimeHarness) -> None:
    task_id = harness.queue.order("grant", "ann", "g", minutes=2)
    runtime = Runtime(harness)
    runtime.poller.step()
    harness.clock.move(600)
    assert harness.queue.is_worked_off
    assert harness.queue.result(task_id) == NOT_REPORTED
    harness.work_off(runtime)
    report = harness.queue.result(task_id)
    assert isinstance(report, wire.TaskFailed)
    assert (report.code, harness.memberships.calls) == ("not_done", [])
