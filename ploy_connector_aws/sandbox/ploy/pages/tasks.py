"""The tasks of an integration: the list, one task with its progress and result, and manual tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ploy_connector_aws.graph.effects import Effects, find_effects
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.record_names import ShownName
from ploy_connector_aws.sandbox.ploy.registry import ForbiddenError
from ploy_connector_aws.sandbox.ploy.reports import CheckRow
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.verification import require_unblocked
from ploy_connector_aws.spec.records import RecordKey, RecordType

from .rendering import render_page, render_part
from .session import IntegrationVisit, IntegrationVisitor, Offset, SentForm, go_to

router = APIRouter()

_SHOWN = 100

_LATE = timedelta(minutes=1)
"""A service that runs polls far more often than this."""


@router.get("/integrations/{integration_id}/tasks")
def show_tasks(visit: IntegrationVisitor, offset: Offset = 0) -> Response:
    """Show the manual tasks that wait for a person, and all tasks, the newest first."""
    manual, every = visit.queue.manual(), visit.queue.tasks()[::-1]
    shown = every[offset : offset + _SHOWN]
    return render_page(
        visit,
        "tasks.html",
        tab="tasks",
        manual=manual,
        tasks=shown,
        offset=offset,
        total=len(every),
        size=_SHOWN,
        names=names_of(visit, [*manual, *shown]),
    )


@router.get("/integrations/{integration_id}/tasks/{task_id}")
def show_task(visit: IntegrationVisitor, task_id: str) -> Response:
    """Show one task; the page follows its progress."""
    return render_page(visit, "task.html", tab="tasks", **task_values(visit, task_id, is_whole=True))


@router.get("/integrations/{integration_id}/tasks/{task_id}/progress")
def show_progress(visit: IntegrationVisitor, task_id: str, whole: bool = False) -> Response:
    """Return the part of a page that changes with a task; ``whole`` adds what only the task's own page shows."""
    return render_part(visit, "task_progress.html", **task_values(visit, task_id, is_whole=whole))


@router.post("/integrations/{integration_id}/tasks/{task_id}/resolve")
def resolve(visit: IntegrationVisitor, task_id: str, form: SentForm) -> Response:
    """Resolve a manual task."""
    decision = visit.decision(form)
    with _once(visit, task_id):
        visit.queue.resolve(task_id, decision["reason"], name=decision["name"])
        visit.flash("Resolved.")
    return go_to(f"{visit.path}/tasks/{task_id}")


@router.post("/integrations/{integration_id}/tasks/{task_id}/order-again")
def order_again(visit: IntegrationVisitor, task_id: str, form: SentForm) -> Response:
    """Order a manual task once more."""
    decision = visit.decision(form)
    old = visit.queue.task(task_id)
    with _once(visit, task_id):
        require_unblocked(visit.row, old.kind, old.preview)
        task_id = visit.ploy.order_again(visit.id, task_id, requested_by=decision["name"], reason=decision["reason"]).id
        visit.flash("Requested again, as a new task.")
    return go_to(f"{visit.path}/tasks/{task_id}")


def task_values(visit: IntegrationVisit, task_id: str, *, is_whole: bool = False) -> dict[str, Any]:
    """Return the variables of the part of a page that shows one task.

    Args:
        visit: The visit.
        task_id: The task.
        is_whole: Whether the part includes the task's history and the form of a manual task.
    """
    queue = visit.queue
    task = queue.task(task_id)
    check = visit.ploy.reports.of_task(visit.id, task_id) if task.kind == "check" else None
    effects = _find_effects(visit, task)
    return {
        "task": task,
        "check": check,
        "awaits_verdict": _awaits_verdict(visit, task, check),
        "is_first_test": _is_first_test(visit, task),
        "is_whole": is_whole,
        "history": queue.history(task_id) if is_whole else (),
        "order_id": queue.order_of(task_id) if task.preview else None,
        "is_expired": task.preview and queue.is_expired(task),
        "names": names_of(visit, [task]),
        "effects": effects,
        "effect_lines": [(kind, list(lines)) for kind, lines in groupby(effects.lines(), key=lambda line: line.kind)]
        if effects
        else (),
        "sync_id": _sync_id(visit, task),
        "is_late": (task.state, task.attempts) == ("queued", 0) and visit.ploy.now - task.created_at > _LATE,
    }


def _find_effects(visit: IntegrationVisit, task: OrderedTask) -> Effects | None:
    """Return what the change of a task does, or would do; None before its report, and of other tasks."""
    change = task.report.change if isinstance(task.report, wire.TaskDone) else None
    if change is None or task.kind not in ("grant", "revoke"):
        return None
    with visit.view.graph() as graph:
        return find_effects(
            graph,
            task.kind,
            task.account_id or "",
            task.entitlement_id or "",
            change,
            place_kind=visit.labels.place_kind,
        )


def _awaits_verdict(visit: IntegrationVisit, task: OrderedTask, check: CheckRow | None) -> bool:
    """Whether a passed test of the current settings has ended, and its verdict is not stored yet."""
    if task.state != "done" or check is None or check.revision != visit.row.revision:
        return False
    return check.report.is_usable and not visit.row.is_verified and visit.row.block is None


def names_of(visit: IntegrationVisit, tasks: list[OrderedTask]) -> dict[str, ShownName]:
    """Return the names of all records in tasks and their reports, by id; the id where a record is unknown."""
    keys: list[RecordKey] = []
    for task in tasks:
        pair: tuple[tuple[RecordType, str | None], ...] = (
            ("account", task.account_id),
            ("entitlement", task.entitlement_id),
        )
        keys += [RecordKey(type=kind, id=id_) for kind, id_ in pair if id_]
        change = getattr(task.report, "change", None)
        if change is not None:
            paths = (*change.opened_paths, *change.closed_paths, *change.remaining_paths)
            grants = [*change.added, *change.removed, *(grant for path in paths for grant in path.grants)]
            keys += [RecordKey(type="entitlement", id=grant.entitlement_id) for grant in grants]
    known = visit.view.names(keys)
    return {key.id: known.get(key, ShownName(key.type, key.id, key.id, has_page=False)) for key in keys}


@contextmanager
def _once(visit: IntegrationVisit, task_id: str) -> Iterator[None]:
    """Report a task that was resolved before as such: a person may have pressed the button twice."""
    try:
        yield
    except ForbiddenError:
        if visit.queue.task(task_id).resolved_at is None:
            raise
        visit.flash("This task was already resolved; nothing has changed.")


def _is_first_test(visit: IntegrationVisit, task: OrderedTask) -> bool:
    """Whether a connection test ended before the first sync."""
    if task.kind != "check" or task.ended_at is None:
        return False
    return all(each.committed_at > task.ended_at for each in visit.view.generations())


def _sync_id(visit: IntegrationVisit, task: OrderedTask) -> str | None:
    """Return the sync that a task led to, while it is stored."""
    summary = getattr(task.report, "sync", None)
    if summary is None:
        return None
    run_id, number = summary.run_id, summary.generation
    syncs = [each.id for each in visit.view.syncs() if run_id and each.run_id == run_id]
    syncs += [each.sync_id for each in visit.view.generations() if number and each.number == number]
    return next(iter(syncs), None)
