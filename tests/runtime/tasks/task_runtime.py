"""A runtime's tasks without threads: a test runs each part step by step, and the process may end anywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ploy_connector_aws.host import Blocker, Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks import Journal, TaskEvents
from ploy_connector_aws.runtime.tasks.access_graph import AccessGraph
from ploy_connector_aws.runtime.tasks.coordinator import TaskContext, TaskCoordinator
from ploy_connector_aws.runtime.tasks.loop import Worker
from ploy_connector_aws.runtime.tasks.queue_client import LeaseRenewer, Outbox, TaskPoller
from tests.runtime.fakes import Crash
from tests.runtime.records import START

from .fake_membership_connector import Memberships, open_memberships
from .fake_task_queue import Clock, Queue, Report


@dataclass
class Writes:
    """Counts what is written to the task file; the process may end at one of them."""

    count: int = 0
    crash_at: int | None = None
    is_after: bool = False
    """Whether what is written then is on the disk."""

    def connection(self) -> type[sqlite3.Connection]:
        writes = self

        class Counted(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if sql == "PRAGMA synchronous=FULL":  # what is on the disk is not lost here when a process ends
                    sql = "PRAGMA synchronous=OFF"
                if sql != "COMMIT":
                    return super().execute(sql, *values)
                writes.count += 1
                is_last = writes.count == writes.crash_at
                if is_last and not writes.is_after:
                    raise Crash
                done = super().execute(sql, *values)
                if is_last:
                    raise Crash
                return done

        return Counted


MOST_STEPS = 1000
"""So many attempts at the most are made in a test, so that no fault makes it endless."""
LONGEST_SECONDS = 7200
"""Longer than any task may take: by then a history that goes right has come to its end."""


def no_sync(_: bool) -> wire.SyncSummary:
    return wire.SyncSummary(status="committed", generation=7)


class Place(Protocol):
    """What outlives a process: the files, Ploy, the time."""

    writes: Writes
    steps: int
    integration_id: str
    tasks_path: Path
    snapshot_path: Path

    @property
    def queue(self) -> Any: ...

    @property
    def clock(self) -> Callable[[], datetime]: ...

    def open_connector(self) -> Connector: ...


class Runtime:
    """One process."""

    def __init__(
        self,
        harness: Place,
        sync_now: Callable[[bool], wire.SyncSummary] = no_sync,
        events: TaskEvents | None = None,
        open_connector: Callable[[], Connector] | None = None,
        connection_blocker: Callable[[], Blocker | None] = lambda: None,
        settings_revision: int | None = None,
    ) -> None:
        events = events or TaskEvents()
        open_connector = open_connector or harness.open_connector
        queue, now = harness.queue, harness.clock
        self.harness = harness
        self.journal = Journal(harness.tasks_path, harness.writes.connection())
        self.coordinator = TaskCoordinator(self.journal, workers=2, connection_blocker=connection_blocker, now=now)
        context = TaskContext(harness.integration_id, self.journal, self.coordinator, events, now, settings_revision)
        self.poller = TaskPoller(queue, context)
        self.renewer = LeaseRenewer(queue, context)
        self.outbox = Outbox(queue, context)
        self.access_graph = AccessGraph(harness.snapshot_path)
        self.worker = Worker(context, self.access_graph, open_connector, sync_now)

    def turn(self) -> None:
        """Let each part do what is due."""
        self.poller.step()
        self.renewer.step()
        while self.worker.step():
            self.harness.steps += 1
            assert self.harness.steps < MOST_STEPS, "it does not come to an end"
        self.outbox.step()

    def close(self) -> None:
        self.access_graph.close()
        self.journal.close()


PARTS: dict[str, Callable[[Runtime], object]] = {
    "poll": lambda runtime: runtime.poller.step(),
    "keep": lambda runtime: runtime.renewer.step(),
    "work": lambda runtime: runtime.worker.step(),
    "send": lambda runtime: runtime.outbox.step(),
}
"""What a runtime's threads do, one step of each."""


@dataclass
class TaskRuntimeHarness:
    """A directory and a queue in memory, and the files in one folder."""

    folder: Path
    clock: Clock = field(default_factory=lambda: Clock(START))
    writes: Writes = field(default_factory=Writes)
    steps: int = 0
    integration_id: str = "one"

    def __post_init__(self) -> None:
        self.queue = Queue(self.clock)
        self.memberships = Memberships(self.clock)
        self.tasks_path = self.folder / "one.tasks.sqlite"
        self.snapshot_path = self.folder / "one.sqlite"

    def open_connector(self) -> Connector:
        return open_memberships(self.memberships)

    def work_off(self, runtime: Runtime | None = None, *, seconds: float = 10) -> None:
        """Let a runtime work until every task has ended and nothing waits, with an advancing clock.

        Its process may end; then another one continues.
        """
        for _ in range(round(LONGEST_SECONDS / seconds)):
            try:
                runtime = runtime or Runtime(self)
                runtime.turn()
                if self.queue.is_worked_off and not (runtime.journal.open_tasks() or runtime.journal.reports()):
                    runtime.close()
                    return
            except Crash:
                if runtime is not None:
                    runtime.close()
                runtime = None
            self.clock.move(seconds)
        raise AssertionError("it does not come to an end")

    def results(self) -> dict[str, Report | None]:
        return {id_: entry.report for id_, entry in self.queue.entries.items()}

    def check(self) -> None:
        """Every task ended in one report, and each is true of the directory."""
        for id_, entry in self.queue.entries.items():
            report = entry.report
            assert report is not None, f"{id_} was lost"
            assert len(entry.taken) <= 1, f"{id_} was reported twice"
            effects = self.memberships.effects(id_)
            match report:
                case wire.TaskDone(change=change) if change is not None and entry.task.preview:
                    assert (change.outcome, effects) == ("previewed", 0)
                case wire.TaskDone(change=change) if change is not None:
                    pair = entry.task.account_id or "", entry.task.entitlement_id or ""
                    seen: Any = change.evidence["seen"]
                    assert self.memberships.is_member(pair, seen) == (entry.task.kind == "grant"), f"{id_} is not so"
                    assert effects >= (change.outcome == "applied")
                case wire.TaskFailed(code="state_unknown"):
                    pass
                case wire.TaskFailed():
                    assert effects == 0, f"{id_} changed something"
