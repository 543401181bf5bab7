"""Paths by which accounts hold entitlements, found along the edges of a generation."""

from __future__ import annotations

import math
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from ploy_connector_aws.spec.records import Grant

from .chains import Graph, Step, find_chains
from .search import NAME, use_casefold
from .tables import Tables

MOST_THROUGH = 5
"""The limit on the entitlements named through which an account holds another."""


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


@dataclass(frozen=True)
class Holder:
    """One account that holds an entitlement."""

    account_id: str
    is_direct: bool
    through: tuple[str, ...]
    """The entitlements of the account that lead to it, the first few of them."""
    is_unproven: bool
    """Whether no proven path leads to it."""


class PathsTo(NamedTuple):
    """The paths from one account to one entitlement and to what that opens."""

    entitlement_ids: tuple[tuple[str, ...], ...]
    """The entitlements on each path, from the account on; no path has a circle."""
    opened: tuple[str, ...]
    """The entitlements that the entitlement opens, itself left out."""
    has_more: bool
    """Whether there are more paths, or may be, as the search was cut off."""


class Edge(NamedTuple):
    """One grant."""

    id: str
    principal_kind: str
    principal_id: str
    entitlement_id: str

    @classmethod
    def of(cls, grant: Grant) -> Edge:
        """Make the edge of a grant."""
        return cls(grant.id, grant.principal_kind, grant.principal_id, grant.entitlement_id)


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
        self._db = db
        self._tables = tables
        added = tuple(added)
        for table, columns in (
            ("added_edges", "id, principal_kind, principal, entitlement, is_unproven DEFAULT 0"),
            ("replaced_edges", "id PRIMARY KEY"),
            ("leading", "entitlement, is_unproven, PRIMARY KEY (entitlement, is_unproven)"),
        ):
            db.execute(f"DROP TABLE IF EXISTS temp.{table}")
            db.execute(f"CREATE TEMP TABLE {table} ({columns})")
        db.executemany(
            "INSERT INTO temp.added_edges (id, principal_kind, principal, entitlement) VALUES (?, ?, ?, ?)", added
        )
        replaced = {*removed, *(edge.id for edge in added)}
        db.executemany("INSERT INTO temp.replaced_edges VALUES (?)", ((id_,) for id_ in replaced))

    def paths_of(self, account_id: str) -> Paths:
        """Find paths to every entitlement that an account holds; not every path to each."""
        found = find_chains(self._reach("account", account_id)[0])
        return Paths(
            tuple(
                Path(account_id, chain.ids, chain.is_unproven) for reached in found.values() for chain in reached.chains
            ),
            tuple(id_ for id_, reached in found.items() if reached.has_more),
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

    def holders_of(self, entitlement_id: str, *, offset: int = 0, limit: int = 50) -> tuple[int, tuple[Holder, ...]]:
        """Find the accounts that hold an entitlement, directly or not.

        Args:
            entitlement_id: The entitlement.
            offset: How many holders are left out, in the order of their names.
            limit: How many to return.

        Returns:
            The total, and the holders of this page.
        """
        self._find_leading(entitlement_id)
        db, tables = self._db, self._tables
        edges = self._select(
            "e.principal, e.entitlement, max(l.is_unproven, e.is_unproven) AS is_unproven",
            "e.principal_kind = 'account'",
            source="temp.leading l CROSS JOIN {edges} e ON e.entitlement = l.entitlement",
        )
        total: int = db.execute(f"SELECT count(DISTINCT principal) FROM ({edges})").fetchone()[0]
        use_casefold(db)
        rows = db.execute(
            "SELECT h.principal, h.is_direct, h.is_unproven FROM (SELECT principal, max(entitlement = :id) AS"
            f" is_direct, min(is_unproven) AS is_unproven FROM ({edges}) GROUP BY principal) h"
            f" LEFT JOIN {tables.records} r ON r.type = 'account' AND r.id = h.principal"
            f" LEFT JOIN {tables.bodies} b ON b.rowid = r.body"
            f" ORDER BY casefold(coalesce({NAME}, h.principal)), h.principal LIMIT :limit OFFSET :offset",
            {"id": entitlement_id, "limit": limit, "offset": offset},
        ).fetchall()
        return total, tuple(
            Holder(account, bool(is_direct), self._through(account, entitlement_id), bool(is_unproven))
            for account, is_direct, is_unproven in rows
        )

    def _find_leading(self, entitlement_id: str) -> None:
        """Find the entitlements that lead to one, proven and unproven; each once, so that circles end."""
        self._db.execute("DELETE FROM temp.leading")
        todo = [(entitlement_id, 0)]
        edges = self._select("e.principal, e.is_unproven", "e.entitlement = :id AND e.principal_kind = 'entitlement'")
        while todo:
            id_, is_unproven = todo.pop()
            if self._db.execute("INSERT OR IGNORE INTO temp.leading VALUES (?, ?)", (id_, is_unproven)).rowcount:
                rows = self._db.execute(edges, {"id": id_})
                todo += [(principal, max(is_unproven, is_edge_unproven)) for principal, is_edge_unproven in rows]

    def _through(self, account_id: str, entitlement_id: str) -> tuple[str, ...]:
        edges = self._select(
            "e.entitlement",
            "e.principal_kind = 'account' AND e.principal = :account AND e.entitlement != :id"
            " AND e.entitlement IN (SELECT entitlement FROM temp.leading)",
        )
        rows = self._db.execute(
            f"SELECT DISTINCT entitlement FROM ({edges}) ORDER BY entitlement LIMIT :most",
            {"account": account_id, "id": entitlement_id, "most": MOST_THROUGH},
        )
        return tuple(row[0] for row in rows)

    def _reach(self, kind: str, id_: str, most_edges: float = math.inf) -> tuple[dict[str | None, list[Step]], bool]:
        """Read what a principal reaches, nearest nodes first; also return whether the limit on edges cut it off.

        The steps of an account are under None, as ``find_chains`` wants them.
        """
        start = None if kind == "account" else id_
        graph: dict[str | None, list[Step]] = {start: []}
        todo: deque[tuple[str | None, str, str]] = deque([(start, kind, id_)])
        edges = self._select("e.entitlement, e.is_unproven", "e.principal_kind = :kind AND e.principal = :principal")
        count = 0
        while todo:
            node, kind, principal = todo.popleft()
            rows = self._db.execute(
                f"SELECT entitlement, min(is_unproven) FROM ({edges}) GROUP BY entitlement ORDER BY entitlement",
                {"kind": kind, "principal": principal},
            )
            for entitlement, is_unproven in rows:
                count += 1
                if count > most_edges:
                    return graph, True
                graph[node].append(Step(entitlement, bool(is_unproven)))
                if entitlement not in graph:
                    graph[entitlement] = []
                    todo.append((entitlement, "entitlement", entitlement))
        return graph, False

    def _select(self, columns: str, where: str, *, source: str = "{edges} e") -> str:
        """Select from the current edges, named ``e``: those of the generation, and those that were added.

        The first part uses the indexes of the generation; a view of both would not do so in every statement.
        """
        return (
            f"SELECT {columns} FROM {source.format(edges=self._tables.edges)} WHERE {where}"
            " AND e.id NOT IN (SELECT id FROM temp.replaced_edges)"
            f" UNION ALL SELECT {columns} FROM {source.format(edges='temp.added_edges')} WHERE {where}"
        )


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
