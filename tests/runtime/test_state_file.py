"""The snapshot file through the years: older versions, damage, a full disk, and its size."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.compare import finish
from ploy_connector_aws.runtime.snapshot.history import ENTRIES_KEPT, History, HistoryEntry
from ploy_connector_aws.runtime.snapshot.state_file import StateError, explained, set_aside
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import Page

from .double import World
from .pictures import START, account, begin, commit, picture
from .test_histories import CALM, play

VERSION_1 = (Path(__file__).parents[1] / "data" / "state-v1.sql").read_text()
"""Made by version 0.1.0: two commits, the second with a denied list, and a run that was cut off."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "state-0.sqlite"
    db = sqlite3.connect(path)
    db.executescript(VERSION_1)
    db.close()
    return path


def test_a_file_of_version_1_is_brought_up_to_date_with_all_that_was_committed(old: Path) -> None:
    with Store(old) as store:
        base = store.baseline
        assert base is not None
        assert (base.run_id, base.generation, base.is_whole, base.mode) == ("run-2", 2, False, "full")
        assert sorted((name.split()[0], is_retained) for name, (is_retained, _) in picture(store).items()) == [
            ("account", False),
            ("entitlement", True),
            ("grant", True),
        ]
        assert store.unfinished_runs() == [], "what was cut off is read anew"
        held = list(Overlay(base).path_finder().paths_of("ana"))
        assert [(path.entitlement_ids, path.is_unproven) for path in held] == [(("g",), True)]
        assert store.fact("opener", "other") == "me"
        assert History(store.connection).entries() == []
        commit(store, Page(scope="users", records=(account("ana", "clerk"),), complete=True))
    with Store(old) as again:
        assert again.baseline is not None


def test_the_first_sync_after_the_migration_sends_everything_and_the_next_what_changed() -> None:
    with play() as played:
        path = played._folder / "state-0.sqlite"
        db = sqlite3.connect(path)
        db.executescript(VERSION_1)
        db.close()
        world = World({"ana": "clerk"}, {"g": frozenset({"ana"})})
        assert played.step(replace(CALM, world=world)) == "committed"
        assert played.step(CALM) == "committed"
        with Store(path) as store:
            assert store.baseline is not None
            assert (store.baseline.mode, store.baseline.deltas) == ("delta", 1)


def test_a_damaged_file_is_set_aside_on_order_and_everything_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    with Store(path) as store:
        commit(store, Page(scope="users", records=tuple(account(f"u{n}") for n in range(2000)), complete=True))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(StateError, match="is damaged") as refused:
        with Store(path) as store, explained(path):
            picture(store)
    assert "--rebuild" in (refused.value.fix or "")
    assert set_aside(path) == tmp_path / "one.sqlite.set-aside"
    with Store(path) as store:
        assert store.baseline is None
    assert (tmp_path / "one.sqlite.set-aside").read_bytes().startswith(b"SQLite format 3")
    assert set_aside(tmp_path / "none.sqlite") is None


def test_a_full_disk_is_one_sentence_and_what_was_committed_stands(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    with Store(path) as store:
        commit(store, Page(scope="users", records=(account("u"),), complete=True))
    with Store(path) as store:
        pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
        store.connection.execute(f"PRAGMA max_page_count={pages + 20}")
        with pytest.raises(StateError, match="the disk is full") as refused, explained(path):
            run = begin(store, Page(scope="users", records=tuple(account(f"u{n}") for n in range(5000)), complete=True))
            finish(store, run)
        assert "room" in (refused.value.fix or "")
    with Store(path) as store:
        assert set(picture(store)) == {"account u"}
        commit(store, Page(scope="users", records=(account("v"),), complete=True))
        assert set(picture(store)) == {"account v"}


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
            store.shrink()
            store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sizes.append(path.stat().st_size)
        commit(store, Page(scope="users", complete=True))
        store.shrink()
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        emptied = path.stat().st_size
    assert max(sizes[2:]) <= sizes[1] * 1.1
    assert emptied < sizes[1] / 4, "room that is not needed any more is given back"


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
