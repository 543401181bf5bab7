"""The process ends at any point, and every task still ends in one true report."""

from __future__ import annotations

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import AccessRequest

from .task_runtime import TaskRuntimeHarness

CALLS, WRITES, HOOKS = 8, 23, 5
"""How many calls of Ploy, writes of the task file and calls of the connector the orders below take without faults."""


def order(harness: TaskRuntimeHarness) -> None:
    """A grant, which has to be tried twice, and its revoke; a grant of what is held already; a preview."""
    harness.memberships.change(AccessRequest(request_id="before", account_id="bob", entitlement_id="g"), is_member=True)
    harness.memberships.calls.clear()
    harness.memberships.mishaps = {2: "nothing"}
    harness.queue.order("grant", "ann", "g")
    harness.queue.order("revoke", "ann", "g")
    harness.queue.order("grant", "bob", "g")
    harness.queue.order("revoke", "bob", "g", preview=True)


def work_off_and_check(harness: TaskRuntimeHarness, *, first: tuple[str, ...] = ("applied",)) -> None:
    """Whatever happens, everything takes effect once, in order, and is reported once."""
    harness.work_off(seconds=25)
    harness.check()
    assert [(event.request_id, event.is_member) for event in harness.memberships.history] == [
        ("before", True),
        ("t1", True),
        ("t2", False),
    ]
    found = {
        id_: report.change.outcome if isinstance(report, wire.TaskDone) and report.change else str(report)
        for id_, report in harness.results().items()
    }
    assert found.pop("t1") in first
    assert found.pop("t2") in first
    assert found == {"t3": "already_in_effect", "t4": "previewed"}


def test_without_faults_everything_is_done_in_few_calls_and_writes(harness: TaskRuntimeHarness) -> None:
    order(harness)
    work_off_and_check(harness)
    assert (len(harness.queue.calls), harness.writes.count, len(harness.memberships.calls)) == (CALLS, WRITES, HOOKS)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("fault", ["lost", "unanswered", "crash", "crash after"])
def test_a_fault_at_any_call_of_ploy(harness: TaskRuntimeHarness, fault: str, number: int) -> None:
    order(harness)
    harness.queue.faults = {number: fault}
    work_off_and_check(harness)


@pytest.mark.parametrize("number", range(1, WRITES + 1))
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_the_process_ends_at_any_write_of_the_task_file(
    harness: TaskRuntimeHarness, number: int, is_after: bool
) -> None:
    order(harness)
    harness.writes.crash_at, harness.writes.is_after = number, is_after
    work_off_and_check(harness, first=("applied", "already_in_effect"))


@pytest.mark.parametrize("number", range(1, HOOKS + 1))
@pytest.mark.parametrize("mishap", ["crash", "crash after", "unknown", "unknown after", "bug", "bug after"])
def test_the_process_ends_or_hangs_in_any_call_of_the_connector(
    harness: TaskRuntimeHarness, mishap: str, number: int
) -> None:
    order(harness)
    harness.memberships.mishaps[number] = mishap
    work_off_and_check(harness, first=("applied", "already_in_effect"))


@pytest.mark.parametrize("mishap", ["crash", "crash after"])
def test_a_process_that_ends_in_every_call_leaves_the_task_to_its_deadline_as_unknown(
    harness: TaskRuntimeHarness, mishap: str
) -> None:
    task_id = harness.queue.order("grant", "ann", "g", minutes=5)
    harness.memberships.mishaps = {0: mishap}
    harness.work_off(seconds=20)
    assert isinstance(report := harness.queue.result(task_id), wire.TaskFailed)
    assert report.code == "state_unknown"
    assert harness.memberships.effects(task_id) == (mishap == "crash after")
