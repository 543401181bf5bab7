"""What was ordered of an integration's runtime, what came of it, and what only a person can end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.preconditions import require_way
from ploy_connector_aws.sandbox.ploy.registry import ForbiddenError
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.spec.records import RecordKey, RecordType

from .rendering import render_page
from .session import Offset, SentForm, Visit, Visitor, first, go_to

router = APIRouter()

_SHOWN = 100
_DECIDED = "Somebody was done with this task already; nothing was changed now."

_LATE = timedelta(minutes=1)
"""A service that runs asks far more often than this."""


@router.get("/integrations/{integration_id}/tasks")
def show_tasks(visit: Visitor, integration_id: str, offset: Offset = 0) -> Response:
    """Show the manual tasks that wait for a person, and all tasks, the newest first."""
    enabled = visit.integration(integration_id)
    manual, every = visit.ploy.manual_tasks(integration_id), visit.ploy.tasks(integration_id)[::-1]
    shown = every[offset : offset + _SHOWN]
    return render_page(
        visit,
        "tasks.html",
        enabled=enabled,
        tab="tasks",
        manual=manual,
        tasks=shown,
        offset=offset,
        total=len(every),
        size=_SHOWN,
        names=names_for(visit, integration_id, [*manual, *shown]),
    )


@router.get("/integrations/{integration_id}/tasks/{task_id}")
def show_task(visit: Visitor, integration_id: str, task_id: str) -> Response:
    """Show one task, and watch it until it has ended."""
    enabled = visit.integration(integration_id)
    values = check_values(visit, integration_id, task_id, is_whole=True)
    return render_page(visit, "task.html", enabled=enabled, tab="tasks", **values)


@router.get("/integrations/{integration_id}/tasks/{task_id}/part")
def show_part(visit: Visitor, integration_id: str, task_id: str, whole: bool = False) -> Response:
    """The part of a page that changes while a task goes on; with what only the task's own page shows of it."""
    enabled = visit.integration(integration_id)
    values = check_values(visit, integration_id, task_id, is_whole=whole)
    return render_page(visit, "part_task.html", enabled=enabled, **values)


@router.post("/integrations/{integration_id}/tasks/{task_id}/resolve")
def resolve(visit: Visitor, integration_id: str, task_id: str, form: SentForm) -> Response:
    """Note that a person is done with a manual task."""
    visit.integration(integration_id)
    note = first(form, "note")
    if not note:
        raise HTTPException(422, "Say what was done about it, so that others can read it later.")
    with _once(visit, integration_id, task_id):
        visit.ploy.resolve_task(integration_id, task_id, note[:2000])
        visit.say("Resolved.")
    return go_to(f"/integrations/{integration_id}/tasks/{task_id}")


@router.post("/integrations/{integration_id}/tasks/{task_id}/order-again")
def order_again(visit: Visitor, integration_id: str, task_id: str) -> Response:
    """Order what became a manual task once more."""
    enabled, old = visit.integration(integration_id), visit.ploy.task(integration_id, task_id)
    with _once(visit, integration_id, task_id):
        require_way(enabled, old.kind, old.preview)
        task_id = visit.ploy.order_again(integration_id, task_id).id
        visit.say("Ordered again, as a new task.")
    return go_to(f"/integrations/{integration_id}/tasks/{task_id}")


def check_values(visit: Visit, integration_id: str, task_id: str, *, is_whole: bool = False) -> dict[str, Any]:
    """What the part of a page about one task shows; on the task's own page, also its history and the decision."""
    task, queue = visit.ploy.task(integration_id, task_id), visit.ploy.queue(integration_id)
    return {
        "task": task,
        "check": visit.ploy.notices.of_task(integration_id, task_id) if task.kind == "check" else None,
        "is_first_test": _is_first_test(visit, integration_id, task),
        "is_whole": is_whole,
        "history": visit.ploy.task_history(integration_id, task_id) if is_whole else (),
        "ordered": queue.ordered_after(task_id) if task.preview else None,
        "is_too_old": task.preview and queue.is_too_old(task),
        "names": names_for(visit, integration_id, [task]),
        "sync_id": _sync_id(visit, integration_id, task),
        "is_late": (task.state, task.attempts) == ("queued", 0) and visit.ploy.now - task.created_at > _LATE,
    }


def names_for(visit: Visit, integration_id: str, tasks: list[OrderedTask]) -> dict[str, str]:
    """The names of all that tasks and their reports speak of, by id."""
    keys: list[RecordKey] = []
    for task in tasks:
        pair: tuple[tuple[RecordType, str | None], ...] = (
            ("account", task.account_id),
            ("entitlement", task.entitlement_id),
        )
        keys += [RecordKey(type=kind, id=id_) for kind, id_ in pair if id_]
        change = getattr(task.report, "change", None)
        if change is not None:
            ways = (*change.opened_paths, *change.closed_paths, *change.remaining_paths)
            grants = [*change.added, *change.removed, *(grant for way in ways for grant in way.grants)]
            keys += [RecordKey(type="entitlement", id=grant.entitlement_id) for grant in grants]
    return {key.id: name for key, name in visit.ploy.browser(integration_id).names(keys).items()}


@contextmanager
def _once(visit: Visit, integration_id: str, task_id: str) -> Iterator[None]:
    """Say of a task that a person was done with before that it is so: the button may have been pressed twice."""
    try:
        yield
    except ForbiddenError:
        if visit.ploy.task(integration_id, task_id).resolved_at is None:
            raise
        visit.say(_DECIDED)


def _is_first_test(visit: Visit, integration_id: str, task: OrderedTask) -> bool:
    """Whether the first sync was still to come when a connection test ended."""
    if task.kind != "check" or task.ended_at is None:
        return False
    return all(each.committed_at > task.ended_at for each in visit.ploy.generations(integration_id))


def _sync_id(visit: Visit, integration_id: str, task: OrderedTask) -> str | None:
    """The sync that came of a task, while it is remembered."""
    summary = getattr(task.report, "sync", None)
    if summary is None:
        return None
    run_id, number = summary.run_id, summary.generation
    syncs = [each.id for each in visit.ploy.syncs(integration_id) if run_id and each.run_id == run_id]
    syncs += [each.sync_id for each in visit.ploy.generations(integration_id) if number and each.number == number]
    return next(iter(syncs), None)
