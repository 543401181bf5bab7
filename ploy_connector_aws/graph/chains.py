"""Shortest chains through a graph of grants: a bounded number for each node, and every node that can be reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

MOST_CHAINS = 50
"""The limit on chains to one node that a person sees."""

_MOST_CONTINUED = 200
"""The limit on chains to a node that are followed further; roles that trust each other have too many to list."""
_MAX_STEPS = 1_000_000
"""The limit on steps for more than one chain to each node; a second or two."""


class Step(NamedTuple):
    """One edge of the graph."""

    to: str
    is_unproven: bool = False


class Chain(NamedTuple):
    """The nodes from the start to a node, without the start; no node occurs twice."""

    ids: tuple[str, ...]
    is_unproven: bool
    """Whether any of its edges is unproven."""


class Reached(NamedTuple):
    """The chains to one node."""

    chains: tuple[Chain, ...]
    has_more: bool
    """Whether there are more chains, or may be, as the search was cut off."""


Graph = Mapping[str | None, Sequence[Step]]
"""The edges of each node; those of the start are under None."""


def find_chains(graph: Graph, most: int = MOST_CHAINS) -> dict[str, Reached]:
    """Find chains to every reachable node, nearest nodes first.

    Chains to one node begin with the shortest for each first edge, then the others; both by length. They include one
    without an unproven edge wherever there is one. The number of steps is bounded for every graph.

    Args:
        graph: The graph; the order of its edges decides between equally long chains.
        most: The limit on chains to one node.
    """
    nearest, proven = _find_nearest(graph, most), _find_proven(graph)
    found, cut = _find_all(graph, max(most, _MOST_CONTINUED))
    rest = _Rest(graph, cut)
    reached: dict[str, Reached] = {}
    for node, own in nearest.items():
        chains, has_more = _choose([*found.get(node, ()), *own], proven.get(node), most)
        reached[node] = Reached(chains, has_more or rest.may_reach(node))
    return reached


class _Link:
    """The last node of a chain, and the chain before it."""

    __slots__ = ("before", "first", "is_unproven", "length", "node")

    def __init__(self, step: Step, before: _Link | None) -> None:
        self.node = step.to
        self.before = before
        self.first: str = before.first if before else step.to
        self.length: int = before.length + 1 if before else 1
        self.is_unproven: bool = step.is_unproven or (before is not None and before.is_unproven)

    def nodes(self) -> Iterator[str]:
        link: _Link | None = self
        while link is not None:
            yield link.node
            link = link.before

    def to_chain(self) -> Chain:
        return Chain(tuple(self.nodes())[::-1], self.is_unproven)


def _continued(graph: Graph, link: _Link) -> Iterator[_Link]:
    return (_Link(step, link) for step in graph.get(link.node, ()))


def _find_nearest(graph: Graph, most: int) -> dict[str, list[_Link]]:
    """Find the shortest chain to each node for each first edge.

    A chain to a node at the limit is not followed: the nodes behind it get the other chains, none of them longer.
    """
    found: dict[str, dict[str, _Link]] = {}
    steps_taken = 0
    queue = deque(_Link(step, None) for step in graph.get(None, ()))
    while queue:
        link = queue.popleft()
        own = found.setdefault(link.node, {})
        if link.first in own or (own and (len(own) == most or steps_taken > _MAX_STEPS)):
            continue
        own[link.first] = link
        steps_taken += 1 + len(graph.get(link.node, ()))
        queue.extend(_continued(graph, link))
    return {node: list(own.values()) for node, own in found.items()}


def _find_proven(graph: Graph) -> dict[str, _Link]:
    """Find the shortest chain to each node that has no unproven edge."""
    found: dict[str, _Link] = {}
    queue = deque(_Link(step, None) for step in graph.get(None, ()))
    while queue:
        link = queue.popleft()
        if link.node not in found and not link.is_unproven:
            found[link.node] = link
            queue.extend(_continued(graph, link))
    return found


def _find_all(graph: Graph, most: int) -> tuple[dict[str, list[_Link]], list[_Link]]:
    """Find all chains, the shortest first; also return those that were not followed."""
    found: dict[str, list[_Link]] = {}
    cut: list[_Link] = []
    steps_taken = 0
    queue = deque(_Link(step, None) for step in graph.get(None, ()))
    while queue:
        link = queue.popleft()
        own = found.setdefault(link.node, [])
        if len(own) == most or steps_taken > _MAX_STEPS:
            cut.append(link)
            continue
        own.append(link)
        behind = set(link.nodes())
        steps_taken += len(behind) + len(graph.get(link.node, ()))
        queue.extend(each for each in _continued(graph, link) if each.node not in behind)
    return found, cut


class _Rest:
    """Finds what may still be reached over the chains that were not followed."""

    def __init__(self, graph: Graph, cut: Sequence[_Link]) -> None:
        self._graph = graph
        self._cut = cut
        self._steps_taken = 0

    def may_reach(self, node: str) -> bool:
        """Return whether one of the chains leads to a node without a circle; True where the answer takes too long."""
        for link in self._cut:
            behind = set(link.nodes())
            self._steps_taken += len(behind)
            if self._steps_taken > _MAX_STEPS or (node not in behind and self._leads(link.node, node, behind)):
                return True
        return False

    def _leads(self, start: str, end: str, avoided: set[str]) -> bool:
        found, todo = {start, *avoided}, [start]
        while todo and end not in found:
            steps = self._graph.get(todo.pop(), ())
            self._steps_taken += 1 + len(steps)
            new = {step.to for step in steps} - found
            found |= new
            todo += new
        return end in found


def _choose(links: Iterable[_Link], proven: _Link | None, most: int) -> tuple[tuple[Chain, ...], bool]:
    """Choose the chains to one node; also return whether there are others."""
    by_ids = {chain.ids: (link.first, chain) for link in links for chain in (link.to_chain(),)}
    by_length = sorted(by_ids.values(), key=lambda each: len(each[1].ids))
    firsts: dict[str, Chain] = {}
    others: list[Chain] = []
    for first, chain in by_length:
        if firsts.setdefault(first, chain) is not chain:
            others.append(chain)
    chosen = [*firsts.values(), *others][:most]
    if proven is not None and all(chain.is_unproven for chain in chosen):
        chosen[most - 1 :] = []
        chosen.append(proven.to_chain())
    return tuple(chosen), len(by_ids) > most
