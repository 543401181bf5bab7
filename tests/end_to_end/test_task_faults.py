"""A fault at every single call of a grant task and of a revoke task, to AWS, STS and Ploy, before it acts and after.

Each time it is another customer's task; whatever struck, it ends in exactly one report, and that is true. More kinds
of faults of AWS are in ``tests/aws/provisioning/test_fault_at_every_call.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

import pytest

from ploy_connector_aws.platform import wire

from .task_harness import Servers, TaskHarness, open_servers

Strike = Callable[[Servers, int], object]

FROM_AWS: dict[str, Strike] = {
    "lost before": lambda servers, nth: servers.aws.faults.cut_connection(nth, times=1),
    "lost after": lambda servers, nth: servers.aws.faults.cut_connection(nth, times=1, afterwards=True),
    "away from then on": lambda servers, nth: servers.aws.faults.before(
        None, lambda: servers.aws.faults.cut_connection(1, times=None), nth=nth
    ),
    "away from then on, having acted": lambda servers, nth: servers.aws.faults.before(
        None, lambda: servers.aws.faults.cut_connection(1, times=None, afterwards=True), nth=nth
    ),
}
FROM_PLOY: dict[str, Strike] = {
    "lost before": lambda servers, nth: servers.ploy.faults.drop_before(nth=nth),
    "lost after": lambda servers, nth: servers.ploy.faults.drop_after(nth=nth),
    "503": lambda servers, nth: servers.ploy.faults.unavailable(nth=nth),
    "away from then on": lambda servers, nth: servers.ploy.faults.drop_before(nth=nth, times=1000),
    "away from then on, having acted": lambda servers, nth: servers.ploy.faults.drop_after(nth=nth, times=1000),
}
END: dict[str, Strike] = {
    "ends before": lambda servers, nth: servers.network.crash(nth, is_after=False),
    "ends after": lambda servers, nth: servers.network.crash(nth, is_after=True),
}

CALLS_TO_PLOY = ["lease_tasks", "extend_lease", "complete_task"]
PEOPLE = {"grant": "dee", "revoke": "bo"}
WRITES = {"grant": "CreateGroupMembership", "revoke": "DeleteGroupMembership"}
GROUP = "admins"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with open_servers(tmp_path_factory.mktemp("servers")) as opened:
        yield opened


Direction = Literal["grant", "revoke"]


def attempt(harness: TaskHarness) -> None:
    """Lease the task, keep it once, carry it out, and report it, each as far as it comes."""
    with harness.may_crash():
        runtime = harness.runtime
        runtime.poller.step()
        harness.move(50)
        runtime.renewer.step()
        while runtime.worker.step():
            pass
        runtime.outbox.step()


def count_calls(servers: Servers, direction: Direction) -> tuple[int, int]:
    """How many calls a task makes when all is calm: to AWS and STS, and to Ploy."""
    with servers.harness() as harness:
        harness.order(direction, PEOPLE[direction], GROUP)
        servers.aws.calls.clear()
        sent = servers.network.sent
        attempt(harness)
        assert [task.state for task in harness.tasks()] == ["done"]
        asked = len(servers.aws.calls)
        return asked, servers.network.sent - sent - asked


def meet(servers: Servers, direction: Direction, strike: Strike, nth: int) -> str:
    """Have one task struck at one call; what it ended in, once the faults are over."""
    with servers.harness() as harness:
        harness.order(direction, PEOPLE[direction], GROUP)
        strike(servers, nth)
        attempt(harness)
        harness.calm()
        harness.work_off()

        (task,) = harness.tasks()
        pair = harness.pair(PEOPLE[direction], GROUP)
        effects = [event.is_member for event in harness.register.of(pair) if event.is_ours]
        where = f"at call {nth}: {task}"
        assert (task.state, harness.has_ended_once(task)) == ("done", True), where
        assert isinstance(task.report, wire.TaskDone), where
        change = task.report.change
        assert change is not None, where
        assert change.verified_at is not None, where
        assert harness.register.was_member(pair, change.verified_at) == (direction == "grant"), where
        assert effects == [direction == "grant"], where
        return change.outcome


@pytest.fixture
def every(request: pytest.FixtureRequest) -> int:
    """At which calls a fault strikes: at every third one, and in a soak at each."""
    return 1 if request.config.option.soak else 3


def meet_everywhere(
    servers: Servers, direction: Direction, strikes: Mapping[str, Strike], strike: str, calls: int, every: int = 1
) -> set[str]:
    """Have a task struck at the calls; each kind begins at another one, so all kinds together strike at each call."""
    first = 1 + list(strikes).index(strike) % every
    return {meet(servers, direction, strikes[strike], nth) for nth in range(first, calls + 1, every)}


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
    servers: Servers, direction: Direction, strike: str, every: int
) -> None:
    calls, _ = count_calls(servers, direction)
    assert calls >= 7
    is_away = strike.startswith("away")
    outcomes = meet_everywhere(servers, direction, FROM_AWS, strike, calls, 1 if is_away else every)
    # What was not read back at the first attempt is looked for at the next.
    may_be_found = {"already_in_effect"} if is_away else set()
    assert outcomes == {"applied"} | may_be_found


@each_case(FROM_PLOY)
def test_a_fault_at_any_call_to_ploy_leaves_one_true_report(
    servers: Servers, direction: Direction, strike: str
) -> None:
    _, calls = count_calls(servers, direction)
    assert calls == len(CALLS_TO_PLOY)
    assert meet_everywhere(servers, direction, FROM_PLOY, strike, calls) == {"applied"}


@each_case(END)
def test_a_process_that_ends_at_any_call_leaves_one_true_report(
    servers: Servers, direction: Direction, strike: str, every: int
) -> None:
    outcomes = meet_everywhere(servers, direction, END, strike, sum(count_calls(servers, direction)), every)
    assert outcomes == {"applied", "already_in_effect"}


@DIRECTIONS
def test_a_change_that_cannot_be_verified_after_a_crash_is_reported_as_unknown(
    servers: Servers, direction: Direction
) -> None:
    with servers.harness() as harness:
        harness.order(direction, PEOPLE[direction], GROUP)
        asked = servers.network.sent
        servers.aws.faults.before(WRITES[direction], lambda: servers.network.crash(0, is_after=True))
        attempt(harness)
        assert harness.crashes, f"it did not end within {servers.network.sent - asked} calls"
        servers.network.crash_at = None
        servers.aws.faults.deny("ListGroups")
        harness.work_off()
        (task,) = harness.tasks()
        assert [event.is_ours for event in harness.register.of(harness.pair(PEOPLE[direction], GROUP))][-1]
        assert isinstance(task.report, wire.TaskFailed)
        assert (task.state, task.report.code) == ("manual", "state_unknown")
        assert harness.has_ended_once(task)


@DIRECTIONS
def test_a_change_that_aws_does_not_confirm_before_the_deadline_is_reported_as_unknown(
    servers: Servers, direction: Direction
) -> None:
    with servers.harness() as harness:
        harness.order(direction, PEOPLE[direction], GROUP, minutes=10)
        servers.aws.faults.before(
            WRITES[direction], lambda: servers.aws.faults.cut_connection(1, times=None, afterwards=True)
        )
        harness.work_off()
        (task,) = harness.tasks()
        assert isinstance(task.report, wire.TaskFailed)
        assert (task.state, task.report.code, harness.has_ended_once(task)) == ("manual", "state_unknown", True)


@DIRECTIONS
def test_a_write_that_its_lease_does_not_cover_waits_until_the_lease_is_extended(
    servers: Servers, direction: Direction
) -> None:
    with servers.harness() as harness:
        harness.order(direction, PEOPLE[direction], GROUP)
        pair = harness.pair(PEOPLE[direction], GROUP)
        servers.aws.faults.before("GetGroupMembershipId", lambda: harness.move(100))
        harness.turn()
        assert not any(event.is_ours for event in harness.register.of(pair)), "20 seconds are left, which is too little"
        harness.work_off()
        assert [(event.is_member, event.is_leased) for event in harness.register.of(pair) if event.is_ours] == [
            (direction == "grant", True)
        ]
        assert [task.state for task in harness.tasks()] == ["done"]
