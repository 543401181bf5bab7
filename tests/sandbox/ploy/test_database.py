"""The files of the local Ploy: other files and links are rejected, and transactions are atomic."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ploy_connector_aws.sandbox.ploy.database import open_database, transaction
from ploy_connector_aws.spec import ConfigurationError
from tests.runtime.test_foreign_files import REFUSED, properties


@pytest.mark.parametrize("part", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("put", REFUSED)
def test_link_is_rejected_and_its_target_untouched(
    tmp_path: Path, put: Callable[[Path, Path], None], part: str
) -> None:
    state, target = tmp_path / "state", tmp_path / "home" / "notes"
    state.mkdir()
    target.parent.mkdir()
    target.write_text("what is kept elsewhere")
    target.chmod(0o644)
    path = state / "ploy.sqlite"
    if part:
        path.touch(0o600)
    put(path.with_name(path.name + part), target)
    before = properties(target)
    expected = rf"^The file of the local Ploy ploy.sqlite{part} cannot be used: {REFUSED[put]}\.$"
    with pytest.raises(ConfigurationError, match=expected) as refused:
        open_database(path)
    assert refused.value.fix
    assert properties(target) == before
    assert [each.name for each in target.parent.iterdir()] == ["notes"]
    assert not (state / "nowhere").exists()


def test_file_becomes_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "ploy.sqlite"
    for _ in range(2):
        open_database(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o666)


def test_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "ploy.sqlite")) as db:
        db.execute("CREATE TABLE kept (value)")
        with pytest.raises(sqlite3.OperationalError), transaction(db):
            db.execute("INSERT INTO kept VALUES (1)")
            db.execute("INSERT INTO nothing VALUES (1)")
        with transaction(db):
            db.execute("INSERT INTO kept VALUES (2)")
        assert db.execute("SELECT value FROM kept").fetchall() == [(2,)]
