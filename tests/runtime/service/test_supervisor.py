"""What runs is what the sources want: no more, no less, whatever happens to one of them."""

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

from .service_harness import LARGE, PATIENCE, HelloLoop, House


class Notice:
    """A source that says what a test tells it to."""

    def __init__(self, name: str, *desired: DesiredIntegration) -> None:
        self.name = name
        self.polls: Queue[None] = Queue()
        self.is_closed = threading.Event()
        self.says: DesiredState | Exception = DesiredState(desired)

    def read(self) -> DesiredState:
        self.polls.put(None)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def close(self) -> None:
        self.is_closed.set()

    def seen(self) -> None:
        """Wait until what is said now was taken."""
        while not self.polls.empty():
            self.polls.get()
        for _ in range(2):
            self.polls.get(timeout=PATIENCE)


@contextmanager
def supervised(house: House, *sources: Notice) -> Iterator[None]:
    ownership = Ownership()
    supervisors = [Supervisor(source, house.dependencies, ownership) for source in sources]
    for supervisor in supervisors:
        supervisor._poll_interval = 0.05  # until an integration says another one
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
        assert house.health.report()[1]["integrations"] == {}


@pytest.fixture(autouse=True)
def quick_first_polls(house: House) -> None:
    house.intervals = {"poll_interval_seconds": 0.05}


def reasons(house: House) -> dict[str, list[str]]:
    return {name: each["reasons"] for name, each in house.health.report()[1]["sources"].items()}


def test_an_integration_is_begun_when_it_is_enabled_and_ended_when_it_is_not(house: House) -> None:
    source = Notice("source-1")
    with supervised(house, source):
        source.seen()
        assert house.reasons() == {}
        source.says = DesiredState((house.desired("one"),))
        house.next_commit("one")
        source.says = DesiredState((house.desired("one"), house.desired("two")))
        house.next_commit("two")
        assert set(house.reasons()) == {"one", "two"}
        source.says = DesiredState((house.desired("two"),))
        house.until(lambda: set(house.reasons()) == {"two"})
        house.next_polls("two")
        assert house.commits["one"].empty(), "and was scanned no more"


def test_other_settings_begin_it_anew_and_leave_others_alone(house: House) -> None:
    source = Notice("source-1", house.desired("one", secret="a"), house.desired("two"))
    with supervised(house, source):
        house.next_commit("one")
        house.next_commit("two")
        source.seen()
        assert house.commits["one"].empty(), "the same settings change nothing"
        source.says = DesiredState((house.desired("one", secret="b"), house.desired("two")))
        house.next_commit("one")
        source.seen()
        assert house.commits["two"].empty()
    assert (len(house.opened_for["one"]), len(house.opened_for["two"])) == (4, 2)


def test_settings_that_only_look_equal_are_others(house: House) -> None:
    one, true = house.desired("one", secret=1), house.desired("one", secret=True)
    assert (one == true, one.digest == true.digest) == (True, False)
    came_back = replace(one, revision=3)
    assert came_back.digest != one.digest, "or nothing would be given out to it any more"


def test_a_scan_under_old_settings_is_cut_off_and_never_runs_beside_the_new_one(house: House) -> None:
    old = house.sources["one"] = Source(LARGE)
    reading, changed = threading.Event(), threading.Event()

    def hold(page: int) -> None:
        if page == 60:
            reading.set()
            changed.wait(PATIENCE)

    old.on_page = hold
    source = Notice("source-1", house.desired("one", secret="a"))
    with supervised(house, source):
        assert reading.wait(PATIENCE)
        house.sources["one"] = Source(World({"zoe": "clerk"}))
        source.says = DesiredState((house.desired("one", secret="b"),))
        source.seen()
        assert (len(house.opened_for["one"]), house.commits["one"].empty()) == (2, True)
        changed.set()
        house.next_commit("one")
        assert len(house.opened_for["one"]) == 4
    assert house.at_ploy("one") >= {"zoe"}


@pytest.mark.parametrize(
    "error", [PlatformUnavailableError("Ploy is away."), TokenRejectedError("No."), ValueError("secret")]
)
def test_a_source_that_cannot_be_asked_leaves_running_what_runs_and_says_so_once(
    house: House, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    source = Notice("source-1", house.desired("one"))
    with supervised(house, source):
        house.next_commit("one")
        source.says = error
        source.seen()
        source.seen()
        assert (house.reasons(), reasons(house)) == ({"one": []}, {"source-1": []})
        house.next_polls("one")
    said = [record.getMessage() for record in caplog.records if "does not answer" in record.getMessage()]
    assert (len(said), "secret" in said[0]) == (1, False)


def test_a_source_that_never_answered_is_not_well(house: House) -> None:
    source, other = Notice("source-1"), Notice("source-2", house.desired("two"))
    source.says = TokenRejectedError("Ploy does not accept the token.")
    with supervised(house, source, other):
        house.next_commit("two")
        source.seen()
        is_well, report = house.health.report()
        assert (is_well, report["status"], reasons(house)) == (
            False,
            "failing",
            {"source-1": ["token_rejected"], "source-2": []},
        )
        source.says = DesiredState(())
        source.seen()
        assert house.health.report()[0]


def test_two_sources_never_serve_the_same_integration_and_the_second_takes_over(house: House) -> None:
    first, second = Notice("source-1", house.desired("one")), Notice("source-2")
    with supervised(house, first, second):
        house.next_commit("one")
        second.says = DesiredState((house.desired("one"),))
        second.seen()
        assert reasons(house) == {"source-1": [], "source-2": ["one: served_twice"]}
        assert len(house.opened_for["one"]) == 2
        first.says = DesiredState(())
        house.next_commit("one")
        second.seen()
        assert reasons(house) == {"source-1": [], "source-2": []}


def test_what_a_source_names_and_cannot_be_served_is_said(house: House) -> None:
    source = Notice("source-1")
    source.says = DesiredState((house.desired("one"),), {"#1": ConfigurationError("no usable id")})
    with supervised(house, source):
        house.next_commit("one")
        source.seen()
        assert (reasons(house), house.reasons()) == ({"source-1": ["#1: configuration"]}, {"one": []})


def test_a_connector_that_cannot_be_opened_fails_alone_and_is_tried_again(house: House) -> None:
    broken = {"one"}

    def refuse(integration: str) -> None:
        if integration in broken:
            raise ConfigurationError("The Region is wrong.", field="config.region")

    house.on_open = refuse
    # It waits as the contract says, until Ploy says otherwise; what another thread learned of it counts too.
    source = Notice("source-1", house.desired("one"), house.desired("two"))
    with supervised(house, source):
        house.next_commit("two")
        house.until(lambda: len(house.reasons()["one"]) == 2)
        assert house.reasons() == {"one": ["scans: configuration", "tasks: configuration"], "two": []}
        source.says = DesiredState((house.desired("one", region="right"), house.desired("two")))
        broken.clear()
        house.next_commit("one")
        house.until(lambda: house.reasons()["one"] == [])


@pytest.mark.parametrize("ends", ["by an error", "by the exit of a connector", "by itself"])
def test_a_loop_that_ends_is_made_anew_and_nothing_else_notices(
    house: House, ends: str, caplog: pytest.LogCaptureFixture
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

    house.make_task_loop = Fragile
    source = Notice("source-1", house.desired("one"), house.desired("two"))
    with supervised(house, source):
        house.next_polls("two")
        house.until(lambda: made.count("one") == 3)
        house.next_polls("one")
        assert (made.count("two"), house.reasons()) == (1, {"one": [], "two": []})
    logged: list[Any] = [record.getMessage() for record in caplog.records if "tasks do not run" in record.getMessage()]
    assert (len(logged), "token-do-not-show" in str(logged)) == (2, False)


def test_a_connector_knows_for_whom_it_works_and_tells_of_its_calls(house: House) -> None:
    with supervised(house, Notice("source-1", house.desired("one"), house.desired("two", organisation="other"))):
        house.next_commit("one")
        house.next_commit("two")
        mine = house.opened_for["one"][0]
        mine.on_call("directory", "List")
        mine.on_throttle("directory")
        mine.on_left_out("leftover")
        assert {each.organisation for each in house.opened_for["one"]} == {"acme"}
        assert {each.organisation for each in house.opened_for["two"]} == {"other"}
        assert house.counted("ploy_remote_calls_total") == {("one", "List", "directory"): 1}
        assert house.counted("ploy_remote_throttles_total") == {("one", "directory"): 1}
        assert house.counted("ploy_left_out_total") == {("one", "leftover"): 1}


class HeldElsewhere(HelloLoop):
    """Tasks of which another process works off those of some integrations."""

    held: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        if self._place.settings.integration.id in self.held:
            self._place.control.poll_interval_seconds = 0.05  # ten seconds until Ploy has said another one
            raise TasksRunningError("Another process is already handling the tasks: process 7.")
        super().run(stop)


@pytest.mark.parametrize("held", [set(), {"one"}, {"one", "two"}])
def test_a_source_is_locked_out_where_another_process_has_all_its_integrations(house: House, held: set[str]) -> None:
    HeldElsewhere.held = held
    house.make_task_loop = HeldElsewhere
    source = Notice("source", house.desired("one"), house.desired("two"))
    supervisor = Supervisor(source, house.dependencies, Ownership())
    thread = threading.Thread(target=supervisor.run, daemon=True)
    thread.start()
    try:
        expected = {each: ["tasks: tasks_running"] if each in held else [] for each in ("one", "two")}
        house.until(lambda: house.reasons() == expected and (supervisor.lock_error is not None) == (len(held) == 2))
        HeldElsewhere.held = set()
        house.until(lambda: supervisor.lock_error is None and house.reasons() == {"one": [], "two": []})
    finally:
        supervisor.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()
