"""By which paths accounts hold entitlements, followed along the edges of a generation."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ploy_connector_aws.spec.records import Grant

from .chains import Graph, Step, find_chains
from .search import NAME, use_casefold
from .tables import Tables

MOST_THROUGH = 5
"""So many entitlements are named through which an account holds another."""


@dataclass(frozen=True)
class Path:
    """One chain of grants: an account, and the entitlements it reaches one after the other."""

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
    """The entitlements to which there are more paths, or may be."""

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
    """Whether no path is proven by which it holds it."""


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
    """Follows the edges of a generation, and of what was changed since. Used by one thread, one at a time.

    Args:
        db: The connection to the file that the tables are in. Temporary tables are made in it.
        tables: The generation.
        added: The grants that are held by now besides those of the generation.
        removed: The ids of those that are held no more.
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
        """Find by which paths an account holds entitlements: each of these, but not each path to it."""
        found = find_chains(self._graph(account_id))
        return Paths(
            tuple(
                Path(account_id, chain.ids, chain.is_unproven) for reached in found.values() for chain in reached.chains
            ),
            tuple(id_ for id_, reached in found.items() if reached.has_more),
        )

    def holders_of(self, entitlement_id: str, *, offset: int = 0, limit: int = 50) -> tuple[int, tuple[Holder, ...]]:
        """Find who holds an entitlement, by whichever path.

        Args:
            entitlement_id: The entitlement.
            offset: How many holders are left out, in the order of their names.
            limit: How many are wanted.

        Returns:
            How many there are, and those that are wanted.
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
        """Find every entitlement that leads to one, with and without proof; each once, so that circles end."""
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

    def _graph(self, account_id: str) -> Graph:
        """Read all that can be reached from an account, node by node."""
        graph: dict[str | None, list[Step]] = {}
        todo: list[tuple[str | None, str, str]] = [(None, "account", account_id)]
        edges = self._select("e.entitlement, e.is_unproven", "e.principal_kind = :kind AND e.principal = :principal")
        while todo:
            node, kind, principal = todo.pop()
            if node in graph:
                continue
            rows = self._db.execute(
                f"SELECT entitlement, min(is_unproven) FROM ({edges}) GROUP BY entitlement ORDER BY entitlement",
                {"kind": kind, "principal": principal},
            )
            graph[node] = [Step(entitlement, bool(is_unproven)) for entitlement, is_unproven in rows]
            todo += [(step.to, "entitlement", step.to) for step in graph[node]]
        return graph

    def _select(self, columns: str, where: str, *, source: str = "{edges} e") -> str:
        """Select from the edges as they are now, ``e``: those of the generation, and those that were added.

        The first part uses the indexes of the generation, which a view of both would not do in every statement.
        """
        return (
            f"SELECT {columns} FROM {source.format(edges=self._tables.edges)} WHERE {where}"
            " AND e.id NOT IN (SELECT id FROM temp.replaced_edges)"
            f" UNION ALL SELECT {columns} FROM {source.format(edges='temp.added_edges')} WHERE {where}"
        )
