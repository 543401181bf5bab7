"""Random histories of tasks, outside changes, faults of either side, ends of the process and scans, over HTTP.

In the end every report is compared with what AWS held at that very moment. Nothing depends on chance but the history:
time moves only with calls and with steps, and a fault names the call that it strikes. So Hypothesis shortens a history
that fails, and what it prints of the shortest one is the body of a test: paste it into a function of this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import ClassVar, NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformError
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED
from ploy_connector_aws.sandbox.aws.faults import about
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.task_rules import unreported
from ploy_connector_aws.spec import ConnectorError
from tests.runtime.tasks.stage import PARTS, Runtime
from tests.soak import costly

from .office import Event, Pair, Servers, TaskHarness, open_city

NAMES = (("dee", "admins"), ("bo", "empty"), ("bo", "admins"), ("dee", "empty"), ("ana", "everyone"))
"""Who is ordered into which group, or out of it; the last one is not ours to change."""
READ_MEMBERS = "ListGroupMemberships"
LOOK, WRITES = "GetGroupMembershipId", ("CreateGroupMembership", "DeleteGroupMembership")


class Ordered(NamedTuple):
    """A task: a grant or a revoke or, without a kind, whichever of the two changes something now."""

    person: str
    group: str
    kind: wire.TaskKind | None = None
    minutes: int = 20
    preview: bool = False


TASKS = st.builds(
    lambda names, *more: Ordered(*names, *more),
    st.sampled_from(NAMES),
    st.sampled_from([None, None, None, "grant", "revoke"]),
    st.sampled_from([20, 20, 5]),
    st.sampled_from([False] * 5 + [True]),
)
SECONDS = st.sampled_from([0, 0, 1, 15, 50, 130])
DELAYS = st.tuples(st.just(LOOK), SECONDS) | st.tuples(st.sampled_from(WRITES), st.sampled_from([1, 4]))
"""Calls, and how long each is under way. A write that takes longer than the margin of a lease may end after it."""
RACES = st.sampled_from([LOOK, LOOK, *WRITES])


class TaskHistory(RuleBasedStateMachine):
    """One customer, and what happens to it. In the end everything is compared with the truth."""

    city: ClassVar[Servers]

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        self.office: TaskHarness = self._stack.enter_context(self.city.office())
        self.troubled: list[datetime] = []
        """When AWS began to be in trouble."""
        self._has_failed = False

    def _run(self, do: Callable[[Runtime], object]) -> None:
        """Let the process do something; it may end by it."""
        with self._judged(), self.office.may_crash():
            do(self.office.runtime)

    @contextlib.contextmanager
    def _judged(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._has_failed = True
            raise

    # What may happen.

    @rule(tasks=st.lists(TASKS, min_size=1, max_size=3))
    def order(self, tasks: list[Ordered]) -> None:
        office = self.office
        for person, group, kind, minutes, preview in tasks:
            user_id, group_id = office.pair(person, group)
            other: wire.TaskKind = "revoke" if (group_id, user_id) in office.seeded.memberships else "grant"
            office.order(kind or other, person, group, preview=preview, minutes=minutes)

    @rule(after_seconds=SECONDS)
    def turn(self, after_seconds: int) -> None:
        self.office.move(after_seconds)
        self._run(Runtime.turn)

    @rule(name=st.sampled_from(list(PARTS)), after_seconds=SECONDS)
    def part(self, name: str, after_seconds: int) -> None:
        self.office.move(after_seconds)
        self._run(PARTS[name])

    more_orders, more_turns, even_more_turns, more_parts = order, turn, turn, part  # likelier than what goes wrong

    @rule(
        how=st.sampled_from([*["lost", "lost after", "500", "500 after", "throttled"] * 2, "denied"]),
        operations=st.sampled_from([(), WRITES, WRITES, WRITES, (LOOK,), ("AssumeRole",)]),
        nth=st.sampled_from([1, 1, 1, 1, 2, 3]),
        times=st.sampled_from([1, 2, 30, 30]),
    )
    def trouble_at_aws(self, how: str, operations: tuple[str, ...], nth: int, times: int) -> None:
        self.troubled.append(self.office.clock())
        _strike_at_aws(self.city, how, operations, nth, times)

    @rule(
        how=st.sampled_from(["lost", "lost after", "503"]),
        operation=st.sampled_from([None, "lease_tasks", "extend_lease", "complete_task", "fail_task"]),
        nth=st.integers(1, 2),
        times=st.integers(1, 3),
    )
    def trouble_at_ploy(self, how: str, operation: str | None, nth: int, times: int) -> None:
        faults = self.city.ploy.faults
        strike = {"lost": faults.drop_before, "lost after": faults.drop_after, "503": faults.unavailable}[how]
        strike(operation, nth=nth, times=times)  # type: ignore[arg-type]

    @rule(nth=st.integers(1, 12), is_after=st.booleans())
    def crash_at_a_call(self, nth: int, is_after: bool) -> None:
        self.city.network.crash(nth, is_after=is_after)

    @rule(nth=st.integers(1, 4), is_after=st.booleans())
    def crash_at_a_write(self, nth: int, is_after: bool) -> None:
        writes = self.office.writes
        writes.crash_at, writes.is_after = writes.count + nth, is_after

    @rule(operation=RACES, nth=st.sampled_from([1, 2, 2]), names=st.sampled_from(NAMES))
    def change_outside_during(self, operation: str, nth: int, names: tuple[str, str]) -> None:
        self.city.aws.faults.before(operation, lambda: self.change_outside(names), nth=nth)

    @rule(call=DELAYS, nth=st.sampled_from([1, 2, 2]))
    def time_passes_during(self, call: tuple[str, int], nth: int) -> None:
        operation, seconds = call
        self.city.aws.faults.before(operation, lambda: self.office.move(seconds), nth=nth)

    @rule(names=st.sampled_from(NAMES))
    def change_outside(self, names: tuple[str, str]) -> None:
        self.office.change_behind_our_back(*names)

    @rule(what=st.sampled_from([None, None, None, "group", "user"]))
    def delete(self, what: str | None) -> None:
        if what == "group":
            self.office.delete_group("empty")
        elif what == "user":
            self.office.delete_user("bo")

    @rule(paused=st.booleans(), read_only=st.booleans())
    def flags(self, paused: bool, read_only: bool) -> None:
        self.city.ploy.set_flags(self.office.integration_id, paused=paused, read_only=read_only)

    @rule(group=st.sampled_from([None, None, "admins", "everyone", "empty"]))
    def scan(self, group: str | None) -> None:
        """Scan; tasks are worked on while the members of the group are read."""
        if group is not None:
            faults, group_id = self.city.aws.faults, self.office.seeded.groups[group]
            faults.before(READ_MEMBERS, self.office.turn, where=about(group_id))
        with self._judged(), contextlib.suppress(ConnectorError, PlatformError):  # of the other side's trouble
            self.office.scan()

    @rule(after_seconds=st.sampled_from([130, 0]))
    def steal(self, after_seconds: int) -> None:
        """Another runtime gets a task, maybe when its lease has ended, and never reports it."""
        self.office.move(after_seconds)
        request = wire.LeaseRequest(request_id=f"r{self.office.clock()}", worker_id="other", max_tasks=1)
        self.city.ploy.lease_tasks(self.office.integration_id, request)

    @rule()
    def restart(self) -> None:
        self.office.close()

    @rule()
    def calm(self) -> None:
        self.office.calm()

    # What must be true in the end.

    def teardown(self) -> None:
        with self._stack:
            if not self._has_failed:
                self.end()

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

    def __init__(self, history: TaskHistory, task: OrderedTask) -> None:
        self.history = history
        self.task = task
        self.pair = task.account_id or "", task.entitlement_id or ""
        self.events = history.office.register.of(self.pair)
        self.effects = [event for event in self.events if event.is_ours and task in history.writers(event)]

    def pass_all(self) -> None:
        task, report = self.task, self.task.report
        assert task.state in ("done", "manual"), f"{task} was lost"
        assert self.history.office.has_ended_once(task), f"{task} was reported twice"
        self._no_effect_twice()
        match report:
            case None:
                assert task.failure == unreported(task), f"{task} ended in nothing"
                assert self._is_doubtful() or not self.effects
            case wire.TaskDone(change=change) if change is not None and task.preview:
                assert (change.outcome, self.effects) == ("previewed", [])
            case wire.TaskDone(change=change) if change is not None and change.verified_at is not None:
                was_member = self.history.office.register.was_member(self.pair, change.verified_at)
                assert was_member == (task.kind == "grant"), f"{task} is reported as {change.outcome}, falsely"
                assert self.effects or change.outcome == "already_in_effect" or self._others_did_it()
            case wire.TaskFailed(code="state_unknown"):
                assert self._is_doubtful(), f"why is {report.message!r} not known?"
            case wire.TaskFailed():
                assert not self.effects, f"{task} changed something, and is reported as {report.code}"
            case _:
                raise AssertionError(report)

    def _no_effect_twice(self) -> None:
        """A second effect of one task is one that another actor undid in between."""
        has_effect = False
        for event in self.events:
            is_effect = event in self.effects
            assert not (is_effect and has_effect), f"{self.task} took effect twice"
            has_effect = (is_effect or has_effect) and event.is_ours

    def _others_did_it(self) -> bool:
        """Whether somebody else brought about what was ordered meanwhile, so that nobody can tell who it was."""
        return any(not event.is_ours and self._was_under_way(event.at) for event in self.events)

    def _is_doubtful(self) -> bool:
        """Whether AWS was in trouble, somebody else changed the same, or the process ended, before it was reported."""
        ended = self.task.ended_at
        troubles = [*self.history.troubled, *self.history.office.crashes]
        return self._others_did_it() or any(ended is None or at <= ended for at in troubles)

    def _was_under_way(self, at: datetime) -> bool:
        return self.task.created_at <= at and (self.task.ended_at is None or at <= self.task.ended_at)


def _strike_at_aws(city: Servers, how: str, operations: tuple[str, ...], nth: int, times: int) -> None:
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


@pytest.fixture(scope="module", autouse=True)
def _city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with open_city(tmp_path_factory.mktemp("city")) as TaskHistory.city:
        yield


TestEveryTaskEndsInOneReportThatIsTrueInAws = costly()(TaskHistory).TestCase
