"""Valid reports of tasks, and tasks without a report."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError, TaskGoneError
from ploy_connector_aws.sandbox.ploy import ForbiddenError
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.verified import VerifiedChange
from ploy_connector_aws.spec import AccessPath, Failure

from .conftest import USERS, Customer, account
from .worker import REPORT, SCOPE, Worker, change_of, done_of, failed_of, grant_of, verified

FAILURE = Failure(
    code="permission_missing",
    message="The role may not write.",
    fix="allow it",
    missing_permissions=("identitystore:CreateGroupMembership",),
    request_id="r-1",
)


@pytest.fixture
def worker(acme: Customer) -> Worker:
    return Worker(acme)


@pytest.mark.parametrize("kind", ["grant", "revoke"])
def test_verified_change_ends_its_task_and_is_stored(acme: Customer, worker: Worker, kind: wire.TaskKind) -> None:
    order = worker.order(kind)
    (task,) = worker.lease()
    done = done_of(task, acme.clock.now)

    assert worker.complete(task, done) == wire.TaskStatus(id=order.id, state="done")

    assert worker.now(order) == order._replace(
        state="done",
        attempts=1,
        lease_id=task.lease_id,
        lease_ends_at=acme.clock.now + timedelta(minutes=5),
        holder="runtime-1",
        report=done,
        ended_at=acme.clock.now,
    )
    held = (grant_of("u1", "g1"),)
    assert verified(acme.ploy, acme.id) == (
        VerifiedChange(
            id=order.id,
            verified_at=acme.clock.now,
            scope=SCOPE,
            added=held if kind == "grant" else (),
            removed=held if kind == "revoke" else (),
        ),
    )


def test_task_end_and_its_change_are_stored_in_one_transaction(acme: Customer, worker: Worker) -> None:
    order = worker.order("grant")
    (task,) = worker.lease()
    done = done_of(task, acme.clock.now)

    for table in ("verified_changes", "ploy_task_events"):
        with closing(sqlite3.connect(acme.ploy._state_dir / "integrations" / f"{acme.id}.sqlite")) as db:
            db.execute(f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END")
            with pytest.raises(sqlite3.IntegrityError, match="full"):
                acme.ploy.complete_task(acme.id, task.id, done)
            db.execute("DROP TRIGGER full")
        assert (worker.now(order).state, verified(acme.ploy, acme.id)) == ("leased", ())

    assert worker.complete(task, done).state == "done"
    assert len(verified(acme.ploy, acme.id)) == 1


@pytest.mark.parametrize(
    ("kind", "preview"), [("grant", True), ("revoke", True), ("check", False), ("sync", False), ("sync", True)]
)
def test_report_without_a_change_ends_its_task_only(
    acme: Customer, worker: Worker, kind: wire.TaskKind, preview: bool
) -> None:
    order = worker.order(kind, preview=preview)
    (task,) = worker.lease()

    assert worker.complete(task).state == "done"

    assert worker.now(order).report == done_of(task, acme.clock.now)
    assert verified(acme.ploy, acme.id) == ()


def test_repeated_report_changes_nothing_and_another_is_rejected(acme: Customer, worker: Worker) -> None:
    order = worker.order("grant")
    (task,) = worker.lease()
    done = done_of(task, acme.clock.now)
    acme.ploy.faults.drop_after("complete_task", times=3)
    answer = worker.complete(task, done)
    after = (worker.now(order), worker.history(order), verified(acme.ploy, acme.id))
    acme.clock.pass_by(days=1)

    assert worker.complete(task, done) == answer
    others: list[Callable[[], object]] = [
        lambda: worker.complete(task, done_of(task, acme.clock.now, outcome="already_in_effect")),
        lambda: worker.fail(task),
    ]
    for other in others:
        with pytest.raises(TaskGoneError) as caught:
            other()
        assert caught.value.code == "task_conflict"

    assert (worker.now(order), worker.history(order), verified(acme.ploy, acme.id)) == after
    assert after[1] == [("created", None), ("leased", "by runtime-1"), ("done", "applied")]


def test_failed_task_becomes_a_manual_task(acme: Customer, worker: Worker) -> None:
    order, _ = worker.order("grant"), worker.order("check")
    task, _ = worker.lease()
    acme.ploy.faults.drop_after("fail_task")

    assert worker.fail(task) == wire.TaskStatus(id=order.id, state="manual")

    manual = worker.now(order)
    assert (manual.state, manual.report, manual.failure, manual.ended_at) == (
        *("manual", failed_of(task), FAILURE, acme.clock.now),
    )
    assert acme.ploy.queue(acme.id).manual() == [manual]
    assert worker.history(order)[-1] == ("manual", "permission_missing")

    acme.clock.pass_by(minutes=1)
    resolved = acme.ploy.queue(acme.id).resolve(order.id, "Done by hand.")

    assert resolved == manual._replace(resolved_at=acme.clock.now)
    assert acme.ploy.queue(acme.id).manual() == []
    assert worker.history(order)[-1] == ("resolved", "Done by hand.")
    assert worker.fail(task).state == "manual"
    with pytest.raises(TaskGoneError) as caught:
        worker.complete(task)
    assert (caught.value.code, worker.now(order)) == ("task_conflict", resolved)
    with pytest.raises(ForbiddenError, match="does not wait for a person"):
        acme.ploy.order_again(acme.id, order.id)


def test_manual_task_ordered_again_is_a_new_last_task(acme: Customer, worker: Worker) -> None:
    old = worker.order("grant", reason="on call")
    behind = worker.order("revoke")
    (task,) = worker.lease()
    worker.fail(task)
    acme.clock.pass_by(minutes=1)

    new = acme.ploy.order_again(acme.id, old.id)

    now = acme.clock.now
    assert new == old._replace(id=new.id, created_at=now, deadline=now + timedelta(hours=1))
    assert acme.ploy.queue(acme.id).tasks()[1:] == [behind, new]
    assert worker.history(old)[-1] == ("resolved", f"ordered again as {new.id}")
    assert acme.ploy.queue(acme.id).manual() == []
    (task,) = worker.lease()
    worker.complete(task)
    assert worker.lease_ids() == [new.id]


def test_only_a_manual_task_can_be_resolved(acme: Customer, worker: Worker) -> None:
    order = worker.order("grant")

    with pytest.raises(ForbiddenError, match="does not wait for a person"):
        acme.ploy.queue(acme.id).resolve(order.id, "x")
    with pytest.raises(ProblemError, match="task_unknown"):
        acme.ploy.queue(acme.id).resolve("task-none", "x")


STRANGERS = AccessPath(grants=(grant_of("u2", "g1"), grant_of("u1", "g1")))


@pytest.mark.parametrize(
    ("kind", "preview", "changes", "reason"),
    [
        ("grant", False, {"outcome": "previewed", "verified_at": None}, "reported as 'previewed'"),
        ("grant", True, {"outcome": "applied", "verified_at": 0}, "reported as 'previewed'"),
        ("grant", False, {"added": (grant_of("u2", "g1"),)}, "what another account holds"),
        ("grant", False, {"removed": (grant_of("u2", "g2"),)}, "what another account holds"),
        ("revoke", False, {"remaining_paths": (STRANGERS,)}, "what another account holds"),
        ("revoke", False, {"closed_paths": (STRANGERS,)}, "what another account holds"),
        ("grant", False, {"opened_paths": (STRANGERS,)}, "what another account holds"),
        ("grant", False, {"added": (), "removed": (grant_of("u1", "g1"),)}, "the opposite of a grant"),
        ("revoke", False, {"removed": (), "added": (grant_of("u1", "g1"),)}, "the opposite of a revoke"),
        ("grant", False, {"removed": (grant_of("u1", "g1"),)}, "as added and as removed"),
        ("grant", False, {"verified_at": -6}, "before it was ordered"),
    ],
)
def test_change_that_contradicts_its_task_is_rejected(
    acme: Customer, worker: Worker, kind: wire.TaskKind, preview: bool, changes: dict[str, Any], reason: str
) -> None:
    order = worker.order(kind, preview=preview)
    (task,) = worker.lease()
    before = worker.now(order)
    if isinstance(minutes := changes.get("verified_at"), int):
        changes = {**changes, "verified_at": acme.clock.now + timedelta(minutes=minutes)}

    with pytest.raises(PlatformRejectedError, match=reason) as caught:
        worker.complete(task, **changes)

    assert (caught.value.code, worker.now(order), verified(acme.ploy, acme.id)) == ("body_invalid", before, ())
    assert worker.complete(task).state == "done"


@pytest.mark.parametrize("moment", ["verified_at", "as_of"])
def test_change_from_the_future_is_rejected(acme: Customer, worker: Worker, moment: str) -> None:
    latest = acme.clock.now + timedelta(minutes=5)
    worker.order("grant")
    (task,) = worker.lease()

    with pytest.raises(PlatformRejectedError) as caught:
        worker.complete(task, done_of(task, acme.clock.now, **{moment: latest + timedelta(seconds=1)}))
    assert (caught.value.code, verified(acme.ploy, acme.id)) == ("clock_ahead", ())

    assert worker.complete(task, done_of(task, acme.clock.now, **{moment: latest})).state == "done"


@pytest.mark.parametrize("kind", ["grant", "revoke", "check", "sync"])
def test_report_of_another_kind_is_rejected(acme: Customer, worker: Worker, kind: wire.TaskKind) -> None:
    order = worker.order(kind)
    (task,) = worker.lease()
    right = done_of(task, acme.clock.now)
    change = change_of(order._replace(account_id="u1", entitlement_id="g1"), acme.clock.now)
    every: list[dict[str, Any]] = [{"change": change}, {"report": REPORT}, {"sync": wire.SyncSummary(status="paused")}]

    for fields in every:
        done = wire.TaskDone(lease_id=task.lease_id, **fields)
        if done.model_fields_set == right.model_fields_set:
            continue
        with pytest.raises(PlatformRejectedError, match=f"A {kind} is reported in the field") as caught:
            worker.complete(task, done)
        assert caught.value.code == "body_invalid"

    assert worker.now(order).state == "leased"
    assert worker.complete(task, right).state == "done"


@pytest.mark.parametrize(("generation", "is_taken"), [(None, False), (0, False), (1, True), (2, False)])
def test_sync_report_must_name_a_known_generation(
    acme: Customer, worker: Worker, generation: int | None, is_taken: bool
) -> None:
    acme.sync(USERS, account("u1"))
    worker.order("sync")
    (task,) = worker.lease()
    summary = wire.SyncSummary(status="committed", generation=generation)
    done = wire.TaskDone(lease_id=task.lease_id, sync=summary)

    if is_taken:
        assert worker.complete(task, done).state == "done"
    else:
        with pytest.raises(PlatformRejectedError, match="The newest generation is 1"):
            worker.complete(task, done)


@pytest.mark.parametrize("field", ["code", "message"])
def test_failure_needs_a_code_and_a_message(acme: Customer, worker: Worker, field: str) -> None:
    worker.order("grant")
    (task,) = worker.lease()

    with pytest.raises(PlatformRejectedError, match=f"{field}: String should have at least 1 character"):
        worker.fail(task, **{field: ""})

    assert acme.ploy.queue(acme.id).manual() == []


@pytest.mark.parametrize(
    ("kind", "preview", "is_leased", "code"),
    [
        ("grant", False, False, "not_started"),
        ("grant", False, True, "state_unknown"),
        ("revoke", False, True, "state_unknown"),
        ("revoke", True, True, "not_done"),
        ("check", False, True, "not_done"),
        ("sync", False, False, "not_started"),
    ],
)
def test_unreported_task_becomes_manual_at_its_deadline_with_a_reason(
    acme: Customer, worker: Worker, kind: wire.TaskKind, preview: bool, is_leased: bool, code: str
) -> None:
    order = worker.order(kind, preview=preview)
    if is_leased:
        worker.lease()

    acme.clock.pass_by(minutes=59, seconds=59)
    assert acme.ploy.queue(acme.id).manual() == []
    acme.clock.pass_by(seconds=1)
    (manual,) = acme.ploy.queue(acme.id).manual()

    assert (manual.id, manual.report, manual.ended_at) == (order.id, None, acme.clock.now)
    assert manual.failure is not None
    assert (manual.failure.code, bool(manual.failure.message and manual.failure.fix)) == (code, True)
    assert worker.history(order)[-1] == ("manual", code)
    assert worker.lease() == ()


def test_lease_ends_at_the_deadline(acme: Customer, worker: Worker) -> None:
    order = worker.order("grant", deadline=acme.clock.now + timedelta(minutes=6))
    (task,) = worker.lease()
    assert task.lease_seconds == 300

    acme.clock.pass_by(minutes=4)
    assert worker.extend(task).lease_seconds == 120
    acme.clock.pass_by(seconds=119)
    assert worker.now(order).state == "leased"
    acme.clock.pass_by(seconds=1)

    assert worker.now(order).state == "manual"
    with pytest.raises(TaskGoneError) as caught:
        worker.extend(task)
    assert caught.value.code == "lease_lost"


@pytest.mark.parametrize("report", [Worker.complete, Worker.fail])
def test_late_report_replaces_the_platforms_failure(
    acme: Customer, worker: Worker, report: Callable[[Worker, wire.Task], wire.TaskStatus]
) -> None:
    order = worker.order("grant")
    (task,) = worker.lease()
    acme.clock.pass_by(hours=2)
    assert [manual.id for manual in acme.ploy.queue(acme.id).manual()] == [order.id]

    status = report(worker, task)

    late = worker.now(order)
    assert late.state == status.state
    assert (late.failure, late.report) == (
        (None, done_of(task, acme.clock.now)) if status.state == "done" else (FAILURE, failed_of(task))
    )
    assert len(verified(acme.ploy, acme.id)) == (status.state == "done")
    assert [event for event, _ in worker.history(order)][2:] == ["lease_ended", "manual", status.state]


def test_report_of_a_resolved_task_is_rejected(acme: Customer, worker: Worker) -> None:
    orders = [worker.order("grant", name) for name in ("u1", "u2")]
    tasks = worker.lease()
    acme.clock.pass_by(hours=2)
    acme.ploy.queue(acme.id).resolve(orders[0].id, "Seen.")
    acme.ploy.order_again(acme.id, orders[1].id)

    for task in tasks:
        with pytest.raises(TaskGoneError, match="A person has resolved it") as caught:
            worker.complete(task)
        assert caught.value.code == "task_conflict"

    assert verified(acme.ploy, acme.id) == ()


def test_report_under_an_older_lease_replaces_nothing(acme: Customer, worker: Worker) -> None:
    order = worker.order("grant")
    (old,) = worker.lease()
    acme.clock.pass_by(minutes=5)
    worker.lease()
    acme.clock.pass_by(hours=1)

    with pytest.raises(TaskGoneError) as caught:
        worker.complete(old)

    assert (caught.value.code, worker.now(order).state) == ("lease_lost", "manual")


def test_expiry_is_stored_even_if_the_call_that_finds_it_fails(acme: Customer, worker: Worker) -> None:
    order = worker.order("grant")
    worker.lease()
    acme.clock.pass_by(hours=2)
    found_at = acme.clock.now
    with pytest.raises(ProblemError):
        acme.ploy.queue(acme.id).fail("task-none", wire.TaskFailed(lease_id="x", code="x", message="x"))

    acme.clock.pass_by(minutes=1)

    assert worker.now(order).ended_at == found_at
