"""What a change would do by a generation alone, for a change that a connector would not make."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Literal

from ploy_connector_aws.spec import AccessChange, AccessPath, Grant

from .paths import Path
from .view import GraphView

_SCOPE = "last-sync"
"""In place of the scope of a list: nothing was read."""


def preview_from(
    view: GraphView,
    kind: Literal["grant", "revoke"],
    account_id: str,
    entitlement_id: str,
    *,
    is_complete: bool,
    as_of: datetime,
) -> AccessChange:
    """Return what a grant or a revoke would change, as of the last sync and the verified changes after it.

    Args:
        view: The generation with later changes.
        kind: The kind of change.
        account_id: The account.
        entitlement_id: The entitlement.
        is_complete: Whether everything in the generation is proven.
        as_of: When its sync began to read.
    """
    held = view.paths_of(account_id)
    is_held = any(path.entitlement_ids == (entitlement_id,) for path in held)
    grant = Grant(principal_kind="account", principal_id=account_id, entitlement_id=entitlement_id)
    changes = (grant,) if is_held == (kind == "revoke") else ()
    if kind == "grant":
        opened = view.paths_of(entitlement_id, "entitlement")
        through = [(entitlement_id, *path.entitlement_ids) for path in opened]
        return AccessChange(
            outcome="previewed",
            scope=_SCOPE if changes else None,
            added=changes,
            opened_paths=_to_paths(account_id, through),
            effects_complete=is_complete and not opened.more_to,
            as_of=as_of,
        )
    through = [path.entitlement_ids for path in held if path.entitlement_ids[0] == entitlement_id and is_held]
    ends = {ids[-1] for ids in through} | {entitlement_id}
    others = [path.entitlement_ids for path in held if _remains(path, entitlement_id, ends)]
    is_whole = is_complete and not ends.intersection(held.more_to)
    return AccessChange(
        outcome="previewed",
        scope=_SCOPE if changes else None,
        removed=changes,
        closed_paths=_to_paths(account_id, (ids for ids in through if len(ids) > 1)),
        effects_complete=is_whole,
        remaining_paths=_to_paths(account_id, others),
        remaining_paths_complete=is_whole,
        as_of=as_of,
    )


def _remains(path: Path, entitlement_id: str, ends: set[str]) -> bool:
    return path.entitlement_ids[0] != entitlement_id and path.entitlement_ids[-1] in ends


def _to_paths(account_id: str, chains: Iterable[tuple[str, ...]]) -> tuple[AccessPath, ...]:
    return tuple(
        AccessPath(
            grants=(
                Grant(principal_kind="account", principal_id=account_id, entitlement_id=ids[0]),
                *(
                    Grant(principal_kind="entitlement", principal_id=holder, entitlement_id=held)
                    for holder, held in pairwise(ids)
                ),
            )
        )
        for ids in chains
    )
