"""Anything else in the place of a state file is refused, and its target is left unchanged."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ploy_connector_aws.runtime.snapshot.lock import SyncLock
from ploy_connector_aws.runtime.snapshot.state_file import StateError, archive, identity, is_there, read_database
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import read_verified
from ploy_connector_aws.runtime.sync.preview import preview
from ploy_connector_aws.runtime.tasks.access_graph import AccessGraph
from ploy_connector_aws.runtime.tasks.journal import Journal
from ploy_connector_aws.spec import KnownAccess

from .fakes import Source, World, open_directory

AT_HOME = "what is kept elsewhere\n" * 99


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def dangling_link(path: Path, _: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def link_to_folder(path: Path, target: Path) -> None:
    path.symlink_to(target.parent, target_is_directory=True)


def folder(path: Path, _: Path) -> None:
    path.mkdir()


def pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def listener(path: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def hard_link(path: Path, target: Path) -> None:
    path.hardlink_to(target)


def file_of_another(path: Path, _: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path.touch()
    os.chown(path, 12345, -1)


REFUSED: dict[Callable[[Path, Path], None], str] = {
    link: "it is a symbolic link, and its target was not touched",
    dangling_link: "it is a symbolic link, and its target was not touched",
    link_to_folder: "it is a symbolic link, and its target was not touched",
    folder: "it is a folder",
    pipe: "it is a named pipe",
    listener: "it is a socket",
    hard_link: r"it has a second name \(a hard link\)",
    file_of_another: "it belongs to another user",
}
"""What may stand in the place of a state file, and why it is refused."""


def look(path: Path) -> None:
    db = read_database(path)
    if db is not None:
        db.close()


def preview_sync(path: Path) -> None:
    with preview(open_directory(Source(World({}, {}))), path):
        pass


def take(path: Path) -> None:
    with SyncLock(path):
        pass


USES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "store": ("snapshot file one.sqlite", lambda path: Store(path).close()),
    "look": ("snapshot file one.sqlite", look),
    "is it there": ("snapshot file one.sqlite", is_there),
    "preview": ("snapshot file one.sqlite", preview_sync),
    "rebuild": ("snapshot file one.sqlite", archive),
    "journal": ("task file one.tasks.sqlite", lambda path: Journal(path).close()),
    "verified": ("task file one.tasks.sqlite", read_verified),
    "lock": ("lock file one.lock", take),
}
"""Everything that opens, looks for or moves a state file."""


def properties(path: Path) -> tuple[int, int, int, bytes]:
    status = path.stat()
    return status.st_mode, status.st_mtime_ns, status.st_ino, path.read_bytes()


@pytest.mark.parametrize("part", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("put", REFUSED)
def test_a_foreign_file_is_refused_and_its_target_untouched(
    tmp_path: Path, put: Callable[[Path, Path], None], use: str, part: str
) -> None:
    name, open_it = USES[use]
    state, target = tmp_path / "state", tmp_path / "home" / "notes"
    state.mkdir()
    target.parent.mkdir()
    target.write_text(AT_HOME)
    target.chmod(0o644)
    path = state / name.rpartition(" ")[2]
    if part:
        path.touch(0o600)
    put(path.with_name(path.name + part), target)
    before = properties(target)
    with pytest.raises(StateError, match=rf"^The {name}{part} cannot be used: {REFUSED[put]}\.$") as refused:
        open_it(path)
    assert refused.value.fix
    assert properties(target) == before
    assert [each.name for each in target.parent.iterdir()] == ["notes"]
    assert not (state / "nowhere").exists()


def test_the_note_of_who_holds_a_lock_follows_no_link(tmp_path: Path) -> None:
    target = tmp_path / "notes"
    target.write_text('{"process": 7, "host": "here", "program": "one that is not asked"}')
    before = properties(target)
    path = tmp_path / "state" / "one.lock"
    with (
        SyncLock(path),
        pytest.raises(Exception, match=r"Another process is already syncing this integration: ") as refused,
    ):
        path.with_name("one.lock.holder").unlink()
        path.with_name("one.lock.holder").symlink_to(target)
        with pytest.raises(Exception, match=r"syncing this integration\.$"):
            take(path)
        path.with_name("one.lock.holder").unlink()
        os.mkfifo(path.with_name("one.lock.holder"))
        with pytest.raises(Exception, match=r"syncing this integration\.$"):
            take(path)
        path.with_name("one.lock.holder").unlink()
        path.with_name("one.lock.holder").write_text('{"process": 8, "host": "there", "program": null}')
        take(path)
    assert "process 8 on there" in str(refused.value)
    path.with_name("one.lock.holder").symlink_to(target)
    take(path)
    assert properties(target) == before


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "disk", target_is_directory=True)
    Store(tmp_path / "state" / "one.sqlite").close()
    assert (tmp_path / "disk" / "one.sqlite").is_file()


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    Store(path).close()
    path.chmod(0o666)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# To whom a file belongs.


def copy_of(path: Path, name: str) -> Path:
    return Path(shutil.copy(path, path.with_name(name)))


BINDINGS: dict[str, tuple[str, Callable[[Path], object]]] = {
    name: (file.rpartition(" ")[2].removeprefix("one"), use)
    for name, (file, use) in USES.items()
    if name in ("store", "look", "preview", "journal", "verified")
}


@pytest.mark.parametrize("use", BINDINGS)
def test_a_file_of_one_integration_is_refused_under_the_id_of_another(tmp_path: Path, use: str) -> None:
    ending, open_it = BINDINGS[use]
    Store(tmp_path / "one.sqlite").close()
    Journal(tmp_path / "one.tasks.sqlite").close()
    other = copy_of(tmp_path / f"one{ending}", f"two{ending}")
    before = other.read_bytes()
    with pytest.raises(StateError, match=r"it belongs to the integration 'one', not to 'two'\.$") as refused:
        open_it(other)
    assert f"rename the file to one{ending}" in (refused.value.fix or "")
    assert other.read_bytes() == before
    open_it(tmp_path / f"one{ending}")


def test_the_file_of_another_integration_proves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Store(tmp_path / "one.sqlite").close()
    with closing(AccessGraph(copy_of(tmp_path / "one.sqlite", "two.sqlite"))) as known:
        assert known.find("ana", "g") == KnownAccess(states=None)
    assert "belongs to the integration 'one'" in caplog.text


@pytest.mark.parametrize("ending", [".sqlite", ".tasks.sqlite"])
def test_a_file_without_a_note_is_bound_when_it_is_next_opened(tmp_path: Path, ending: str) -> None:
    kind = Store if ending == ".sqlite" else Journal
    path = tmp_path / f"one{ending}"
    with kind(path) as opened:
        opened._db.execute("DELETE FROM facts WHERE name = 'integration'")
    assert identity(path)
    kind(path).close()
    with pytest.raises(StateError, match="belongs to the integration 'one'"):
        kind(copy_of(path, f"two{ending}"))
