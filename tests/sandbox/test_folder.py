"""The folder of a sandbox: emptied of what a sandbox created, and of nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.lock import SyncLock
from ploy_connector_aws.sandbox.folder import SandboxFolder
from ploy_connector_aws.spec import ConfigurationError

CREATED = ("ploy.toml", "ploy/ploy.sqlite", "ploy/integrations/int-1.sqlite-wal", "state/int-1.lock")
FOREIGN = ("notes.txt", "ploy/notes.txt", "state/other.sqlite", "try/token")


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def files(folder: Path) -> set[str]:
    """Every file but the lock's own."""
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return {name for name in found if not name.startswith("sandbox.lock")}


def test_a_new_folder_is_created_for_this_user_only(tmp_path: Path) -> None:
    with SandboxFolder(tmp_path / "a" / "b") as folder:
        folder.write("token", "secret\n")
    assert (folder.path.stat().st_mode & 0o777, folder.was_emptied) == (0o700, False)
    assert ((folder.path / "token").stat().st_mode & 0o777, (folder.path / "token").read_text()) == (0o600, "secret\n")


def test_what_an_earlier_sandbox_created_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with SandboxFolder(tmp_path):
        put(tmp_path, *CREATED, *FOREIGN)
    with SandboxFolder(tmp_path) as folder:
        assert folder.was_emptied
        assert files(tmp_path) == set(FOREIGN)
    with SandboxFolder(tmp_path) as folder:
        assert not folder.was_emptied


@pytest.mark.parametrize("name", CREATED)
def test_a_file_of_the_same_name_that_no_sandbox_created_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    with pytest.raises(ConfigurationError, match=f"contains {name}, which no sandbox created"):
        SandboxFolder(tmp_path).__enter__()
    assert files(tmp_path) == {name}


def test_a_folder_that_has_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    with SandboxFolder(tmp_path):
        put(tmp_path, "token/mine.txt")
    with pytest.raises(ConfigurationError, match="contains token, which"):
        SandboxFolder(tmp_path).__enter__()
    assert files(tmp_path) == {"token/mine.txt"}


def test_the_files_of_a_running_sandbox_are_left_alone(tmp_path: Path) -> None:
    with SandboxFolder(tmp_path):
        put(tmp_path, *CREATED)
        with pytest.raises(ConfigurationError, match=rf"Another sandbox is running.* process {os.getpid()} on "):
            SandboxFolder(tmp_path).__enter__()
        assert files(tmp_path) == set(CREATED)


@pytest.mark.parametrize("lock", ["int-1.lock", "int-1.tasks.lock"])
def test_the_state_of_an_earlier_sandbox_is_not_removed_while_a_process_uses_it(tmp_path: Path, lock: str) -> None:
    with SandboxFolder(tmp_path):
        put(tmp_path, *CREATED)
    with SyncLock(tmp_path / "state" / lock):
        before = files(tmp_path)
        with pytest.raises(ConfigurationError, match=rf"an earlier sandbox in .*process {os.getpid()}\)?\.$"):
            SandboxFolder(tmp_path).__enter__()
        assert files(tmp_path) == before
    with SandboxFolder(tmp_path):
        assert files(tmp_path) == set()


def test_a_lock_file_that_cannot_be_checked_is_left_alone(tmp_path: Path) -> None:
    with SandboxFolder(tmp_path):
        put(tmp_path, *CREATED)
    (tmp_path / "state" / "int-1.lock").write_text("not a database" * 100)
    with pytest.raises(ConfigurationError, match="cannot be checked"):
        SandboxFolder(tmp_path).__enter__()
    assert files(tmp_path) == set(CREATED)
