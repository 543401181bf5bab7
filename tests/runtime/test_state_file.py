"""The snapshot file: migrations, damage, a full disk, and its size."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot import schema
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.history import ENTRIES_KEPT, History, HistoryEntry
from ploy_connector_aws.runtime.snapshot.state_file import StateError, archive, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import Page

from .records import START, account, begin, commit, records_of


def test_an_older_file_is_brought_up_to_date_by_the_migrations_that_it_lacks(tmp_path: Path) -> None:
    def step(number: int) -> Callable[[sqlite3.Connection], None]:
        def migrate(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO facts VALUES ('step', ?) ON CONFLICT DO UPDATE SET value = value || excluded.value",
                (number,),
            )

        return migrate

    newest = len(schema.MIGRATIONS) + 1
    migrations = tuple(step(number) for number in range(1, newest + 1))
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, Page(scope="users", records=(account("ana"),), complete=True))
        with store.transaction():
            schema.migrate(store.connection, 1, migrations)
            schema.migrate(store.connection, newest, migrations)
        assert store.get_or_set("step", "none") == "".join(map(str, [*range(1, newest + 1), newest]))
        assert store.connection.execute("PRAGMA user_version").fetchone() == (newest + 1,)
        assert set(records_of(store)) == {"account ana"}
    with pytest.raises(StateError, match="newer version"):
        Store(tmp_path / "one.sqlite")


def test_a_damaged_file_is_set_aside_on_order_and_everything_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    with Store(path) as store:
        commit(store, Page(scope="users", records=tuple(account(f"u{n}") for n in range(2000)), complete=True))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(StateError, match="is damaged") as refused:
        with Store(path) as store, translate_errors(path):
            records_of(store)
    assert "--rebuild" in (refused.value.fix or "")
    assert archive(path) == tmp_path / "one.sqlite.set-aside"
    with Store(path) as store:
        assert store.baseline is None
    assert (tmp_path / "one.sqlite.set-aside").read_bytes().startswith(b"SQLite format 3")
    assert archive(tmp_path / "none.sqlite") is None


def test_a_full_disk_is_one_sentence_and_what_was_committed_stands(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    with Store(path) as store:
        commit(store, Page(scope="users", records=(account("u"),), complete=True))
    with Store(path) as store:
        pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
        store.connection.execute(f"PRAGMA max_page_count={pages + 20}")
        with pytest.raises(StateError, match="the disk is full") as refused, translate_errors(path):
            run = begin(store, Page(scope="users", records=tuple(account(f"u{n}") for n in range(5000)), complete=True))
            compare(store, run)
        assert "room" in (refused.value.fix or "")
    with Store(path) as store:
        assert set(records_of(store)) == {"account u"}
        commit(store, Page(scope="users", records=(account("v"),), complete=True))
        assert set(records_of(store)) == {"account v"}


@pytest.mark.parametrize("where", ["a file in its place", "a folder in its place"])
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path, where: str) -> None:
    path = tmp_path / "state" / "one.sqlite"
    if where == "a file in its place":
        path.parent.write_text("")
    else:
        path.mkdir(parents=True)
    with pytest.raises(StateError, match=r"^The snapshot file one\.sqlite cannot be used: "):
        Store(path)


def test_the_file_stays_as_large_as_two_runs_however_many_there_were(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    sizes = []
    with Store(path) as store:
        for number in range(12):
            people = tuple(account(f"u{n}", f"in {number}") for n in range(3000))
            commit(store, Page(scope="users", records=people, complete=True))
            store.vacuum()
            store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sizes.append(path.stat().st_size)
        commit(store, Page(scope="users", complete=True))
        store.vacuum()
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        emptied = path.stat().st_size
    assert max(sizes[2:]) <= sizes[1] * 1.1
    assert emptied < sizes[1] / 4, "room that is not needed any more is given back"


def test_the_file_hardly_grows_by_runs_that_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    people = tuple(account(f"u{n}") for n in range(3000))
    sizes = []
    with Store(path) as store:
        for _ in range(11):
            commit(store, Page(scope="users", records=people, complete=True))
            store.vacuum()
            store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sizes.append(path.stat().st_size)
    assert max(sizes) <= sizes[0] * 1.3


def test_of_the_history_the_newest_entries_stay(tmp_path: Path) -> None:
    with Store(tmp_path / "one.sqlite") as store:
        history = History(store.connection)
        for number in range(ENTRIES_KEPT + 5):
            at = START + timedelta(minutes=number)
            history.add(HistoryEntry(run_id=f"run {number}", reading_started_at=at, ended_at=at, ending="committed"))
        entries = history.entries()
        assert (len(entries), entries[0].run_id) == (ENTRIES_KEPT, f"run {ENTRIES_KEPT + 4}")
        again = entries[10].model_copy(update={"ending": "rejected"})
        history.add(again)
        assert [entry.run_id for entry in history.entries()].count(again.run_id) == 1
