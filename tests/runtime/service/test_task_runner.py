"""The tasks of a running integration wait for the first test of its connection, and for nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ploy_connector_aws.host.blockers import Blocker
from ploy_connector_aws.runtime.integration import Integration
from ploy_connector_aws.runtime.memory import SnapshotMemory
from ploy_connector_aws.runtime.service.control import Control
from ploy_connector_aws.runtime.service.metrics import Metrics
from ploy_connector_aws.runtime.service.runner import TaskDependencies, TaskRunner
from ploy_connector_aws.runtime.settings import IntegrationSettings, OperatorSettings, StateSettings
from ploy_connector_aws.spec import Check, ConnectionReport
from tests.runtime.tasks.fake_membership_connector import CALLS, Memberships, open_memberships
from tests.runtime.tasks.fake_task_queue import Queue

from .service_harness import PATIENCE

PASSED = ConnectionReport(checks=(Check(name="who", outcome="passed", message="Only this integration is let in."),))
SECONDS_BETWEEN_POLLS = 2 * PATIENCE
"""What the queue answers; each poll has the workers look again, too."""


def now() -> datetime:
    return datetime.now(UTC)


def until_polled(queue: Queue, times: int) -> Callable[[], bool]:
    """Gives what waits until the queue was asked so often."""
    polled = threading.Event()

    def count(name: str) -> None:
        if queue.calls.count("lease_tasks") >= times and name == "lease_tasks":
            polled.set()

    queue.before = count
    return lambda: polled.wait(PATIENCE)


class WatchedControl(Control):
    """Reports when a worker has asked whether the connection may be used, and so has left a task alone."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()

    def connection_blocker(self) -> Blocker | None:
        blocker = super().connection_blocker()
        self.is_asked.set()
        return blocker


def test_a_task_begins_as_soon_as_the_first_test_was_made_and_not_before(tmp_path: Path) -> None:
    clock: Any = now
    queue, memberships, control, stop = Queue(clock), Memberships(now), WatchedControl(), threading.Event()
    queue.poll_interval_seconds = SECONDS_BETWEEN_POLLS
    queue.order("grant", "ann", "g")
    begun = threading.Event()
    memberships.on_call = lambda _: begun.set()
    was_polled = until_polled(queue, 2)
    platform: Any = queue
    settings = OperatorSettings(integration=IntegrationSettings(id="one"), state=StateSettings(dir=tmp_path))
    place = TaskDependencies(
        settings,
        None,
        lambda: Integration(settings, open_memberships(memberships), "0" * 64, SnapshotMemory(settings.snapshot_path)),
        lambda: platform,
        control,
        Metrics().of("one", "directory"),
    )
    CALLS.clear()
    thread = threading.Thread(target=TaskRunner(place).run, args=(stop,), daemon=True)
    thread.start()
    try:
        assert was_polled()
        assert control.is_asked.wait(PATIENCE)
        assert (begun.is_set(), queue.entries["t1"].state) == (False, "leased")
        control.note_report(PASSED)
        assert begun.wait(PATIENCE), "it waits for the next poll"
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert queue.entries["t1"].state == "done"
    assert CALLS == ["configure", "close"]
