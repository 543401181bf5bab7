"""``kill -9`` in the middle of the comparison's SQL: the baseline stands, and the next run is right."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import Page

from .records import account, commit, records_of

CHILD = """
import os, signal, sys
from pathlib import Path
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import Page
from tests.runtime.records import account, begin

store = Store(Path(sys.argv[1]))
first, name = (0, None) if sys.argv[3] == "same" else (100, "new")
people = tuple(account(f"u{number}", name) for number in range(first, first + 500))
run = begin(store, Page(scope="root", complete=True), Page(scope="users", parent="root", records=people, complete=True))
steps = int(sys.argv[2])

def count():
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), signal.SIGKILL)

store.connection.set_progress_handler(count, 100)
compare(store, run)
print(steps)
"""


def people(first: int, last: int) -> tuple[Page, Page]:
    records = tuple(account(f"u{number}") for number in range(first, last))
    return Page(scope="root", complete=True), Page(scope="users", parent="root", records=records, complete=True)


def compare_in_child(path: Path, steps: int, read: str) -> subprocess.CompletedProcess[str]:
    """Compare in a process that kills itself after so many hundred steps of SQLite's machine."""
    arguments = [sys.executable, "-c", CHILD, str(path), str(steps), read]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, *people(0, 500))
    return tmp_path / "one.sqlite"


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.6, 0.8, 0.98])
def test_a_comparison_killed_anywhere_leaves_the_baseline_and_the_next_run_right(path: Path, share: float) -> None:
    check_killed(path, share, "other")


@pytest.mark.parametrize("share", [0.4, 0.98])
def test_a_comparison_that_finds_the_same_may_be_killed_anywhere(path: Path, share: float) -> None:
    check_killed(path, share, "same")


def check_killed(path: Path, share: float, read: str) -> None:
    """Kill a comparison after this share of its steps; the file holds the baseline, and the next run is right."""
    enough = 1_000_000
    whole = compare_in_child(path, enough, read)
    assert whole.returncode == 0, whole.stderr
    steps = enough - int(whole.stdout)
    assert steps > 50
    killed = compare_in_child(path, int(steps * share), read)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Store(path) as store:
        assert set(records_of(store)) == {f"account u{number}" for number in range(500)}
        commit(store, *people(100, 600))
        assert set(records_of(store)) == {f"account u{number}" for number in range(100, 600)}
