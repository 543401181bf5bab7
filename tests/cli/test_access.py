"""The access of one account, bounded where roles trust each other, and everybody who reaches a target."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console

from ploy_connector_aws.cli.access import access_to_json, to_tree
from ploy_connector_aws.cli.errors import UnknownNameError
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.cli.listing import Filters, Kinds, Layout, show_records
from ploy_connector_aws.cli.options import Format, What
from ploy_connector_aws.cli.output import table
from ploy_connector_aws.cli.snapshot_view import SnapshotView, find_account, find_entitlement
from ploy_connector_aws.cli.who import show_opened, show_who
from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import Account, Entitlement, Grant, Page, Resource
from ploy_connector_aws.spec.labels import Label, Labels
from tests.runtime.records import account, commit, group, membership


def trusting_each_other(size: int) -> list[Grant]:
    names = [f"r{at}" for at in range(size)]
    return [
        membership("ann", "r0"),
        *(
            Grant(principal_kind="entitlement", principal_id=a, entitlement_id=b)
            for a in names
            for b in names
            if a != b
        ),
    ]


def in_a_row(size: int) -> list[Grant]:
    return [
        membership("ann", "r0"),
        *(
            Grant(principal_kind="entitlement", principal_id=f"r{at}", entitlement_id=f"r{at + 1}")
            for at in range(size - 1)
        ),
    ]


@pytest.mark.parametrize(
    ("grants", "reached", "has_more"),
    [(trusting_each_other(9), 9, True), (in_a_row(1_200), 1_200, False)],
    ids=["9 roles that trust each other", "1,200 roles in a row"],
)
def test_all_reachable_entitlements_are_shown_with_bounded_paths(
    tmp_path: Path, grants: list[Grant], reached: int, has_more: bool
) -> None:
    with Store(tmp_path / "one.sqlite") as store:
        roles = tuple(group(f"r{at}") for at in range(reached))
        commit(store, Page(scope="all", records=(account("ann"), *roles, *grants), complete=True))
        assert store.baseline is not None
        view = Overlay(store.baseline)
        (ann,) = view.records("account")
        paths = view.path_finder().paths_of("ann")
        as_json, out = access_to_json(view, ann, paths), io.StringIO()
        Console(file=out, width=100).print(to_tree(view, ann, paths, Labels()))

    counts = Counter(path["entitlements"][-1]["id"] for path in as_json["paths"])
    assert counts.keys() == {f"r{at}" for at in range(reached)}
    assert max(counts.values()) == (MOST_CHAINS if has_more else 1)
    # The account holds one role directly: to that one there is one path only.
    assert as_json["more_paths_to"] == ([f"r{at}" for at in range(1, 9)] if has_more else [])
    assert ("more paths exist to" in out.getvalue()) is has_more
    assert all(f"r{at}" in out.getvalue() for at in range(reached))


def entitlement(id: str, place: str, *, privileged: bool | None = None) -> Entitlement:
    return Entitlement(
        id=id, kind="account_role", name=id, resource_id=place, privileged=privileged, not_grantable_reason="read only"
    )


def opens(principal: str, entitlement: str) -> Grant:
    return Grant(principal_kind="entitlement", principal_id=principal, entitlement_id=entitlement)


PLACES = (
    Resource(id="prod", kind="account", name="Production"),
    Resource(id="bucket", kind="bucket", name="Invoices", parent_id="prod"),
    Resource(id="empty", kind="account", name="Empty"),
)
PEOPLE = (
    Account(id="u1", kind="human", display_name="Ann", username="ann"),
    Account(id="u2", kind="human", display_name="Ann", username="ann2", status="disabled"),
    Account(id="m1", kind="service", username="deployer"),
)
GRANTS = (
    membership("u1", "readers"),
    membership("u2", "admins"),
    membership("m1", "admin"),
    opens("readers", "reader"),
    opens("admins", "admin"),
)
ROLES = (
    group("readers"),
    group("admins"),
    entitlement("reader", "prod", privileged=False),
    entitlement("admin", "prod", privileged=True),
)


@pytest.fixture
def view(tmp_path: Path) -> Iterator[SnapshotView]:
    with Store(tmp_path / "one.sqlite") as store:
        commit(store, Page(scope="all", records=(*PLACES, *PEOPLE, *ROLES, *GRANTS), complete=True))
        assert store.baseline is not None
        yield SnapshotView(store, store.baseline, is_fresh=True)


def shown_who(view: SnapshotView, target: str) -> list[str]:
    out = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    assert show_who(out, view, target, Format.TABLE, with_ids=False) is Exit.OK
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()[:-1]


ALL_OF_PRODUCTION = [
    "Ann  ann2  person  disabled  privileged",
    "  • admins → admin",
    "deployer  machine  privileged",
    "  • admin",
    "Ann  ann  person",
    "  • readers → reader",
]


def test_everybody_who_reaches_a_place_is_shown_with_paths_privileged_and_people_first(view: SnapshotView) -> None:
    assert shown_who(view, "production") == [
        "3 people and machines (2 people, 1 machine) reach the account Production: 2 privileged there, 1 disabled.",
        *ALL_OF_PRODUCTION,
    ]


def test_who_of_a_resource_that_no_entitlement_names_shows_who_enters_its_place(view: SnapshotView) -> None:
    assert shown_who(view, "Invoices") == [
        "No grant leads to the bucket Invoices itself. Anyone who enters the account Production, which contains it, "
        "may reach it, as far as policies allow.",
        "3 people and machines (2 people, 1 machine) reach the account Production: 2 privileged there, 1 disabled.",
        *ALL_OF_PRODUCTION,
    ]
    assert shown_who(view, "Empty") == ["Nothing that was read reaches the account Empty."]


def test_what_a_group_opens_is_shown_with_what_is_privileged_and_where(view: SnapshotView) -> None:
    out = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    assert show_opened(out, view, "admins", Format.TABLE, with_ids=False) is Exit.OK
    assert out.file.getvalue().splitlines()[:-1] == [  # type: ignore[attr-defined]
        "The group admins opens 1 role in one place in 1 account, 1 privileged.",
        "  • admin  privileged  role in one place, Production",
    ]


def test_name_of_several_records_and_unknown_name_list_what_could_be_meant(view: SnapshotView) -> None:
    with pytest.raises(UnknownNameError, match=re.escape("use the id: person Ann (ann, u1), person Ann (ann2, u2).")):
        find_account(view.current, "ann ", Labels())
    assert find_account(view.current, "ANN2", Labels()) == "u2"
    assert find_account(view.current, "ann ", Labels(), holding="Admins") == "u2"  # the other one does not hold it
    with pytest.raises(UnknownNameError, match=re.escape("(ann, u1)")):
        find_account(view.current, "ann ", Labels(), holding="admin")  # both hold it through groups, or not at all
    with pytest.raises(UnknownNameError) as unknown:
        find_entitlement(view.current, "admn", "u1", Labels())
    assert unknown.value.message == "No group or role has the name or id 'admn'. ann holds: readers."
    assert unknown.value.fix == "did you mean admin or admins?"


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("ann2", "'ann2' is the name of a person or machine.", "ploy-connector access ann2 shows what it holds"),
        (
            "nowhere near",
            "No resource and no group or role has the name or id 'nowhere near'.",
            "ploy-connector list resources or ploy-connector list entitlements shows the names",
        ),
    ],
)
def test_who_of_what_is_no_target_points_to_what_helps(view: SnapshotView, name: str, message: str, fix: str) -> None:
    with pytest.raises(UnknownNameError) as unknown:
        shown_who(view, name)
    assert (unknown.value.message, unknown.value.fix) == (message, fix)


def test_access_of_a_place_points_to_who(view: SnapshotView) -> None:
    with pytest.raises(UnknownNameError) as unknown:
        show_opened(Console(file=io.StringIO()), view, "Production", Format.TABLE, with_ids=False)
    assert unknown.value.fix == "ploy-connector who Production shows who reaches it"


def test_kind_is_found_by_its_label_or_where_it_has_none_by_its_name() -> None:
    label = Label(record_type="resource", kind="aws_account", singular="AWS account", plural="AWS accounts")
    kinds = Kinds(Labels([label]), "resource", ["mail_box", "aws_account"])
    for name in ("mail_box", "Mail box", "mail boxes"):
        assert kinds.find([name, "aws accounts"]) == ("aws_account", "mail_box")
    with pytest.raises(typer.BadParameter, match="there is no kind 'mailbox'; use one of: AWS accounts; mail boxes"):
        kinds.find(["mailbox"])


def test_list_of_places_counts_the_people_who_reach_each(view: SnapshotView) -> None:
    label = Label(record_type="resource", kind="account", singular="account", plural="accounts", is_place=True)
    view = replace(view, labels=Labels([label]))
    filters = Filters(
        ["accounts"], [], privileged=False, unproven=False, search="", place=None, holds=None, sort="name"
    )

    def shown(chosen: Format, *, is_terminal: bool) -> str:
        file = io.StringIO()
        out = Console(file=file, width=120, force_terminal=is_terminal, color_system=None)
        with redirect_stdout(file):
            assert show_records(out, view, What.RESOURCES, filters, chosen, with_ids=False) is Exit.OK
        return file.getvalue()

    rows = [line.split("  ") for line in shown(Format.TABLE, is_terminal=True).splitlines()]
    assert any("2 people, 1 privileged" in [cell.strip() for cell in row] for row in rows)
    (first, *_) = csv.DictReader(shown(Format.CSV, is_terminal=False).splitlines())
    assert (first["People"], first["Privileged people"]) in {("2", "1"), ("0", "0")}
    document = json.loads(shown(Format.JSON, is_terminal=False))
    assert {each["name"]: each["people"] for each in document["resources"]} == {
        "Empty": {"total": 0, "privileged": 0},
        "Production": {"total": 2, "privileged": 1},
    }


@pytest.mark.parametrize("width", [80, 120])
def test_list_shows_neither_proof_nor_ids_where_everything_is_proven(view: SnapshotView, width: int) -> None:
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    filters = Filters([], [], privileged=False, unproven=False, search="", place=None, holds=None, sort="default")
    assert show_records(out, view, What.ACCOUNTS, filters, Format.TABLE, with_ids=False) is Exit.OK
    printed = out.file.getvalue()  # type: ignore[attr-defined]
    assert [each for each in ("Proof", "proven", "u1", "Id") if each in printed] == []
    assert [line.split()[0] for line in printed.splitlines() if line.strip("─ ")] == [
        *("Name", "Ann", "Ann", "deployer", "3"),
        *(["UTC)."] if width == 80 else []),
    ]
    assert "through admin in Production" in printed


def test_lines_that_do_not_fit_are_indented_and_no_heading_is_broken(view: SnapshotView) -> None:
    out = Console(file=io.StringIO(), width=44, force_terminal=True, color_system=None)
    show_opened(out, view, "admins", Format.TABLE, with_ids=False)
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[2:4] == ["  • admin  privileged  role in one place,", "    Production"]
    out = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    runs = table("Read from", "Generation", "Unproven scopes", "Why")
    runs.add_row("2026-11-30 22:40", "1", "12", "The department was closed, and none of its accounts is left. " * 3)
    out.print(runs)
    assert "Generation" in out.file.getvalue()  # type: ignore[attr-defined]


def test_many_reasons_are_folded_for_people_only(view: SnapshotView) -> None:
    record = FoundRecord("r", {"privileged_reasons": ["One.", "Two.", "Three."]}, is_unproven=False)
    shown = {
        is_full: column.value(record)
        for is_full in (False, True)
        for column in Layout.of(view, "entitlement", is_full=is_full, with_reasons=True).columns()
        if column.title == "Why"
    }
    assert shown == {False: "One. And 2 more: --format tsv shows them.", True: "One. Two. Three."}
