"""The diagram of an account's access paths: whole, or folded, and never left out."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from ploy_connector_aws.graph.paths import Path as AccessPath
from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.sandbox.ploy.pages.diagram import (
    HEIGHT,
    LANE,
    MOST_DRAWN,
    MOST_IN_A_COLUMN,
    WIDTH,
    Diagram,
    draw,
    to_lines,
)
from ploy_connector_aws.sandbox.ploy.views import AccountAccess
from ploy_connector_aws.spec import Labels


def access_of(
    *chains: tuple[str, ...], resources: dict[str, str], privileged: tuple[str, ...] = (), home: str | None = None
) -> AccountAccess:
    held: dict[str, dict[str, Any]] = {
        id_: {"id": id_, "kind": "group", "name": id_} for chain in chains for id_ in chain
    }
    for id_, resource in resources.items():
        held[id_]["resource_id"] = resource
    for id_ in privileged:
        held[id_]["privileged"] = True
    opened = {id_: {"id": id_, "kind": "room", "name": id_} for id_ in resources.values()}
    found = tuple(AccessPath("u", chain, False) for chain in chains)
    content = {"display_name": "U", "resource_id": home} if home else {"display_name": "U"}
    return AccountAccess(FoundRecord("u", content, False), found, False, held, opened)


def drawn(access: AccountAccess) -> Diagram:
    diagram = draw(access, Labels())
    assert diagram is not None
    return diagram


def joined(diagram: Diagram) -> set[tuple[str, str]]:
    """Return the names of the boxes at both ends of each line."""
    left = {f"{box.x + WIDTH},{box.y + HEIGHT // 2}": box.label.name for box in diagram.boxes}
    right = {f"{box.x},{box.y + HEIGHT // 2}": box.label.name for box in diagram.boxes}
    points = (re.findall(r"\d+,\d+", line.path) for line in diagram.lines)
    return {(left[each[0]], right[each[-1]]) for each in points}


def test_lines_pass_behind_no_box_that_they_do_not_lead_to() -> None:
    chains = (("a",), ("b",), ("b", "c"), ("b", "c", "d"), ("e",))
    diagram = drawn(access_of(*chains, resources={"a": "r1", "d": "r2", "e": "r2"}))
    assert len(diagram.lines) == 8
    names = {(box.x, box.y): box.label.name for box in diagram.boxes}
    assert len(names) == len(diagram.boxes)
    for line in diagram.lines:
        curves = re.findall(r"[ML](\d+),\d+ C\S+ \S+ (\d+),\d+", line.path)
        assert [int(end) - int(start) for start, end in curves] == [LANE] * len(curves)
        assert curves
        numbers = [tuple(map(int, pair.split(","))) for pair in re.findall(r"\d+,\d+", line.path)]
        # The points at which it leaves and enters columns: all but the ends must miss every box.
        for (x1, y1), (x2, _) in pairwise(numbers):
            if x2 - x1 == WIDTH:
                assert (x1, y1 - HEIGHT // 2) not in names


def test_mutually_nested_groups_are_drawn_and_an_empty_diagram_is_not() -> None:
    assert draw(access_of(resources={}), Labels()) is None
    assert not drawn(access_of(("a",), ("a", "b"), ("a", "b", "c"), ("b",), ("b", "a"), resources={})).is_folded


def many(groups: int, roles: int) -> tuple[list[tuple[str, ...]], dict[str, str]]:
    """Return groups, each of which opens roles in resources of its own."""
    chains: list[tuple[str, ...]] = []
    resources = {}
    for group in range(groups):
        chains.append((f"g{group}",))
        for role in range(group * roles, group * roles + roles):
            chains.append((f"g{group}", f"role{role:03}"))
            resources[f"role{role:03}"] = f"place{role:03}"
    return chains, resources


def test_large_diagram_is_folded_to_every_resource_with_its_number_of_paths() -> None:
    chains, resources = many(groups=2, roles=45)
    diagram = drawn(access_of(*chains, resources=resources, privileged=("role001",)))
    assert len(chains) > MOST_DRAWN
    assert diagram.is_folded
    assert joined(diagram) == {
        *(("U", f"g{group}") for group in range(2)),
        *((f"g{role // 45}", f"place{role:03}") for role in range(90)),
    }
    shown = {box.label.name: (box.label.what, box.label.is_privileged, box.label.narrows) for box in diagram.boxes}
    assert shown["g0"] == ("group, 46 paths, 1 privileged", True, {"through": "g0"})
    assert shown["place000"] == ("room, 1 path", False, {"to": "place000"})
    assert shown["place001"] == ("room, 1 path, 1 privileged", True, {"to": "place001"})
    assert shown["U"] == ("identity of unknown kind", False, None)
    assert diagram.description == "U holds 92 groups and roles, which open 90 resources."


def test_full_column_ends_with_one_box_for_the_rest_without_privileged_ones() -> None:
    chains, resources = many(groups=1, roles=MOST_IN_A_COLUMN + 50)
    last = f"role{MOST_IN_A_COLUMN + 49:03}"
    diagram = drawn(access_of(*chains, resources=resources, privileged=(last,)))
    named = {resources[last], *(f"place{number:03}" for number in range(MOST_IN_A_COLUMN - 2))}
    assert joined(diagram) == {("U", "g0"), ("g0", "and 51 more"), *(("g0", name) for name in named)}
    rest = next(box for box in diagram.boxes if box.label.name == "and 51 more")
    assert (rest.label.what, rest.label.narrows, rest.label.is_privileged) == ("51 paths", {}, False)
    assert rest.y == max(box.y for box in diagram.boxes)


def test_path_without_a_resource_leads_to_the_accounts_own() -> None:
    chains = (("admins",), ("admins", "everything"), ("own",), ("role",), ("role", "in role"))
    diagram = drawn(access_of(*chains, resources={"role": "elsewhere"}, home="here"))
    assert joined(diagram) == {
        *(("U", "admins"), ("admins", "everything"), ("everything", "here"), ("U", "own"), ("own", "here")),
        *(("U", "role in elsewhere"), ("role in elsewhere", "in role"), ("role in elsewhere", "elsewhere")),
    }


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"through": "g0"}, [("g0",), ("g0", "role000"), ("g0", "role001")]),
        ({"to": "place002"}, [("g1",), ("g1", "role002")]),
        ({"through": "g0", "to": "place002"}, []),
    ],
)
def test_paths_are_narrowed_to_an_entitlement_or_resource_with_all_paths_that_they_contain(
    asked: dict[str, str], kept: list[tuple[str, ...]]
) -> None:
    chains, resources = many(groups=2, roles=2)
    access = access_of(*chains, resources=resources).narrowed(**asked)
    assert [path.entitlement_ids for path in access.paths] == kept


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Engineering", ("Engineering",)),
        ("Administrator in workload-041", ("Administrator in", "workload-041")),
        (
            "arn:aws:iam::111122223333:role/" + "x" * 40 + "-prod",
            ("arn:aws:iam::111122223333", "…" + "x" * 19 + "-prod"),
        ),
        (" ", (" ",)),
    ],
)
def test_long_name_shows_both_ends(name: str, label: tuple[str, ...]) -> None:
    assert to_lines(name) == label
