"""By which paths accounts hold entitlements, followed along the edges of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .chains import Graph, Step, find_chains
from .snapshot import StoredRecord
from .store import Store
from .verified import Overlay

MOST_THROUGH = 5
"""So many entitlements are named through which an account holds another."""


@dataclass(frozen=True)
class Path:
    """One chain of grants: an account, and the entitlements it reaches one after the other."""

    account_id: str
    entitlement_ids: tuple[str, ...]
    is_unproven: bool
    """Whether any link of the chain was retained without proof."""


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
    """Whether no way is proven by which it holds it."""


class PathFinder:
    """Follows the edges of a finished run, and of what was changed since. They are put into a table on disk once.

    Args:
        store: The file that the run is in.
        picture: The run, with what was granted and revoked since.
    """

    def __init__(self, store: Store, picture: Overlay) -> None:
        self._db = store.connection
        self._run = run = picture.run
        self._db.execute("DROP TABLE IF EXISTS temp.edges")
        self._db.execute(
            "CREATE TEMP TABLE edges (id TEXT, kind TEXT, principal TEXT, entitlement TEXT, is_retained INTEGER)"
        )
        self._db.execute(
            "INSERT INTO edges SELECT r.id, json_extract(b.body, '$.principal_kind'),"
            " json_extract(b.body, '$.principal_id'), json_extract(b.body, '$.entitlement_id'), r.is_retained"
            f" FROM {run.records_table} r JOIN {run.emissions} b ON b.rowid = r.emission WHERE r.type = 'grant'"
        )
        added = list(picture.added())
        gone = [*picture.removed, *(record.id for record in added)]
        self._db.execute("CREATE INDEX temp.edges_by_id ON edges (id)")
        self._db.executemany("DELETE FROM edges WHERE id = ?", ((id_,) for id_ in gone))
        self._db.executemany(
            "INSERT INTO edges VALUES (:id, :principal_kind, :principal_id, :entitlement_id, 0)",
            (record.content for record in added),
        )
        self._db.execute("CREATE INDEX temp.edges_by_principal ON edges (kind, principal)")

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
        """Find who holds an entitlement, by whichever way.

        Args:
            entitlement_id: The entitlement.
            offset: How many holders are left out, in the order of their names.
            limit: How many are wanted.

        Returns:
            How many there are, and those that are wanted.
        """
        db, run = self._db, self._run
        db.execute("CREATE INDEX IF NOT EXISTS temp.edges_by_entitlement ON edges (entitlement, kind)")
        db.execute("DROP TABLE IF EXISTS temp.leading")
        # Every entitlement that leads to it, with and without proof: a union knows each only once, so circles end.
        db.execute(
            "CREATE TEMP TABLE leading AS WITH RECURSIVE leads (entitlement, is_retained) AS (VALUES (?, 0) UNION"
            " SELECT e.principal, max(l.is_retained, e.is_retained) FROM leads l JOIN edges e"
            " ON e.entitlement = l.entitlement AND e.kind = 'entitlement') SELECT * FROM leads",
            (entitlement_id,),
        )
        held = "FROM leading l JOIN edges e ON e.entitlement = l.entitlement AND e.kind = 'account'"
        total: int = db.execute(f"SELECT count(DISTINCT e.principal) {held}").fetchone()[0]
        db.create_function("casefold", 1, str.casefold, deterministic=True)
        rows = db.execute(
            f"SELECT e.principal, max(e.entitlement = :id), min(max(l.is_retained, e.is_retained)) {held}"
            f" LEFT JOIN {run.records_table} r ON r.type = 'account' AND r.id = e.principal"
            f" LEFT JOIN {run.emissions} b ON b.rowid = r.emission GROUP BY e.principal"
            " ORDER BY casefold(coalesce(json_extract(b.body, '$.display_name'), json_extract(b.body, '$.username'),"
            " e.principal)), e.principal LIMIT :limit OFFSET :offset",
            {"id": entitlement_id, "limit": limit, "offset": offset},
        ).fetchall()
        return total, tuple(
            Holder(account, bool(is_direct), self._through(account, entitlement_id), bool(is_retained))
            for account, is_direct, is_retained in rows
        )

    def _through(self, account_id: str, entitlement_id: str) -> tuple[str, ...]:
        rows = self._db.execute(
            "SELECT DISTINCT entitlement FROM edges INDEXED BY edges_by_principal WHERE kind = 'account'"
            " AND principal = ? AND entitlement != ? AND entitlement IN (SELECT entitlement FROM leading)"
            " ORDER BY entitlement LIMIT ?",
            (account_id, entitlement_id, MOST_THROUGH),
        )
        return tuple(row[0] for row in rows)

    def _graph(self, account_id: str) -> Graph:
        """Read all that can be reached from an account, node by node."""
        graph: dict[str | None, list[Step]] = {}
        todo: list[tuple[str | None, str, str]] = [(None, "account", account_id)]
        while todo:
            node, kind, principal = todo.pop()
            if node in graph:
                continue
            rows = self._db.execute(
                "SELECT entitlement, min(is_retained) FROM edges WHERE kind = ? AND principal = ?"
                " GROUP BY entitlement ORDER BY entitlement",
                (kind, principal),
            )
            graph[node] = [Step(entitlement, bool(is_retained)) for entitlement, is_retained in rows]
            todo += [(step.to, "entitlement", step.to) for step in graph[node]]
        return graph


def find_accounts(picture: Overlay, text: str) -> list[StoredRecord]:
    """Find the accounts whose id, user name or an e-mail address is exactly this text (letter case aside)."""
    wanted = text.casefold()
    return [
        account
        for account in picture.records("account")
        if wanted
        in {
            account.id.casefold(),
            str(account.content.get("username", "")).casefold(),
            *(email["address"].casefold() for email in account.content.get("emails", ())),
        }
    ]
