"""One sync at a time, and no lock that outlives its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.lock import SyncLock, SyncRunningError
from ploy_connector_aws.runtime.snapshot.state_file import StateError

HOLDER = """
import sys, time
from pathlib import Path
from ploy_connector_aws.runtime.snapshot.lock import SyncLock
with SyncLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_is_refused_while_held_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "state" / "one.lock"
    with SyncLock(path):
        with pytest.raises(SyncRunningError, match="already syncing this integration"), SyncLock(path):
            pass
    with SyncLock(path):
        pass


def test_the_holder_is_named_while_it_holds_the_lock_and_what_a_crash_left_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    note = tmp_path / "one.lock.holder"
    note.write_text('{"process": 7, "host": "here", "program": "one that crashed"}')
    with SyncLock(path):
        with (
            pytest.raises(SyncRunningError, match=rf"syncing this integration: .*process {os.getpid()}\)?\.$"),
            SyncLock(path),
        ):
            pass
        note.write_text("[")
        with pytest.raises(SyncRunningError, match=r"syncing this integration\.$"), SyncLock(path):
            pass
    assert not note.exists()


def test_other_integrations_are_not_locked(tmp_path: Path) -> None:
    with SyncLock(tmp_path / "one.lock"), SyncLock(tmp_path / "two.lock"):
        pass


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SyncRunningError), SyncLock(path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with SyncLock(path):
        pass


@pytest.mark.parametrize("place", ["file/state/one.lock", "file/one.lock", "folder", "other.lock"])
def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.lock").write_text("what another program keeps under this name" * 50)
    lock = tmp_path / place
    with pytest.raises(StateError, match=rf"^The lock file {lock.name} cannot be used: .+\.$"), SyncLock(lock):
        pass


def test_a_folder_that_cannot_be_written_is_one_sentence() -> None:
    # Not even root can make anything there.
    with pytest.raises(StateError, match="cannot be used"), SyncLock(Path(os.devnull) / "one.lock"):
        pass
