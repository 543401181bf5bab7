"""Each stalled, failing or dead loop is reported with its beginning; a slow one with progress is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ploy_connector_aws.platform.errors import PlatformUnavailableError
from ploy_connector_aws.runtime.heartbeats import Heartbeats
from ploy_connector_aws.runtime.service.health import Health
from ploy_connector_aws.runtime.service.sources import DesiredState
from ploy_connector_aws.runtime.service.supervisor import Ownership, Supervisor
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.runtime.tasks.loop import TaskLoop
from ploy_connector_aws.spec import Check, ConnectionReport
from tests.runtime.fakes import Crash, Source
from tests.runtime.tasks.fake_membership_connector import Memberships, open_memberships
from tests.runtime.tasks.fake_task_queue import Queue
from tests.runtime.tasks.task_runtime import no_sync

from .service_harness import LARGE, ServiceHarness

T = TypeVar("T")

PATIENCE = 60
SCAN, POLL, REST, DAY = 900, 10, 60, 24 * 3600
"""The intervals: of scans, of polls, of all that rests for a minute at the most, and of tests."""


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stop:
    """Where a loop is stopped: asleep until the test ends, or as it fails."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.reached, self.released = threading.Event(), threading.Event()
        self._failure = failure

    def __call__(self, *_: object) -> None:
        self.reached.set()
        if self._failure is not None:
            raise self._failure
        self.released.wait(PATIENCE)

    def wait(self) -> None:
        assert self.reached.wait(PATIENCE)


class StoppableQueue(Queue):
    """Ploy's queue, of which one call is stopped and the others are answered."""

    stop_at: Callable[[str], None] = staticmethod(lambda _: None)

    def _guarded(self, name: str, call: Callable[[], T]) -> T:
        self.stop_at(name)
        return super()._guarded(name, call)


def until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < ends, "it never came to be so"
        time.sleep(0.01)


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@contextmanager
def working(
    queue: Queue, memberships: Memberships, folder: Path, heartbeats: Heartbeats
) -> Iterator[Callable[[], None]]:
    """Run the loop of tasks while the block runs; gives what has each of its threads make a round."""
    stop = threading.Event()
    wake: list[Callable[[], None]] = []
    opened: Any = queue

    def run() -> None:
        with Journal(folder / "one.tasks.sqlite") as journal:
            loop = TaskLoop(
                "one",
                journal=journal,
                lock_path=folder / "one.lock",
                snapshot_path=folder / "one.sqlite",
                open_connector=lambda: open_memberships(memberships),
                open_platform=lambda: opened,
                sync_now=no_sync,
                heartbeats=heartbeats,
            )
            wake.append(loop.wake)
            with suppress(Crash):
                loop.run(stop)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield lambda: wake[0]()
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("loop", "call", "failure", "interval"),
    [
        ("poll", "lease_tasks", None, POLL),
        ("poll", "lease_tasks", PlatformUnavailableError("Ploy is away."), POLL),
        ("leases", "extend_lease", None, REST),
        ("leases", "extend_lease", PlatformUnavailableError("Ploy is away."), REST),
        ("outbox", "complete_task", None, REST),
        ("outbox", "complete_task", PlatformUnavailableError("Ploy is away."), REST),
        ("worker", "grant", None, REST),
    ],
    ids=str,
)
def test_a_stalled_task_loop_is_reported_after_three_intervals(
    tmp_path: Path, clock: Seconds, loop: str, call: str, failure: Exception | None, interval: float
) -> None:
    now: Any = lambda: datetime.now(UTC)  # noqa: E731
    queue, memberships, heartbeats, stopped = StoppableQueue(now), Memberships(now), Heartbeats(clock), Stop(failure)
    queue.lease_seconds = 5 if loop == "leases" else 60
    queue.stop_at = lambda name: stopped() if name == call else None
    memberships.on_call = stopped if loop == "worker" else lambda _: None
    queue.order("grant", "ann", "g")
    with working(queue, memberships, tmp_path, heartbeats) as wake:
        stopped.wait()
        clock.now += 3 * interval
        wake()
        assert [name for name in heartbeats.failing(clock.now) if name.startswith(loop)] == []
        for _ in range(2):  # at the second time each thread has made a round since the first
            clock.now += 1
            wake()
            until(lambda: sum(age == 0 for age in heartbeats.ages().values()) >= len(heartbeats.ages()) - 1)
        expected = {f"{loop}: overdue"} if loop != "worker" else {f"worker-{number}: overdue" for number in range(1, 5)}
        until(lambda: len(heartbeats.failing(clock.now)) == 1)
        (found,) = heartbeats.failing(clock.now)
        assert (found in expected, heartbeats.failing(clock.now)[found]) == (True, 1000)
        stopped.released.set()


def test_a_dead_task_thread_is_reported_while_the_loop_waits_for_another(tmp_path: Path, clock: Seconds) -> None:
    now: Any = lambda: datetime.now(UTC)  # noqa: E731
    queue, memberships, heartbeats = Queue(now), Memberships(now), Heartbeats(clock)
    dies, holds = Stop(Crash()), Stop()

    def call(request: Any) -> None:
        if request.account_id == "ann":
            holds()
        else:
            holds.wait()
            dies()

    memberships.on_call = call
    queue.order("grant", "ann", "g")
    queue.order("grant", "bob", "g")
    with working(queue, memberships, tmp_path, heartbeats):
        until(
            lambda: any(
                name.startswith("worker-") and name.endswith(": dead") for name in heartbeats.failing(clock.now)
            )
        )
        holds.released.set()
    assert heartbeats.failing(clock.now) == {}, "the loop has ended, and who keeps it says why"


@pytest.fixture
def timed(harness: ServiceHarness, clock: Seconds) -> ServiceHarness:
    harness.health = Health(clock, lambda: datetime.fromtimestamp(clock.now, UTC))
    harness.intervals = {"poll_interval_seconds": POLL, "scan_interval_seconds": SCAN}
    return harness


def failing(harness: ServiceHarness) -> dict[str, str]:
    """What is wrong with the integration, each with since when."""
    since: dict[str, str] = harness.health.report()[1]["integrations"]["one"]["since"]
    return since


MOMENT = datetime.fromtimestamp(1000, UTC).isoformat()


def test_a_stalled_scan_is_reported(timed: ServiceHarness, clock: Seconds) -> None:
    stopped = Stop()
    timed.sources["one"] = Source(LARGE, on_page=lambda page: stopped() if page == 100 else None)
    timed.serve("one")
    stopped.wait()
    clock.now += 3 * SCAN
    assert failing(timed) == {}
    clock.now += 1
    assert failing(timed) == {"scans: overdue": MOMENT}
    stopped.released.set()


def test_a_long_scan_with_progress_is_healthy(timed: ServiceHarness, clock: Seconds) -> None:
    seen: list[dict[str, str]] = []

    def take_long(_: int) -> None:
        for serving in timed.opened_for["one"]:  # of the scans and of the tasks
            serving.on_call("s3", "ListBuckets")
            serving.on_answer("s3", "ListBuckets")
        clock.now += 2.9 * SCAN
        seen.append(failing(timed))

    timed.sources["one"] = Source(on_page=take_long)
    timed.serve("one")
    timed.next_commit("one")
    assert (len(seen) > 3, [each for each in seen if "scans: overdue" in each]) == (True, [])


def test_scans_that_progress_and_fail_are_overdue(timed: ServiceHarness, clock: Seconds) -> None:
    """Else each attempt would hide the failure of the one before."""
    timed.is_down.add("one")
    timed.serve("one")
    until(lambda: timed.counted("ploy_syncs_total") != {})
    clock.now += 3 * SCAN
    assert failing(timed) == {}
    clock.now += 1
    for serving in timed.opened_for["one"]:
        serving.on_call("s3", "ListBuckets")
        serving.on_answer("s3", "ListBuckets")
    assert list(failing(timed)) == ["scans: overdue: platform_unavailable"]


@pytest.mark.parametrize("failure", [None, RuntimeError()], ids=str)
def test_a_connection_test_that_does_not_end_is_reported(
    timed: ServiceHarness, clock: Seconds, failure: Exception | None
) -> None:
    stopped = Stop(failure)
    timed.sources["one"] = Source(on_test=stopped)
    timed.serve("one")
    stopped.wait()
    if failure is not None:
        until(lambda: timed.counted("ploy_syncs_total") != {})
    clock.now += 3 * SCAN + 1
    found = failing(timed)
    assert ("check: overdue" in found) == (failure is None)
    assert any(name.startswith("scans: overdue") for name in found)
    stopped.released.set()


def test_a_blocked_integration_is_healthy_while_it_is_tested(timed: ServiceHarness, clock: Seconds) -> None:
    blocked = ConnectionReport(
        checks=(Check(name="who", outcome="failed", message="Anybody enters.", is_blocking=True),)
    )
    timed.sources["one"] = Source(report=blocked)
    runner = timed.serve("one")
    for _ in range(5):
        clock.now += 2 * SCAN
        with pytest.raises(Exception, match="Nothing is read"):
            runner.control.request_scan()
    assert failing(timed) == {}


@pytest.mark.parametrize("loop", ["scans", "tasks"])
def test_a_call_beyond_its_limit_is_reported_with_its_loop(timed: ServiceHarness, clock: Seconds, loop: str) -> None:
    stopped = Stop()
    timed.sources["one"] = Source(on_page=lambda page: stopped() if page == 3 else None)
    timed.serve("one")
    until(lambda: len(timed.opened_for["one"]) == 2)
    stopped.wait()
    serving = timed.opened_for["one"][0 if loop == "scans" else 1]
    # Both loops open theirs at the same time; the report shows which is which.
    serving.on_call("iam", "GetRole")
    serving.on_answer("iam", "GetRole")
    serving.on_call("iam", "ListRoles")
    clock.now += 60
    assert failing(timed) == {}
    clock.now += 6
    (found,) = failing(timed)
    assert found in {f"{each}: call beyond its limit: iam ListRoles" for each in ("scans", "tasks")}
    serving.on_answer("iam", "ListRoles")
    assert failing(timed) == {}
    stopped.released.set()


class Stopped:
    """A source that is stopped."""

    name = "source-1"

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def read(self) -> DesiredState:
        self._stop()
        return DesiredState(())

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (None, "overdue"),
        (PlatformUnavailableError("Ploy is away."), "platform_unavailable"),
        pytest.param(
            SystemExit(),
            "source: dead",
            marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
        ),
    ],
    ids=["asleep", "failing", "dead"],
)
def test_a_stalled_source_is_reported(
    timed: ServiceHarness, clock: Seconds, failure: BaseException | None, reason: str
) -> None:
    stopped = Stop(failure)
    supervisor = Supervisor(Stopped(stopped), timed.dependencies, Ownership())
    thread = threading.Thread(target=supervisor.run, daemon=True)
    thread.start()
    stopped.wait()
    clock.now += 3 * POLL + 1
    until(lambda: reason in timed.health.report()[1]["sources"]["source-1"]["since"])
    is_well, report = timed.health.report()
    assert (is_well, report["sources"]["source-1"]["since"][reason]) == (False, MOMENT)
    stopped.released.set()
    supervisor.stop()
    thread.join(PATIENCE)
