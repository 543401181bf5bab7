"""Polls: for tasks that can begin soon, with the current settings; repeated where the answer was lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.runtime.fakes import Crash
from tests.runtime.records import START

from .task_runtime import Runtime, TaskRuntimeHarness


def test_only_tasks_that_can_begin_soon_are_leased_and_all_are_in_the_end(
    harness: TaskRuntimeHarness,
) -> None:
    for number in range(30):
        harness.queue.order("grant", f"p{number}", "g")
    runtime = Runtime(harness)
    runtime.poller.step()
    assert len(runtime.journal.open_tasks()) == 4
    runtime.poller.step()
    assert len(runtime.journal.open_tasks()) == 4, "there is no room"
    harness.work_off(runtime)
    assert len(harness.memberships.history) == 30


def test_a_poll_whose_answer_was_lost_is_repeated_and_its_leases_count_from_the_first_try(
    harness: TaskRuntimeHarness,
) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.queue.faults = {1: "unanswered"}
    runtime = Runtime(harness)
    runtime.poller.step()
    harness.clock.move(5)
    runtime.poller.step()
    (held,) = runtime.journal.open_tasks()
    assert harness.queue.entries["t1"].leases == 1
    assert held.lease_ends_at == harness.queue.entries["t1"].lease_ends_at == START + timedelta(seconds=60)
    runtime.close()


def test_a_poll_whose_answer_was_lost_in_a_crash_is_repeated_after_the_restart(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.queue.faults = {1: "crash after"}
    first = Runtime(harness)
    with pytest.raises(Crash):
        first.poller.step()
    first.close()
    harness.clock.move(5)
    second = Runtime(harness)
    second.poller.step()
    (held,) = second.journal.open_tasks()
    assert harness.queue.entries["t1"].leases == 1
    assert held.lease_ends_at == harness.queue.entries["t1"].lease_ends_at == START + timedelta(seconds=60)
    second.close()


def test_every_poll_names_the_settings_revision_also_a_repeated_one(
    harness: TaskRuntimeHarness,
) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.queue.faults = {1: "crash after"}
    first = Runtime(harness, settings_revision=1)
    with pytest.raises(Crash):
        first.poller.step()
    first.close()
    second = Runtime(harness, settings_revision=2)
    second.poller.step()
    second.poller.step()
    second.close()
    polls = [
        (each.request_id == harness.queue.polls[0].request_id, each.settings_revision) for each in harness.queue.polls
    ]
    assert polls == [(True, 1), (True, 2), (False, 2)]
    assert harness.queue.entries["t1"].leases == 1


def test_a_change_leased_under_other_settings_is_dropped_unless_it_began(harness: TaskRuntimeHarness) -> None:
    for name in ("ann", "bob"):
        harness.queue.order("grant", name, "g")
    harness.queue.order("check")
    harness.memberships.mishaps = {1: "later"}
    runtime = Runtime(harness, settings_revision=1)
    runtime.journal.set_settings_revision(1)
    runtime.poller.step()
    assert runtime.worker.step()
    assert [held.attempts for held in runtime.journal.open_tasks()] == [1, 0, 0]
    kept = []
    for revision in (1, 2):
        runtime.journal.set_settings_revision(revision)
        kept.append([held.task.id for held in runtime.journal.open_tasks() if not held.is_lost])
    runtime.close()
    assert kept == [["t1", "t2", "t3"], ["t1", "t3"]]


def test_polls_are_as_far_apart_as_ploy_asks(harness: TaskRuntimeHarness) -> None:
    runtime = Runtime(harness)
    assert runtime.poller.step() == 10
    assert runtime.poller.step() == 10
    harness.clock.move(4)
    assert runtime.poller.step() == 6
    assert harness.queue.calls == ["lease_tasks"]
    runtime.close()


def test_only_polls_after_the_first_answer_are_long_polls(harness: TaskRuntimeHarness) -> None:
    harness.queue.faults = {1: "unanswered"}
    runtime = Runtime(harness)
    for _ in range(4):
        harness.clock.move(runtime.poller.step())
    assert [pending_poll.wait_seconds for pending_poll in harness.queue.polls] == [0, 0, 5, 5]
    runtime.close()


def test_polls_back_off_while_ploy_is_down(harness: TaskRuntimeHarness) -> None:
    harness.queue.is_down = True
    runtime = Runtime(harness)
    pauses = []
    for _ in range(8):
        pauses.append(runtime.poller.step())
        harness.clock.move(pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    runtime.close()
