"""An account's ways as a picture, left to right: the account, what it holds, and the resources that this opens."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from ploy_connector_aws.sandbox.ploy.views import Ways

from .graph import Graph, Node, Thing, to_graph

WIDTH, HEIGHT, GAP, LANE = 236, 62, 14, 34
_LETTERS = 25
_MOST_LANES = 12
_MOST_ROUNDS = 100


class Box(NamedTuple):
    """One thing in the picture."""

    x: int
    y: int
    kind: str
    label: tuple[str, ...]
    """As much of the name as fits into two lines."""
    name: str
    what: str
    is_privileged: bool
    narrows: Mapping[str, str] | None


class Line(NamedTuple):
    """One step of a way."""

    path: str
    is_unproven: bool


class Drawing(NamedTuple):
    """A picture: boxes and lines with their places. A 'bend' is where a line crosses a column."""

    width: int
    height: int
    box_width: int
    box_height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    said: str
    """What it shows, in a sentence."""
    is_folded: bool


def draw(ways: Ways) -> Drawing | None:
    """Draw the ways; None where there are none."""
    graph = to_graph(ways)
    steps = graph.steps
    if not steps:
        return None
    start = next(iter(graph.things))
    lanes = _lanes(start, steps)
    chains = _chains(lanes, steps)
    bends = {node: lanes[chain[0]] + place for chain in chains for place, node in enumerate(chain) if node[0] == "bend"}
    places = _places({**lanes, **bends}, [step for chain in chains for step in pairwise(chain)])
    last = max(lanes.values())
    return Drawing(
        width=(last + 1) * WIDTH + last * LANE + 4,
        height=max(y for _, y in places.values()) + HEIGHT + 4,
        box_width=WIDTH,
        box_height=HEIGHT,
        boxes=tuple(_box(node[0], *places[node], graph.things[node]) for node in lanes),
        lines=tuple(
            Line(_path([places[node] for node in chain]), is_unproven)
            for chain, is_unproven in zip(chains, steps.values(), strict=True)
        ),
        said=_said(ways, graph),
        is_folded=graph.is_folded,
    )


def to_label(name: str) -> tuple[str, ...]:
    """As much of a name as fits: where that is not all, its beginning and its end."""
    lines = textwrap.wrap(name, _LETTERS) or [name[:_LETTERS]]
    if len(lines) <= 2:
        return tuple(lines)
    return lines[0], f"…{name[1 - _LETTERS :]}"


def _said(ways: Ways, graph: Graph) -> str:
    entitlements = {id_ for way in ways.ways for id_ in way.entitlement_ids}
    resources = {node for node in graph.things if node[0] == "resource"}
    if graph.is_folded:
        resources = {("resource", found) for way in ways.ways if (found := ways.resource_of(way))}
    start = next(iter(graph.things.values()))
    return (
        f"{start.name} holds {len(entitlements):,} {'entitlement' if len(entitlements) == 1 else 'entitlements'},"
        f" which open {len(resources):,} {'resource' if len(resources) == 1 else 'resources'}."
    )


def _lanes(start: Node, steps: Iterable[tuple[Node, Node]]) -> dict[Node, int]:
    """In which column each node stands: behind all that lead to it, and the resources in the last one."""
    lanes = {start: 0}
    for _ in range(_MOST_ROUNDS):  # bounded, as groups may hold one another
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
    """Where each box stands: in its column, as near to those that lead to it as there is room; the rest last."""
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
        for place, node in enumerate(sorted(own, key=lambda node: (not node[1], wanted[node], node))):
            places[node] = 2 + lane * (WIDTH + LANE), 2 + place * (HEIGHT + GAP)
    return places


def _box(kind: str, x: int, y: int, thing: Thing) -> Box:
    return Box(x, y, kind, to_label(thing.name), thing.name, thing.what, thing.is_privileged, thing.narrows)


def _path(places: list[tuple[int, int]]) -> str:
    """A line through places in neighbouring columns, straight where it crosses one."""
    drawn = ""
    for (x1, y1), (x2, y2) in pairwise(places):
        start, end = (x1 + WIDTH, y1 + HEIGHT // 2), (x2, y2 + HEIGHT // 2)
        bend = max(24, (end[0] - start[0]) // 2)
        drawn += f"{'L' if drawn else 'M'}{start[0]},{start[1]} "
        drawn += f"C{start[0] + bend},{start[1]} {end[0] - bend},{end[1]} {end[0]},{end[1]} "
    return drawn.rstrip()
