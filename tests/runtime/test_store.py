"""The snapshot file: permissions, rejected files, and which run is the baseline."""

from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot import schema
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import StateError
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import Page

from .records import account, begin, commit, group, membership, records_of

USERS = Page(scope="users", records=(account("a"),), complete=True)


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    with Store(tmp_path / "state" / "one.sqlite") as store:
        commit(store, USERS)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_the_committed_run_is_there_after_reopening(tmp_path: Path) -> None:
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, USERS)
    with Store(tmp_path / "one.sqlite") as store:
        assert records_of(store) == {"account a": (False, {})}


def test_a_run_that_was_not_committed_is_dropped_when_the_next_begins(store: Store) -> None:
    commit(store, USERS)
    abandoned = begin(store, Page(scope="users", complete=True))
    compare(store, abandoned)
    commit(store, USERS)
    tables = {row[0] for row in store.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    baseline = store.baseline
    assert baseline is not None
    assert {name for name in tables if name.startswith(("observations", "records"))} == {
        f"observations_{baseline.contents}",
        f"records_{baseline.contents}",
    }


OLDER_FILES = {
    1: "ALTER TABLE runs DROP COLUMN contents",
    2: "",
}


@pytest.mark.parametrize("version", OLDER_FILES)
def test_file_of_an_earlier_version_is_migrated_and_its_runs_keep_their_tables(tmp_path: Path, version: int) -> None:
    pages = (
        Page(scope="users", records=(account("ann"),), complete=True),
        Page(scope="groups", records=(group("g"),), complete=True),
        Page(scope="members", records=(membership("ann", "g"),), complete=True),
    )
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, *pages)
        for statement in (
            "DROP TABLE names_1",
            "DROP TABLE edges_1",
            "CREATE TABLE edges_1 (id TEXT PRIMARY KEY)",
            "ALTER TABLE scopes DROP COLUMN lists_access",
            OLDER_FILES[version],
            f"PRAGMA user_version={version}",
        ):
            store.connection.execute(statement)
    with Store(tmp_path / "one.sqlite") as store:
        assert store.connection.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
        assert store.baseline is not None
        assert [path.entitlement_ids for path in Overlay(store.baseline).path_finder().paths_of("ann")] == [("g",)]
        commit(store, *pages)
        assert store.baseline.contents == 1


def test_run_of_an_earlier_version_is_outdated_until_the_next_is_committed(tmp_path: Path) -> None:
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, USERS)
        assert store.baseline is not None
        assert not store.is_outdated(store.baseline)
        store.connection.execute("PRAGMA user_version=4")
    for _ in range(2):
        with Store(tmp_path / "one.sqlite") as store:
            assert store.baseline is not None
            assert store.is_outdated(store.baseline)
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, USERS)
        baseline = store.baseline
        assert baseline is not None
        assert (baseline.contents, store.is_outdated(baseline)) == (1, False)


def test_tables_are_dropped_with_the_last_run_that_shares_them(store: Store) -> None:
    commit(store, USERS)
    commit(store, USERS)
    baseline = store.baseline
    assert baseline is not None
    assert (baseline.number, baseline.contents) == (2, 1)
    unsent = begin(store, USERS)
    compare(store, unsent)
    assert unsent.contents == 1
    store.drop(unsent)
    assert records_of(store) == {"account a": (False, {})}
    commit(store, Page(scope="users", records=(account("b"),), complete=True))
    assert records_of(store) == {"account b": (False, {})}
    tables = {row[0] for row in store.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {name for name in tables if name[-2:].startswith("_")} == {
        "observations_4",
        "records_4",
        "names_4",
        "edges_4",
    }


def hold(store: Store, run_id: str) -> Run:
    run = store.begin(run_id, datetime.now(UTC))
    run.add_page(USERS)
    compare(store, run)
    store.set_state(run, "pushing", sync_id=f"sync-of-{run_id}")
    store.set_state(run, "held")
    return run


def test_a_held_run_is_pending_while_the_next_is_read(store: Store) -> None:
    run = hold(store, "first")
    store.begin("later", datetime.now(UTC))
    (pending,) = store.pending_runs()
    assert pending is not None
    assert (pending.run_id, pending.state, pending.sync_id, store.baseline) == (
        run.run_id,
        "held",
        "sync-of-first",
        None,
    )


def test_a_newer_run_replaces_a_held_one(store: Store) -> None:
    hold(store, "first")
    hold(store, "second")
    assert [pending.run_id for pending in store.pending_runs()] == ["second"]


def test_a_committed_run_drops_what_was_held_before_and_leaves_what_came_after(store: Store) -> None:
    hold(store, "first")
    middle = hold(store, "second")
    later = store.begin("third", datetime.now(UTC))
    store.set_state(later, "pushing", sync_id="sync-of-third")
    store.set_state(middle, "committed", generation=1)
    assert [pending.run_id for pending in store.pending_runs()] == ["third"]
    assert store.baseline is not None
    assert store.baseline.run_id == "second"


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    path.touch()
    path.chmod(0o644)
    with Store(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failing_transaction_leaves_nothing(store: Store) -> None:
    run = begin(store)
    with pytest.raises(RuntimeError), store.transaction():
        run.add_page(USERS)
        raise RuntimeError
    assert run.count_scopes() == (0, 0)


def test_a_damaged_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    path.write_bytes(b"this is not a database, it only looks like a file" * 100)
    with pytest.raises(StateError, match=r"one\.sqlite cannot be used: it is not a snapshot file\.$"):
        Store(path)


def test_a_file_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    db.close()
    with pytest.raises(StateError, match="written by a newer version"):
        Store(path)
