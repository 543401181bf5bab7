"""The example for CSV files: installed from its wheel, tested by the kit, used by the commands and on the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

from ploy_connector_aws.spec import AccessChange, AccessRequest, NotFoundError, RecordKey, TemporaryError
from ploy_connector_aws.testing import read

from .harness import Installed, imported, install, integrate

MEMBERS = "entitlement_id,principal_id\ng-1,p-1\ng-1,p-2\ng-2,p-1\ng-2,p-9\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("csv"), "ploy-connector-csv")


@pytest.fixture
def module(installed: Installed) -> Iterator[ModuleType]:
    """The connector's module, as it is in the wheel."""
    with imported(installed, "ploy_connector_csv") as found:
        yield found


@pytest.fixture
def folder(installed: Installed, tmp_path: Path) -> Path:
    """A copy of the files of the example."""
    shutil.copytree(installed.folder / "tests" / "data", tmp_path / "data")
    return tmp_path / "data"


def change(module: ModuleType, folder: Path, kind: str, person: str, group: str, **more: Any) -> AccessChange:
    """Call ``grant`` or ``revoke`` of an instance of its own."""
    connector = module.CsvConnector()
    connector.configure({"folder": str(folder)})
    request = AccessRequest(request_id="r-1", account_id=person, entitlement_id=group, **more)
    answer: AccessChange = getattr(connector, kind)(request)
    return answer


def test_wheel_keeps_the_rules_of_the_kit(installed: Installed, tmp_path: Path) -> None:
    shutil.copytree(installed.folder / "tests", tmp_path / "tests")
    done = installed.run("-m", "pytest", "-p", "no:cacheprovider", "-W", "error", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout.splitlines()[-1]


def test_commands_and_pages_show_it_with_its_wizard(module: ModuleType, folder: Path, tmp_path: Path) -> None:
    with integrate(tmp_path, module.CsvConnector.manifest, {"folder": str(folder)}) as integration:
        assert "Usable: 3 passed." in integration.run("check")[1]
        assert "Committed as generation 1." in integration.run("sync")[1]
        listed = integration.run("list", "grants", "--format", "csv")[1]
        for each in (("grant", "p-2", "g-2"), ("revoke", "p-1", "g-1"), ("revoke", "p-9", "g-2")):
            status, printed = integration.run(*each, "--yes")
            assert (status, "Verified by reading it back" in printed) == (0, True), printed
        assert (folder / "members.csv").read_text() == "entitlement_id,principal_id\ng-1,p-2\ng-2,p-1\ng-2,p-2\n"
        _, synced = integration.run("sync")
        wizard, overview = integration.read_page("/setup/files"), integration.read_page()
    assert [line.split(",")[:2] for line in listed.splitlines()[1:5]] == [
        ["Ann Lee", "employee"],
        ["Ann Lee", "employee"],
        ["Ben Moss", "employee"],
        ["p-9", "identity of unknown kind"],
    ]
    for line in (
        "- removed grant Ann Lee holds Engineering",
        "- removed grant p-9 holds On-Call",
        "+ added grant Ben Moss holds On-Call",
        "- removed identity of unknown kind p-9",
    ):
        assert line in synced
    assert "Files Step 1 of 1" in wizard
    assert "The first line of members.csv is entitlement_id,principal_id" in wizard
    assert ("3 employees" in overview, "2 groups" in overview) == (True, True)


@pytest.mark.parametrize(
    ("name", "content", "failed"),
    [
        ("people", None, {"people", "unlisted"}),
        ("people", b"", {"people", "unlisted"}),
        ("people", b"id,username,display_name,status\np-1,ann,Ann Lee,active\np-2,ben,Ben", {"people", "unlisted"}),
        ("groups", b"id,name\ng-1,Engineering\ng-2,On-C", {"groups", "unlisted"}),
        ("people", b"id,username,display_name,status\np-1,ann,Ann Lee\n", {"people", "unlisted"}),
        ("people", b"id,username,display_name,status\np-1,ann,Ann Lee,retired\n", {"people", "unlisted"}),
        ("people", b"id,username,display_name,status\n,ann,Ann Lee,active\n", {"people", "unlisted"}),
        ("people", b"id,username,display_name,status\np-1,\xff,Ann Lee,active\n", {"people", "unlisted"}),
        ("people", b'id,username,display_name,status\np-1,"ann,Ann Lee,active\n', {"people", "unlisted"}),
        ("groups", b"id,title\ng-1,Engineering\n", {"groups", "unlisted"}),
        ("members", b"entitlement_id,principal_id\ng-1,p-1,p-2\n", {"members", "unlisted"}),
    ],
    ids=[
        "missing",
        "empty",
        "cut",
        "last-cell",
        "short",
        "status",
        "no-id",
        "latin-1",
        "quote",
        "columns",
        "long",
    ],
)
def test_a_file_that_cannot_be_read_fails_its_scope_and_removes_nothing(
    module: ModuleType, folder: Path, name: str, content: bytes | None, failed: set[str]
) -> None:
    settings = {"folder": str(folder)}
    first = read(module.CsvConnector, settings)
    file = folder / f"{name}.csv"
    file.write_bytes(content) if content is not None else file.unlink()
    second = read(module.CsvConnector, settings, after=first)
    assert set(first.scopes.values()) == {"complete"}
    assert {scope for scope, ending in second.scopes.items() if ending == "failed"} == failed
    assert (second.changes.removed, second.changes.changed, second.changes.added) == ((), (), ())


def test_a_file_without_rows_removes_what_it_had(module: ModuleType, folder: Path) -> None:
    first = read(module.CsvConnector, {"folder": str(folder)})
    (folder / "members.csv").write_text("entitlement_id,principal_id\n")
    removed = read(module.CsvConnector, {"folder": str(folder)}, after=first).changes.removed
    assert [key.type for key in removed] == ["account", "grant", "grant", "grant", "grant"]
    assert removed[0] == RecordKey(type="account", id="p-9")


def test_a_person_who_leaves_the_list_keeps_what_is_known(module: ModuleType, folder: Path) -> None:
    first = read(module.CsvConnector, {"folder": str(folder)})
    people = folder / "people.csv"
    people.write_text(people.read_text().replace("p-1,ann,Ann Lee,active\n", ""))
    second = read(module.CsvConnector, {"folder": str(folder)}, after=first)
    assert (second.changes.removed, second.changes.changed, second.changes.unproven) == ((), (), ())


def test_preview_and_repeated_changes_write_nothing(module: ModuleType, folder: Path) -> None:
    made = folder.stat().st_mtime_ns, sorted(folder.iterdir())
    preview = change(module, folder, "grant", "p-2", "g-2", preview=True)
    assert (preview.outcome, len(preview.added), preview.verified_at) == ("previewed", 1, None)
    for kind, person in (("grant", "p-1"), ("revoke", "p-2")):
        assert change(module, folder, kind, person, "g-2").outcome == "already_in_effect"
        nothing = change(module, folder, kind, person, "g-2", preview=True)
        assert (nothing.outcome, nothing.added, nothing.removed) == ("previewed", (), ())
    assert (folder / "members.csv").read_text() == MEMBERS
    assert (folder.stat().st_mtime_ns, sorted(folder.iterdir())) == made


@pytest.mark.parametrize(("person", "group"), [("p-9", "g-1"), ("p-1", "g-9")])
def test_ids_that_no_file_lists_are_not_found(module: ModuleType, folder: Path, person: str, group: str) -> None:
    for kind in ("grant", "revoke"):
        with pytest.raises(NotFoundError):
            change(module, folder, kind, person, group)
    assert (folder / "members.csv").read_text() == MEMBERS


def test_an_error_before_the_write_changed_nothing(module: ModuleType, folder: Path) -> None:
    with pytest.raises(TemporaryError) as late:
        change(module, folder, "grant", "p-2", "g-2", write_before=datetime.now(UTC) - timedelta(seconds=1))
    (folder / "people.csv").unlink()
    with pytest.raises(TemporaryError) as unread:
        change(module, folder, "grant", "p-2", "g-2")
    assert (late.value.changed_nothing, unread.value.changed_nothing) == (True, True)
    assert (folder / "members.csv").read_text() == MEMBERS


@pytest.mark.parametrize(
    ("left", "message"),
    [(MEMBERS, "does not show the change"), (MEMBERS[:-1], "was cut"), ("", "cannot be read")],
    ids=["old", "cut", "empty"],
)
def test_what_the_file_does_not_show_after_the_write_is_unknown(
    module: ModuleType, folder: Path, left: str, message: str
) -> None:
    def write_something_else(*_: object) -> None:
        (folder / "members.csv").write_text(left)

    with patch.object(module.CsvFolder, "replace", write_something_else):
        with pytest.raises(TemporaryError, match=message) as error:
            change(module, folder, "grant", "p-2", "g-2")
    assert not error.value.changed_nothing


def test_changes_at_the_same_time_lose_nothing_and_keep_the_mode(module: ModuleType, folder: Path) -> None:
    people = [f"p-{number}" for number in range(100, 120)]
    with (folder / "people.csv").open("a") as file:
        file.writelines(f"{person},{person},,active\n" for person in people)
    (folder / "members.csv").chmod(0o640)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda person: change(module, folder, "grant", person, "g-2").outcome, people))
    assert outcomes == ["applied"] * len(people)
    assert sorted((folder / "members.csv").read_text().splitlines()) == sorted(
        [*MEMBERS.splitlines(), *(f"g-2,{person}" for person in people)]
    )
    assert (folder / "members.csv").stat().st_mode & 0o777 == 0o640
