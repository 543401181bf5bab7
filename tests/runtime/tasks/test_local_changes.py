"""Changes of commands: on record before they begin, and reported to Ploy once, through outages, kills and restarts."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot.lock import ChangeLock
from ploy_connector_aws.runtime.tasks import Journal, LocalChanges
from ploy_connector_aws.runtime.tasks.local_changes import INTERRUPTED, REPORTED_KEPT, report_changes
from ploy_connector_aws.spec import AccessChange, Failure
from tests.runtime.fakes import Crash
from tests.runtime.records import START, membership

from .task_runtime import Runtime, TaskRuntimeHarness, Writes

GRANTED = AccessChange(outcome="applied", verified_at=START, scope="groups/g", added=(membership("ann", "g"),))
UNKNOWN = Failure(code="state_unknown", message="The answer was lost.")


def request(id_: str = "order-1", **fields: Any) -> wire.ChangeReport:
    return wire.ChangeReport(
        id=id_,
        kind="grant",
        account_id="ann",
        entitlement_id="g",
        reason="on call",
        requested_at=START,
        failure=INTERRUPTED,
        **fields,
    )


def with_result(report: wire.ChangeReport, result: AccessChange | Failure) -> wire.ChangeReport:
    is_change = isinstance(result, AccessChange)
    return report.model_copy(update={"change": result if is_change else None, "failure": None if is_change else result})


def make(journal: Journal, id_: str, result: AccessChange | Failure = GRANTED) -> None:
    changes = LocalChanges(journal, lambda: START)
    with changes.changing(request(id_)):
        changes.end(request(id_), result)


@pytest.mark.parametrize("is_verified", [True, False], ids=["verified", "unknown"])
def test_change_during_which_the_clock_was_set_back_was_requested_by_the_clock_as_it_is_now(
    harness: TaskRuntimeHarness, is_verified: bool
) -> None:
    now = START - timedelta(hours=1)
    result = GRANTED.model_copy(update={"verified_at": now}) if is_verified else UNKNOWN
    seconds = iter((1000.0, 1007.0))
    with Journal(harness.tasks_path) as journal:
        changes = LocalChanges(journal, lambda: now, lambda: next(seconds))
        with changes.changing(request()):
            changes.end(request(), result)
        (report,) = changes.unreported()
    assert report == with_result(request(), result).model_copy(update={"requested_at": now - timedelta(seconds=7)})


@pytest.mark.parametrize("result", [GRANTED, UNKNOWN], ids=["verified", "unknown"])
def test_result_is_reported_once_and_stays_in_the_history(
    harness: TaskRuntimeHarness, result: AccessChange | Failure
) -> None:
    runtime = Runtime(harness)
    make(runtime.journal, "order-1", result)
    changes = LocalChanges(runtime.journal)
    assert changes.unreported() == [with_result(request(), result)]

    runtime.outbox.step()
    runtime.outbox.step()

    assert harness.queue.changes == [with_result(request(), result)]
    (kept,) = changes.newest(10)
    assert (kept.report, kept.is_ended, kept.reported_at) == (with_result(request(), result), True, START)
    runtime.close()


def test_verified_change_is_on_top_of_the_snapshot_and_an_unknown_one_is_not(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.tasks_path) as journal:
        make(journal, "order-1")
        make(journal, "order-2", UNKNOWN)
        assert [change.id for change in journal.verified()] == ["order-1"]
        assert journal.was_changed("ann", "g", "another")


def test_change_waits_through_an_outage_and_a_restart_in_the_order_of_changes(harness: TaskRuntimeHarness) -> None:
    runtime = Runtime(harness)
    harness.queue.is_down = True
    for number in range(3):
        make(runtime.journal, f"order-{number}")
    pauses = []
    for _ in range(4):
        pauses.append(runtime.outbox.step())
        harness.clock.move(pauses[-1])
    runtime.close()
    harness.queue.is_down = False
    again = Runtime(harness)
    again.outbox.step()
    assert [report.id for report in harness.queue.changes] == ["order-0", "order-1", "order-2"]
    assert pauses == [2, 4, 8, 16]
    again.close()


@pytest.mark.parametrize("code", ["body_invalid", "task_unknown"])
def test_rejected_change_stays_and_delays_no_other(harness: TaskRuntimeHarness, code: str) -> None:
    runtime = Runtime(harness)
    make(runtime.journal, "order-1")
    make(runtime.journal, "order-2")
    harness.queue.refused, harness.queue.refusal = {"order-1"}, code
    assert runtime.outbox.step() == 2
    assert [report.id for report in harness.queue.changes] == ["order-2"]
    assert [report.id for report in LocalChanges(runtime.journal).unreported()] == ["order-1"]
    harness.queue.refused = set()
    harness.clock.move(300)
    runtime.outbox.step()
    assert [report.id for report in harness.queue.changes] == ["order-2", "order-1"]
    runtime.close()


def test_running_change_is_not_reported_and_one_that_was_interrupted_is_unknown(harness: TaskRuntimeHarness) -> None:
    runtime = Runtime(harness)
    with Journal(harness.tasks_path) as journal, suppress(KeyboardInterrupt), LocalChanges(journal).changing(request()):
        runtime.outbox.step()
        assert (harness.queue.changes, LocalChanges(journal).newest(1)[0].is_ended) == ([], False)
        raise KeyboardInterrupt

    runtime.outbox.step()

    assert harness.queue.changes == [with_result(request(), INTERRUPTED)]
    assert runtime.journal.verified() == ()
    runtime.close()


def test_interrupted_change_waits_for_the_end_of_another_command(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.tasks_path) as journal:
        changes = LocalChanges(journal, lambda: START)
        with suppress(KeyboardInterrupt), changes.changing(request()):
            raise KeyboardInterrupt
        with changes.changing(request("order-2")):
            assert changes.unreported() == []
            changes.end(request("order-2"), GRANTED)
        assert [report.id for report in changes.unreported()] == ["order-1", "order-2"]


def test_change_that_certainly_did_nothing_leaves_no_record(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.tasks_path) as journal:
        changes = LocalChanges(journal)
        with changes.changing(request()):
            changes.withdraw("order-1")
        assert (changes.unreported(), changes.newest(10)) == ([], [])


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_process_may_end_at_any_write_of_a_change(harness: TaskRuntimeHarness, is_after: bool) -> None:
    """Whatever was written when it ended: Ploy gets a verified result or an unknown one, and never none."""
    with Journal(harness.tasks_path):
        pass
    for crash_at, recorded in ((1, is_after), (2, True)):
        id_ = f"order-{crash_at}"
        writes = Writes(crash_at=crash_at, is_after=is_after)
        with suppress(Crash), Journal(harness.tasks_path, writes.connection()) as journal:
            make(journal, id_)
        harness.queue.changes.clear()
        runtime = Runtime(harness)
        runtime.outbox.step()
        runtime.close()
        result = GRANTED if (crash_at, is_after) == (2, True) else INTERRUPTED
        assert harness.queue.changes == ([with_result(request(id_), result)] if recorded else [])
        with Journal(harness.tasks_path) as journal:
            assert (id_ in {change.id for change in journal.verified()}) is (result == GRANTED)


def test_report_whose_answer_was_lost_is_sent_again(harness: TaskRuntimeHarness) -> None:
    make_runtime = Runtime(harness)
    make(make_runtime.journal, "order-1")
    harness.writes.crash_at = harness.writes.count + 1
    with suppress(Crash):
        make_runtime.outbox.step()
    make_runtime.close()
    again = Runtime(harness)
    again.outbox.step()
    assert [report.id for report in harness.queue.changes] == ["order-1", "order-1"]
    assert LocalChanges(again.journal).unreported() == []
    again.close()


def test_limited_number_of_reported_changes_is_kept_and_every_other_one(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.tasks_path) as journal:
        changes = LocalChanges(journal)
        make(journal, "waits")
        with journal.writing() as db:  # one transaction, so that the test is quick
            for number in range(REPORTED_KEPT + 5):
                db.execute(
                    "INSERT INTO local_changes (id, report, is_ended) VALUES (?, ?, 1)",
                    (f"o{number}", request(f"o{number}").model_dump_json()),
                )
                changes.note_reported(f"o{number}", START)
        kept = [change.report.id for change in changes.newest(REPORTED_KEPT * 2)]
    assert kept == [*(f"o{number}" for number in range(REPORTED_KEPT + 4, 4, -1)), "waits"]


def test_task_file_of_the_first_version_is_migrated(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.tasks_path):
        pass
    with closing(sqlite3.connect(harness.tasks_path)) as db:
        db.execute("DROP TABLE local_changes")
        db.execute("PRAGMA user_version=1")
    with Journal(harness.tasks_path) as journal:
        make(journal, "order-1")
        assert [report.id for report in LocalChanges(journal).unreported()] == ["order-1"]


def test_change_lock_is_shared_and_held_alone_only_when_free(tmp_path: Path) -> None:
    path = tmp_path / "one.tasks.changing"
    with ChangeLock(path) as first, ChangeLock(path) as second:
        with ChangeLock(path, alone=True) as alone:
            assert (first, second, alone) == (True, True, False)
    with ChangeLock(path, alone=True) as alone:
        assert alone is True


def test_command_reports_all_that_waits_and_a_rejected_one_stays(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.tasks_path) as journal:
        changes = LocalChanges(journal)
        for number in range(3):
            make(journal, f"order-{number}")
        harness.queue.refused = {"order-1"}
        errors = report_changes(changes, harness.queue, "one", harness.clock)  # type: ignore[arg-type]
        assert [report.id for report in harness.queue.changes] == ["order-0", "order-2"]
        assert list(errors) == [report.id for report in changes.unreported()] == ["order-1"]


def test_command_makes_one_attempt_while_ploy_is_away(harness: TaskRuntimeHarness) -> None:
    with Journal(harness.tasks_path) as journal:
        changes = LocalChanges(journal)
        for number in range(3):
            make(journal, f"order-{number}")
        harness.queue.is_down = True
        errors = report_changes(changes, harness.queue, "one", harness.clock)  # type: ignore[arg-type]
        assert list(errors) == [report.id for report in changes.unreported()] == ["order-0", "order-1", "order-2"]
        assert len({id(error) for error in errors.values()}) == 1
