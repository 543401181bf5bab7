"""No code of ours makes this process lose the locks by which SQLite guards its files."""

from __future__ import annotations

import ast
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Lock, Timer

import pytest

import ploy_connector_aws
from ploy_connector_aws.runtime.snapshot import state_file
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError, SyncLock
from ploy_connector_aws.runtime.snapshot.state_file import StateError, archive, is_there, read_database
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import read_verified
from ploy_connector_aws.runtime.sync.preview import preview
from ploy_connector_aws.runtime.tasks.access_graph import AccessGraph
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.sandbox.folder import SandboxFolder
from ploy_connector_aws.spec import ConfigurationError
from tests.deadlines import PATIENCE_SECONDS

from .fakes import Source, World, open_directory

ROOT = Path(ploy_connector_aws.__file__).parent
WORLD = World({"ana": "clerk"}, {"g": frozenset({"ana"})})
PROBE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
db.execute("PRAGMA locking_mode=EXCLUSIVE")
try:
    db.execute("BEGIN EXCLUSIVE")
except sqlite3.OperationalError as error:
    print(error)
"""


def is_guarded(path: Path) -> bool:
    """Whether another process finds the file in use."""
    probe = subprocess.run([sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, check=True)
    return probe.stdout == "database is locked\n"


def open_snapshot(path: Path) -> None:
    Store(path).close()


def read_snapshot(path: Path) -> None:
    db = read_database(path)
    assert db is not None
    db.close()


def look_at_snapshot(path: Path) -> None:
    with closing(AccessGraph(path)) as known:
        known.find("ana", "g")


def preview_sync(path: Path) -> None:
    with preview(open_directory(Source(WORLD)), path):
        pass


def rebuild(path: Path) -> None:
    with pytest.raises(StateError, match="another process is using it"):
        archive(path)


@pytest.mark.parametrize("use", [open_snapshot, read_snapshot, look_at_snapshot, preview_sync, rebuild, is_there])
def test_a_snapshot_file_stays_guarded_whatever_else_uses_it(tmp_path: Path, use: Callable[[Path], object]) -> None:
    path = tmp_path / "one.sqlite"
    with Store(path):
        use(path)
        assert is_guarded(path)
    assert not is_guarded(path), "the probe proves nothing"


@pytest.mark.parametrize("use", [lambda path: Journal(path).close(), read_verified])
def test_a_task_file_stays_guarded_whatever_else_uses_it(tmp_path: Path, use: Callable[[Path], object]) -> None:
    path = tmp_path / "one.tasks.sqlite"
    with Journal(path):
        use(path)
        assert is_guarded(path)


def take_again(path: Path) -> None:
    with pytest.raises(LockHeldError), SyncLock(path):
        pass


def start_sandbox(path: Path) -> None:
    with suppress(ConfigurationError):
        SandboxFolder(path.parents[1]).__enter__()


@pytest.mark.parametrize("use", [take_again, start_sandbox])
def test_a_lock_stays_held_whatever_else_uses_its_file(tmp_path: Path, use: Callable[[Path], object]) -> None:
    (tmp_path / "sandbox.lock").touch()
    path = tmp_path / "state" / "int-1.lock"
    with SyncLock(path):
        use(path)
        assert is_guarded(path)
        assert is_there(path)


class WatchedLock:
    """A lock that reports when a second thread has to wait for it."""

    def __init__(self, is_waited_for: Event) -> None:
        self._lock = Lock()
        self._is_waited_for = is_waited_for

    def __enter__(self) -> None:
        if self._lock.locked():
            self._is_waited_for.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_file_is_not_open_in_another_thread_when_the_descriptor_that_created_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, is_created, has_acted = tmp_path / "one.tasks.sqlite", Event(), Event()
    monkeypatch.setattr(state_file, "_CREATING", WatchedLock(has_acted))

    def watch(_frame: object, event: str, function: object) -> None:
        if event == "c_call" and function is os.close and not is_created.is_set():
            is_created.set()
            assert has_acted.wait(PATIENCE_SECONDS), "the other thread neither opens the file nor waits"

    def create() -> Journal:
        sys.setprofile(watch)
        try:
            return Journal(path)
        finally:
            sys.setprofile(None)

    def follow() -> Journal:
        assert is_created.wait(PATIENCE_SECONDS)
        opened = Journal(path)
        has_acted.set()
        return opened

    with ThreadPoolExecutor(2) as pool:
        opened = [each.result() for each in (pool.submit(create), pool.submit(follow))]
    opened[0].close()
    assert is_guarded(path)
    opened[1].close()


def test_opening_a_new_file_waits_for_its_current_writer(tmp_path: Path) -> None:
    path = tmp_path / "one.tasks.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        ends = Timer(0.2, lambda: other.execute("COMMIT"))
        ends.start()
        Journal(path).close()
        ends.join()


def connections(tree: ast.AST) -> list[int]:
    """The lines that connect to anything but a temporary database."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "sqlite3.connect"
        and ast.unparse(node.args[0]) != "''"
    ]


def test_only_one_module_of_the_runtime_and_one_of_the_local_ploy_connect_to_files() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := connections(ast.parse(path.read_text())))
    }
    # The spool's file belongs to one connection alone; the sandbox's folder only asks whether a state file is locked.
    temporary, probing = "aws/spool.py", "sandbox/folder.py"
    assert list(found) == [temporary, "runtime/snapshot/state_file.py", probing, "sandbox/ploy/database.py"]
    assert connections(ast.parse("sqlite3.connect(path)\nsqlite3.connect('')")) == [1]


def test_only_an_unused_file_is_archived_and_with_its_log(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    with Store(path) as store:
        store.get_or_set("opener", "me")
        rebuild(path)
        copies = {part.name: part.read_bytes() for part in tmp_path.iterdir()}  # as after the end of a process
    path.unlink()
    for name, content in copies.items():
        (tmp_path / name).write_bytes(content)
    kept = archive(path)
    assert kept == tmp_path / "one.sqlite.set-aside"
    assert not list(tmp_path.glob("one.sqlite-*")), "the log stays with its file"
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT value FROM facts WHERE name = 'opener'").fetchone() == ("me",)
    with Store(path) as store:
        assert store.get_or_set("opener", "other") == "other"
