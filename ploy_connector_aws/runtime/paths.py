"""By which paths accounts hold entitlements, followed along the edges of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .snapshot import StoredRecord
from .store import Store
from .verified import Overlay


@dataclass(frozen=True)
class Path:
    """One chain of grants: an account, and the entitlements it reaches one after the other."""

    account_id: str
    entitlement_ids: tuple[str, ...]
    is_unproven: bool
    """Whether any link of the chain was retained without proof."""


class PathFinder:
    """Follows the edges of a finished run, and of what was changed since. They are put into a table on disk once.

    Args:
        store: The file that the run is in.
        picture: The run, with what was granted and revoked since.
    """

    def __init__(self, store: Store, picture: Overlay) -> None:
        self._db = store.connection
        run = picture.run
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
