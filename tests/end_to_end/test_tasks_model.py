"""Random histories of orders, outside changes, faults of either side, ends of the process and scans, over HTTP.

In the end every report is compared with what AWS held at that very moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.task_rules import unreported
from ploy_connector_aws.spec import ConnectorError

from .office import City, Event, Office, Pair, open_city

NAMES = (("dee", "admins"), ("bo", "nobody"), ("bo", "admins"), ("dee", "nobody"), ("ana", "everyone"))
"""Who is ordered into which group, or out of it; the last one is not ours to change."""
READ_MEMBERS = "ListGroupMemberships"
LOOK, WRITES = "GetGroupMembershipId", ("CreateGroupMembership", "DeleteGroupMembership")


class Step(NamedTuple):
    """Something happens: what, and with what."""

    what: str
    how: Any = None


NAMED = st.sampled_from(NAMES)
ORDERS = st.builds(
    Step,
    st.just("order"),
    st.tuples(
        st.sampled_from([None, None, None, "grant", "revoke"]),  # None: whatever will change something
        NAMED,
        st.sampled_from([False, False, False, False, False, True]),
        st.sampled_from([5, 20, 20]),
    ),
)
PARTS = st.sampled_from([*(Step(part) for part in ("poll", "keep", "work", "send")), *[Step("turn")] * 8])
FROM_AWS = st.tuples(
    st.sampled_from([*["lost", "lost after", "500", "500 after", "throttled"] * 2, "denied"]),
    st.sampled_from([(), WRITES, WRITES, WRITES, (LOOK,), ("AssumeRole",)]),
    st.sampled_from([1, 1, 1, 1, 2, 3]),
    st.sampled_from([1, 2, 30, 30]),
)
FROM_PLOY = st.tuples(
    st.sampled_from(["lost", "lost after", "503"]),
    st.sampled_from([None, "lease_tasks", "extend_lease", "complete_task", "fail_task"]),
    st.integers(1, 2),
    st.integers(1, 3),
)
OUTSIDE = st.builds(Step, st.just("outside"), NAMED)
DELETED = st.builds(Step, st.just("group deleted"), st.just("nobody")) | st.builds(
    Step, st.just("user deleted"), st.just("bo")
)
TIME = st.builds(Step, st.just("time"), st.sampled_from([1, 15, 50, 130]))
TROUBLES = st.one_of(
    st.builds(Step, st.just("aws"), FROM_AWS),
    st.builds(Step, st.just("aws"), FROM_AWS),
    st.builds(Step, st.just("ploy"), FROM_PLOY),
    st.builds(Step, st.just("crash"), st.tuples(st.integers(1, 12), st.booleans())),
    st.builds(Step, st.just("crash"), st.tuples(st.integers(1, 12), st.booleans())),
    st.builds(Step, st.just("write"), st.tuples(st.integers(1, 4), st.booleans())),
    OUTSIDE,
    st.integers(0, 9).flatmap(lambda number: DELETED if number == 9 else OUTSIDE),
    st.builds(
        Step,
        st.just("race"),
        st.tuples(st.sampled_from([LOOK, LOOK, *WRITES]), st.sampled_from([1, 2, 2]), OUTSIDE | TIME),
    ),
    st.builds(
        Step, st.just("flags"), st.sampled_from([wire.Flags(), wire.Flags(paused=True), wire.Flags(read_only=True)])
    ),
    st.sampled_from([Step("steal"), Step("restart"), Step("restart"), Step("calm"), Step("calm"), Step("calm")]),
)
SCANS = st.builds(Step, st.just("scan"), st.sampled_from([None, None, 1, 3]))
STEPS = st.one_of(ORDERS, ORDERS, PARTS, PARTS, PARTS, TIME, TROUBLES, TROUBLES, st.one_of(TIME, TIME, SCANS))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with open_city(tmp_path_factory.mktemp("city")) as opened:
        yield opened


class Play:
    """One customer, and what happens to it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.troubled: list[datetime] = []
        """When AWS began to be in trouble."""

    def step(self, step: Step) -> None:
        with self.office.may_crash():
            self._do(step)

    def _do(self, step: Step) -> None:
        office, city = self.office, self.office.city
        match step:
            case Step("order", (kind, names, preview, minutes)):
                user_id, group_id = office.pair(*names)
                other: wire.TaskKind = "revoke" if (group_id, user_id) in office.seeded.memberships else "grant"
                office.order(kind or other, *names, preview=preview, minutes=minutes)
            case Step("turn" | "poll" | "keep" | "work" | "send" as part):
                runtime = office.runtime
                parts = {"turn": runtime.turn, "poll": runtime.poll.step, "keep": runtime.keeping.step}
                {**parts, "work": runtime.worker.step, "send": runtime.outbox.step}[part]()
            case Step("time", int(seconds)):
                office.move(seconds)
            case Step("aws", (how, operations, nth, times)):
                self.troubled.append(office.clock())
                _strike_at_aws(city, how, operations, nth, times)
            case Step("ploy", (how, operation, nth, times)):
                faults = city.ploy.faults
                strike = {"lost": faults.drop_before, "lost after": faults.drop_after, "503": faults.unavailable}[how]
                strike(operation, nth=nth, times=times)
            case Step("crash", (nth, is_after)):
                city.network.crash(nth, is_after=is_after)
            case Step("write", (nth, is_after)):
                office.writes.crash_at, office.writes.is_after = office.writes.count + nth, is_after
            case Step("race", (operation, nth, change)):
                city.aws.faults.before(operation, lambda: self._do(change), nth=nth)
            case Step("outside", names):
                office.change_behind_our_back(*names)
            case Step("group deleted", str(group)):
                office.delete_group(group)
            case Step("user deleted", str(person)):
                office.delete_user(person)
            case Step("flags", wire.Flags() as flags):
                city.ploy.set_flags(office.integration_id, paused=flags.paused, read_only=flags.read_only)
            case Step("scan", nth):
                self._scan(nth)
            case Step("steal"):
                # Another runtime gets a task, and is never heard of again.
                request = wire.LeaseRequest(request_id=f"r{office.clock()}", holder="other", most=1)
                city.ploy.lease_tasks(office.integration_id, request)
            case Step("restart"):
                office.close()
            case Step("calm"):
                office.calm()
            case _:
                raise AssertionError(step)

    def _scan(self, nth: int | None) -> None:
        """Scan; where a number is given, tasks are worked on while the members of the nth group are read."""
        if nth is not None:
            self.office.city.aws.faults.before(READ_MEMBERS, self.office.turn, nth=nth)
        try:
            self.office.scan()
        except (ConnectorError, PlatformError):
            return  # what is wrong with the other side today is told to whoever scans

    def end(self) -> None:
        """Nothing goes wrong any more; everything is worked off, and compared with the truth."""
        office = self.office
        office.calm()
        office.city.ploy.set_flags(office.integration_id, paused=False, read_only=False)
        office.work_off(seconds=30)
        tasks = office.tasks()
        for task in tasks:
            Judgement(self, task).pass_all()
        self._no_write_without_an_order()
        self._picture_agrees()
        self._task_file_agrees()
        office.scan()
        assert office.at_ploy() == office.in_aws()

    def writers(self, event: Event) -> list[OrderedTask]:
        """The oldest of the tasks on a pair that were under way at some moment: the one that may write then."""
        return [
            task
            for task in self.office.tasks()
            if task.is_change
            and (task.account_id, task.entitlement_id) == event.pair
            and task.created_at <= event.at
            and (task.ended_at is None or event.at <= task.ended_at)
        ][:1]

    def _no_write_without_an_order(self) -> None:
        for event in self.office.register.events:
            if event.is_ours:
                kind = "grant" if event.is_member else "revoke"
                assert [task.kind for task in self.writers(event)] == [kind], f"nobody ordered {event}"
                assert event.is_leased, f"it was written under no lease: {event}"

    def _picture_agrees(self) -> None:
        """Of every pair whose last change was verified Ploy shows what AWS holds, if it shows anything at all."""
        office = self.office
        shown, held = office.at_ploy(), office.in_aws().memberships
        users, groups = ({row[0] for row in rows} for rows in (shown.users, shown.groups))
        for pair in (office.pair(*names) for names in NAMES):
            events = office.register.of(pair)
            verified = self.verified(pair)
            is_ours = bool(verified) and (not events or events[-1].at <= verified[-1])
            if is_ours and pair[0] in users and pair[1] in groups:
                assert (pair in shown.memberships) == (pair in held), f"Ploy shows {pair} wrongly"

    def verified(self, pair: Pair) -> list[datetime]:
        """When reports about a pair were true, in order."""
        return sorted(
            task.report.change.verified_at
            for task in self.office.tasks()
            if isinstance(task.report, wire.TaskDone)
            and task.report.change is not None
            and task.report.change.verified_at is not None
            and (task.account_id, task.entitlement_id) == pair
        )

    def _task_file_agrees(self) -> None:
        """Nothing is left in the task file, and what it calls reported is."""
        journal = self.office.runtime.journal
        assert (journal.open_tasks(), journal.reports()) == ([], [])
        for task in self.office.tasks():
            held = journal.task(task.id)
            if held is not None and held.ending == ACKNOWLEDGED:
                assert task.report is not None, f"the report of {task.id} was lost"


class Judgement:
    """What must be true of one task that has ended."""

    def __init__(self, play: Play, task: OrderedTask) -> None:
        self.play = play
        self.task = task
        self.pair = task.account_id or "", task.entitlement_id or ""
        self.events = play.office.register.of(self.pair)
        self.effects = [event for event in self.events if event.is_ours and task in play.writers(event)]

    def pass_all(self) -> None:
        task, report = self.task, self.task.report
        assert task.state in ("done", "manual"), f"{task} was lost"
        assert self.play.office.has_ended_once(task), f"{task} was reported twice"
        self._no_effect_twice()
        match report:
            case None:
                assert task.failure == unreported(task), f"{task} ended in nothing"
                assert self._is_doubtful() or not self.effects
            case wire.TaskDone(change=change) if change is not None and task.preview:
                assert (change.outcome, self.effects) == ("previewed", [])
            case wire.TaskDone(change=change) if change is not None and change.verified_at is not None:
                was_member = self.play.office.register.was_member(self.pair, change.verified_at)
                assert was_member == (task.kind == "grant"), f"{task} is reported as {change.outcome}, falsely"
                assert self.effects or change.outcome == "already_in_effect" or self._others_did_it()
            case wire.TaskFailed(code="state_unknown"):
                assert self._is_doubtful(), f"why is {report.message!r} not known?"
            case wire.TaskFailed():
                assert not self.effects, f"{task} changed something, and is reported as {report.code}"
            case _:
                raise AssertionError(report)

    def _no_effect_twice(self) -> None:
        """A second effect of one order is one that somebody else undid in between."""
        for one, other in itertools.pairwise(self.effects):
            between = [event for event in self.events if one.at < event.at < other.at]
            assert any(not event.is_ours for event in between), f"{self.task} took effect twice"

    def _others_did_it(self) -> bool:
        """Whether somebody else brought about what was ordered meanwhile, so that nobody can tell who it was."""
        return any(not event.is_ours and self._was_under_way(event.at) for event in self.events)

    def _is_doubtful(self) -> bool:
        """Whether AWS was in trouble, somebody else changed the same, or the process ended, before it was reported."""
        ended = self.task.ended_at
        troubles = [*self.play.troubled, *self.play.office.crashes]
        return self._others_did_it() or any(ended is None or at <= ended for at in troubles)

    def _was_under_way(self, at: datetime) -> bool:
        return self.task.created_at <= at and (self.task.ended_at is None or at <= self.task.ended_at)


def _strike_at_aws(city: City, how: str, operations: tuple[str, ...], nth: int, times: int) -> None:
    faults = city.aws.faults
    strikes: dict[str, Callable[[], object]] = {
        "lost": lambda: faults.cut_connection(nth, *operations, times=times),
        "lost after": lambda: faults.cut_connection(nth, *operations, times=times, afterwards=True),
        "500": lambda: faults.fail(nth, *operations, times=times),
        "500 after": lambda: faults.fail(nth, *operations, times=times, afterwards=True),
        "throttled": lambda: faults.throttle(nth, *operations, times=times),
        "denied": lambda: faults.deny(*operations),
    }
    strikes[how]()


@given(history=st.lists(STEPS, min_size=15, max_size=40))
@settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink one would take minutes
)
def test_every_order_ends_in_one_report_that_is_true_in_aws(city: City, history: list[Step]) -> None:
    with city.office() as office:
        play = Play(office)
        for step in history:
            play.step(step)
        play.end()
