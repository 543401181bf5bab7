"""What changed lately, and who decided: changes that syncs found, grants and revokes, findings and set-ups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.findings import Decision
from ploy_connector_aws.sandbox.ploy.setup_log import SetupChange
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
    """One thing that changed, or a decision that it does not change. One of its fields after ``at`` is set."""

    at: datetime
    sync: Sync | None = None
    task: OrderedTask | None = None
    finding: Decision | None = None
    setup: SetupChange | None = None


class Amounts(NamedTuple):
    """How many changes of access and of the records about it there were in a period, each counted once."""

    found: int
    """By syncs, at the source."""
    made: int
    """By grants and revokes."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.found + self.made


def count_changes(visit: IntegrationVisit, since: datetime | None) -> Amounts:
    """Count the changes since a moment; None: all that are stored."""
    changes = (getattr(task.report, "change", None) for task in _tasks(visit, since))
    made = sum(len(each.added) + len(each.removed) for each in changes if each and each.outcome == "applied")
    return Amounts(visit.view.count_changes(since), made)


@router.get("/integrations/{integration_id}/history")
def show_history(visit: IntegrationVisitor, days: str = "7", offset: Offset = 0) -> Response:
    """Show what changed in a period, the newest first."""
    days = days if days in PERIODS else "7"
    since = visit.ploy.now - timedelta(days=int(days)) if days != "all" else None
    entries = sorted(_entries(visit, since), key=lambda each: each.at, reverse=True)
    shown = entries[offset : offset + _SHOWN]
    generations = {each.sync_id: each for each in visit.view.generations()}
    subjects = [key for each in shown if each.finding for key in each.finding.finding.subjects]
    return render_page(
        visit,
        "history.html",
        tab="history",
        entries=[
            (each, groups_of(visit, each.sync, generations.get(each.sync.id)) if each.sync else []) for each in shown
        ],
        amounts=count_changes(visit, since),
        names=names_of(visit, [each.task for each in shown if each.task]),
        subjects=visit.view.names(subjects),
        periods=PERIODS,
        days=days,
        offset=offset,
        total=len(entries),
        size=_SHOWN,
    )


def _entries(visit: IntegrationVisit, since: datetime | None) -> Iterator[Entry]:
    syncs = {sync.id: sync for sync in visit.view.syncs()}
    changing = visit.view.changing_generations()
    for generation in visit.view.generations()[1:]:
        sync = syncs[generation.sync_id]
        if _is_since(generation.committed_at, since) and (sync.decision or generation.number in changing):
            yield Entry(generation.committed_at, sync=sync)
    for sync in syncs.values():
        if sync.state == "rejected" and sync.decision and _is_since(sync.decision.decided_at, since):
            yield Entry(sync.decision.decided_at, sync=sync)
    for task in _tasks(visit, since):
        assert task.ended_at is not None
        yield Entry(task.ended_at, task=task)
    for decision in visit.ploy.findings.decisions(visit.id):
        if _is_since(decision.event.at, since):
            yield Entry(decision.event.at, finding=decision)
    for change in visit.ploy.setup_log.changes(visit.id):
        if _is_since(change.at, since):
            yield Entry(change.at, setup=change)


def _tasks(visit: IntegrationVisit, since: datetime | None) -> Iterator[OrderedTask]:
    """Yield the grants and revokes that ended."""
    for task in visit.queue.tasks():
        if task.is_change and task.ended_at is not None and _is_since(task.ended_at, since):
            yield task


def _is_since(at: datetime, since: datetime | None) -> bool:
    return since is None or at >= since
