"""The files of the local Ploy: other files, links and versions are rejected, and transactions are atomic."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ploy_connector_aws.sandbox.ploy import LocalPloy
from ploy_connector_aws.sandbox.ploy.database import VERSION, open_database, transaction
from ploy_connector_aws.sandbox.ploy.local_platform import LocalPlatform
from ploy_connector_aws.spec import ConfigurationError
from tests.runtime.test_foreign_files import REFUSED, properties

from .conftest import USERS, Clock, Customer, account, connect


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


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_folder_of_another_version_is_rejected_before_anything_is_served(tmp_path: Path, version: int) -> None:
    LocalPlatform(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ploy.sqlite")) as db:
        db.execute(f"PRAGMA user_version={version}")
    with pytest.raises(
        ConfigurationError, match=r"ploy\.sqlite .*: another version of this program wrote it\."
    ) as caught:
        LocalPlatform(tmp_path)
    assert caught.value.fix == f"start with another folder, or remove the folder {tmp_path}"


def test_changed_tables_have_a_new_version(tmp_path: Path, clock: Clock) -> None:
    with LocalPloy(tmp_path, clock=clock) as ploy:
        organisation_id = ploy.registry.create_organisation("Acme")
        integration = ploy.registry.create_integration(organisation_id, "aws")
        with connect(ploy, ploy.registry.create_token(organisation_id).token) as client:
            Customer(ploy, clock, client, organisation_id, integration.id).sync(USERS, account("ann"))
    statements = []
    for path in sorted(tmp_path.rglob("*.sqlite")):
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
            statements += [sql for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql NOTNULL ORDER BY sql")]
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]
    assert (VERSION, digest) == (1, "03d1dc4f5686c3f5"), "raise the version, and note the new digest here"
