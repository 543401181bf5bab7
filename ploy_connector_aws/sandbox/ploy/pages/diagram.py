"""Diagram of an account's access paths, left to right: the account, its entitlements, and the resources that they open.

``to_graph`` decides what the diagram shows: every path, or a folded form where every path would be unreadable.
``draw`` lays the graph out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

from ploy_connector_aws.graph.paths import Path as AccessPath
from ploy_connector_aws.graph.privilege import Named, Place
from ploy_connector_aws.graph.reach import ReachListing
from ploy_connector_aws.graph.search import FoundRecord
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.sandbox.ploy.record_names import name_of
from ploy_connector_aws.sandbox.ploy.views import AccountAccess
from ploy_connector_aws.spec import Labels
from ploy_connector_aws.spec.records import RecordType

MOST_DRAWN = 80
"""A diagram with more boxes is folded."""

MOST_REACHING = 20
"""How many of those who reach a target are drawn by name."""

MOST_IN_A_COLUMN = 100
"""How many direct entitlements, and how many resources, a folded diagram shows by name."""

WIDTH, HEIGHT, GAP, LANE = 236, 62, 14, 34
_WINDOW = 1080, 540
"""What a usual window shows of a diagram at once."""
_LETTERS = 25
_MOST_LANES = 12
_MOST_ROUNDS = 100

Node: TypeAlias = tuple[Literal["account", "entitlement", "resource", "bend"], str]
"""Its kind ('account', 'entitlement', 'resource') and its id; an empty id stands for the rest of a column."""


class Label(NamedTuple):
    """The text of one box."""

    name: str
    what: str
    is_privileged: bool = False
    narrows: Mapping[str, str] | None = None
    """Query of the page that shows only the paths through this box; empty where the list shows them."""
    record: Named | None = None
    """The record whose page a box leads to."""


@dataclass(frozen=True)
class Graph:
    """The nodes of a diagram, and the steps between them."""

    labels: dict[Node, Label]
    steps: dict[tuple[Node, Node], bool]
    """Each step, and whether all paths over it are unproven."""
    is_folded: bool = False


class Box(NamedTuple):
    """One node in the diagram."""

    x: int
    y: int
    kind: str
    lines: tuple[str, ...]
    """As much of the name as fits into two lines."""
    label: Label


class Line(NamedTuple):
    """One step in the diagram."""

    path: str
    is_unproven: bool


class Diagram(NamedTuple):
    """Boxes and lines with their coordinates."""

    width: int
    height: int
    box_width: int
    box_height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    description: str
    """Text alternative."""
    is_folded: bool

    @property
    def is_large(self) -> bool:
        """Whether it does not fit into a usual window."""
        return self.width > _WINDOW[0] or self.height > _WINDOW[1]

    @property
    def has_privileged(self) -> bool:
        """Whether a box has the frame of privileged access."""
        return any(box.label.is_privileged for box in self.boxes)

    @property
    def has_unproven(self) -> bool:
        """Whether a line is dashed, as access is unproven."""
        return any(line.is_unproven for line in self.lines)

    @property
    def has_links(self) -> bool:
        """Whether a box leads to another page, or to the list."""
        return any(box.label.record or box.label.narrows is not None for box in self.boxes)


def draw(access: AccountAccess, labels: Labels) -> Diagram | None:
    """Return the diagram of the access of an account or an entitlement; None where it has none."""
    graph = to_graph(access, labels)
    if not graph.steps:
        return None
    start = next(iter(graph.labels))
    return _lay_out(graph, _lanes(start, graph.steps, last="resource"), _describe(access, graph, labels))


def draw_reach(target: Target, found: FoundRecord, listing: ReachListing, labels: Labels) -> Diagram | None:
    """Return the diagram of who reaches a target; None where that is none.

    Args:
        target: The target, which is at the right.
        found: Its record.
        listing: Those who reach it: the first rows are drawn, and the others are one box.
        labels: What people call the records.
    """
    graph = _reach_graph(target, found, listing, labels)
    if not graph.steps:
        return None
    end = next(iter(graph.labels))
    lanes = _lanes(end, [(other, one) for one, other in graph.steps], last="account")
    width = max(lanes.values())
    name = graph.labels[end].name
    others = f" The others are one box: {listing.total:,} reach it." if graph.is_folded else ""
    return _lay_out(graph, {node: width - lane for node, lane in lanes.items()}, f"Who reaches {name}.{others}")


def _lay_out(graph: Graph, lanes: Mapping[Node, int], description: str) -> Diagram:
    steps = graph.steps
    chains = _chains(lanes, steps)
    # A 'bend' is where a line crosses a column.
    bends = {node: lanes[chain[0]] + n for chain in chains for n, node in enumerate(chain) if node[0] == "bend"}
    places = _places({**lanes, **bends}, [step for chain in chains for step in pairwise(chain)])
    last = max(lanes.values())
    return Diagram(
        width=(last + 1) * WIDTH + last * LANE + 4,
        height=max(y for _, y in places.values()) + HEIGHT + 4,
        box_width=WIDTH,
        box_height=HEIGHT,
        boxes=tuple(
            Box(*places[node], node[0], to_lines(graph.labels[node].name), graph.labels[node]) for node in lanes
        ),
        lines=tuple(
            Line(_curve([places[node] for node in chain]), is_unproven)
            for chain, is_unproven in zip(chains, steps.values(), strict=True)
        ),
        description=description,
        is_folded=graph.is_folded,
    )


def to_graph(access: AccountAccess, labels: Labels) -> Graph:
    """Return every path of an account, or its direct entitlements and the resources where that would be too much."""
    whole = _whole(access, labels)
    return whole if len(whole.labels) <= MOST_DRAWN else _fold(access, labels)


def _reach_graph(target: Target, found: FoundRecord, listing: ReachListing, labels: Labels) -> Graph:
    end: Node = target.type, target.id
    boxes = {end: _to_label(target.type, found.content, target.id, labels)}
    steps: dict[tuple[Node, Node], bool] = {}
    for reacher in listing.rows[:MOST_REACHING]:
        start: Node = "account", reacher.account.id
        content, is_privileged = reacher.account.content, bool(reacher.is_privileged)
        boxes[start] = _to_label("account", content, reacher.account.id, labels)._replace(
            is_privileged=is_privileged, record=reacher.account.named
        )
        if not reacher.paths:
            steps[start, end] = reacher.is_unproven
        for path in reacher.paths:
            nodes = [start, *(("entitlement", each.id) for each in path.steps)]
            for each in path.steps:
                what = labels.of_kind("entitlement", each.kind)[0]
                boxes.setdefault(("entitlement", each.id), Label(each.full_name, what, record=each))
            for step in pairwise([*nodes, *([end] if nodes[-1] != end else [])]):
                steps[step] = steps.get(step, True) and path.is_unproven
    drawn = listing.rows[:MOST_REACHING]
    if rest := listing.total - len(drawn):
        privileged = listing.privileged - sum(bool(each.is_privileged) for each in drawn)
        what = f"{privileged:,} privileged" if privileged else labels.count("account", None, rest)
        boxes["account", ""] = Label(f"and {rest:,} more", what, privileged > 0, {})
        steps[("account", ""), end] = False
    return Graph(boxes, steps, is_folded=rest > 0)


def _whole(access: AccountAccess, labels: Labels) -> Graph:
    start = _start(access)
    steps: dict[tuple[Node, Node], bool] = {}
    continued = {path.entitlement_ids[:-1] for path in access.paths}
    for path in access.paths:
        nodes: list[Node] = [start, *(("entitlement", id_) for id_ in path.entitlement_ids)]
        for step in pairwise(nodes):
            steps[step] = steps.get(step, True) and path.is_unproven
        own = access.entitlements.get(path.entitlement_ids[-1], {}).get("resource_id")
        # A path that names no resource counts where the account is; its end shows that.
        is_end = path.entitlement_ids not in continued and not access.names_resource(path)
        opened = own or (is_end and access.home)
        if opened:
            steps.setdefault((nodes[-1], ("resource", opened)), False)
    nodes_of = dict.fromkeys([start, *(node for step in steps for node in step)])
    return Graph({node: _label(node, access, labels) for node in nodes_of}, steps)


class _Tally:
    """How many paths lead through a node, and how many of them are privileged."""

    def __init__(self) -> None:
        self.paths = 0
        self.privileged = 0

    def add(self, *, is_privileged: bool) -> None:
        self.paths += 1
        self.privileged += is_privileged

    def __str__(self) -> str:
        text = f"{self.paths:,} {'path' if self.paths == 1 else 'paths'}"
        return f"{text}, {self.privileged:,} privileged" if self.privileged else text


def _fold(access: AccountAccess, labels: Labels) -> Graph:
    """Leave out everything between the direct entitlements and the resources; count the paths instead."""
    tallies: dict[Node, _Tally] = {}
    for path in access.paths:
        for node in _ends(path, access):
            tallies.setdefault(node, _Tally()).add(is_privileged=_is_privileged(path, access))
    shown = {node for kind in ("entitlement", "resource") for node in _foremost(kind, tallies, access, labels)}
    start = _start(access)
    steps: dict[tuple[Node, Node], bool] = {}
    rests: dict[Node, tuple[set[Node], _Tally]] = {}
    for path in access.paths:
        nodes = [start]
        for node in _ends(path, access):
            if node in shown:
                nodes.append(node)
                continue
            rest: Node = (node[0], "")
            left_out, tally = rests.setdefault(rest, (set(), _Tally()))
            left_out.add(node)
            tally.add(is_privileged=_is_privileged(path, access))
            nodes.append(rest)
        for step in pairwise(nodes):
            steps[step] = steps.get(step, True) and path.is_unproven
    boxes = {start: _label(start, access, labels)}
    for node in dict.fromkeys(node for step in steps for node in step if node != start):
        if node in rests:
            left_out, tally = rests[node]
            boxes[node] = Label(f"and {len(left_out):,} more", str(tally), tally.privileged > 0, {})
        else:
            known = _label(node, access, labels)
            narrows = {"through" if node[0] == "entitlement" else "to": node[1]}
            what = f"{known.what}, {tallies[node]}"
            boxes[node] = Label(known.name, what, tallies[node].privileged > 0, narrows)
    return Graph(boxes, steps, is_folded=True)


def _ends(path: AccessPath, access: AccountAccess) -> list[Node]:
    """Return the direct entitlement of a path, and its resource."""
    resource = access.resource_of(path)
    direct: Node = "entitlement", path.entitlement_ids[0]
    return [direct, ("resource", resource)] if resource else [direct]


def _foremost(kind: str, tallies: dict[Node, _Tally], access: AccountAccess, labels: Labels) -> Iterable[Node]:
    """Return the nodes that are shown by name: those with privileged paths first."""
    own = [node for node in tallies if node[0] == kind]
    if len(own) <= MOST_IN_A_COLUMN:
        return own
    own.sort(key=lambda node: (not tallies[node].privileged, _label(node, access, labels).name.casefold(), node))
    return own[: MOST_IN_A_COLUMN - 1]


def _is_privileged(path: AccessPath, access: AccountAccess) -> bool:
    return any(access.entitlements.get(id_, {}).get("privileged") for id_ in path.entitlement_ids)


def _start(access: AccountAccess) -> Node:
    return access.type, access.account.id


def _label(node: Node, access: AccountAccess, labels: Labels) -> Label:
    type_, id_ = node
    assert type_ != "bend", "it is no record"
    known = access.resources if type_ == "resource" else access.entitlements
    is_start = node == _start(access)
    content = access.account.content if is_start else known.get(id_, {})
    label = _to_label(type_, content, id_, labels)
    place_id = content.get("resource_id") if type_ == "entitlement" else None
    place = Place(place_id, name_of(access.resources.get(place_id, {}), place_id), "") if place_id else None
    record = Named(type_, id_, label.name, str(content.get("kind", "")), place)
    return label._replace(name=record.full_name, record=None if is_start or not content else record)


def _to_label(type_: RecordType, content: dict[str, Any], id_: str, labels: Labels) -> Label:
    is_privileged = bool(content.get("privileged"))
    what = labels.of(type_, {**content, "id": id_})[0] if content else type_
    notes = [
        *(["disabled"] if content.get("status") == "disabled" else []),
        *(["privileged"] if is_privileged else []),
        what,
    ]
    return Label(name_of(content, id_), ", ".join(notes), is_privileged)


def to_lines(name: str) -> tuple[str, ...]:
    """Return a name in at most two lines: where it does not fit, its beginning and its end."""
    lines = textwrap.wrap(name, _LETTERS) or [name[:_LETTERS]]
    if len(lines) <= 2:
        return tuple(lines)
    return lines[0], f"…{name[1 - _LETTERS :]}"


def _describe(access: AccountAccess, graph: Graph, labels: Labels) -> str:
    entitlements = {id_ for path in access.paths for id_ in path.entitlement_ids}
    resources = {node for node in graph.labels if node[0] == "resource"}
    if graph.is_folded:
        resources = {("resource", found) for path in access.paths if (found := access.resource_of(path))}
    start = next(iter(graph.labels.values()))
    return (
        f"{start.name} holds {labels.count('entitlement', None, len(entitlements))}, which open"
        f" {labels.count('resource', None, len(resources))}."
    )


def _lanes(start: Node, steps: Collection[tuple[Node, Node]], *, last: str) -> dict[Node, int]:
    """Return the column of each node: behind all that lead to it, and the nodes of the last kind in the last one."""
    lanes = {start: 0}
    for _ in range(_MOST_ROUNDS):  # bounded, as groups may contain one another
        before = dict(lanes)
        for one, other in steps:
            if one in lanes and other != start:
                lanes[other] = min(max(lanes.get(other, 0), lanes[one] + 1), _MOST_LANES)
        if lanes == before:
            break
    end = max((lane for (kind, _), lane in lanes.items() if kind != last), default=0) + 1
    return {node: end if node[0] == last else lane for node, lane in lanes.items()}


def _chains(lanes: Mapping[Node, int], steps: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Return each step with a bend in every column between, so that no line seems to start at another box."""
    return [
        [one, *(("bend", f"{one} {other} {lane}") for lane in range(lanes[one] + 1, lanes[other])), other]
        for one, other in steps
    ]


def _places(lanes: Mapping[Node, int], steps: Iterable[tuple[Node, Node]]) -> dict[Node, tuple[int, int]]:
    """Return the coordinates of each node: near to those that lead to it, as far as the column has room; rests last."""
    before: dict[Node, list[Node]] = {}
    for one, other in steps:
        before.setdefault(other, []).append(one)
    places: dict[Node, tuple[int, int]] = {}
    for lane in range(max(lanes.values()) + 1):
        own = [node for node in lanes if lanes[node] == lane]
        target = {
            node: sum(ys) / len(ys)
            if (ys := [places[each][1] for each in before.get(node, ()) if each in places])
            else 0
            for node in own
        }
        for row, node in enumerate(sorted(own, key=lambda node: (not node[1], target[node], node))):
            places[node] = 2 + lane * (WIDTH + LANE), 2 + row * (HEIGHT + GAP)
    return places


def _curve(places: list[tuple[int, int]]) -> str:
    """Return the SVG path through places in neighbouring columns, straight where it crosses one."""
    drawn = ""
    for (x1, y1), (x2, y2) in pairwise(places):
        start, end = (x1 + WIDTH, y1 + HEIGHT // 2), (x2, y2 + HEIGHT // 2)
        bend = max(24, (end[0] - start[0]) // 2)
        drawn += f"{'L' if drawn else 'M'}{start[0]},{start[1]} "
        drawn += f"C{start[0] + bend},{start[1]} {end[0] - bend},{end[1]} {end[0]},{end[1]} "
    return drawn.rstrip()
