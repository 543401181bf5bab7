"""What became of each sync: how its scopes ended, what is held for a person, and what is kept without proof and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.differences import Named
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.snapshots import ChangeKind
from ploy_connector_aws.sandbox.ploy.sync_store import Generation, Sync
from ploy_connector_aws.spec.records import RecordType

from .rendering import render_page
from .session import Offset, Visit, Visitor, go_to

router = APIRouter()

_SHOWN = 50
_CHANGES_SHOWN = 100
_NAMED_AT_ONCE = 20

_KINDS: tuple[ChangeKind, ...] = ("removed", "added", "changed")
"""What a person looks at first when they decide."""


class Group(NamedTuple):
    """The records of one type with which a sync did, or would do, the same."""

    kind: ChangeKind
    type: RecordType
    amount: int
    first: tuple[Named, ...]


_DECIDED: dict[str, str] = {
    "committed": "It was approved already, and is visible.",
    "rejected": "It was rejected already: what was visible before stays.",
    "replaced": "A newer sync took its place before: nothing was changed now.",
}


@router.get("/integrations/{integration_id}/syncs")
def show_syncs(visit: Visitor, integration_id: str, offset: Offset = 0) -> Response:
    """Show the syncs, the newest first."""
    enabled = visit.integration(integration_id)
    syncs = visit.ploy.syncs(integration_id)
    return render_page(
        visit,
        "syncs.html",
        enabled=enabled,
        tab="syncs",
        syncs=syncs[offset : offset + _SHOWN],
        generations={each.sync_id: each for each in visit.ploy.generations(integration_id)},
        offset=offset,
        total=len(syncs),
        size=_SHOWN,
    )


@router.get("/integrations/{integration_id}/syncs/{sync_id}")
def show_sync(visit: Visitor, integration_id: str, sync_id: str) -> Response:
    """Show one sync: its scope report, what it changed, or would change once somebody approves it."""
    enabled = visit.integration(integration_id)
    sync, generation = _find(visit, integration_id, sync_id)
    held = visit.ploy.browser(integration_id).held() if sync.state == "held" else None
    return render_page(
        visit,
        "sync.html",
        enabled=enabled,
        tab="syncs",
        sync=sync,
        generation=generation,
        held=held,
        report=generation.report if generation else held,
        groups=_groups(visit, integration_id, sync, generation),
    )


@router.get("/integrations/{integration_id}/syncs/{sync_id}/changes")
def show_changes(
    visit: Visitor,
    integration_id: str,
    sync_id: str,
    kind: Literal["removed", "added", "changed"],
    only: RecordType,
    offset: Offset = 0,
) -> Response:
    """Name all that a sync changed, or would change, of one kind and type."""
    enabled = visit.integration(integration_id)
    sync, generation = _find(visit, integration_id, sync_id)
    total = getattr(sync.answer, kind, {}).get(only, 0)
    look = visit.ploy.differences(integration_id)
    return render_page(
        visit,
        "changes.html",
        enabled=enabled,
        tab="syncs",
        sync=sync,
        kind=kind,
        only=only,
        rows=look.list_changes(sync, generation, kind, only, offset=offset, limit=_CHANGES_SHOWN),
        total=total,
        offset=offset,
        size=_CHANGES_SHOWN,
    )


@router.post("/integrations/{integration_id}/syncs/{sync_id}/approve")
def approve(visit: Visitor, integration_id: str, sync_id: str) -> Response:
    """Make a held commit visible."""
    visit.integration(integration_id)
    with _once(visit, integration_id, sync_id):
        answer = visit.ploy.approve(integration_id, sync_id)
        visit.say(f"Approved: it is visible as generation {answer.generation}.")
    return go_to(f"/integrations/{integration_id}/syncs/{sync_id}")


@router.post("/integrations/{integration_id}/syncs/{sync_id}/reject")
def reject(visit: Visitor, integration_id: str, sync_id: str) -> Response:
    """Drop a held commit."""
    visit.integration(integration_id)
    with _once(visit, integration_id, sync_id):
        visit.ploy.reject(integration_id, sync_id)
        visit.say("Rejected: what was visible before stays.")
    return go_to(f"/integrations/{integration_id}/syncs/{sync_id}")


@contextmanager
def _once(visit: Visit, integration_id: str, sync_id: str) -> Iterator[None]:
    """Say of what was decided before that it was: the button may have been pressed twice, also while the first was
    worked on, or by two persons."""
    try:
        yield
    except ProblemError:
        found = (_DECIDED.get(each.state) for each in visit.ploy.syncs(integration_id) if each.id == sync_id)
        decided = next(found, None)
        if decided is None:
            raise
        visit.say(decided)


@router.get("/integrations/{integration_id}/unproven")
def show_unproven(
    visit: Visitor,
    integration_id: str,
    only: RecordType | None = None,
    offset: Offset = 0,
) -> Response:
    """Show which scopes were not read completely, since when and why; and what is kept for that reason, by name."""
    enabled = visit.integration(integration_id)
    scopes = [scope for scope in visit.ploy.scopes(integration_id) if scope.unproven_since is not None]
    generations = visit.ploy.generations(integration_id)
    kept = {kind: n for kind, n in generations[-1].answer.retained_unproven.items() if n} if generations else {}
    only = only if only in kept else next(iter(kept), None)
    look = visit.ploy.differences(integration_id)
    return render_page(
        visit,
        "unproven.html",
        enabled=enabled,
        tab="syncs",
        scopes=scopes,
        kept=kept,
        only=only,
        rows=look.list_retained(only, offset=offset, limit=_CHANGES_SHOWN) if only else (),
        offset=offset,
        size=_CHANGES_SHOWN,
    )


def _find(visit: Visit, integration_id: str, sync_id: str) -> tuple[Sync, Generation | None]:
    sync = next((each for each in visit.ploy.syncs(integration_id) if each.id == sync_id), None)
    if sync is None:
        raise HTTPException(404, "There is no such sync any more.")
    return sync, next((each for each in visit.ploy.generations(integration_id) if each.sync_id == sync_id), None)


def _groups(visit: Visit, integration_id: str, sync: Sync, generation: Generation | None) -> list[Group]:
    look = visit.ploy.differences(integration_id)
    return [
        Group(kind, only, amount, look.list_changes(sync, generation, kind, only, limit=_NAMED_AT_ONCE))
        for kind in _KINDS
        for only, amount in getattr(sync.answer, kind, {}).items()
        if amount and (generation or sync.state == "held")
    ]
