"""The output for people: outside names can neither style nor control the terminal."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from ploy_connector_aws.cli.history import history_json
from ploy_connector_aws.cli.listing import Layout
from ploy_connector_aws.cli.output import (
    MAXIMUM_REASONS,
    Count,
    print_json,
    print_json_list,
    print_kept,
    print_unproven,
    text,
)
from ploy_connector_aws.cli.snapshot_view import SnapshotView
from ploy_connector_aws.graph.search import Search
from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec import Failure, Page
from tests.runtime.records import account, commit, group, membership

SINCE = datetime(2026, 11, 24, 3, 4, tzinfo=UTC)


def shown(value: object) -> str:
    out = Console(file=io.StringIO(), width=200, force_terminal=False)
    out.print(text(value))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().rstrip("\n")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("Åse Ødegård", "Åse Ødegård"),
        ("[bold red]Admins[/]", "[bold red]Admins[/]"),
        ("a\x1b]0;owned\x07b", "a�]0;owned�b"),
        ("line\nbreak", "line�break"),
        ("right-to-left \u202eoverride", "right-to-left �override"),
        ("", "-"),
        (None, "-"),
        (0, "0"),
    ],
)
def test_outside_name_is_escaped(name: object, cell: str) -> None:
    assert shown(name) == cell


def failed(number: int, message: str) -> ScopeState:
    return ScopeState(f"scope/{number}", None, True, "failed", Failure(code="x", message=message), None, SINCE)


def printed(*scopes: ScopeState) -> list[str]:
    out = Console(file=io.StringIO(), width=200)
    print_unproven(out, scopes)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


def test_record_kept_by_a_grant_is_shown_with_the_grant(tmp_path: Path) -> None:
    grant = membership("ana", "g")
    rest = Page(scope="groups", records=(group("g"), grant), complete=True)
    with Store(tmp_path / "one.sqlite") as store:
        for people in ((account("ana"), account("bo")), (account("bo"),)):
            commit(store, Page(scope="users", records=people, complete=True), rest)
        run = store.baseline
        assert run is not None
        out = Console(file=io.StringIO(), width=200)
        print_kept(out, run)
        history = history_json([], store, None)
        view = SnapshotView(store, run, is_fresh=True)
        layout = Layout.of(view, "account", is_full=True)
        (proof,) = (column for column in layout.columns() if column.title == "Proof")
        proofs = {each.id: proof.value(each) for each in view.graph.stream_records("account", Search())}
        is_complete = view.is_complete

    assert out.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "No longer listed; kept because a grant names them:",
        f"  ! account ana, named by the grant {grant.id}",
    ]
    assert history["kept_by_grants"] == [{"type": "account", "id": "ana", "grant": grant.id}]
    assert proofs == {"ana": f"unproven, named by the grant {grant.id}", "bo": "proven"}
    assert not is_complete


def test_unproven_scopes_are_grouped_by_reason() -> None:
    not_reached = ScopeState("scope/9", None, True, None, None, None, SINCE)
    assert printed(failed(1, "Denied."), failed(2, "Denied."), not_reached) == [
        "Not read completely; the last known state is kept:",
        "  ! 2 scopes, e.g. scope/1, unproven since 2026-11-24 03:04 UTC",
        "    Denied.",
        "  ! scope/9, unproven since 2026-11-24 03:04 UTC",
        "    Not reached.",
    ]


def test_further_reasons_are_counted() -> None:
    lines = printed(*(failed(number, f"Reason {number}.") for number in range(MAXIMUM_REASONS + 2)))
    assert lines[-1] == "  … and 2 more reasons; --json shows all"


def test_nothing_is_printed_when_everything_is_proven() -> None:
    assert printed(ScopeState("scope", None, True, "complete", None, None, None)) == []


def test_json_escapes_every_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    """Over all characters that there are: the same text comes out again, and letters stay letters."""
    # Backwards: no two surrogates are a pair then.
    every = "".join(map(chr, reversed(range(sys.maxunicode + 1))))
    print_json({"name": every, every[-0x300:]: 1})
    printed = capsys.readouterr().out

    assert json.loads(printed) == {"name": every, every[-0x300:]: 1}
    assert printed.replace("\n", "").isprintable()
    assert {"é", "語", "ع", "😀"} <= set(printed)
    # As `json.dumps` has its lines: one for each member.
    assert printed.count("\n") == 4


@pytest.mark.parametrize("rows", [[], [{"a": ["x\ny", {}], "b": []}, 1, {}]])
def test_list_that_is_printed_while_it_is_read_is_the_same_document(
    rows: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    print_json({"as_of": "now", "target": {"id": "x"}, "rows": rows})
    whole = capsys.readouterr().out
    print_json_list({"as_of": "now", "target": {"id": "x"}}, "rows", iter(rows))
    assert capsys.readouterr().out == whole


def test_progress_shows_no_count_and_no_time_before_they_are_known() -> None:
    times = [0.0]
    with Progress(
        Count("scopes"), console=Console(file=io.StringIO()), get_time=lambda: times[-1], disable=True
    ) as shown:
        number = shown.add_task("Reading", total=None)
        (task,) = shown.tasks
        texts = [Count("scopes").render(task).plain]
        for completed in (0, 10, 20, 40):
            times.append(times[-1] + 1)
            shown.update(number, total=40, completed=completed)
            texts.append(Count("scopes").render(task).plain)
    assert texts == [
        "",
        "0 of 40 scopes",
        "10 of 40 scopes",
        "20 of 40 scopes, about 0:00:02 left",
        "40 of 40 scopes",
    ]


def test_no_control_character_of_a_name_is_printed() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert all(each.isprintable() for each in text(every))
