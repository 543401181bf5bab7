"""The running integrations match the sources, whatever happens to one of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import Queue
from typing import Any

import pytest

from ploy_connector_aws.platform.errors import PlatformUnavailableError, TokenRejectedError
from ploy_connector_aws.runtime.service.runner import TaskDependencies
from ploy_connector_aws.runtime.service.sources import DesiredIntegration, DesiredState
from ploy_connector_aws.runtime.service.supervisor import Ownership, Supervisor
from ploy_connector_aws.runtime.snapshot.lock import TasksRunningError
from ploy_connector_aws.spec import ConfigurationError
from tests.runtime.fakes import Source, World

from .service_harness import LARGE, PATIENCE, HelloLoop, ServiceHarness


class Notice:
    """A source whose list a test sets."""

    def __init__(self, name: str, *desired: DesiredIntegration) -> None:
        self.name = name
        self.polls: Queue[None] = Queue()
        self.is_closed = threading.Event()
        self.answer: DesiredState | Exception = DesiredState(desired)

    def read(self) -> DesiredState:
        self.polls.put(None)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.is_closed.set()

    def seen(self) -> None:
        """Wait until the current list was read."""
        while not self.polls.empty():
            self.polls.get()
        for _ in range(2):
            self.polls.get(timeout=PATIENCE)


@contextmanager
def supervised(harness: ServiceHarness, *sources: Notice) -> Iterator[None]:
    ownership = Ownership()
    supervisors = [Supervisor(source, harness.dependencies, ownership) for source in sources]
    for supervisor in supervisors:
        supervisor._poll_interval = 0.05  # until an integration has another one
    threads = [threading.Thread(target=supervisor.run, daemon=True) for supervisor in supervisors]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for supervisor in supervisors:
            supervisor.stop()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
        assert all(source.is_closed.is_set() for source in sources)
        assert harness.health.report()[1]["integrations"] == {}


@pytest.fixture(autouse=True)
def quick_first_polls(harness: ServiceHarness) -> None:
    harness.intervals = {"poll_interval_seconds": 0.05}


def reasons(harness: ServiceHarness) -> dict[str, list[str]]:
    return {name: each["reasons"] for name, each in harness.health.report()[1]["sources"].items()}


def test_an_integration_starts_when_enabled_and_stops_when_disabled(harness: ServiceHarness) -> None:
    source = Notice("source-1")
    with supervised(harness, source):
        source.seen()
        assert harness.reasons() == {}
        source.answer = DesiredState((harness.desired("one"),))
        harness.next_commit("one")
        source.answer = DesiredState((harness.desired("one"), harness.desired("two")))
        harness.next_commit("two")
        assert set(harness.reasons()) == {"one", "two"}
        source.answer = DesiredState((harness.desired("two"),))
        harness.until(lambda: set(harness.reasons()) == {"two"})
        harness.next_polls("two")
        assert harness.commits["one"].empty(), "and was scanned no more"


def test_changed_settings_restart_only_their_integration(harness: ServiceHarness) -> None:
    source = Notice("source-1", harness.desired("one", secret="a"), harness.desired("two"))
    with supervised(harness, source):
        harness.next_commit("one")
        harness.next_commit("two")
        source.seen()
        assert harness.commits["one"].empty(), "the same settings change nothing"
        source.answer = DesiredState((harness.desired("one", secret="b"), harness.desired("two")))
        harness.next_commit("one")
        source.seen()
        assert harness.commits["two"].empty()
    assert (len(harness.opened_for["one"]), len(harness.opened_for["two"])) == (4, 2)


def test_settings_that_only_look_equal_are_others(harness: ServiceHarness) -> None:
    one, true = harness.desired("one", secret=1), harness.desired("one", secret=True)
    assert (one == true, one.digest == true.digest) == (True, False)
    came_back = replace(one, revision=3)
    assert came_back.digest != one.digest, "or nothing would be given out to it any more"


def test_a_scan_under_old_settings_is_interrupted_and_never_runs_beside_the_new_one(harness: ServiceHarness) -> None:
    old = harness.sources["one"] = Source(LARGE)
    reading, changed = threading.Event(), threading.Event()

    def hold(page: int) -> None:
        if page == 60:
            reading.set()
            changed.wait(PATIENCE)

    old.on_page = hold
    source = Notice("source-1", harness.desired("one", secret="a"))
    with supervised(harness, source):
        assert reading.wait(PATIENCE)
        harness.sources["one"] = Source(World({"zoe": "clerk"}))
        source.answer = DesiredState((harness.desired("one", secret="b"),))
        source.seen()
        assert (len(harness.opened_for["one"]), harness.commits["one"].empty()) == (2, True)
        changed.set()
        harness.next_commit("one")
        assert len(harness.opened_for["one"]) == 4
    assert harness.at_ploy("one") >= {"zoe"}


@pytest.mark.parametrize(
    "error", [PlatformUnavailableError("Ploy is away."), TokenRejectedError("No."), ValueError("secret")]
)
def test_an_unreachable_source_stops_nothing_and_is_logged_once(
    harness: ServiceHarness, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    source = Notice("source-1", harness.desired("one"))
    with supervised(harness, source):
        harness.next_commit("one")
        source.answer = error
        source.seen()
        source.seen()
        assert (harness.reasons(), reasons(harness)) == ({"one": []}, {"source-1": []})
        harness.next_polls("one")
    messages = [record.getMessage() for record in caplog.records if "does not answer" in record.getMessage()]
    assert (len(messages), "secret" in messages[0]) == (1, False)


def test_a_source_that_never_answered_is_unhealthy(harness: ServiceHarness) -> None:
    source, other = Notice("source-1"), Notice("source-2", harness.desired("two"))
    source.answer = TokenRejectedError("Ploy does not accept the token.")
    with supervised(harness, source, other):
        harness.next_commit("two")
        source.seen()
        is_well, report = harness.health.report()
        assert (is_well, report["status"], reasons(harness)) == (
            False,
            "failing",
            {"source-1": ["token_rejected"], "source-2": []},
        )
        source.answer = DesiredState(())
        source.seen()
        assert harness.health.report()[0]


def test_two_sources_never_run_the_same_integration_and_the_second_takes_over(harness: ServiceHarness) -> None:
    first, second = Notice("source-1", harness.desired("one")), Notice("source-2")
    with supervised(harness, first, second):
        harness.next_commit("one")
        second.answer = DesiredState((harness.desired("one"),))
        second.seen()
        assert reasons(harness) == {"source-1": [], "source-2": ["one: served_twice"]}
        assert len(harness.opened_for["one"]) == 2
        first.answer = DesiredState(())
        harness.next_commit("one")
        second.seen()
        assert reasons(harness) == {"source-1": [], "source-2": []}


def test_an_integration_that_cannot_run_is_reported(harness: ServiceHarness) -> None:
    source = Notice("source-1")
    source.answer = DesiredState((harness.desired("one"),), {"#1": ConfigurationError("no usable id")})
    with supervised(harness, source):
        harness.next_commit("one")
        source.seen()
        assert (reasons(harness), harness.reasons()) == ({"source-1": ["#1: configuration"]}, {"one": []})


def test_a_connector_that_cannot_be_opened_fails_alone_and_is_retried(harness: ServiceHarness) -> None:
    broken = {"one"}

    def refuse(integration: str) -> None:
        if integration in broken:
            raise ConfigurationError("The Region is wrong.", field="config.region")

    harness.on_open = refuse
    # It waits as the contract defaults, until Ploy sets another interval; any thread may learn of that.
    source = Notice("source-1", harness.desired("one"), harness.desired("two"))
    with supervised(harness, source):
        harness.next_commit("two")
        harness.until(lambda: len(harness.reasons()["one"]) == 2)
        assert harness.reasons() == {"one": ["scans: configuration", "tasks: configuration"], "two": []}
        source.answer = DesiredState((harness.desired("one", region="right"), harness.desired("two")))
        broken.clear()
        harness.next_commit("one")
        harness.until(lambda: harness.reasons()["one"] == [])


@pytest.mark.parametrize("ends", ["by an error", "by the exit of a connector", "by itself"])
def test_a_crashed_loop_restarts_and_disturbs_no_other(
    harness: ServiceHarness, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[str] = []

    class Fragile:
        def __init__(self, place: TaskDependencies) -> None:
            self._place = place

        def run(self, stop: threading.Event) -> None:
            made.append(self._place.settings.integration.id)
            if made.count("one") <= 2 and made[-1] == "one":
                self._place.control.request_scan()  # so that the poll interval is known
                if ends == "by an error":
                    raise ValueError("token-do-not-show")
                if ends == "by the exit of a connector":
                    raise SystemExit("token-do-not-show")
                return
            HelloLoop(self._place).run(stop)

    harness.make_task_loop = Fragile
    source = Notice("source-1", harness.desired("one"), harness.desired("two"))
    with supervised(harness, source):
        harness.next_polls("two")
        harness.until(lambda: made.count("one") == 3)
        harness.next_polls("one")
        assert (made.count("two"), harness.reasons()) == (1, {"one": [], "two": []})
    logged: list[Any] = [record.getMessage() for record in caplog.records if "tasks do not run" in record.getMessage()]
    assert (len(logged), "token-do-not-show" in str(logged)) == (2, False)


def test_a_connector_gets_its_organisation_and_reports_its_calls(harness: ServiceHarness) -> None:
    with supervised(harness, Notice("source-1", harness.desired("one"), harness.desired("two", organisation="other"))):
        harness.next_commit("one")
        harness.next_commit("two")
        mine = harness.opened_for["one"][0]
        mine.on_call("directory", "List")
        mine.on_throttle("directory")
        mine.on_left_out("leftover")
        assert {each.organisation for each in harness.opened_for["one"]} == {"acme"}
        assert {each.organisation for each in harness.opened_for["two"]} == {"other"}
        assert harness.counted("ploy_remote_calls_total") == {("one", "List", "directory"): 1}
        assert harness.counted("ploy_remote_throttles_total") == {("one", "directory"): 1}
        assert harness.counted("ploy_left_out_total") == {("one", "leftover"): 1}


class HeldElsewhere(HelloLoop):
    """Tasks of which another process works off those of some integrations."""

    held: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        if self._place.settings.integration.id in self.held:
            self._place.control.poll_interval_seconds = 0.05  # ten seconds until Ploy sets another one
            raise TasksRunningError("Another process is already handling the tasks: process 7.")
        super().run(stop)


@pytest.mark.parametrize("held", [set(), {"one"}, {"one", "two"}])
def test_a_source_is_locked_out_where_another_process_has_all_its_integrations(
    harness: ServiceHarness, held: set[str]
) -> None:
    HeldElsewhere.held = held
    harness.make_task_loop = HeldElsewhere
    source = Notice("source", harness.desired("one"), harness.desired("two"))
    supervisor = Supervisor(source, harness.dependencies, Ownership())
    thread = threading.Thread(target=supervisor.run, daemon=True)
    thread.start()
    try:
        expected = {each: ["tasks: tasks_running"] if each in held else [] for each in ("one", "two")}
        harness.until(lambda: harness.reasons() == expected and (supervisor.lock_error is not None) == (len(held) == 2))
        HeldElsewhere.held = set()
        harness.until(lambda: supervisor.lock_error is None and harness.reasons() == {"one": [], "two": []})
    finally:
        supervisor.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
