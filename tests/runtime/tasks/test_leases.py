"""Tasks are asked for as they can be done, kept while they are worked on, and begun under a lease that covers it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ploy_connector_aws.host import Blocker
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks import Journal, TaskEvents
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED
from ploy_connector_aws.spec import AccessRequest
from tests.runtime.records import START

from .fake_task_queue import UNHEARD
from .task_runtime import Runtime, Stage


def test_revokes_go_first_and_then_what_was_ordered_first(stage: Stage) -> None:
    for kind, person in [("grant", "a"), ("revoke", "b"), ("grant", "c"), ("revoke", "d")]:
        stage.queue.order(kind, person, "g")  # type: ignore[arg-type]
    stage.work_off()
    assert [request.account_id for request in stage.club.calls] == ["b", "d", "a", "c"]


def test_tasks_that_wait_for_another_attempt_keep_no_worker(stage: Stage) -> None:
    for number in range(12):
        stage.queue.order("grant", f"p{number}", "g")
    stage.club.mishaps = dict.fromkeys(range(1, 10), "later")
    runtime = Runtime(stage)
    for _ in range(4):
        runtime.turn()
    assert (len(stage.club.history), len(runtime.journal.open_tasks())) == (3, 9)
    stage.work_off(runtime)
    assert len(stage.club.history) == 12


def test_a_lease_is_kept_while_the_task_waits_for_another_attempt(stage: Stage) -> None:
    task_id = stage.queue.order("grant", "ann", "g")
    stage.club.mishaps = {1: "later"}
    stage.work_off()
    assert stage.queue.entries[task_id].leases == 1
    assert stage.queue.calls.count("extend_lease") == 6


def test_an_attempt_must_write_before_the_lease_and_the_deadline_end(stage: Stage) -> None:
    stage.queue.order("grant", "ann", "g")
    stage.queue.order("grant", "bob", "g", minutes=1)
    stage.work_off()
    assert {request.account_id: request.write_before for request in stage.club.calls} == {
        "ann": START + timedelta(seconds=55),
        "bob": START + timedelta(seconds=30),
    }


def test_nothing_is_begun_under_a_lease_that_is_nearly_over(stage: Stage) -> None:
    stage.queue.order("grant", "ann", "g")
    runtime = Runtime(stage)
    runtime.poller.step()
    stage.clock.move(31)
    assert not runtime.worker.step()
    runtime.renewer.step()
    assert runtime.worker.step()
    assert stage.club.calls[0].write_before == START + timedelta(seconds=31 + 55)
    runtime.close()


def test_a_task_that_somebody_else_has_by_now_is_not_begun(stage: Stage) -> None:
    task_id = stage.queue.order("grant", "ann", "g")
    runtime = Runtime(stage)
    runtime.poller.step()
    stage.clock.move(61)
    other = stage.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
    runtime.renewer.step()
    assert runtime.worker.step(), "it is dropped"
    assert not runtime.worker.step()
    dropped = runtime.journal.task(task_id)
    assert dropped is not None
    assert (dropped.ending, stage.club.calls, len(other.tasks)) == ("The lease was lost before it was done.", [], 1)
    runtime.close()


class Told(TaskEvents):
    def __init__(self) -> None:
        self.all: list[tuple[object, ...]] = []

    def leased(self, kind: wire.TaskKind) -> None:
        self.all.append(("leased", kind))

    def begun(self, kind: wire.TaskKind) -> None:
        self.all.append(("begun", kind))

    def ended(self, kind: wire.TaskKind, outcome: str, seconds: float) -> None:
        self.all.append(("ended", kind, outcome, seconds))

    def outbox(self, waiting: int) -> None:
        self.all.append(("outbox", waiting))

    def acknowledged(self, kind: wire.TaskKind) -> None:
        self.all.append(("acknowledged", kind))

    def dropped(self, kind: wire.TaskKind) -> None:
        self.all.append(("dropped", kind))

    def polled(self, answer: wire.LeaseAnswer) -> None:
        self.all.append(("polled",))

    def poll_failed(self, reason: str) -> None:
        self.all.append(("poll_failed", reason))


def test_a_true_report_is_sent_although_the_lease_is_said_to_be_lost(stage: Stage) -> None:
    task_id = stage.queue.order("grant", "ann", "g")
    runtime = Runtime(stage)

    def mark_lease_lost(request: AccessRequest) -> None:
        # Ploy gave the task up at its deadline, so it extends no lease; it still takes the report of the newest one.
        held = runtime.journal.task(request.request_id)
        assert held is not None
        runtime.journal.mark_lease_lost(held.task)

    stage.club.on_call = mark_lease_lost
    runtime.poller.step()
    runtime.worker.step()
    runtime.outbox.step()
    report = stage.queue.result(task_id)
    assert isinstance(report, wire.TaskDone)
    assert report.change is not None
    assert report.change.outcome == "applied"
    runtime.close()


def test_a_true_report_that_crosses_a_new_lease_is_sent_under_that_and_not_made_again(stage: Stage) -> None:
    stage.queue.order("grant", "ann", "g")
    runtime = Runtime(stage)
    runtime.poller.step()
    runtime.worker.step()
    stage.clock.move(61)
    # Ploy gives the task again, and the report under the old lease comes before that answer is heard.
    pending_poll = wire.LeaseRequest(request_id="again", worker_id=runtime.journal.worker_id, max_tasks=1)
    answer = stage.queue.lease_tasks("one", pending_poll)
    runtime.outbox.step()
    (held,) = [runtime.journal.task(task.id) for task in answer.tasks]
    assert held is not None
    assert held.ending is not None
    for task in answer.tasks:
        runtime.journal.lease(task, stage.clock() + timedelta(seconds=task.lease_seconds))
    stage.club.calls.clear()
    runtime.worker.step()
    runtime.outbox.step()
    report = stage.queue.result(held.task.id)
    assert isinstance(report, wire.TaskDone)
    assert report.change is not None
    assert (report.change.outcome, stage.club.calls) == ("applied", [])
    runtime.close()


def test_the_next_task_of_a_pair_waits_until_the_report_of_the_one_before_is_taken(stage: Stage) -> None:
    first = stage.queue.order("grant", "ann", "g")
    runtime = Runtime(stage)
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
    assert runtime.coordinator.take() is None, "nobody works on a pair beside another"
    runtime.close()


def test_a_report_of_a_task_that_somebody_else_got_is_refused_and_what_was_verified_is_kept(
    stage: Stage,
) -> None:
    task_id = stage.queue.order("grant", "ann", "g")
    told = Told()
    runtime = Runtime(stage, events=told)

    def mark_lease_lost(_: AccessRequest) -> None:
        stage.clock.move(61)
        stage.queue.lease_tasks("one", wire.LeaseRequest(request_id="other", worker_id="other", max_tasks=1))
        runtime.renewer.step()

    # The write begins too late, so that a connector that keeps to the time it was given would not make it.
    stage.club.keeps_time = False
    stage.club.on_call = mark_lease_lost
    runtime.poller.step()
    runtime.worker.step()
    runtime.outbox.step()
    held = runtime.journal.task(task_id)
    assert held is not None
    assert held.ending is not None
    assert (held.ending.startswith("The report was dropped"), stage.queue.result(task_id)) == (True, None)
    assert [change.id for change in runtime.journal.verified()] == [task_id]
    assert told.all[-2:] == [("dropped", "grant"), ("outbox", 0)]
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
    stage: Stage, flags: wire.Flags, begun: list[str]
) -> None:
    stage.queue.order("grant", "ann", "g", minutes=3)
    stage.queue.order("grant", "bob", "g", preview=True, minutes=3)
    stage.queue.order("check", minutes=3)
    stage.queue.order("sync", minutes=3)
    names = {"t1": "grant", "t2": "grant preview", "t3": "check", "t4": "sync"}
    runtime = Runtime(stage)
    runtime.poller.step()
    stage.queue.flags = flags
    stage.clock.move(25)
    runtime.renewer.step()  # its answers say so
    while runtime.worker.step():
        pass
    done = [names[held.task.id] for held in runtime.journal.reports()]
    assert done == begun
    # The others are kept until it is too late, and then said not to have been done.
    stage.work_off(runtime)
    hindrance = "paused" if flags.paused else "read-only"
    for id_, name in names.items():
        report = stage.queue.result(id_)
        assert isinstance(report, wire.TaskDone) == (name in begun)
        if isinstance(report, wire.TaskFailed):
            assert (report.code, report.message.endswith(f"The integration is {hindrance}.")) == ("not_done", True)
    stage.check()


def test_of_a_connection_that_others_could_use_nothing_but_tests_begin(stage: Stage) -> None:
    stage.queue.order("grant", "ann", "g", minutes=3)
    stage.queue.order("grant", "bob", "g", preview=True, minutes=3)
    stage.queue.order("sync", minutes=3)
    check = stage.queue.order("check", minutes=3)
    blocked = [Blocker("connection_test", "assume-role", "Others are let in, too.")]
    runtime = Runtime(stage, connection_blocker=lambda: blocked[0] if blocked else None)
    runtime.poller.step()
    while runtime.worker.step():
        pass
    assert ([held.task.id for held in runtime.journal.reports()], stage.club.calls) == ([check], [])
    blocked.clear()
    while runtime.worker.step():
        pass
    assert len(runtime.journal.reports()) == 4
    runtime.close()


def test_after_a_start_nothing_is_begun_before_ploy_said_that_it_may_be(stage: Stage) -> None:
    stage.queue.order("grant", "ann", "g")
    first = Runtime(stage)
    first.poller.step()
    first.close()
    again = Runtime(stage)
    assert not again.worker.step()
    again.coordinator.set_flags(wire.Flags())
    assert again.worker.step()
    again.close()


def test_a_task_that_nobody_may_begin_is_reported_before_its_deadline(stage: Stage) -> None:
    task_id = stage.queue.order("grant", "ann", "g", minutes=2)
    runtime = Runtime(stage)
    runtime.poller.step()
    stage.queue.flags = wire.Flags(paused=True)
    stage.work_off(runtime, seconds=15)
    report = stage.queue.result(task_id)
    assert isinstance(report, wire.TaskFailed)
    assert report != UNHEARD
    assert (report.code, report.message) == (
        "not_done",
        "It was not done before its deadline, and nothing was changed. The integration is paused.",
    )


def test_of_two_tasks_on_one_pair_the_younger_waits_whatever_ploy_gives_out(stage: Stage) -> None:
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
    runtime = Runtime(stage)
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
    assert [request.request_id for request in stage.club.calls] == ["older"]
    runtime.journal.end(older.task, ACKNOWLEDGED, START)
    while runtime.worker.step():
        pass
    assert [request.request_id for request in stage.club.calls] == ["older", "younger"]
    runtime.close()


def test_whoever_counts_is_told_what_happens(stage: Stage) -> None:
    stage.queue.order("grant", "ann", "g")
    stage.club.mishaps = {1: "nothing"}
    stage.queue.faults = {2: "lost"}
    told = Told()
    runtime = Runtime(stage, events=told)
    runtime.turn()
    stage.clock.move(10)
    runtime.turn()
    stage.clock.move(10)
    runtime.turn()
    assert told.all == [
        ("leased", "grant"),
        ("polled",),
        ("begun", "grant"),
        ("ended", "grant", "again", 0.0),
        ("outbox", 0),
        ("poll_failed", "PlatformUnavailableError"),
        ("begun", "grant"),
        ("ended", "grant", "applied", 0.0),
        ("acknowledged", "grant"),
        ("outbox", 0),
        ("polled",),
        ("outbox", 0),
    ]
    runtime.close()


def test_the_holder_stays_the_same_for_one_task_file(stage: Stage) -> None:
    with Journal(stage.folder / "a.sqlite") as one, Journal(stage.folder / "b.sqlite") as other:
        assert one.worker_id != other.worker_id
        with Journal(stage.folder / "a.sqlite") as again:
            assert again.worker_id == one.worker_id


def test_two_syncs_are_never_made_at_the_same_time(stage: Stage) -> None:
    stage.queue.order("sync")
    stage.queue.order("sync")
    runtime = Runtime(stage)
    runtime.poller.step()
    first = runtime.coordinator.take()
    assert first is not None
    assert runtime.coordinator.take() is None
    runtime.coordinator.release(first)
    stage.work_off(runtime)
    stage.check()


def test_a_task_that_slept_past_its_deadline_is_still_said_not_to_have_been_done(stage: Stage) -> None:
    task_id = stage.queue.order("grant", "ann", "g", minutes=2)
    runtime = Runtime(stage)
    runtime.poller.step()
    stage.clock.move(600)
    assert stage.queue.is_worked_off
    assert stage.queue.result(task_id) == UNHEARD
    stage.work_off(runtime)
    report = stage.queue.result(task_id)
    assert isinstance(report, wire.TaskFailed)
    assert (report.code, stage.club.calls) == ("not_done", [])
