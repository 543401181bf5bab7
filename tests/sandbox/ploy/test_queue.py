"""Which runtime gets which task, and when."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import TaskGoneError
from ploy_connector_aws.sandbox.ploy import ForbiddenError

from .conftest import USERS, Customer, Enroll, accounts
from .worker import Worker

LEASE = timedelta(minutes=5)
HOUR = timedelta(hours=1)

Act: TypeAlias = Callable[[Worker, wire.Task], object]


@pytest.fixture
def worker(acme: Customer) -> Worker:
    return Worker(acme)


@pytest.fixture
def other(worker: Worker) -> Worker:
    return replace(worker, holder="runtime-2")


def test_task_is_leased_as_it_was_created(acme: Customer, worker: Worker) -> None:
    now = acme.clock.now
    ordered = [
        worker.order("grant", "u1", "g1", reason="on call"),
        worker.order("revoke", "u2", "g1", preview=True, deadline=now + timedelta(minutes=9)),
        worker.order("check"),
        worker.order("sync", preview=True),
    ]

    tasks = worker.lease()

    assert len({task.lease_id for task in tasks}) == 4
    assert tasks == tuple(
        wire.Task(
            id=order.id,
            kind=order.kind,
            preview=order.preview,
            account_id=order.account_id,
            entitlement_id=order.entitlement_id,
            reason=order.reason,
            created_at=now,
            deadline=deadline,
            lease_id=task.lease_id,
            lease_seconds=300,
        )
        for order, task, deadline in zip(
            ordered, tasks, (now + HOUR, now + timedelta(minutes=9), now + HOUR, now + HOUR), strict=True
        )
    )
    assert worker.lease() == ()
    assert worker.now(ordered[0]) == ordered[0]._replace(
        state="leased", attempts=1, lease_id=tasks[0].lease_id, lease_ends_at=now + LEASE, holder="runtime-1"
    )


def test_next_task_of_a_pair_is_leased_after_the_previous_one_ended(
    acme: Customer, worker: Worker, other: Worker
) -> None:
    ids = [worker.order(kind).id for kind in ("grant", "revoke", "grant", "revoke")]

    (first,) = worker.lease()
    assert (first.id, other.lease()) == (ids[0], ())
    worker.complete(first)
    (second,) = other.lease()
    assert (second.id, worker.lease()) == (ids[1], ())
    other.fail(second)
    (third,) = worker.lease()
    acme.clock.pass_by(hours=2)
    assert (third.id, other.lease()) == (ids[2], ())

    assert [task.state for task in acme.ploy.queue(acme.id).tasks()] == ["done", "manual", "manual", "manual"]


def test_manual_task_does_not_hold_up_its_pair(acme: Customer, worker: Worker) -> None:
    first = worker.order("grant", deadline=acme.clock.now + timedelta(minutes=6))
    second = worker.order("revoke")
    worker.lease()

    acme.clock.pass_by(minutes=5)
    assert worker.lease_ids() == [first.id]
    acme.clock.pass_by(minutes=5)
    assert worker.lease_ids() == [second.id]


def test_revokes_are_leased_first_and_others_in_creation_order(worker: Worker) -> None:
    late = worker.order("grant", "u1")
    check = worker.order("check")
    behind = worker.order("revoke", "u1")
    preview = worker.order("revoke", "u2", preview=True)
    early, earlier = worker.order("revoke", "u3"), worker.order("revoke", "u3", "g2")

    assert worker.lease_ids(3) == [early.id, earlier.id, late.id]
    assert worker.lease_ids() == [check.id, preview.id]
    assert worker.now(behind).state == "queued"


def test_preview_is_independent_of_its_pair(worker: Worker) -> None:
    ids = [worker.order("grant", preview=preview).id for preview in (True, False, True, False)]

    assert worker.lease_ids() == ids[:3]


def test_at_most_max_tasks_are_leased_and_zero_returns_only_flags(acme: Customer, worker: Worker) -> None:
    ids = [worker.order("check").id for _ in range(3)]
    acme.ploy.registry.set_flags(acme.id, full_requested=True)
    acme.ploy.registry.set_intervals(acme.id, scan_interval_seconds=60, poll_interval_seconds=7)

    assert acme.client.lease_tasks(acme.id, worker.lease_request(0, wait_seconds=60)) == wire.LeaseAnswer(
        flags=wire.Flags(full_requested=True), scan_interval_seconds=60, poll_interval_seconds=7
    )
    assert (worker.lease_ids(2), worker.lease_ids(2)) == (ids[:2], ids[2:])


def test_paused_leases_nothing_and_read_only_no_changes(acme: Customer, worker: Worker) -> None:
    grant, preview = worker.order("grant"), worker.order("revoke", preview=True)
    request = worker.lease_request()

    acme.ploy.registry.set_flags(acme.id, paused=True)
    assert acme.client.lease_tasks(acme.id, request) == wire.LeaseAnswer(flags=wire.Flags(paused=True))
    acme.ploy.registry.set_flags(acme.id, paused=False, read_only=True)
    assert worker.lease_ids() == [preview.id]
    acme.ploy.registry.set_flags(acme.id, read_only=False)
    (given,) = worker.lease_with(request)
    assert given.id == grant.id

    acme.ploy.registry.set_flags(acme.id, read_only=True)
    assert worker.lease_with(request) == ()
    assert worker.extend(given) == wire.LeaseExtended(lease_seconds=300, flags=wire.Flags(read_only=True))
    acme.ploy.registry.set_flags(acme.id, paused=True)
    assert worker.lease_with(request) == ()


def test_repeated_request_gets_its_tasks_that_are_still_leased(acme: Customer, worker: Worker) -> None:
    orders = [worker.order("check") for _ in range(3)]
    request = worker.lease_request(2, wait_seconds=60)
    tasks = worker.lease_with(request)

    acme.clock.pass_by(minutes=4)
    assert worker.lease_with(request) == tasks
    assert worker.now(orders[0]).lease_ends_at == acme.clock.now + LEASE
    worker.complete(tasks[0])
    assert worker.lease_with(request) == tasks[1:]
    acme.clock.pass_by(minutes=5)
    assert worker.lease_with(request) == ()

    assert [(worker.now(task).state, worker.now(task).attempts) for task in orders] == [
        ("done", 1),
        ("queued", 1),
        ("queued", 0),
    ]


def test_request_id_of_another_worker_is_another_request(worker: Worker, other: Worker) -> None:
    ids = [worker.order("check").id for _ in range(2)]

    given = [one.lease(1, request_id="same")[0].id for one in (worker, other, worker)]

    assert given == [ids[0], ids[1], ids[0]]


def test_lost_response_loses_no_task(acme: Customer, worker: Worker) -> None:
    order = worker.order("grant")
    acme.ploy.faults.drop_after("lease_tasks", times=3)

    (task,) = worker.lease()

    assert (task.id, task.lease_id, worker.now(order).attempts) == (order.id, worker.now(order).lease_id, 1)


def test_task_with_an_expired_lease_returns_to_its_place(acme: Customer, worker: Worker, other: Worker) -> None:
    first, second = worker.order("check"), worker.order("check")
    (lost,) = worker.lease(1)

    acme.clock.pass_by(minutes=5)
    again, behind = other.lease()

    assert (again.id, behind.id) == (first.id, second.id)
    assert again.lease_id != lost.lease_id
    assert (worker.now(first).attempts, worker.now(first).holder) == (2, "runtime-2")
    assert worker.history(first) == [
        ("created", None),
        ("leased", "by runtime-1"),
        ("lease_ended", "of runtime-1"),
        ("leased", "by runtime-2"),
    ]


def test_expired_lease_counts_until_the_task_is_leased_again(acme: Customer, worker: Worker, other: Worker) -> None:
    order = worker.order("grant")
    (task,) = worker.lease()

    acme.clock.pass_by(minutes=30)
    assert worker.extend(task) == wire.LeaseExtended(lease_seconds=300)
    assert (other.lease(), worker.history(order)[-1]) == ((), ("resumed", "by runtime-1"))
    acme.clock.pass_by(minutes=6)
    assert worker.complete(task).state == "done"


@pytest.mark.parametrize("act", [Worker.extend, Worker.complete, Worker.fail])
def test_lost_lease_changes_nothing(acme: Customer, worker: Worker, other: Worker, act: Act) -> None:
    order = worker.order("grant")
    (old,) = worker.lease()
    acme.clock.pass_by(minutes=5)
    (new,) = other.lease()
    before = worker.now(order)

    with pytest.raises(TaskGoneError) as caught:
        act(worker, old)

    assert caught.value.code == "lease_lost"
    assert (worker.now(order), before.lease_id) == (before, new.lease_id)


def test_extended_lease_keeps_the_task(acme: Customer, worker: Worker, other: Worker) -> None:
    worker.order("grant")
    (task,) = worker.lease()

    for _ in range(14):
        acme.clock.pass_by(minutes=4)
        worker.extend(task)

    assert other.lease() == ()
    worker.complete(task)
    with pytest.raises(TaskGoneError) as caught:
        worker.extend(task)
    assert caught.value.code == "lease_lost"


@pytest.mark.parametrize("act", [Worker.extend, Worker.complete, Worker.fail])
def test_unknown_task_and_that_of_another_integration_are_unknown(
    acme: Customer, enroll: Enroll, worker: Worker, act: Act
) -> None:
    worker.order("grant")
    (task,) = worker.lease()
    elsewhere = Worker(replace(acme, id=acme.ploy.registry.create_integration(acme.organisation_id, "aws").id))

    for asker, asked in ((worker, task.model_copy(update={"id": "task-none"})), (elsewhere, task)):
        with pytest.raises(TaskGoneError) as caught:
            act(asker, asked)
        assert caught.value.code == "task_unknown"


def test_invalid_task_is_rejected(acme: Customer, worker: Worker) -> None:
    orders: list[tuple[Callable[[], object], str]] = [
        (lambda: acme.ploy.create_task(acme.id, "grant"), "names an account and an entitlement"),
        (lambda: acme.ploy.create_task(acme.id, "check", account_id="u1", entitlement_id="g1"), "names an account"),
        (lambda: worker.order("grant", account=""), "at least 1 character"),
        (lambda: worker.order("check", preview=True), "has no preview"),
        (lambda: worker.order("check", deadline=acme.clock.now), "deadline has passed"),
        (lambda: acme.ploy.create_task("int-none", "check"), "no such integration"),
    ]
    for order, reason in orders:
        with pytest.raises(ForbiddenError, match=reason):
            order()
    assert acme.ploy.queue(acme.id).tasks() == []


def test_thousand_tasks_are_leased_fast(acme: Customer, worker: Worker) -> None:
    for number in range(1000):
        worker.order("revoke" if number % 3 else "grant", f"u{number % 500}")
    took = []
    for _ in range(10):
        began = time.thread_time()  # of processor time, independent of other processes
        answer = acme.ploy.lease_tasks(acme.id, worker.lease_request(20))
        took.append(time.thread_time() - began)
        assert len(answer.tasks) == 20

    assert min(took) < 0.01


def test_simultaneous_runtimes_never_lease_the_same_task_during_a_commit(acme: Customer, worker: Worker) -> None:
    orders = [worker.order("grant", f"u{number}") for number in range(60)]

    def work(number: int) -> list[str]:
        answers = [
            acme.ploy.lease_tasks(acme.id, worker.lease_request(2, worker_id=f"runtime-{number}")) for _ in range(5)
        ]
        return [task.id for answer in answers for task in answer.tasks]

    with ThreadPoolExecutor(6) as threads:
        given = [threads.submit(work, number) for number in range(6)]
        generations = [acme.sync(USERS, *accounts(100 + number)).generation for number in range(3)]

    assert sorted(id_ for one in given for id_ in one.result(30)) == sorted(order.id for order in orders)
    assert generations == [1, 2, 3]
