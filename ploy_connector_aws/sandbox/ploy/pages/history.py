"""What changed lately, and who decided: the changes that syncs found, decisions about held ones, grants and revokes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.sync_store import Sync
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask

from .rendering import render_page
from .session import IntegrationVisit, IntegrationVisitor, Offset
from .syncs import groups_of
from .tasks import names_of

router = APIRouter()

PERIODS = {"7": "the last 7 days", "30": "the last 30 days", "all": "all that is stored"}
"""The days that a person can choose."""

_SHOWN = 50


class Entry(NamedTuple):
    """One thing that changed access, or a decision that it does not change."""

    at: datetime
    sync: Sync | None
    task: OrderedTask | None


@router.get("/integrations/{integration_id}/history")
def show_history(visit: IntegrationVisitor, days: str = "7", offset: Offset = 0) -> Response:
    """Show what changed in a period, the newest first."""
    days = days if days in PERIODS else "7"
    since = visit.ploy.now - timedelta(days=int(days)) if days != "all" else None
    entries = sorted(
        (each for each in _entries(visit) if since is None or each.at >= since), key=lambda each: each.at, reverse=True
    )
    shown = entries[offset : offset + _SHOWN]
    generations = {each.sync_id: each for each in visit.view.generations()}
    return render_page(
        visit,
        "history.html",
        tab="history",
        entries=[
            (each, groups_of(visit, each.sync, generations.get(each.sync.id)) if each.sync else []) for each in shown
        ],
        names=names_of(visit, [each.task for each in shown if each.task]),
        periods=PERIODS,
        days=days,
        offset=offset,
        total=len(entries),
        size=_SHOWN,
    )


def _entries(visit: IntegrationVisit) -> Iterator[Entry]:
    syncs = {sync.id: sync for sync in visit.view.syncs()}
    first = True
    for generation in visit.view.generations():
        answer = generation.answer
        if not first and (answer.added or answer.changed or answer.removed):
            yield Entry(generation.committed_at, syncs[generation.sync_id], None)
        first = False
    for sync in syncs.values():
        if sync.state == "rejected" and sync.decision:
            yield Entry(sync.decision.decided_at, sync, None)
    for task in visit.queue.tasks():
        if task.is_change and task.ended_at is not None:
            yield Entry(task.ended_at, None, task)
