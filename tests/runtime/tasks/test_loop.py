"""The threads: all tasks are done, in parallel and in order, and a stop loses none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ploy_connector_aws.host import Connector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot.lock import TaskLock, TasksRunningError
from ploy_connector_aws.runtime.tasks import Journal, TaskEvents, TaskLoop
from ploy_connector_aws.spec import AccessChange, AccessRequest
from tests.deadlines import PATIENCE_SECONDS
from tests.runtime.fakes import Crash

from .fake_membership_connector import Memberships, open_memberships
from .task_runtime import TaskRuntimeHarness, no_sync


class Ended(TaskEvents):
    """Stops the loop after a number of acknowledged reports; each advances the clock."""

    def __init__(self, harness: TaskRuntimeHarness, count: int) -> None:
        self.stop = threading.Event()
        self.wake: Callable[[], None] = lambda: None
        self._stage = harness
        self._left = count

    def acknowledged(self, kind: wire.TaskKind) -> None:
        self._left -= 1
        self._stage.clock.move(10)
        self.wake()
        if self._left == 0:
            self.stop.set()


def run(harness: TaskRuntimeHarness, journal: Journal, ended: Ended, **more: Any) -> None:
    """Run a loop until it is stopped, or the time limit passes."""
    queue: Any = harness.queue
    settings = {"open_connector": lambda: open_memberships(harness.memberships), **more}
    loop = TaskLoop(
        "one",
        journal=journal,
        lock_path=harness.folder / "one.tasks.lock",
        snapshot_path=harness.folder / "one.sqlite",
        open_platform=lambda: queue,
        sync_now=no_sync,
        events=ended,
        now=harness.clock,
        **settings,
    )
    ended.wake = loop.wake
    failures: list[BaseException] = []

    def work() -> None:
        try:
            loop.run(ended.stop)
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    ended.stop.set()
    assert not thread.is_alive(), "it does not come to an end"
    if failures:
        raise failures[0]


@pytest.fixture
def journal(harness: TaskRuntimeHarness) -> Any:
    with Journal(harness.folder / "one.tasks.sqlite") as opened:
        yield opened


class Watched:
    """The directory as one instance of the connector sees it: notes which threads use it."""

    def __init__(self, memberships: Memberships, busy: dict[tuple[str, str], int]) -> None:
        self.threads: set[int] = set()
        self._club = memberships
        self._busy = busy

    def change(self, request: AccessRequest, *, is_member: bool) -> AccessChange:
        self.threads.add(threading.get_ident())
        pair = request.account_id, request.entitlement_id
        self._busy[pair] = self._busy.get(pair, 0) + 1
        assert self._busy[pair] == 1, "two work on one pair"
        try:
            return self._club.change(request, is_member=is_member)
        finally:
            self._busy[pair] -= 1


def test_many_tasks_run_in_parallel_and_in_order_on_each_pair(harness: TaskRuntimeHarness, journal: Journal) -> None:
    for number in range(120):
        harness.queue.order("grant" if number % 3 else "revoke", f"p{number % 10}", "g", minutes=600)
    harness.queue.lease_seconds = 1200  # the clock advances in leaps
    busy: dict[tuple[str, str], int] = {}
    instances: list[Watched] = []
    at_once = threading.Barrier(4)
    first = {f"t{number}" for number in range(1, 5)}

    def open_connector() -> Connector:
        instances.append(Watched(harness.memberships, busy))
        return open_memberships(instances[-1])  # type: ignore[arg-type]

    def meet(_: AccessRequest) -> None:
        if len(harness.memberships.calls) <= len(first):
            at_once.wait(PATIENCE_SECONDS)  # so many are at it at the same time

    harness.memberships.on_call = meet
    run(harness, journal, Ended(harness, 120), open_connector=open_connector)
    harness.check()
    assert harness.queue.is_worked_off
    assert len(instances) == 4
    assert all(len(instance.threads) == 1 for instance in instances)
    for person in range(10):
        numbers = [int(each.request_id[1:]) for each in harness.memberships.calls if each.account_id == f"p{person}"]
        assert numbers == sorted(numbers)
        assert len(numbers) == 12


def test_a_stop_lets_what_runs_finish_and_begins_nothing(harness: TaskRuntimeHarness, journal: Journal) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.queue.order("grant", "bob", "g")
    ended = Ended(harness, 9)
    harness.memberships.on_call = lambda _: ended.stop.set()
    run(harness, journal, ended, workers=1)
    assert isinstance(harness.queue.result("t1"), wire.TaskDone)
    assert [held.task.id for held in journal.open_tasks()] == ["t2"]
    assert len(harness.memberships.calls) == 1
    again = Ended(harness, 1)
    run(harness, journal, again)
    harness.check()
    assert harness.queue.entries["t2"].leases == 1, "it went on under the lease that it had"


def test_a_stop_does_not_wait_for_a_platform_that_is_away(harness: TaskRuntimeHarness, journal: Journal) -> None:
    harness.queue.order("grant", "ann", "g")
    ended = Ended(harness, 9)

    def stop(_: AccessRequest) -> None:
        harness.queue.is_down = True
        ended.stop.set()

    harness.memberships.on_call = stop
    run(harness, journal, ended)
    assert [held.task.id for held in journal.reports()] == ["t1"]
    harness.queue.is_down = False
    run(harness, journal, Ended(harness, 1))
    harness.check()
    assert len(harness.memberships.calls) == 1


def test_a_failed_thread_ends_the_loop_with_its_error_and_the_next_continues(
    harness: TaskRuntimeHarness, journal: Journal
) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.memberships.mishaps = {1: "crash after"}
    with pytest.raises(Crash):
        run(harness, journal, Ended(harness, 9), workers=1)  # another would go on with the task before the loop ends
    run(harness, journal, Ended(harness, 1))
    harness.check()
    assert harness.memberships.effects("t1") == 1


def test_a_second_loop_on_the_same_file_is_refused(harness: TaskRuntimeHarness, journal: Journal) -> None:
    with TaskLock(harness.folder / "one.tasks.lock"), pytest.raises(TasksRunningError):
        run(harness, journal, Ended(harness, 1))
    assert harness.queue.calls == []
