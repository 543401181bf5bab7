"""The task file: private, versioned, thread-safe, and used by one process at a time."""

from __future__ import annotations

import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError, SyncLock, TaskLock, TasksRunningError
from ploy_connector_aws.runtime.snapshot.state_file import StateError, archive
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.tasks import Journal
from ploy_connector_aws.runtime.tasks.journal import ENDED_KEPT
from ploy_connector_aws.spec import AccessChange, Grant
from tests.runtime.records import START, membership

from .task_runtime import Runtime, TaskRuntimeHarness


def task(number: int, lease: str = "lease") -> wire.Task:
    return wire.Task(
        id=f"t{number}",
        kind="grant",
        account_id=f"p{number}",
        entitlement_id="g",
        created_at=START,
        deadline=START + timedelta(hours=1),
        lease_id=lease,
        lease_seconds=60,
    )


def done(number: int, *edges: Grant) -> wire.TaskDone:
    change = AccessChange(outcome="applied", verified_at=START, scope="groups/g", added=edges)
    return wire.TaskDone(lease_id="lease", change=change)


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "one.tasks.sqlite"
    with Journal(path) as journal:
        journal.lease(task(1), START)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)


def test_a_rebuilt_snapshot_leaves_it_as_it_is(tmp_path: Path) -> None:
    settings = OperatorSettings.model_validate({"state": {"dir": tmp_path}})
    with Store(settings.snapshot_path), Journal(settings.tasks_path) as journal:
        journal.lease(task(1), START)
    archive(settings.snapshot_path)
    with Journal(settings.tasks_path) as again:
        assert [held.task for held in again.open_tasks()] == [task(1)]


def test_a_file_of_another_kind_is_refused_and_not_touched(tmp_path: Path) -> None:
    with Store(tmp_path / "one.sqlite"):
        pass
    (tmp_path / "two.sqlite").write_text("what another program keeps under this name" * 50)
    before = [(tmp_path / name).read_bytes() for name in ("one.sqlite", "two.sqlite")]
    with pytest.raises(StateError, match=r"^The task file one\.sqlite cannot be used: it is another kind of file\.$"):
        Journal(tmp_path / "one.sqlite")
    with pytest.raises(StateError, match=r"task file two\.sqlite cannot be used: it is not a task file\.$"):
        Journal(tmp_path / "two.sqlite")
    assert [(tmp_path / name).read_bytes() for name in ("one.sqlite", "two.sqlite")] == before


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.tasks.sqlite"
    Journal(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StateError, match=r"was written by a newer version\.$"):
        Journal(path)


def test_a_limited_number_of_ended_tasks_is_kept(tmp_path: Path) -> None:
    with Journal(tmp_path / "one.tasks.sqlite") as journal:
        with journal.writing():  # one transaction, so that the test is quick
            for number in range(ENDED_KEPT + 3):
                journal.lease(task(number), START)
                journal.finish(f"t{number}", done(number, membership(f"p{number}", "g")))
                journal.end(task(number), "so", START + timedelta(seconds=number))
        assert (journal.task("t2"), journal.open_tasks(), journal.reports()) == (None, [], [])
        kept = journal.task("t3")
        assert kept is not None
        assert (kept.ending, kept.report) == ("so", done(3, membership("p3", "g")))


def test_a_verified_change_is_kept_with_the_report_until_a_sync_confirms_it(tmp_path: Path) -> None:
    path = tmp_path / "one.tasks.sqlite"
    with Journal(path) as journal, Journal(path) as of_the_sync:
        for number in (1, 2):
            journal.lease(task(number), START)
            journal.finish(f"t{number}", done(number, membership(f"p{number}", "g")))
        journal.keep_verified("order", AccessChange(outcome="already_in_effect", verified_at=START))
        assert [change.id for change in of_the_sync.verified()] == ["t1", "t2"], "where nothing is different, none is"
        of_the_sync.confirm({"t1": journal.verified()[0].verified_at})
        assert [change.added for change in journal.verified()] == [(membership("p2", "g"),)]


def test_verified_changes_that_affect_an_account_are_found(tmp_path: Path) -> None:
    opened = Grant(principal_kind="entitlement", principal_id="g", entitlement_id="role")
    orders = {
        "own": {"added": (membership("ann", "g"),)},
        "taken": {"removed": (membership("ann", "h"),)},
        "opened": {"removed": (opened,)},
        "other": {"added": (membership("bob", "g"),)},
    }
    with Journal(tmp_path / "one.tasks.sqlite") as journal:
        for id_, edges in orders.items():
            change = AccessChange.model_validate(
                {"outcome": "applied", "verified_at": START, "scope": "groups/g", **edges}
            )
            journal.keep_verified(id_, change)
        assert [change.id for change in journal.verified("ann")] == ["own", "taken", "opened"]
        assert [change.id for change in journal.verified()] == list(orders)


def test_a_replaced_lease_changes_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "one.tasks.sqlite") as journal:
        journal.lease(task(1, "old"), START)
        journal.lease(task(1, "new"), START + timedelta(seconds=60))
        before = journal.task("t1")
        journal.mark_lease_lost(task(1, "old"))
        journal.extend(task(1, "old"), START + timedelta(hours=9))
        assert not journal.end(task(1, "old"), "so", START)
        assert journal.task("t1") == before


def test_two_processes_never_work_on_one_file_and_a_sync_blocks_neither(tmp_path: Path) -> None:
    path = tmp_path / "one.tasks.lock"
    with TaskLock(path), SyncLock(tmp_path / "one.lock"):
        with (
            pytest.raises(TasksRunningError, match="Another process is already handling") as refused,
            TaskLock(path),
        ):
            pass
        assert isinstance(refused.value, LockHeldError)
    with TaskLock(path):
        pass


def test_how_often_a_task_was_begun_is_counted_over_restarts(harness: TaskRuntimeHarness) -> None:
    harness.queue.order("grant", "ann", "g")
    harness.memberships.mishaps = {1: "crash", 2: "nothing"}
    harness.work_off()
    runtime = Runtime(harness)
    held = runtime.journal.task("t1")
    runtime.close()
    assert held is not None
    assert (held.attempts, held.ending) == (3, "Ploy has the report.")


def test_a_change_that_was_begun_is_known_to_later_requests_about_the_same_grant(tmp_path: Path) -> None:
    path = tmp_path / "one.tasks.sqlite"
    with Journal(path) as journal:
        journal.lease(task(1), START + timedelta(minutes=1))
        journal.lease(task(2).model_copy(update={"preview": True}), START + timedelta(minutes=1))
        assert not journal.was_changed("p1", "g", "another")
        for id_ in ("t1", "t2"):
            journal.begin(id_, START)
        journal.begin_change("order-1", "p3", "g")
        journal.finish("t1", wire.TaskFailed(lease_id="lease", code="state_unknown", message="It is not known."))
        journal.end(task(1), "Ploy has the report.", START)
    with Journal(path) as journal:
        assert [journal.was_changed(f"p{number}", "g", "another") for number in (1, 2, 3, 4)] == [
            True,
            False,
            True,
            False,
        ]
        assert not journal.was_changed("p1", "h", "another")
        assert not journal.was_changed("p1", "g", "t1"), "its own first attempt is no other request"
