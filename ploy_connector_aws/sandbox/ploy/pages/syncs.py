"""Syncs: their history, how their scopes ended, what they changed; held syncs and unproven records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.record_changes import AT_THE_SOURCE, Cause
from ploy_connector_aws.sandbox.ploy.record_names import NamedRecord
from ploy_connector_aws.sandbox.ploy.setup_log import SetupChange
from ploy_connector_aws.sandbox.ploy.snapshots import ChangeKind
from ploy_connector_aws.sandbox.ploy.sync_store import Generation, Sync
from ploy_connector_aws.spec.labels import OF_TYPES
from ploy_connector_aws.spec.records import RecordType

from .rendering import render_page
from .session import IntegrationVisit, IntegrationVisitor, Offset, SentForm, go_to

router = APIRouter()

_SHOWN = 50
_CHANGES_SHOWN = 100
_NAMED_AT_ONCE = 20
_KINDS: tuple[ChangeKind, ...] = ("removed", "added", "changed")
"""In the order of their weight for a decision."""


class Group(NamedTuple):
    """The records of one type that a sync changed in one way, or would change."""

    kind: ChangeKind
    type: RecordType
    is_settings: bool
    """Whether the settings switch on or off that they are read, so that no access changes."""
    amount: int
    first: tuple[NamedRecord, ...]

    def verb(self, *, is_held: bool = False) -> str:
        """Return what was changed, or would be, e.g. 'Removed'."""
        return _GROUP_TITLES[self.kind, self.is_settings, is_held]


_GROUP_TITLES = {
    ("removed", False, False): "Removed",
    ("added", False, False): "Added",
    ("changed", False, False): "Changed",
    ("removed", True, False): "No longer read",
    ("added", True, False): "Read from now on",
    ("removed", False, True): "Would be removed",
    ("added", False, True): "Would be added",
    ("changed", False, True): "Would be changed",
    ("removed", True, True): "Would no longer be read",
    ("added", True, True): "Would be read from now on",
}
_CAUSES_OF: dict[bool, tuple[Cause, ...]] = {False: AT_THE_SOURCE, True: ("settings",)}
"""By whether the settings alone decide, of the changes of a group."""

_CAUSES = {
    "complete": "read completely, without them",
    "gone": "deleted or closed at the source",
    "excluded": "switched off in the settings",
    "failed": "not read completely",
    "unlisted": "no longer listed",
}
"""What the ending of a scope means for the grants that it listed before."""

_DECIDED: dict[str, str] = {
    "committed": "This sync was already approved, and is visible.",
    "rejected": "This sync was already rejected; the visible records have not changed.",
    "replaced": "A newer sync has replaced this one; nothing has changed.",
}


@router.get("/integrations/{integration_id}/syncs")
def show_syncs(visit: IntegrationVisitor, offset: Offset = 0) -> Response:
    """Show the syncs, the newest first."""
    syncs = visit.view.syncs()
    return render_page(
        visit,
        "syncs.html",
        tab="syncs",
        syncs=syncs[offset : offset + _SHOWN],
        generations={each.sync_id: each for each in visit.view.generations()},
        offset=offset,
        total=len(syncs),
        size=_SHOWN,
    )


@router.get("/integrations/{integration_id}/syncs/{sync_id}")
def show_sync(visit: IntegrationVisitor, sync_id: str) -> Response:
    """Show one sync: its scope report, and what it changed or would change if approved."""
    sync, generation = _find(visit, sync_id)
    held = visit.view.held_report() if sync.state == "held" else None
    changes = visit.view.held_changes(visit.labels.place_kind) if held else None
    return render_page(
        visit,
        "sync.html",
        tab="syncs",
        sync=sync,
        generation=generation,
        held=held,
        changes=changes,
        setup_changes=_setup_changes(visit, sync) if held else (),
        causes=_CAUSES,
        report=generation.report if generation else held,
        groups=(groups := groups_of(visit, sync, generation)),
        amounts=_amounts(sync, groups),
        confirmed=_count_confirmed(visit, sync, generation),
    )


def _amounts(sync: Sync, groups: list[Group]) -> dict[str, dict[RecordType, int]]:
    """Return how many records a sync changed, or would change, by what and by type; nothing before its upload ended."""
    if sync.answer is None:
        return {}
    found: dict[str, dict[RecordType, int]] = {"Added": {}, "Changed": {}, "Removed": {}}
    if groups or sync.state in ("held", "committed"):
        for group in groups:
            found.setdefault(group.verb(), {})[group.type] = group.amount
    else:  # its records are not stored
        found = {name: dict(getattr(sync.answer, name.lower())) for name in found}
    return {**found, "Unproven": dict(sync.answer.retained_unproven)}


def _count_confirmed(visit: IntegrationVisit, sync: Sync, generation: Generation | None) -> int:
    """Count the grants and revokes that were made here and that a sync confirms."""
    counts = visit.view.count_by_change(sync, generation)
    return sum(amount for (_, _, cause), amount in counts.items() if cause == "confirmed")


def _setup_changes(visit: IntegrationVisit, sync: Sync) -> list[SetupChange]:
    """Return what was changed in the set-up between the visible sync and one that waits, newest first."""
    generations = visit.view.generations()
    since = generations[-1].reading_started_at if generations else sync.reading_started_at
    changes = visit.ploy.setup_log.changes(visit.id)[::-1]
    return [each for each in changes if since <= each.at <= sync.reading_started_at]


def groups_of(
    visit: IntegrationVisit, sync: Sync, generation: Generation | None, *, limit: int = _NAMED_AT_ONCE
) -> list[Group]:
    """Return what a sync changed, or would change; nothing of one whose records are not stored."""
    counts = visit.view.count_by_change(sync, generation)
    return [
        Group(
            kind,
            only,
            is_settings,
            amount,
            visit.view.list_changes(sync, generation, kind, only, _CAUSES_OF[is_settings], limit=limit),
        )
        for is_settings in (False, True)
        for kind in _KINDS
        for only in OF_TYPES
        if (amount := sum(counts[kind, only, cause] for cause in _CAUSES_OF[is_settings]))
    ]


@router.get("/integrations/{integration_id}/syncs/{sync_id}/changes")
def show_changes(
    visit: IntegrationVisitor,
    sync_id: str,
    kind: Literal["removed", "added", "changed"],
    only: RecordType,
    settings: bool = False,
    offset: Offset = 0,
) -> Response:
    """Name all records of one type that a sync changed in one way, or would change."""
    sync, generation = _find(visit, sync_id)
    counts, causes = visit.view.count_by_change(sync, generation), _CAUSES_OF[settings]
    rows = visit.view.list_changes(sync, generation, kind, only, causes, offset=offset, limit=_CHANGES_SHOWN)
    total = sum(counts[kind, only, cause] for cause in causes)
    return render_page(
        visit,
        "changes.html",
        tab="syncs",
        sync=sync,
        group=Group(kind, only, settings, total, ()),
        is_stored=generation is not None or sync.state == "held",
        rows=rows,
        total=total,
        offset=offset,
        size=_CHANGES_SHOWN,
    )


@router.post("/integrations/{integration_id}/syncs/{sync_id}/approve")
def approve(visit: IntegrationVisitor, sync_id: str, form: SentForm) -> Response:
    """Approve a held sync."""
    decision = visit.decision(form)
    with _once(visit, sync_id):
        visit.ploy.approve(visit.id, sync_id, **decision)
        visit.flash("Approved: its records are visible.")
    return go_to(f"{visit.path}/syncs/{sync_id}")


@router.post("/integrations/{integration_id}/syncs/{sync_id}/reject")
def reject(visit: IntegrationVisitor, sync_id: str, form: SentForm) -> Response:
    """Reject a held sync."""
    decision = visit.decision(form)
    with _once(visit, sync_id):
        visit.ploy.syncs(visit.id).reject(sync_id, **decision)
        visit.flash("Rejected: the visible records have not changed.")
    return go_to(f"{visit.path}/syncs/{sync_id}")


@contextmanager
def _once(visit: IntegrationVisit, sync_id: str) -> Iterator[None]:
    """Report a sync that was decided on before as such.

    One person may have pressed the button twice, also while the first request was running, or two persons did.
    """
    try:
        yield
    except ProblemError:
        newest = visit.ploy.view(visit.id).syncs()  # not the state as of the beginning of this request
        decided = next((_DECIDED.get(each.state) for each in newest if each.id == sync_id), None)
        if decided is None:
            raise
        visit.flash(decided)


@router.get("/integrations/{integration_id}/unproven")
def show_unproven(visit: IntegrationVisitor, only: RecordType | None = None, offset: Offset = 0) -> Response:
    """Show the scopes that were not read completely, since when and why; and the unproven records, by name."""
    scopes = [scope for scope in visit.view.scopes() if scope.unproven_since is not None]
    generations = visit.view.generations()
    unproven = {kind: n for kind, n in generations[-1].answer.retained_unproven.items() if n} if generations else {}
    only = only if only in unproven else next(iter(unproven), None)
    with visit.view.graph() as graph:
        unresolved = graph.unresolved() if graph else None
    return render_page(
        visit,
        "unproven.html",
        unresolved=unresolved,
        tab="syncs",
        scopes=scopes,
        unproven=unproven,
        only=only,
        rows=visit.view.list_unproven(only, offset=offset, limit=_CHANGES_SHOWN) if only else (),
        offset=offset,
        size=_CHANGES_SHOWN,
    )


def _find(visit: IntegrationVisit, sync_id: str) -> tuple[Sync, Generation | None]:
    sync = next((each for each in visit.view.syncs() if each.id == sync_id), None)
    if sync is None:
        raise HTTPException(404, "There is no such sync, or it is not stored any more.")
    return sync, next((each for each in visit.view.generations() if each.sync_id == sync_id), None)
