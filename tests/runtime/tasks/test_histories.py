"""Random histories of tasks, outside changes, faults, ends of the process and lost leases, compared with the truth.

Hypothesis shortens a history that fails. What it prints of the shortest one is the body of a test: paste it into a
function of this module.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED
from tests.runtime.fakes import Crash

from .fake_membership_connector import AFTER, BEFORE, Event
from .fake_task_queue import NOT_REPORTED
from .task_runtime import PARTS, Runtime, TaskRuntimeHarness

PAIRS = (("ann", "g"), ("ann", "h"), ("bob", "g"))
OUTSIDE = "outside"


class Ordered(NamedTuple):
    """A task: a grant or a revoke or, without a kind, whichever of the two changes something now."""

    pair: tuple[str, str]
    kind: wire.TaskKind | None = None
    mishaps: tuple[str, ...] = ()
    """What happens in the attempts at it, one after the other."""
    minutes: int = 10
    preview: bool = False


TASKS = st.builds(
    Ordered,
    pair=st.sampled_from(PAIRS),
    kind=st.sampled_from([None, None, "grant", "revoke"]),
    mishaps=st.just(())
    | st.just(())
    | st.lists(st.sampled_from(list(AFTER)) | st.sampled_from([*BEFORE, *AFTER]), min_size=1, max_size=3).map(tuple),
    minutes=st.sampled_from([10, 10, 2]),
    preview=st.sampled_from([False] * 5 + [True]),
)
SECONDS = st.sampled_from([0, 0, 1, 10, 10, 25, 61, 130])
FAULTS = st.sampled_from(["lost", "unanswered", "crash", "crash after"])


class TaskHistory(RuleBasedStateMachine):
    """One harness, and the process that runs on it now. In the end everything is compared with the truth."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.harness = TaskRuntimeHarness(Path(self._folder.name))
        self.runtime: Runtime | None = None
        self.has_crashed = False
        self._has_failed = False
        self._report_faults: list[str] = []
        self.harness.queue.before = self._before

    def _before(self, call: str) -> None:
        if self._report_faults and call in ("complete_task", "fail_task"):
            self.harness.queue.faults[len(self.harness.queue.calls)] = self._report_faults.pop()

    def _run(self, do: Callable[[Runtime], object]) -> None:
        """Let the process do something. It may end by it; then another one is started when it is needed."""
        try:
            self.runtime = self.runtime or Runtime(self.harness)
            do(self.runtime)
            self._check_acknowledged(self.runtime)
        except Crash:
            self.has_crashed = True
            self._close()
        except BaseException:
            self._has_failed = True
            raise

    def _close(self) -> None:
        if self.runtime is not None:
            self.runtime.close()
        self.runtime = None

    # What may happen.

    @rule(tasks=st.lists(TASKS, min_size=1, max_size=3))
    def order(self, tasks: list[Ordered]) -> None:
        for pair, kind, mishaps, minutes, preview in tasks:
            other: wire.TaskKind = "revoke" if self.harness.memberships.is_member(pair) else "grant"
            task_id = self.harness.queue.order(kind or other, *pair, preview=preview, minutes=minutes)
            self.harness.memberships.planned[task_id] = list(mishaps)

    @rule(after_seconds=SECONDS)
    def turn(self, after_seconds: int) -> None:
        self.harness.clock.move(after_seconds)
        self._run(Runtime.turn)

    @rule(name=st.sampled_from(list(PARTS)), after_seconds=SECONDS)
    def part(self, name: str, after_seconds: int) -> None:
        self.harness.clock.move(after_seconds)
        self._run(PARTS[name])

    more_orders, more_turns, even_more_turns, more_parts = order, turn, turn, part  # likelier than what goes wrong

    @rule(name=FAULTS)
    def fault_of_the_next_call(self, name: str) -> None:
        queue = self.harness.queue
        queue.faults[len(queue.calls) + 1] = name

    @rule(name=FAULTS)
    def fault_of_the_next_report(self, name: str) -> None:
        self._report_faults.append(name)

    @rule(is_after=st.booleans())
    def crash_at_the_next_write(self, is_after: bool) -> None:
        writes = self.harness.writes
        writes.crash_at, writes.is_after = writes.count + 1, is_after

    @rule(pair=st.sampled_from(PAIRS), is_member=st.booleans())
    def change_outside(self, pair: tuple[str, str], is_member: bool) -> None:
        memberships = self.harness.memberships
        if memberships.is_member(pair) != is_member:
            memberships.history.append(Event(OUTSIDE, pair, is_member))

    @rule(paused=st.booleans(), read_only=st.booleans())
    def flags(self, paused: bool, read_only: bool) -> None:
        self.harness.queue.flags = wire.Flags(paused=paused, read_only=read_only)

    @rule(after_seconds=st.sampled_from([61, 0]))
    def steal(self, after_seconds: int) -> None:
        """Another runtime gets a task, maybe when its lease has ended, and never reports it."""
        self.harness.clock.move(after_seconds)
        queue = self.harness.queue
        with contextlib.suppress(Exception, Crash):
            request = wire.LeaseRequest(request_id=f"other {len(queue.calls)}", worker_id="other", max_tasks=1)
            queue.lease_tasks("one", request)

    @rule()
    def restart(self) -> None:
        self._close()

    # What must be true.

    def _check_acknowledged(self, runtime: Runtime) -> None:
        """Nothing is called reported that is not."""
        for id_, entry in self.harness.queue.entries.items():
            held = runtime.journal.task(id_)
            if held is not None and held.ending == ACKNOWLEDGED:
                assert entry.taken, f"the report of {id_} was lost"

    def teardown(self) -> None:
        try:
            if not self._has_failed:
                self.end()
        finally:
            self._close()
            self._folder.cleanup()

    def end(self) -> None:
        """Nothing goes wrong any more but what is planned; everything is worked off, and compared with the truth."""
        harness = self.harness
        harness.queue.faults, harness.queue.flags = {}, wire.Flags()
        harness.writes.crash_at = None
        harness.work_off(self.runtime, seconds=25)
        harness.check()
        self._check_doubts()
        self._check_reports()
        for pair in PAIRS:
            self._check_order(pair)

    def _check_doubts(self) -> None:
        """ "Unknown" is reported only where the state could not be known."""
        for id_, report in self.harness.results().items():
            if isinstance(report, wire.TaskFailed) and report.code == "state_unknown" and report != NOT_REPORTED:
                assert id_ in self.harness.memberships.doubtful or self.has_crashed

    def _check_reports(self) -> None:
        """Every task that the task file calls reported is reported, and so is every task whose newest lease it has."""
        runtime = Runtime(self.harness)
        for id_, entry in self.harness.queue.entries.items():
            held = runtime.journal.task(id_)
            if held is not None and (held.ending == ACKNOWLEDGED or held.task.lease_id == entry.task.lease_id):
                assert entry.taken, f"the report of {id_} was lost"
        runtime.close()

    def _check_order(self, pair: tuple[str, str]) -> None:
        """On one pair an order is done with before the next begins, and takes effect once unless it was undone."""
        entries = self.harness.queue.entries
        memberships = self.harness.memberships
        begun = [
            entries[request.request_id].number
            for request in memberships.calls
            if (request.account_id, request.entitlement_id) == pair and not request.preview
        ]
        assert begun == sorted(begun)
        effects = [event.request_id for event in memberships.history if event.pair == pair]
        assert all(one != other or one == OUTSIDE for one, other in pairwise(effects))


TestEveryTaskEndsInOneTrueReport = TaskHistory.TestCase
