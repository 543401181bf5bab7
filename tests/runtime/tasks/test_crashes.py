"""The process ends at any point, and whatever happened, every task ends in one true report."""

from __future__ import annotations

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import AccessRequest

from .task_runtime import Stage

CALLS, WRITES, HOOKS = 8, 23, 5
"""How many calls of Ploy, writes of the task file and calls of the connector the orders below take without faults."""


def order(stage: Stage) -> None:
    """A grant, which has to be tried twice, and its revoke; a grant of what is held already; a preview."""
    stage.club.change(AccessRequest(request_id="before", account_id="bob", entitlement_id="g"), is_member=True)
    stage.club.calls.clear()
    stage.club.mishaps = {2: "nothing"}
    stage.queue.order("grant", "ann", "g")
    stage.queue.order("revoke", "ann", "g")
    stage.queue.order("grant", "bob", "g")
    stage.queue.order("revoke", "bob", "g", preview=True)


def work_off_and_check(stage: Stage, *, first: tuple[str, ...] = ("applied",)) -> None:
    """Whatever happens, everything takes effect once, in order, and is reported once."""
    stage.work_off(seconds=25)
    stage.check()
    assert [(event.request_id, event.is_member) for event in stage.club.history] == [
        ("before", True),
        ("t1", True),
        ("t2", False),
    ]
    found = {
        id_: report.change.outcome if isinstance(report, wire.TaskDone) and report.change else str(report)
        for id_, report in stage.results().items()
    }
    assert found.pop("t1") in first
    assert found.pop("t2") in first
    assert found == {"t3": "already_in_effect", "t4": "previewed"}


def test_without_faults_everything_is_done_in_few_calls_and_writes(stage: Stage) -> None:
    order(stage)
    work_off_and_check(stage)
    assert (len(stage.queue.calls), stage.writes.count, len(stage.club.calls)) == (CALLS, WRITES, HOOKS)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("fault", ["lost", "unanswered", "crash", "crash after"])
def test_a_fault_at_any_call_of_ploy(stage: Stage, fault: str, number: int) -> None:
    order(stage)
    stage.queue.faults = {number: fault}
    work_off_and_check(stage)


@pytest.mark.parametrize("number", range(1, WRITES + 1))
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_the_process_ends_at_any_write_of_the_task_file(stage: Stage, number: int, is_after: bool) -> None:
    order(stage)
    stage.writes.crash_at, stage.writes.is_after = number, is_after
    work_off_and_check(stage, first=("applied", "already_in_effect"))


@pytest.mark.parametrize("number", range(1, HOOKS + 1))
@pytest.mark.parametrize("mishap", ["crash", "crash after", "unknown", "unknown after", "bug", "bug after"])
def test_the_process_ends_or_nothing_is_heard_in_any_call_of_the_connector(
    stage: Stage, mishap: str, number: int
) -> None:
    order(stage)
    stage.club.mishaps[number] = mishap
    work_off_and_check(stage, first=("applied", "already_in_effect"))


@pytest.mark.parametrize("mishap", ["crash", "crash after"])
def test_a_process_that_ends_in_every_call_leaves_the_task_to_its_deadline_as_unknown(
    stage: Stage, mishap: str
) -> None:
    task_id = stage.queue.order("grant", "ann", "g", minutes=5)
    stage.club.mishaps = {0: mishap}
    stage.work_off(seconds=20)
    assert isinstance(report := stage.queue.result(task_id), wire.TaskFailed)
    assert report.code == "state_unknown"
    assert stage.club.effects(task_id) == (mishap == "crash after")
