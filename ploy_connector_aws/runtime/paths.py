"""By which paths accounts hold entitlements, followed along the edges of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .snapshot import Run, StoredRecord
from .store import Store


@dataclass(frozen=True)
class Path:
    """One chain of grants: an account, and the entitlements it reaches one after the other."""

    account_id: str
    entitlement_ids: tuple[str, ...]
    is_unproven: bool
    """Whether any link of the chain was retained without proof."""


class PathFinder:
    """Follows the edges of one finished run. Edges are put into a temporary table on disk once."""

    def __init__(self, store: Store, run: Run) -> None:
        self._db = store.connection
        self._run = run
        self._db.execute("DROP TABLE IF EXISTS temp.edges")
        self._db.execute("CREATE TEMP TABLE edges (kind TEXT, principal TEXT, entitlement TEXT, is_retained INTEGER)")
        self._db.execute(
            "INSERT INTO edges SELECT json_extract(b.body, '$.principal_kind'), json_extract(b.body, '$.principal_id'),"
            f" json_extract(b.body, '$.entitlement_id'), r.is_retained FROM {run.records_table} r"
            f" JOIN {run.emissions} b ON b.rowid = r.emission WHERE r.type = 'grant'"
        )
        self._db.execute("CREATE INDEX temp.edges_by_principal ON edges (kind, principal)")

    def paths_of(self, account_id: str) -> Iterator[Path]:
        """Every path of one account, shorter ones before what they lead to."""
        yield from self._follow(account_id, "account", account_id, (), is_unproven=False)

    def _follow(
        self, account_id: str, kind: str, principal: str, before: tuple[str, ...], *, is_unproven: bool
    ) -> Iterator[Path]:
        edges = self._db.execute(
            "SELECT entitlement, is_retained FROM edges WHERE kind = ? AND principal = ? ORDER BY entitlement",
            (kind, principal),
        ).fetchall()
        for entitlement, is_retained in edges:
            if entitlement in before:  # a cycle leads nowhere new
                continue
            chain = (*before, entitlement)
            unproven = is_unproven or bool(is_retained)
            yield Path(account_id, chain, unproven)
            yield from self._follow(account_id, "entitlement", entitlement, chain, is_unproven=unproven)


def find_accounts(run: Run, text: str) -> list[StoredRecord]:
    """Find the accounts whose id, user name or an e-mail address is exactly this text (letter case aside)."""
    wanted = text.casefold()
    return [
        account
        for account in run.records("account")
        if wanted
        in {
            account.id.casefold(),
            str(account.content.get("username", "")).casefold(),
            *(email["address"].casefold() for email in account.content.get("emails", ())),
        }
    ]
