"""The queue compared with a short model, for random acts of two runtimes, people, time and restarts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy import ForbiddenError
from ploy_connector_aws.sandbox.ploy.local_platform import LocalPlatform
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask, Report

from .conftest import Clock
from .worker import done_of, failed_of, verified

LEASE = timedelta(minutes=5)

KINDS: list[wire.TaskKind] = ["grant", "revoke", "grant", "revoke", "check", "sync"]
ORDERS = st.tuples(
    st.sampled_from(KINDS),
    st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["g1", "g2"])),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([3, 12, 60]),
)


@dataclass
class Expected:
    """A task by the rules of the contract."""

    id: str
    kind: wire.TaskKind
    is_change: bool
    pair: tuple[str | None, str | None]
    deadline: datetime
    state: str = "queued"
    leases: list[str] = field(default_factory=list)
    lease_ends_at: datetime | None = None
    report: Report | None = None
    is_resolved: bool = False

    @property
    def has_ended(self) -> bool:
        return self.state in ("done", "manual")

    def pass_to(self, now: datetime) -> None:
        if self.state == "leased" and self.lease_ends_at is not None and self.lease_ends_at <= now:
            self.state = "queued"
        if self.state == "queued" and self.deadline <= now:
            self.state = "manual"


def refusal_of(call: Any, *arguments: Any) -> str | None:
    try:
        call(*arguments)
    except ProblemError as refusal:
        return refusal.code
    return None


class QueueMachine(RuleBasedStateMachine):
    """Two runtimes, one operator, one clock."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.ploy = self.opened()
        self.id = self.ploy.registry.create_integration(self.ploy.registry.create_organisation("Acme"), "aws").id
        self.expected: list[Expected] = []
        self.given: list[wire.Task] = []
        self.requests: list[tuple[wire.LeaseRequest, list[str]]] = []
        self.reports: list[tuple[str, Report]] = []

    def opened(self) -> LocalPlatform:
        return LocalPlatform(Path(self.folder.name), clock=self.clock, task_lease=LEASE)

    def teardown(self) -> None:
        if not hasattr(self, "ploy"):
            return
        try:
            self.everything_ended()
        finally:
            self.ploy.close()
            self.folder.cleanup()

    def everything_ended(self) -> None:
        self.clock.pass_by(days=1)
        self.invariants_hold()
        for task in self.ploy.queue(self.id).tasks():
            reported = [report for id_, report in self.reports if id_ == task.id]
            assert task.state in ("done", "manual")
            assert reported == ([task.report] if task.report else [])

    def settled(self) -> list[Expected]:
        for task in self.expected:
            task.pass_to(self.clock.now)
        return self.expected

    def of(self, task_id: str) -> Expected:
        return next(task for task in self.settled() if task.id == task_id)

    def may_be_leased(self, flags: wire.Flags) -> list[Expected]:
        open_pairs: set[tuple[str | None, str | None]] = set()
        first: list[Expected] = []
        for task in self.settled():
            is_behind = task.is_change and task.pair in open_pairs
            if task.is_change and not task.has_ended:
                open_pairs.add(task.pair)
            if task.state == "queued" and not is_behind and not (flags.read_only and task.is_change):
                first.append(task)
        return sorted(first, key=lambda task: not (task.kind == "revoke" and task.is_change))

    # Acts of a person.

    @rule(orders=st.lists(ORDERS, min_size=1, max_size=4))
    def order(self, orders: list[tuple[wire.TaskKind, tuple[str, str], bool, int]]) -> None:
        for kind, pair, preview, minutes in orders:
            account_id, entitlement_id = pair if kind in ("grant", "revoke") else (None, None)
            task = self.ploy.create_task(
                self.id,
                kind,
                account_id=account_id,
                entitlement_id=entitlement_id,
                preview=preview and kind != "check",
                deadline=self.clock.now + timedelta(minutes=minutes),
            )
            self.expect(task)

    def expect(self, task: OrderedTask) -> None:
        pair = (task.account_id, task.entitlement_id)
        is_change = task.kind in ("grant", "revoke") and not task.preview
        self.expected.append(Expected(task.id, task.kind, is_change, pair, task.deadline))

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), is_again=st.booleans())
    def decide(self, data: st.DataObject, is_again: bool) -> None:
        task = self.of(data.draw(st.sampled_from(self.expected)).id)
        if task.state != "manual" or task.is_resolved:
            with pytest.raises(ForbiddenError):
                self.ploy.queue(self.id).resolve(task.id, "Seen.")
            return
        task.is_resolved = True
        if is_again:
            self.expect(self.ploy.order_again(self.id, task.id))
        else:
            self.ploy.queue(self.id).resolve(task.id, "Seen.")

    @rule(name=st.sampled_from(["paused", "read_only"]), is_on=st.sampled_from([False, False, True]))
    def flag(self, name: str, is_on: bool) -> None:
        self.ploy.registry.set_flags(self.id, **{name: is_on})

    # Events.

    @rule(minutes=st.sampled_from([1, 4, 5, 8, 30]))
    def pass_time(self, minutes: int) -> None:
        self.clock.pass_by(minutes=minutes)

    @rule()
    def restart(self) -> None:
        self.ploy.close()
        self.ploy = self.opened()

    # Acts of a runtime.

    @rule(holder=st.sampled_from(["one", "other"]), most=st.integers(0, 4))
    def ask(self, holder: str, most: int) -> None:
        request = wire.LeaseRequest(request_id=f"request-{len(self.requests)}", worker_id=holder, max_tasks=most)
        self.requests.append((request, []))
        self.asked(len(self.requests) - 1)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        self.asked(data.draw(st.integers(0, len(self.requests) - 1)))

    def asked(self, number: int) -> None:
        request, leases = self.requests[number]
        flags = self.ploy.registry.integration(self.id).flags
        answer = self.ploy.lease_tasks(self.id, request)

        assert answer.flags == flags
        if flags.paused or not request.max_tasks:
            assert answer.tasks == ()
        elif leases:
            still = [
                task.id
                for task in self.settled()
                if task.state == "leased" and task.leases[-1] in leases and not (flags.read_only and task.is_change)
            ]
            assert sorted(task.id for task in answer.tasks) == sorted(still)
            assert {task.lease_id for task in answer.tasks} <= set(leases)
        else:
            assert [task.id for task in answer.tasks] == [task.id for task in self.may_be_leased(flags)][
                : request.max_tasks
            ]
        for task in answer.tasks:
            expected = self.of(task.id)
            if task.lease_id not in expected.leases:
                expected.leases.append(task.lease_id)
                leases.append(task.lease_id)
                self.given.append(task)
            expected.state, expected.lease_ends_at = "leased", min(self.clock.now + LEASE, expected.deadline)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        given = data.draw(st.sampled_from(self.given))
        task = self.of(given.id)
        is_lost = task.leases[-1] != given.lease_id or task.has_ended

        extension = wire.LeaseExtension(lease_id=given.lease_id)
        assert refusal_of(self.ploy.extend_lease, self.id, task.id, extension) == ("lease_lost" if is_lost else None)

        if not is_lost:
            task.state, task.lease_ends_at = "leased", min(self.clock.now + LEASE, task.deadline)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), is_done=st.booleans())
    def report(self, data: st.DataObject, is_done: bool) -> None:
        given = data.draw(st.sampled_from(self.given))
        self.reported(given.id, done_of(given, self.clock.now) if is_done else failed_of(given))

    @precondition(lambda self: self.reports)
    @rule(data=st.data())
    def report_again(self, data: st.DataObject) -> None:
        self.reported(*data.draw(st.sampled_from(self.reports)))

    def reported(self, task_id: str, report: Report) -> None:
        task = self.of(task_id)
        expected: str | None
        if task.leases[-1] != report.lease_id:
            expected = "lease_lost"
        elif task.report is not None:
            expected = None if task.report == report else "task_conflict"
        else:
            expected = "task_conflict" if task.is_resolved else None
        call: Any = partial(self.ploy.complete_task, self.id)
        if isinstance(report, wire.TaskFailed):
            call = self.ploy.queue(self.id).fail

        assert refusal_of(call, task_id, report) == expected

        if expected is None and task.report is None:
            task.report, task.state = report, "done" if isinstance(report, wire.TaskDone) else "manual"
            self.reports.append((task_id, report))

    # Invariants.

    @invariant()
    def invariants_hold(self) -> None:
        if not hasattr(self, "ploy"):
            return
        tasks = self.ploy.queue(self.id).tasks()
        assert [(task.id, task.state, task.attempts, task.lease_id, task.report) for task in tasks] == [
            (task.id, task.state, len(task.leases), task.leases[-1] if task.leases else None, task.report)
            for task in self.settled()
        ]
        leased = [(task.account_id, task.entitlement_id) for task in tasks if task.state == "leased" and task.is_change]
        assert len(leased) == len(set(leased))
        assert {change.id for change in verified(self.ploy, self.id)} == {
            task.id for task in self.expected if task.is_change and task.state == "done"
        }
        assert [task.id for task in self.ploy.queue(self.id).manual()] == [
            task.id for task in self.expected if task.state == "manual" and not task.is_resolved
        ]


TestQueue = QueueMachine.TestCase
