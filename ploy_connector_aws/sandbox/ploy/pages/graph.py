"""What a picture of an account's ways shows: whole, or folded where that would be more than can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from ploy_connector_aws.graph.paths import Path as Way
from ploy_connector_aws.sandbox.ploy.views import Ways, name_of

MOST_DRAWN = 80
"""With more boxes than this nobody can read a picture of everything, and it is folded."""

MOST_IN_A_COLUMN = 100
"""So many of what is held directly, and so many resources, a folded picture shows by name."""

Node = tuple[str, str]
"""Its kind ('account', 'entitlement', 'resource') and its id; an empty id stands for all that a column has no room for.
"""


class Thing(NamedTuple):
    """What one box of the picture says."""

    name: str
    what: str
    is_privileged: bool = False
    narrows: Mapping[str, str] | None = None
    """What a page must be asked for to show the ways through this box only; nothing where the list has them."""


@dataclass(frozen=True)
class Graph:
    """Things, and the steps between them."""

    things: dict[Node, Thing]
    steps: dict[tuple[Node, Node], bool]
    """Each step, and whether no way proves it."""
    is_folded: bool = False


def to_graph(ways: Ways) -> Graph:
    """Put ways together: everything, or what is held directly and what comes of it in the end."""
    whole = _whole(ways)
    return whole if len(whole.things) <= MOST_DRAWN else _fold(ways)


def _whole(ways: Ways) -> Graph:
    start = _start(ways)
    steps: dict[tuple[Node, Node], bool] = {}
    leading_on = {way.entitlement_ids[:-1] for way in ways.ways}
    for way in ways.ways:
        nodes: list[Node] = [start, *(("entitlement", id_) for id_ in way.entitlement_ids)]
        for step in pairwise(nodes):
            steps[step] = steps.get(step, True) and way.is_unproven
        own = ways.entitlements.get(way.entitlement_ids[-1], {}).get("resource_id")
        # What names no resource counts where the account is; the end of such a way shows that.
        opened = own or (way.entitlement_ids not in leading_on and not ways.names_resource(way) and ways.home)
        if opened:
            steps.setdefault((nodes[-1], ("resource", opened)), False)
    nodes_of = dict.fromkeys([start, *(node for step in steps for node in step)])
    return Graph({node: _thing(node, ways) for node in nodes_of}, steps)


class _Tally:
    """How many ways lead through something, and how many of them to something privileged."""

    def __init__(self) -> None:
        self.ways = 0
        self.privileged = 0

    def add(self, *, is_privileged: bool) -> None:
        self.ways += 1
        self.privileged += is_privileged

    def __str__(self) -> str:
        said = f"{self.ways:,} {'way' if self.ways == 1 else 'ways'}"
        return f"{said}, {self.privileged:,} privileged" if self.privileged else said


def _fold(ways: Ways) -> Graph:
    """Leave out what is between that which is held directly and the resources; say how many ways it stands for."""
    tallies: dict[Node, _Tally] = {}
    for way in ways.ways:
        for node in _ends(way, ways):
            tallies.setdefault(node, _Tally()).add(is_privileged=_is_privileged(way, ways))
    shown = {node for kind in ("entitlement", "resource") for node in _foremost(kind, tallies, ways)}
    start = _start(ways)
    steps: dict[tuple[Node, Node], bool] = {}
    rests: dict[Node, tuple[set[Node], _Tally]] = {}
    for way in ways.ways:
        nodes = [start]
        for node in _ends(way, ways):
            if node in shown:
                nodes.append(node)
                continue
            rest: Node = (node[0], "")
            left_out, tally = rests.setdefault(rest, (set(), _Tally()))
            left_out.add(node)
            tally.add(is_privileged=_is_privileged(way, ways))
            nodes.append(rest)
        for step in pairwise(nodes):
            steps[step] = steps.get(step, True) and way.is_unproven
    things = {start: _thing(start, ways)}
    for node in dict.fromkeys(node for step in steps for node in step if node != start):
        if node in rests:
            left_out, tally = rests[node]
            things[node] = Thing(f"and {len(left_out):,} more", str(tally), tally.privileged > 0, {})
        else:
            known = _thing(node, ways)
            narrows = {"through" if node[0] == "entitlement" else "to": node[1]}
            what = f"{known.what}, {tallies[node]}"
            things[node] = Thing(known.name, what, tallies[node].privileged > 0, narrows)
    return Graph(things, steps, is_folded=True)


def _ends(way: Way, ways: Ways) -> list[Node]:
    """What is held directly, and the resource that comes of it."""
    resource = ways.resource_of(way)
    return [("entitlement", way.entitlement_ids[0]), *([("resource", resource)] if resource else [])]


def _foremost(kind: str, tallies: dict[Node, _Tally], ways: Ways) -> Iterable[Node]:
    """Those that are shown by name: what leads to something privileged before the others."""
    own = [node for node in tallies if node[0] == kind]
    if len(own) <= MOST_IN_A_COLUMN:
        return own
    own.sort(key=lambda node: (not tallies[node].privileged, _thing(node, ways).name.casefold(), node))
    return own[: MOST_IN_A_COLUMN - 1]


def _is_privileged(way: Way, ways: Ways) -> bool:
    return any(ways.entitlements.get(id_, {}).get("privileged") for id_ in way.entitlement_ids)


def _start(ways: Ways) -> Node:
    return "account", ways.account.id


def _thing(node: Node, ways: Ways) -> Thing:
    kind, id_ = node
    known: Mapping[str, Mapping[str, dict[str, Any]]] = {
        "account": {id_: ways.account.content},
        "entitlement": ways.entitlements,
        "resource": ways.resources,
    }
    content = known[kind].get(id_, {})
    is_privileged = bool(content.get("privileged"))
    what = str(content.get("kind", kind)).replace("_", " ")
    return Thing(name_of(content, id_), f"{what}, privileged" if is_privileged else what, is_privileged)
