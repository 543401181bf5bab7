"""Random histories of orders, outside changes, faults, ends of the process and lost leases, compared with the truth."""

from __future__ import annotations

import contextlib
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.tasks.journal import ACKNOWLEDGED
from tests.runtime.double import Crash
from tests.soak import cheap

from .club import AFTER, BEFORE, Event
from .queue import UNHEARD
from .stage import Runtime, Stage

PAIRS = (("ann", "g"), ("ann", "h"), ("bob", "g"))
OUTSIDE = "outside"


class Step(NamedTuple):
    """Something happens: what, and with what."""

    what: str
    how: Any = None


ORDERS = st.builds(
    lambda *how: Step("order", how),
    st.sampled_from(["grant", "revoke"]),
    st.sampled_from(PAIRS),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([2, 10]),
    st.just([]) | st.lists(st.sampled_from(list(AFTER)) | st.sampled_from([*BEFORE, *AFTER]), min_size=1, max_size=3),
)
PARTS = st.sampled_from([Step("poll"), Step("keep"), Step("work"), Step("send"), Step("turn"), Step("turn")])
FAULTS = st.sampled_from(["lost", "unanswered", "crash", "crash after"])
TROUBLES = st.one_of(
    st.builds(Step, st.just("fault"), FAULTS),
    st.builds(Step, st.just("report fault"), FAULTS),
    st.builds(Step, st.just("write"), st.booleans()),
    st.builds(Step, st.just("outside"), st.tuples(st.sampled_from(PAIRS), st.booleans())),
    st.builds(
        Step,
        st.just("flags"),
        st.sampled_from([wire.Flags(), wire.Flags(paused=True), wire.Flags(read_only=True)]),
    ),
    st.sampled_from([Step("steal"), Step("restart")]),
)
TIME = st.builds(Step, st.just("time"), st.sampled_from([1, 10, 25, 61, 130]))
ROUNDS = st.tuples(
    st.lists(ORDERS, max_size=3), st.lists(TROUBLES, max_size=2), st.lists(PARTS, min_size=1, max_size=4), TIME
)


class Play:
    """One stage, and the process that runs on it now."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder)
        self.runtime: Runtime | None = None
        self.has_crashed = False
        self.report_faults: list[str] = []
        self.stage.queue.before = self._before

    def _before(self, call: str) -> None:
        if self.report_faults and call in ("complete_task", "fail_task"):
            self.stage.queue.faults[len(self.stage.queue.calls)] = self.report_faults.pop()

    def step(self, step: Step) -> None:
        """Let one thing happen; the process may end by it."""
        try:
            self.runtime = self.runtime or Runtime(self.stage)
            self._do(step, self.runtime)
        except Crash:
            self.has_crashed = True
            self.close()

    def close(self) -> None:
        if self.runtime is not None:
            self.runtime.close()
        self.runtime = None

    def _do(self, step: Step, runtime: Runtime) -> None:
        stage, queue, club = self.stage, self.stage.queue, self.stage.club
        match step:
            case Step("order", (kind, pair, is_preview, minutes, mishaps)):
                club.planned[queue.order(kind, *pair, preview=is_preview, minutes=minutes)] = list(mishaps)
            case Step("turn"):
                runtime.turn()
            case Step("poll"):
                runtime.poll.step()
            case Step("keep"):
                runtime.keeping.step()
            case Step("work"):
                runtime.worker.step()
            case Step("send"):
                runtime.outbox.step()
            case Step("time", int(seconds)):
                stage.clock.move(seconds)
            case Step("fault", str(name)):
                queue.faults[len(queue.calls) + 1] = name
            case Step("report fault", str(name)):
                self.report_faults.append(name)
            case Step("write", bool(is_after)):
                stage.writes.crash_at, stage.writes.is_after = stage.writes.count + 1, is_after
            case Step("outside", (pair, bool(is_member))):
                if club.is_member(pair) != is_member:
                    club.history.append(Event(OUTSIDE, pair, is_member))
            case Step("flags", wire.Flags() as flags):
                queue.flags = flags
            case Step("steal"):
                # Another runtime gets tasks, and is never heard of again.
                with contextlib.suppress(Exception):
                    request = wire.LeaseRequest(request_id=f"other {len(queue.calls)}", holder="other", most=1)
                    queue.lease_tasks("one", request)
            case Step("restart"):
                self.close()
            case _:
                raise AssertionError(step)

    def end(self) -> None:
        """Nothing goes wrong any more but what is planned; everything is worked off, and compared with the truth."""
        stage = self.stage
        stage.queue.faults, stage.queue.flags = {}, wire.Flags()
        stage.writes.crash_at = None
        stage.work_off(self.runtime, seconds=25)
        stage.check()
        self._check_doubts()
        self._check_reports()
        for pair in PAIRS:
            self._check_order(pair)

    def _check_doubts(self) -> None:
        """Unknown is said only where nobody could know."""
        for id_, report in self.stage.results().items():
            if isinstance(report, wire.TaskFailed) and report.code == "state_unknown" and report != UNHEARD:
                assert id_ in self.stage.club.doubtful or self.has_crashed

    def _check_reports(self) -> None:
        """What the task file calls reported is, and so is every task whose newest lease it has."""
        runtime = Runtime(self.stage)
        for id_, entry in self.stage.queue.entries.items():
            held = runtime.journal.task(id_)
            if held is not None and (held.ending == ACKNOWLEDGED or held.task.lease_id == entry.task.lease_id):
                assert entry.taken, f"the report of {id_} was lost"
        runtime.close()

    def _check_order(self, pair: tuple[str, str]) -> None:
        """On one pair an order is done with before the next begins, and takes effect once unless it was undone."""
        entries = self.stage.queue.entries
        club = self.stage.club
        begun = [
            entries[request.request_id].number
            for request in club.calls
            if (request.account_id, request.entitlement_id) == pair and not request.preview
        ]
        assert begun == sorted(begun)
        effects = [event.request_id for event in club.history if event.pair == pair]
        assert all(one != other or one == OUTSIDE for one, other in pairwise(effects))


@cheap
@given(st.lists(ROUNDS, min_size=2, max_size=8))
def test_every_order_ends_in_one_true_report_whatever_happens(
    history: list[tuple[list[Step], list[Step], list[Step], Step]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder))
        try:
            for orders, troubles, parts, time in history:
                for step in (*orders, *troubles, *parts, time):
                    play.step(step)
            play.end()
        finally:
            play.close()
