"""The tree of scopes that one read gives: ``ploy-connector validate --trace``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.cli.trace import MOST_SHOWN, print_trace, trace
from ploy_connector_aws.host import check_connector
from ploy_connector_aws.spec import (
    Account,
    ConnectionReport,
    Entitlement,
    Failure,
    Grant,
    Manifest,
    Page,
    TemporaryError,
    hookimpl,
)
from ploy_connector_aws.spec.records import RecordKey
from tests.process.conftest import run_with


class Staff:
    """A directory of people and teams in memory."""

    manifest = Manifest(
        name="staff",
        title="Staff directory",
        version="1",
        spec_version=1,
        description="People and teams.",
        config_schema={"type": "object", "properties": {"token": {"type": "string", "writeOnly": True}}},
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None: ...

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        for part in (0, 1):
            yield Page(scope="people", records=(Account(id=f"u-{part}0"), Account(id=f"u-{part}1")), complete=part == 1)

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        teams = tuple(Entitlement(id=each, kind="group", name=each, grantable=True) for each in ("t-0", "t-1"))
        yield Page(scope="teams", records=teams)
        for team in teams:
            yield Page(scope=f"teams/{team.id}/members", parent="teams")
        for team in teams:
            members = tuple(Grant(principal_kind="account", principal_id=each, entitlement_id=team.id) for each in "ab")
            yield Page(scope=f"teams/{team.id}/members", records=members, complete=True)
        yield Page(scope="teams", complete=True)


def show(connector: type, width: int = 120) -> tuple[str, dict[str, Any]]:
    """The tree as people see it, and the document."""
    found = trace(check_connector("made-dist", connector).open({"token": "a-secret-of-the-directory"}))
    out = io.StringIO()
    print_trace(Console(file=out, width=width, highlight=False), found)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()), found.to_json()


def test_tree_has_what_each_scope_gave_and_how_it_ended() -> None:
    printed, document = show(Staff)
    assert document["complete"] is True
    assert document["hooks"] == [
        {"hook": "list_accounts", "pages": 2, "error": None},
        {"hook": "list_entitlements", "pages": 6, "error": None},
    ]
    assert document["scopes"][2] == {
        "scope": "teams/t-0/members",
        "parent": "teams",
        "announced_by": {"hook": "list_entitlements", "page": 2},
        "pages": 2,
        "records": {"grant": 2},
        "partial": 0,
        "retracted": 0,
        "ending": "complete",
        "endings": ["complete"],
        "failure": None,
        "problems": [],
    }
    assert (
        printed
        == """\
Staff directory
├── list_accounts  2 pages
│   └── ✓ people  2 pages, 4 accounts  complete
└── list_entitlements  6 pages
    └── ✓ teams  2 pages, 2 entitlements  complete
        ├── ✓ …/t-0/members  2 pages, 2 grants  complete
        └── ✓ …/t-1/members  2 pages, 2 grants  complete

4 scopes, 8 pages, 4 accounts, 2 entitlements, 4 grants.
✓ Every scope was read, so a sync would prove everything."""
    )


class Faulty(Staff):
    """One scope of each kind of fault."""

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="open", records=(Account(id="a"),))
        yield Page(scope="twice", complete=True)
        yield Page(scope="twice", gone=True, retracted=(RecordKey(type="account", id="a"),))
        yield Page(scope="orphan", parent="nothing", complete=True)
        yield Page(scope="cut", failure=Failure(code="temporary", message="The line was [cut].", fix="Splice it."))
        yield Page(scope="off", excluded=True)
        yield Page(scope="secret", records=(Account(id="a-secret-of-the-directory"), Account(id="b")), complete=True)
        raise TemporaryError("The source did not answer.", retry_after_seconds=1)

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        member = Grant(principal_kind="account", principal_id="a", entitlement_id="t")
        yield Page(scope="below", parent="open", partial=(member,), complete=True)
        yield Page(scope="one", parent="other", complete=True)
        yield Page(scope="other", parent="one", complete=True)


def test_tree_shows_each_fault_at_its_scope() -> None:
    printed, document = show(Faulty, width=160)
    assert document["complete"] is False
    assert (
        printed
        == """\
Staff directory
├── list_accounts  7 pages
│   ✗ ended with an error: The source did not answer.
│   ├── ✗ open  1 page, 1 account  nothing ended it
│   │   └── ✓ below  1 page, 1 grant, 1 of them partial  complete  announced by list_entitlements, page 1
│   ├── ✗ twice  2 pages, no records, 1 retracted  ended 2 times: complete, gone
│   ├── ✓ orphan  1 page, no records  complete  nothing announced its parent nothing
│   ├── ✗ cut  1 page, no records  failed
│   │   The line was [cut].
│   │   Fix: Splice it.
│   ├── ✓ off  1 page, no records  excluded
│   └── ✗ secret  1 page, 1 account  failed
│       Invalid: the account '[redacted]' contains the value of a secret setting
├── list_entitlements  3 pages
└── ✗ scopes whose parents form a cycle
    ├── ✓ one  1 page, no records  complete
    └── ✓ other  1 page, no records  complete

9 scopes, 10 pages, 2 accounts, 1 grant.
! 4 scopes prove nothing: a sync keeps what they held before.
! list_accounts ended with an error: a sync keeps what it did not announce."""
    )


class Large(Staff):
    """Many scopes below one, some of which fail, and one very deep branch."""

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="all")
        for number in range(100):
            failure = Failure(code="temporary", message="No answer.") if number % 4 == 0 else None
            yield Page(scope=f"all/{number}", parent="all", failure=failure, complete=failure is None)
        yield Page(scope="deep/0", parent="all/99", complete=True)
        for number in range(1, 2_000):
            yield Page(scope=f"deep/{number}", parent=f"deep/{number - 1}", complete=True)
        yield Page(scope="all", complete=True)

    @hookimpl
    def list_entitlements(self) -> Iterator[Page]:
        yield from ()


def test_large_tree_is_cut_for_people_and_whole_as_json() -> None:
    printed, document = show(Large)
    assert len(document["scopes"]) == 2_101
    assert "… and 60 more, 5 of them unproven; --format json shows all" in printed
    assert printed.count("  failed") == MOST_SHOWN
    assert "deep/" not in printed
    assert "below no hook" not in printed


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of the connector in the file of tests, in a folder of their own."""
    monkeypatch.chdir(Path(__file__).parents[2])
    file = tmp_path / "ploy.toml"
    file.touch(mode=0o600)
    file.write_text('[config]\ntoken = "a-secret-of-the-directory"\n')
    return file


def run(config: Path, *arguments: str) -> tuple[int, str, str]:
    return run_with({"HOME": str(config.parent), "COLUMNS": "120"}, "validate", *arguments, "--config", str(config))


def test_command_reads_once_and_exits_with_what_is_proven(config: Path) -> None:
    status, printed, errors = run(config, "tests/cli/test_trace.py:Staff", "--trace")
    assert (status, printed.splitlines()[0], errors) == (Exit.OK, "Staff directory", "")
    status, printed, errors = run(config, "tests/cli/test_trace.py:Staff", "--trace", "--json")
    assert (status, json.loads(printed)["complete"], errors) == (Exit.OK, True, "")
    status, printed, _ = run(config, "tests/cli/test_trace.py:Faulty", "--trace", "--format", "json")
    assert (status, json.loads(printed)["complete"]) == (Exit.UNPROVEN, False)
    for wrong in (("--format", "junit"), ("--writes",), ("--every-page",), ("--driver", "./x.py:X")):
        assert run(config, "tests/cli/test_trace.py:Staff", "--trace", *wrong)[0] == Exit.USAGE
