"""Numbers out of bounds: an unusable task fails alone, and no pause stops the loop for long."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.runtime.snapshot.state_file import StateError
from ploy_connector_aws.runtime.tasks import Journal, TaskLoop
from ploy_connector_aws.spec import TemporaryError
from tests.extremes import LONG, spoil, values_of
from tests.runtime.records import START

from .task_runtime import Runtime, TaskRuntimeHarness, no_sync

PATIENCE = 30
HOUR = 3600


@dataclass
class Ploy:
    """Ploy over HTTP, which answers as a test wants it; each lease of a task is given out once."""

    harness: TaskRuntimeHarness
    tasks: list[dict[str, Any]] = field(default_factory=list)
    spoilt: tuple[int, str, str] | None = None
    """The number of a task, one of its fields, and the JSON text that is in it."""
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    """By the call, what is answered in place of the true answer."""
    asked: list[str] = field(default_factory=list)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    leases: set[str] = field(default_factory=set)
    """Those that were given out."""

    def order(self, kind: str = "grant", *, minutes: float = 60, **fields: Any) -> str:
        number = len(self.tasks) + 1
        now = self.harness.clock()
        task = {
            "id": f"t{number}",
            "kind": kind,
            "account_id": f"u{number}",
            "entitlement_id": "g",
            "created_at": now.isoformat(),
            "deadline": (now + timedelta(minutes=minutes)).isoformat(),
            "lease_id": f"l{number}",
            "lease_seconds": 300,
        }
        self.tasks.append({**task, **fields})
        return f"t{number}"

    def answer(self, request: httpx.Request) -> httpx.Response:
        *_, before, task_id, call = request.url.path.split("/")
        self.asked.append(call)
        if call in self.answers:
            return self.answers[call]
        if call == "lease":
            return httpx.Response(200, text=self._leased())
        if call == "extend":
            return httpx.Response(200, json={"lease_seconds": 300})
        assert (before, call in ("complete", "fail")) == ("tasks", True)
        self.reports[task_id] = {"call": call, **json.loads(request.content)}
        return httpx.Response(200, json={"id": task_id, "state": "done" if call == "complete" else "manual"})

    def _leased(self) -> str:
        tasks = [task for task in self.tasks if task["lease_id"] not in self.leases]
        self.leases |= {task["lease_id"] for task in tasks}
        body = {"tasks": tasks, "poll_interval_seconds": 10}
        number, name, value = self.spoilt or (0, "", "")
        places = [place for place, task in enumerate(tasks) if task["id"] == f"t{number}"]
        return spoil(body, ("tasks", places[0], name), value) if places else json.dumps(body)

    def client(self) -> PlatformClient:
        return PlatformClient(
            "http://127.0.0.1:1",
            TokenSource(token=SecretStr("t")),
            transport=httpx.MockTransport(self.answer),
            retry=RetryPolicy(max_attempts=1, now=self.harness.clock),
        )


@pytest.fixture
def ploy(harness: TaskRuntimeHarness) -> Iterator[Ploy]:
    made = Ploy(harness)
    with made.client() as client:
        harness.queue = client  # type: ignore[assignment]
        yield made


@contextmanager
def opened(harness: TaskRuntimeHarness, ploy: Ploy) -> Iterator[Runtime]:
    """A runtime in one process, with its client."""
    with ploy.client() as client:
        harness.queue = client  # type: ignore[assignment]
        runtime = Runtime(harness)
        yield runtime
        runtime.close()


def turns(harness: TaskRuntimeHarness, runtime: Runtime, count: int = 3) -> None:
    for _ in range(count):
        runtime.turn()
        harness.clock.move(11)


def bad_values(kind: str) -> list[str]:
    return [text for text, is_good in values_of(kind) if not is_good]


@pytest.mark.parametrize(
    ("name", "kind"), [("deadline", "moment"), ("created_at", "moment"), ("lease_seconds", "interval"), ("id", "id")]
)
def test_an_unusable_task_fails_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, kind: str) -> None:
    for number, text in enumerate(bad_values(kind)):
        caplog.clear()
        harness = TaskRuntimeHarness(tmp_path / str(number))
        harness.folder.mkdir()
        ploy = Ploy(harness)
        ids = [ploy.order() for _ in range(3)]
        ploy.spoilt = (2, name, text)
        with opened(harness, ploy) as runtime:
            turns(harness, runtime)
        done = {id_: report["call"] for id_, report in ploy.reports.items()}
        if name == "id":
            assert done == {ids[0]: "complete", ids[2]: "complete"}, text[:40]
        else:
            assert done == {ids[0]: "complete", ids[1]: "fail", ids[2]: "complete"}, text[:40]
            failed = ploy.reports[ids[1]]
            assert (failed["lease_id"], failed["code"]) == ("l2", "task_unusable")
            assert name in failed["message"]
        assert [call.account_id for call in harness.memberships.calls] == ["u1", "u3"]
        assert name in caplog.text
        assert LONG not in caplog.text


def test_an_unusable_task_whose_report_is_lost_is_failed_when_leased_again(
    harness: TaskRuntimeHarness, ploy: Ploy
) -> None:
    ploy.order()
    ploy.spoilt = (1, "deadline", '"0001-01-01T00:00:00Z"')
    ploy.answers["fail"] = httpx.Response(503)
    runtime = Runtime(harness)
    turns(harness, runtime)
    assert ploy.reports == {}
    del ploy.answers["fail"]
    ploy.tasks[0]["lease_id"] = "another"
    turns(harness, runtime)
    assert ploy.reports["t1"]["code"] == "task_unusable"
    assert runtime.journal.task("t1") is None
    runtime.close()


@pytest.mark.parametrize("mishap", ["unknown after", "unknown"])
def test_a_begun_task_that_is_leased_again_unusable_is_never_reported_as_unchanged(
    harness: TaskRuntimeHarness, ploy: Ploy, mishap: str
) -> None:
    """Ploy's earlier description stays valid: the task is attempted again, and its report is true."""
    ploy.order()
    harness.memberships.mishaps[1] = mishap
    runtime = Runtime(harness)
    runtime.turn()
    assert len(harness.memberships.calls) == 1
    ploy.tasks[0]["lease_id"] = "another"
    ploy.spoilt = (1, "deadline", '"9999-12-31T23:59:59Z"')
    turns(harness, runtime, 5)
    report = ploy.reports["t1"]
    assert (report["call"], report["lease_id"]) == ("complete", "another")
    assert harness.memberships.is_member(("u1", "g"))
    runtime.close()


@pytest.mark.parametrize("name", ["poll_interval_seconds", "scan_interval_seconds"])
def test_an_answer_with_an_interval_out_of_bounds_is_ignored_and_the_poll_repeated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    for number, text in enumerate(bad_values("interval")):
        caplog.clear()
        harness = TaskRuntimeHarness(tmp_path / str(number))
        harness.folder.mkdir()
        ploy = Ploy(harness)
        with opened(harness, ploy) as runtime:
            runtime.turn()
            harness.clock.move(11)
            ploy.order()
            ploy.answers["lease"] = httpx.Response(200, text=spoil({"flags": {"paused": True}}, (name,), text))
            assert 0 < runtime.poller.step() <= 60, text[:40]
            assert runtime.coordinator.flags == wire.Flags(), "the flags of a refused answer do not count either"
            assert name in caplog.text
            assert LONG not in caplog.text
            del ploy.answers["lease"]
            harness.clock.move(61)
            turns(harness, runtime, 2)
            assert ploy.reports["t1"]["call"] == "complete", text[:40]


PAUSES = ["1000000000", "9" * 400, "3600", "Fri, 31 Dec 9999 23:59:59 GMT", "-1", "NaN", "1e308", "", "x" * 5000]


@pytest.mark.parametrize("header", PAUSES, ids=lambda text: text[:20])
@pytest.mark.parametrize("status", [503, 409])
@pytest.mark.parametrize("call", ["lease", "extend", "complete"])
def test_no_pause_that_ploy_asks_for_is_longer_than_an_hour(
    harness: TaskRuntimeHarness, ploy: Ploy, call: str, status: int, header: str
) -> None:
    ploy.order(minutes=600, lease_seconds=86_400 if call != "extend" else 5)
    harness.memberships.mishaps[1] = "nothing"
    runtime = Runtime(harness)
    ploy.answers[call] = httpx.Response(status, headers={"retry-after": header})
    turns(harness, runtime, 6)
    times = ploy.asked.count(call)
    assert times > 0
    del ploy.answers[call]
    harness.clock.move(HOUR)
    turns(harness, runtime, 3)
    assert ploy.asked.count(call) > times
    assert ploy.reports["t1"]["call"] == "complete"
    runtime.close()


class UnboundedError(TemporaryError):
    """An error of a connector that bounds nothing: it sets the pause by itself."""

    def __init__(self, pause: Any) -> None:
        super().__init__("Later.", changed_nothing=True)
        self.retry_after_seconds = pause


@pytest.mark.parametrize(
    "pause",
    [10**9, 10**400, 1e308, float("inf"), float("nan"), -1, -(10**400), "soon", b"7", START, True],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("raises", [UnboundedError, lambda pause: TemporaryError("Later.", retry_after_seconds=pause)])
def test_no_pause_that_a_connector_asks_for_is_longer_than_an_hour(
    harness: TaskRuntimeHarness, ploy: Ploy, raises: Any, pause: Any
) -> None:
    ploy.order(minutes=600)
    errors: list[Exception] = [raises(pause)]

    def fail(_: object) -> None:
        if errors:
            raise errors.pop()

    harness.memberships.on_call = fail
    runtime = Runtime(harness)
    runtime.turn()
    held = runtime.journal.task("t1")
    assert held is not None
    assert held.not_before is not None
    assert timedelta(0) < held.not_before - harness.clock() <= timedelta(seconds=HOUR)
    for _ in range(30):  # the lease has to be kept meanwhile
        harness.clock.move(150)
        runtime.turn()
    assert ploy.reports["t1"]["call"] == "complete"
    runtime.close()


def test_the_running_loop_continues_past_unusable_tasks(harness: TaskRuntimeHarness, ploy: Ploy) -> None:
    """With threads: a task that Ploy sends so, and one after it."""
    ploy.order()
    ploy.tasks[0]["deadline"] = "0001-01-01T00:00:00Z"
    ploy.order()
    is_done, stop = threading.Event(), threading.Event()
    answer = ploy.answer

    def watched(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        if {"t1", "t2"} <= ploy.reports.keys():
            is_done.set()
        return response

    ploy.answer = watched  # type: ignore[method-assign]
    with Journal(harness.tasks_path) as journal:
        loop = TaskLoop(
            "one",
            journal=journal,
            lock_path=harness.folder / "one.lock",
            snapshot_path=harness.snapshot_path,
            open_connector=harness.open_connector,
            open_platform=ploy.client,
            sync_now=no_sync,
            now=harness.clock,
        )
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        try:
            assert is_done.wait(PATIENCE)
            assert thread.is_alive()
        finally:
            stop.set()
            thread.join(PATIENCE)
        assert not thread.is_alive()
    assert {id_: each["call"] for id_, each in ploy.reports.items()} == {"t1": "fail", "t2": "complete"}


@pytest.mark.parametrize(("name", "value"), [("deadline", "0001-01-01T00:00:00Z"), ("lease_seconds", 1), ("id", LONG)])
def test_a_task_file_that_holds_a_task_outside_of_the_contract_is_refused_and_no_task_is_skipped(
    harness: TaskRuntimeHarness, ploy: Ploy, name: str, value: object
) -> None:
    ploy.order()
    with Journal(harness.tasks_path) as journal:
        journal.lease(wire.Task.model_validate(ploy.tasks[0]), START + timedelta(seconds=300))
        with closing(sqlite3.connect(harness.tasks_path)) as db, db:
            db.execute("UPDATE tasks SET task = json_set(task, ?, ?)", (f"$.{name}", value))
        with pytest.raises(StateError, match="holds a task that does not fit the contract"):
            journal.open_tasks()


def test_the_progress_of_a_test_is_reported_for_a_task_with_the_longest_id() -> None:
    check_id = f"{'x' * 128}.{2**31}"
    assert wire.CheckProgress.model_validate({"check_id": check_id, "number": 1, "report": {"checks": ()}})
