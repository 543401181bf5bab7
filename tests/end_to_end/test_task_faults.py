"""A fault at every single call of a grant task and of a revoke task, to AWS, STS and Ploy, before it acts and after.

Each time it is another customer's task; whatever struck, it ends in exactly one report, and that is true. More kinds
of faults of AWS are in ``tests/aws/provisioning/test_fault_at_every_call.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import pytest

from ploy_connector_aws.platform import wire

from .task_harness import Servers, TaskHarness, open_city

Strike = Callable[[Servers, int], object]

FROM_AWS: dict[str, Strike] = {
    "lost before": lambda city, nth: city.aws.faults.cut_connection(nth, times=1),
    "lost after": lambda city, nth: city.aws.faults.cut_connection(nth, times=1, afterwards=True),
    "away from then on": lambda city, nth: city.aws.faults.before(
        None, lambda: city.aws.faults.cut_connection(1, times=None), nth=nth
    ),
    "away from then on, having acted": lambda city, nth: city.aws.faults.before(
        None, lambda: city.aws.faults.cut_connection(1, times=None, afterwards=True), nth=nth
    ),
}
FROM_PLOY: dict[str, Strike] = {
    "lost before": lambda city, nth: city.ploy.faults.drop_before(nth=nth),
    "lost after": lambda city, nth: city.ploy.faults.drop_after(nth=nth),
    "503": lambda city, nth: city.ploy.faults.unavailable(nth=nth),
    "away from then on": lambda city, nth: city.ploy.faults.drop_before(nth=nth, times=1000),
    "away from then on, having acted": lambda city, nth: city.ploy.faults.drop_after(nth=nth, times=1000),
}
END: dict[str, Strike] = {
    "ends before": lambda city, nth: city.network.crash(nth, is_after=False),
    "ends after": lambda city, nth: city.network.crash(nth, is_after=True),
}

CALLS_TO_PLOY = ["lease_tasks", "extend_lease", "complete_task"]
PEOPLE = {"grant": "dee", "revoke": "bo"}
WRITES = {"grant": "CreateGroupMembership", "revoke": "DeleteGroupMembership"}
GROUP = "admins"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with open_city(tmp_path_factory.mktemp("city")) as opened:
        yield opened


Direction = Literal["grant", "revoke"]


def attempt(office: TaskHarness) -> None:
    """Lease the task, keep it once, carry it out, and report it, each as far as it comes."""
    with office.may_crash():
        runtime = office.runtime
        runtime.poller.step()
        office.move(50)
        runtime.renewer.step()
        while runtime.worker.step():
            pass
        runtime.outbox.step()


def count_calls(city: Servers, direction: Direction) -> tuple[int, int]:
    """How many calls a task makes when all is calm: to AWS and STS, and to Ploy."""
    with city.office() as office:
        office.order(direction, PEOPLE[direction], GROUP)
        city.aws.calls.clear()
        sent = city.network.sent
        attempt(office)
        assert [task.state for task in office.tasks()] == ["done"]
        asked = len(city.aws.calls)
        return asked, city.network.sent - sent - asked


def meet(city: Servers, direction: Direction, strike: Strike, nth: int) -> str:
    """Have one task struck at one call; what it ended in, once the faults are over."""
    with city.office() as office:
        office.order(direction, PEOPLE[direction], GROUP)
        strike(city, nth)
        attempt(office)
        office.calm()
        office.work_off()

        (task,) = office.tasks()
        pair = office.pair(PEOPLE[direction], GROUP)
        effects = [event.is_member for event in office.register.of(pair) if event.is_ours]
        where = f"at call {nth}: {task}"
        assert (task.state, office.has_ended_once(task)) == ("done", True), where
        assert isinstance(task.report, wire.TaskDone), where
        change = task.report.change
        assert change is not None, where
        assert change.verified_at is not None, where
        assert office.register.was_member(pair, change.verified_at) == (direction == "grant"), where
        assert effects == [direction == "grant"], where
        return change.outcome


@pytest.fixture
def every(request: pytest.FixtureRequest) -> int:
    """At which calls a fault strikes: at every second one, and in a soak at each."""
    return 1 if request.config.option.soak else 2


def meet_everywhere(city: Servers, direction: Direction, strike: Strike, calls: int, every: int) -> set[str]:
    return {meet(city, direction, strike, nth) for nth in range(1, calls + 1, every)}


def each_case(strikes: Iterable[str]) -> pytest.MarkDecorator:
    """Each kind of fault in a grant or in a revoke, by turns; in the other one, too, in a soak."""
    return pytest.mark.parametrize(
        ("strike", "direction"),
        [
            pytest.param(strike, direction, marks=[] if (number + other) % 2 == 0 else [pytest.mark.soak])
            for number, strike in enumerate(strikes)
            for other, direction in enumerate(("grant", "revoke"))
        ],
    )


DIRECTIONS = pytest.mark.parametrize("direction", ["grant", "revoke"])


@each_case(FROM_AWS)
def test_a_fault_at_any_call_to_aws_leaves_one_true_report(
    city: Servers, direction: Direction, strike: str, every: int
) -> None:
    calls, _ = count_calls(city, direction)
    assert calls >= 7
    is_away = strike.startswith("away")
    outcomes = meet_everywhere(city, direction, FROM_AWS[strike], calls, 1 if is_away else every)
    # What was not read back at the first attempt is looked for at the next.
    may_be_found = {"already_in_effect"} if is_away else set()
    assert outcomes == {"applied"} | may_be_found


@each_case(FROM_PLOY)
def test_a_fault_at_any_call_to_ploy_leaves_one_true_report(city: Servers, direction: Direction, strike: str) -> None:
    _, calls = count_calls(city, direction)
    assert calls == len(CALLS_TO_PLOY)
    assert meet_everywhere(city, direction, FROM_PLOY[strike], calls, 1) == {"applied"}


@each_case(END)
def test_a_process_that_ends_at_any_call_leaves_one_true_report(
    city: Servers, direction: Direction, strike: str, every: int
) -> None:
    outcomes = meet_everywhere(city, direction, END[strike], sum(count_calls(city, direction)), every)
    assert outcomes == {"applied", "already_in_effect"}


@DIRECTIONS
def test_what_nobody_could_look_at_after_the_process_ended_is_reported_as_unknown(
    city: Servers, direction: Direction
) -> None:
    with city.office() as office:
        office.order(direction, PEOPLE[direction], GROUP)
        asked = city.network.sent
        city.aws.faults.before(WRITES[direction], lambda: city.network.crash(0, is_after=True))
        attempt(office)
        assert office.crashes, f"it did not end within {city.network.sent - asked} calls"
        city.network.crash_at = None
        city.aws.faults.deny("ListGroups")
        office.work_off()
        (task,) = office.tasks()
        assert [event.is_ours for event in office.register.of(office.pair(PEOPLE[direction], GROUP))][-1]
        assert isinstance(task.report, wire.TaskFailed)
        assert (task.state, task.report.code) == ("manual", "state_unknown")
        assert office.has_ended_once(task)


@DIRECTIONS
def test_what_aws_does_not_answer_any_more_until_the_deadline_is_reported_as_unknown(
    city: Servers, direction: Direction
) -> None:
    with city.office() as office:
        office.order(direction, PEOPLE[direction], GROUP, minutes=10)
        city.aws.faults.before(
            WRITES[direction], lambda: city.aws.faults.cut_connection(1, times=None, afterwards=True)
        )
        office.work_off()
        (task,) = office.tasks()
        assert isinstance(task.report, wire.TaskFailed)
        assert (task.state, task.report.code, office.has_ended_once(task)) == ("manual", "state_unknown", True)


@DIRECTIONS
def test_a_write_that_its_lease_does_not_cover_waits_until_the_lease_is_extended(
    city: Servers, direction: Direction
) -> None:
    with city.office() as office:
        office.order(direction, PEOPLE[direction], GROUP)
        pair = office.pair(PEOPLE[direction], GROUP)
        city.aws.faults.before("GetGroupMembershipId", lambda: office.move(100))
        office.turn()
        assert not any(event.is_ours for event in office.register.of(pair)), "20 seconds are left, which is too little"
        office.work_off()
        assert [(event.is_member, event.is_leased) for event in office.register.of(pair) if event.is_ours] == [
            (direction == "grant", True)
        ]
        assert [task.state for task in office.tasks()] == ["done"]
