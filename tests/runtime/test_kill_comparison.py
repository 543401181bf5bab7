"""``kill -9`` in the middle of the comparison's SQL: the baseline stands, and the next run is right."""

from __future__ import annotations

import multiprocessing
import os
import signal
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import Page
from tests.deadlines import PATIENCE_SECONDS

from .records import account, begin, commit, records_of

ENOUGH = 1_000_000

_context = multiprocessing.get_context("forkserver")


def compare_and_count(path: Path, steps: int, read: str, count: Connection) -> None:
    """Compare, and send how many hundred steps of SQLite's machine it took; kill this process after so many."""
    store = Store(path)
    first, name = (0, None) if read == "same" else (100, "new")
    records = tuple(account(f"u{number}", name) for number in range(first, first + 500))
    pages = Page(scope="users", parent="root", records=records, complete=True)
    run = begin(store, Page(scope="root", complete=True), pages)
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1
        if taken > steps:
            os.kill(os.getpid(), signal.SIGKILL)

    store.connection.set_progress_handler(step, 100)
    compare(store, run)
    count.send(taken)


def people(first: int, last: int) -> tuple[Page, Page]:
    records = tuple(account(f"u{number}") for number in range(first, last))
    return Page(scope="root", complete=True), Page(scope="users", parent="root", records=records, complete=True)


def compare_in_child(path: Path, read: str, steps: int = ENOUGH) -> tuple[int | None, int | None]:
    """Compare in a process that kills itself after so many steps; its exit code, and how many it took to the end."""
    receiver, sender = _context.Pipe(duplex=False)
    with receiver, sender:
        child = _context.Process(target=compare_and_count, args=(path, steps, read, sender))
        child.start()
        child.join(PATIENCE_SECONDS)
        return child.exitcode, receiver.recv() if receiver.poll() else None


@cache
def count_steps(folder: Path, read: str) -> int:
    """How many steps an undisturbed comparison takes."""
    path = folder / f"{read}.sqlite"
    with Store(path) as store:
        commit(store, *people(0, 500))
    code, steps = compare_in_child(path, read)
    assert code == 0
    assert steps is not None
    assert 50 < steps < ENOUGH
    return steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("counted")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, *people(0, 500))
    return tmp_path / "one.sqlite"


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8, 0.98])
def test_a_comparison_killed_anywhere_leaves_the_baseline_and_the_next_run_right(
    path: Path, folder: Path, share: float
) -> None:
    check_killed(path, int(count_steps(folder, "other") * share), "other")


@pytest.mark.parametrize("share", [0.4, 0.98])
def test_a_comparison_that_finds_the_same_may_be_killed_anywhere(path: Path, folder: Path, share: float) -> None:
    check_killed(path, int(count_steps(folder, "same") * share), "same")


def check_killed(path: Path, steps: int, read: str) -> None:
    """Kill a comparison after so many steps; the file holds the baseline, and the next run is right."""
    assert compare_in_child(path, read, steps) == (-signal.SIGKILL, None)
    with Store(path) as store:
        assert set(records_of(store)) == {f"account u{number}" for number in range(500)}
        commit(store, *people(100, 600))
        assert set(records_of(store)) == {f"account u{number}" for number in range(100, 600)}
