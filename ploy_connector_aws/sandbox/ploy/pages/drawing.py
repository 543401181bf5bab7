"""An account's ways as a picture, left to right: the account, what it holds, and the resources that this opens."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from ploy_connector_aws.sandbox.ploy.browsing import Ways, name_of

MOST_DRAWN = 80
"""With more boxes than this nobody can read a picture; the list has everything."""

WIDTH, HEIGHT, GAP, LANE = 228, 46, 14, 44
_LETTERS = 24
_MOST_LANES = 12

Node = tuple[str, str]
"""Its kind ('account', 'entitlement', 'resource') and its id; a 'bend' is where a line crosses a column."""


class Box(NamedTuple):
    """One thing in the picture."""

    x: int
    y: int
    kind: str
    label: str
    """As much of the name as fits."""
    name: str
    what: str
    is_privileged: bool


class Line(NamedTuple):
    """One step of a way."""

    path: str
    is_unproven: bool


class Drawing(NamedTuple):
    """A picture: boxes and lines with their places."""

    width: int
    height: int
    box_width: int
    box_height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    said: str
    """What it shows, in a sentence."""


def draw(ways: Ways) -> Drawing | None:
    """Draw the ways; None where there is nothing to draw, or more than can be read."""
    steps: dict[tuple[Node, Node], bool] = {}
    start: Node = ("account", ways.account.id)
    for way in ways.ways:
        nodes: list[Node] = [start, *(("entitlement", id_) for id_ in way.entitlement_ids)]
        for step in pairwise(nodes):
            steps[step] = steps.get(step, True) and way.is_unproven
        resource_id = ways.entitlements.get(way.entitlement_ids[-1], {}).get("resource_id")
        if resource_id:
            steps.setdefault((nodes[-1], ("resource", resource_id)), False)
    lanes = _lanes(start, steps)
    if not steps or len(lanes) > MOST_DRAWN or ways.has_more:
        return None
    chains = _chains(lanes, steps)
    bends = {node: lanes[chain[0]] + place for chain in chains for place, node in enumerate(chain) if node[0] == "bend"}
    places = _places({**lanes, **bends}, [step for chain in chains for step in pairwise(chain)])
    last = max(lanes.values())
    boxes = [_box(node, *places[node], ways) for node in lanes]
    return Drawing(
        width=(last + 1) * WIDTH + last * LANE + 4,
        height=max(y for _, y in places.values()) + HEIGHT + 4,
        box_width=WIDTH,
        box_height=HEIGHT,
        boxes=tuple(boxes),
        lines=tuple(
            Line(_path([places[node] for node in chain]), is_unproven)
            for chain, is_unproven in zip(chains, steps.values(), strict=True)
        ),
        said=f"{boxes[0].name} holds {sum(node[0] == 'entitlement' for node in lanes)} entitlements, which open"
        f" {sum(node[0] == 'resource' for node in lanes)} resources.",
    )


def _lanes(start: Node, steps: Iterable[tuple[Node, Node]]) -> dict[Node, int]:
    """In which column each node stands: behind all that lead to it, and the resources in the last one."""
    lanes = {start: 0}
    for _ in range(MOST_DRAWN):  # bounded, as groups may hold one another
        before = dict(lanes)
        for one, other in steps:
            if one in lanes and other != start:
                lanes[other] = min(max(lanes.get(other, 0), lanes[one] + 1), _MOST_LANES)
        if lanes == before:
            break
    last = max((lane for (kind, _), lane in lanes.items() if kind != "resource"), default=0) + 1
    return {node: last if node[0] == "resource" else lane for node, lane in lanes.items()}


def _chains(lanes: dict[Node, int], steps: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Each step with a place of its own in every column between, so that no line seems to come from another box."""
    return [
        [one, *(("bend", f"{one} {other} {lane}") for lane in range(lanes[one] + 1, lanes[other])), other]
        for one, other in steps
    ]


def _places(lanes: dict[Node, int], steps: Iterable[tuple[Node, Node]]) -> dict[Node, tuple[int, int]]:
    """Where each box stands: in its column, as near to those that lead to it as there is room."""
    before: dict[Node, list[Node]] = {}
    for one, other in steps:
        before.setdefault(other, []).append(one)
    places: dict[Node, tuple[int, int]] = {}
    for lane in range(max(lanes.values()) + 1):
        own = [node for node in lanes if lanes[node] == lane]
        wanted = {
            node: sum(ys) / len(ys)
            if (ys := [places[each][1] for each in before.get(node, ()) if each in places])
            else 0
            for node in own
        }
        for place, node in enumerate(sorted(own, key=lambda node: (wanted[node], node))):
            places[node] = 2 + lane * (WIDTH + LANE), 2 + place * (HEIGHT + GAP)
    return places


def _box(node: Node, x: int, y: int, ways: Ways) -> Box:
    kind, id_ = node
    known = {"account": {id_: ways.account.content}, "entitlement": ways.entitlements, "resource": ways.resources}
    content = known[kind].get(id_, {})
    name = name_of(content, id_)
    label = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
    what = str(content.get("kind", kind)).replace("_", " ")
    return Box(x, y, kind, label, name, what, bool(content.get("privileged")))


def _path(places: list[tuple[int, int]]) -> str:
    """A line through places in neighbouring columns, straight where it crosses one."""
    drawn = ""
    for (x1, y1), (x2, y2) in pairwise(places):
        start, end = (x1 + WIDTH, y1 + HEIGHT // 2), (x2, y2 + HEIGHT // 2)
        bend = max(24, (end[0] - start[0]) // 2)
        drawn += f"{'L' if drawn else 'M'}{start[0]},{start[1]} "
        drawn += f"C{start[0] + bend},{start[1]} {end[0] - bend},{end[1]} {end[0]},{end[1]} "
    return drawn.rstrip()
