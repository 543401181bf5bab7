"""Paths by which accounts hold entitlements, found along the edges of a generation."""

from __future__ import annotations

import math
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, NamedTuple

from ploy_connector_aws.spec.records import RecordType

from .chains import Graph, Step, find_chains
from .edges import Edge, Edges
from .tables import Tables


@dataclass(frozen=True)
class Path:
    """One chain of grants: an account, and the entitlements that it reaches one after the other."""

    account_id: str
    entitlement_ids: tuple[str, ...]
    is_unproven: bool
    """Whether any link of the chain is kept without proof."""


@dataclass(frozen=True)
class Paths:
    """The paths of one account: at least one to each entitlement that it holds, and `MOST_CHAINS` at most.

    The nearest entitlements come first. Of the paths to one, the shortest through each of those that the account holds
    directly come before a second one through any.
    """

    listed: tuple[Path, ...]
    more_to: tuple[str, ...]
    """The entitlements to which there are more paths, or may be more."""

    def __iter__(self) -> Iterator[Path]:
        """Iterate over the paths that are listed."""
        return iter(self.listed)


class PathsTo(NamedTuple):
    """The paths from one account to one entitlement and to what that opens."""

    entitlement_ids: tuple[tuple[str, ...], ...]
    """The entitlements on each path, from the account on; no path has a cycle."""
    opened: tuple[str, ...]
    """The entitlements that the entitlement opens, itself left out."""
    has_more: bool
    """Whether there are more paths, or may be, as the search was cut off."""


class PathFinder:
    """Finds paths along the edges of a generation and of later changes. One thread uses one of them at a time.

    Args:
        db: The connection to the file that the tables are in. Temporary tables are made in it.
        tables: The generation.
        added: The grants that later changes added.
        removed: The ids of the grants that later changes removed.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        tables: Tables,
        *,
        added: Iterable[Edge] = (),
        removed: Collection[str] = (),
    ) -> None:
        self._edges = Edges(db, tables, added, removed)

    @classmethod
    def over(cls, edges: Edges) -> PathFinder:
        """Return a finder over the edges that other queries use, too."""
        finder = cls.__new__(cls)
        finder._edges = edges
        return finder

    def paths_of(self, id_: str, type_: Literal["account", "entitlement"] = "account") -> Paths:
        """Find paths to every entitlement that an account holds, or that another opens; not every path to each."""
        graph = self._reach(type_, id_)[0]
        if type_ == "entitlement":
            graph[None] = [step for step in graph[id_] if step.to != id_]
            graph = {node: [step for step in steps if step.to != id_] for node, steps in graph.items() if node != id_}
        found = find_chains(graph)
        return Paths(
            tuple(Path(id_, chain.ids, chain.is_unproven) for reached in found.values() for chain in reached.chains),
            tuple(each for each, reached in found.items() if reached.has_more),
        )

    def paths_to(self, account_id: str, entitlement_id: str, *, most: int, most_edges: int) -> PathsTo:
        """Find the paths by which an account holds an entitlement or anything that the entitlement opens.

        Args:
            account_id: The account.
            entitlement_id: The entitlement.
            most: The limit on paths: the shortest to each target come first, then a second to each, and so on.
            most_edges: The limit on the edges read from either end.
        """
        opened, is_cut = self._reach("entitlement", entitlement_id, most_edges)
        graph, is_graph_cut = self._reach("account", account_id, most_edges)
        targets = [node for node in opened if node is not None]
        reached = find_chains(_leading_to(targets, graph), most)
        found = [reached[target] for target in targets if target in reached]
        chains = [chain.ids for rank in zip_longest(*(each.chains for each in found)) for chain in rank if chain]
        has_more = is_cut or is_graph_cut or len(chains) > most or any(each.has_more for each in found)
        return PathsTo(tuple(chains[:most]), tuple(sorted(set(targets) - {entitlement_id})), has_more)

    def _reach(
        self, kind: RecordType, id_: str, most_edges: float = math.inf
    ) -> tuple[dict[str | None, list[Step]], bool]:
        """Read what a principal reaches, nearest nodes first; also return whether the limit on edges cut it off.

        The steps of an account are under None, as ``find_chains`` wants them.
        """
        first = self._edges.number(kind, id_)
        start = None if kind == "account" else id_
        if first is None:
            return {start: []}, False
        found: dict[int, list[tuple[int, bool]]] = {first: []}
        todo, count, is_cut = deque([first]), 0, False
        while todo and not is_cut:
            node = todo.popleft()
            for step in self._edges.steps(node):
                count += 1
                if is_cut := count > most_edges:
                    break
                found[node].append(step)
                if step[0] not in found:
                    found[step[0]] = []
                    todo.append(step[0])
        ids: dict[int, str | None] = {**self._edges.ids(found), first: start}
        return {
            ids[node]: [Step(str(ids[to]), is_unproven) for to, is_unproven in steps] for node, steps in found.items()
        }, is_cut


def _leading_to(targets: Iterable[str], graph: Graph) -> Graph:
    """Restrict a graph to the nodes from which a target can be reached, the targets included."""
    before: dict[str, list[str | None]] = {}
    for node, steps in graph.items():
        for step in steps:
            before.setdefault(step.to, []).append(node)
    useful: set[str | None] = {None}
    todo: list[str | None] = [node for node in targets if node in graph]
    while todo:
        node = todo.pop()
        if node is not None and node not in useful:
            useful.add(node)
            todo += before.get(node, ())
    return {node: [step for step in steps if step.to in useful] for node, steps in graph.items() if node in useful}
