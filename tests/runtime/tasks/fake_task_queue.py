"""Ploy's task queue in memory: it obeys the contract of ``wire.tasks``, and fails on demand."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from tests.runtime.fakes import Calls

T = TypeVar("T")

Report = wire.TaskDone | wire.TaskFailed
NOT_REPORTED = wire.TaskFailed(lease_id="", code="state_unknown", message="No report was made.")
"""What Ploy itself makes of a task that was given out and not reported by its deadline."""


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Entry:
    """One task in Ploy."""

    number: int
    task: wire.Task
    state: str = "queued"
    lease_ends_at: datetime | None = None
    leases: int = 0
    report: Report | None = None
    taken: list[Report] = field(default_factory=list)
    """Every report that was accepted, replays left out."""

    @property
    def pair(self) -> tuple[str | None, str | None]:
        return self.task.account_id, self.task.entitlement_id


@dataclass
class Queue(Calls):
    """The queue, with the calls of the client."""

    clock: Clock
    lease_seconds: int = 60
    poll_interval_seconds: int = 10
    entries: dict[str, Entry] = field(default_factory=dict)
    requests: dict[str, list[str]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    """Tasks and changes whose reports are rejected."""
    refusal: str = "body_invalid"
    """The code of these rejections."""
    changes: list[wire.ChangeReport] = field(default_factory=list)
    """Every report of a change without a task, repetitions included."""
    polls: list[wire.LeaseRequest] = field(default_factory=list)
    """Every question for tasks."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def order(
        self,
        kind: wire.TaskKind,
        account_id: str | None = None,
        entitlement_id: str | None = None,
        *,
        preview: bool = False,
        minutes: float = 60,
    ) -> str:
        """Create a task; its id."""
        with self.lock:
            now = self.clock()
            number = len(self.entries) + 1
            task = wire.Task(
                id=f"t{number}",
                kind=kind,
                preview=preview,
                account_id=account_id,
                entitlement_id=entitlement_id,
                created_at=now + timedelta(microseconds=number),
                deadline=now + timedelta(minutes=minutes),
                lease_id="none",
                lease_seconds=5,
            )
            self.entries[task.id] = Entry(number, task)
            return task.id

    def result(self, task_id: str) -> Report | None:
        """What a task ended in."""
        return self.entries[task_id].report

    @property
    def is_worked_off(self) -> bool:
        """Whether every task has ended."""
        with self.lock:
            self._look()
            return all(entry.state in ("done", "manual") for entry in self.entries.values())

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    # The calls of the client.

    def lease_tasks(self, _: str, request: wire.LeaseRequest) -> wire.LeaseAnswer:
        self.polls.append(request)
        return self._guarded("lease_tasks", lambda: self._lease(request))

    def report_change(self, _: str, report: wire.ChangeReport) -> wire.ChangeRecorded:
        return self._guarded("report_change", lambda: self._record(report))

    def _record(self, report: wire.ChangeReport) -> wire.ChangeRecorded:
        if report.id in self.refused:
            raise ProblemError(self.refusal)
        self.changes.append(report)
        return wire.ChangeRecorded(id=report.id)

    def extend_lease(self, _: str, task_id: str, request: wire.LeaseExtension) -> wire.LeaseExtended:
        return self._guarded("extend_lease", lambda: self._extend(task_id, request))

    def complete_task(self, _: str, task_id: str, request: wire.TaskDone) -> wire.TaskStatus:
        return self._guarded("complete_task", lambda: self._report(task_id, request, "done"))

    def fail_task(self, _: str, task_id: str, request: wire.TaskFailed) -> wire.TaskStatus:
        return self._guarded("fail_task", lambda: self._report(task_id, request, "manual"))

    def _guarded(self, name: str, call: Callable[[], T]) -> T:
        def look_and_call() -> T:
            self._look()
            return call()

        with self.lock:
            return self._make(name, look_and_call)

    # Their inside.

    def _look(self) -> None:
        now = self.clock()
        for entry in self.entries.values():
            if entry.state == "leased" and entry.lease_ends_at is not None and entry.lease_ends_at <= now:
                entry.state = "queued"
            if entry.state == "queued" and entry.task.deadline <= now:
                entry.state, entry.report = "manual", NOT_REPORTED

    def _lease(self, request: wire.LeaseRequest) -> wire.LeaseAnswer:
        given = self.requests.get(request.request_id)
        if given is None:
            given = self.requests[request.request_id] = [
                self._give(entry).lease_id for entry in self._free()[: request.max_tasks]
            ]
        tasks = [entry.task for entry in self.entries.values() if entry.state == "leased"]
        return wire.LeaseAnswer(
            tasks=tuple(task for task in tasks if task.lease_id in given),
            flags=self.flags,
            poll_interval_seconds=self.poll_interval_seconds,
        )

    def _free(self) -> list[Entry]:
        if self.flags.paused:
            return []
        first: dict[object, Entry] = {}
        for entry in self.entries.values():
            if entry.state not in ("done", "manual"):
                is_change = entry.task.kind in ("grant", "revoke") and not entry.task.preview
                if not (is_change and self.flags.read_only):
                    first.setdefault(entry.pair if is_change else entry.number, entry)
        free = [entry for entry in first.values() if entry.state == "queued"]
        return sorted(free, key=lambda entry: (entry.task.kind != "revoke", entry.number))

    def _give(self, entry: Entry) -> wire.Task:
        entry.leases += 1
        entry.state = "leased"
        entry.lease_ends_at = self.clock() + timedelta(seconds=self.lease_seconds)
        entry.task = entry.task.model_copy(update={"lease_id": uuid.uuid4().hex, "lease_seconds": self.lease_seconds})
        return entry.task

    def _held(self, task_id: str, lease_id: str) -> Entry:
        entry = self.entries.get(task_id)
        if entry is None:
            raise ProblemError("task_unknown")
        if entry.task.lease_id != lease_id:
            raise ProblemError("lease_lost")
        return entry

    def _extend(self, task_id: str, request: wire.LeaseExtension) -> wire.LeaseExtended:
        entry = self._held(task_id, request.lease_id)
        if entry.state in ("done", "manual"):
            raise ProblemError("lease_lost")
        entry.state = "leased"
        entry.lease_ends_at = self.clock() + timedelta(seconds=self.lease_seconds)
        return wire.LeaseExtended(lease_seconds=self.lease_seconds, flags=self.flags)

    def _report(self, task_id: str, report: Report, state: str) -> wire.TaskStatus:
        entry = self._held(task_id, report.lease_id)
        if task_id in self.refused:
            raise ProblemError(self.refusal)
        if entry.report not in (None, NOT_REPORTED, report):
            raise ProblemError("task_conflict")
        if entry.report != report:
            entry.taken.append(report)
        entry.state, entry.report = state, report
        return wire.TaskStatus.model_validate({"id": task_id, "state": state})
