"""What changed lately, and who decided: changes that syncs found, grants and revokes, findings and set-ups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.findings import Decision
from ploy_connector_aws.sandbox.ploy.setup_log import SetupChange
from ploy_connector_aws.sandbox.ploy.sync_store import Generation, Sync
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask

from .downloads import format_of, to_download
from .rendering import render_page, task_state
from .session import IntegrationVisit, IntegrationVisitor, Offset
from .syncs import groups_of
from .tasks import names_of

router = APIRouter()

PERIODS = {"7": "the last 7 days", "30": "the last 30 days", "all": "all that is stored"}
"""The days that a person can choose."""

_SHOWN = 50
_MOST_EXPORTED = 1_000_000


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
    since = _since(visit, days)
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


@router.get("/integrations/{integration_id}/history/download/{chosen}")
def download_history(visit: IntegrationVisitor, chosen: str, days: str = "7") -> Response:
    """Return what changed in a period as a file, with one row a change or decision, the newest first."""
    return to_download(list(_rows(visit, _since(visit, days))), "history", format_of(chosen))


def _rows(visit: IntegrationVisit, since: datetime | None) -> Iterator[dict[str, Any]]:
    generations = {each.sync_id: each for each in visit.view.generations()}
    for entry in sorted(_entries(visit, since), key=lambda each: each.at, reverse=True):
        for what, about, who in _describe(visit, entry, generations):
            yield {"at": entry.at.isoformat(), "what": what, "about": about, "by": who[0], "reason": who[1]}


def _describe(
    visit: IntegrationVisit, entry: Entry, generations: Mapping[str, Generation]
) -> Iterator[tuple[str, str, tuple[str | None, str | None]]]:
    """Yield what happened, to what, and who decided it and why, of one entry."""
    if entry.sync is not None:
        sync, decision = entry.sync, entry.sync.decision
        who = (decision.name, decision.reason) if decision else (None, None)
        generation = generations.get(sync.id)
        if generation is None:
            yield "sync rejected", "", who
        for group in groups_of(visit, sync, generation, limit=_MOST_EXPORTED):
            for record in group.first:
                yield f"sync: {group.verb().lower()}", " → ".join(each.name for each in record.names), who
    elif entry.task is not None:
        task = entry.task
        names = names_of(visit, [task])
        about = f"{names[task.account_id or ''].name} → {names[task.entitlement_id or ''].name}"
        yield f"{task.kind}: {task_state(task, visit.row)[0].lower()}", about, (task.requested_by, task.reason)
    elif entry.finding is not None:
        finding, event = entry.finding
        known = visit.view.names(list(finding.subjects))
        subjects = ", ".join(known[key].name if key in known else key.id for key in finding.subjects)
        state = "accepted" if event.state == "accepted" else "reopened"
        yield f"finding {state}", f"{finding.title} {subjects}", (event.name, event.reason)
    elif entry.setup is not None:
        for what in entry.setup.what:
            yield "set-up changed", what, (entry.setup.name, entry.setup.reason)


def _since(visit: IntegrationVisit, days: str) -> datetime | None:
    return None if days == "all" else visit.ploy.now - timedelta(days=int(days if days in PERIODS else "7"))


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
