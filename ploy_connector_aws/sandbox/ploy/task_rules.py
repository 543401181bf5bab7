"""How tasks are made, which reports of a task are valid, and why a task without a report failed."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Unpack

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import AccessChange
from ploy_connector_aws.spec.pages import Failure

from .problems import ProblemError
from .syncs import CLOCK_TOLERANCE
from .task_ledger import OrderedTask, Report, TaskOptions

_TIME_TO_DO = timedelta(hours=1)
"""The deadline of a task that was created without one."""

_RESULTS: dict[wire.TaskKind, str] = {"grant": "change", "revoke": "change", "check": "report", "sync": "sync"}
"""The field of a report that each kind of task fills."""

_NOT_STARTED = Failure(
    code="not_started",
    message="No runtime started the task before its deadline, so nothing was done.",
    fix="check that the connector's service runs and is not paused or read-only, then order it again",
)
_STATE_UNKNOWN = Failure(
    code="state_unknown",
    message="A runtime started the task and did not report it in time: whether the access changed is unknown.",
    fix="check what the account holds in the remote system, then resolve this or order it again",
)
_NOT_DONE = Failure(
    code="not_done",
    message="A runtime started the task and did not report it in time. The task changes no access.",
    fix="check that the connector's service runs, then order it again",
)


def unreported(task: OrderedTask) -> Failure:
    """Return the failure of a task that passed its deadline without a lease."""
    if task.attempts == 0:
        return _NOT_STARTED
    return _STATE_UNKNOWN if task.is_change else _NOT_DONE


def check_done(task: OrderedTask, done: wire.TaskDone, *, now: datetime, generation: int) -> None:
    """Check that a report fits its task and its time.

    Args:
        task: The task.
        done: The report.
        now: The time here.
        generation: The newest committed generation of the integration.

    Raises:
        ProblemError: It is of another kind, contradicts the task, or refers to the future or to an unknown generation.
    """
    if getattr(done, _RESULTS[task.kind]) is None:
        raise ProblemError("body_invalid", f"A {task.kind} is reported in the field '{_RESULTS[task.kind]}'.")
    outcome = done.change.outcome if done.change else done.sync.status if done.sync else None
    if outcome is not None and (outcome == "previewed") != task.preview:
        raise ProblemError("body_invalid", "A preview, and nothing else, is reported as 'previewed'.")
    if done.change:
        _check_change(task, done.change, now)
    if done.sync and done.sync.status == "committed" and done.sync.generation not in range(1, generation + 1):
        raise ProblemError("body_invalid", f"The newest generation is {generation}.")


def _check_change(task: OrderedTask, change: AccessChange, now: datetime) -> None:
    if any(moment and moment > now + CLOCK_TOLERANCE for moment in (change.verified_at, change.as_of)):
        # It would take precedence over every read until then.
        raise ProblemError("clock_ahead")
    if change.verified_at and change.verified_at < task.created_at - CLOCK_TOLERANCE:
        raise ProblemError("body_invalid", "It was verified before it was ordered.")
    paths = (*change.opened_paths, *change.closed_paths, *change.remaining_paths)
    about = (*change.added, *change.removed, *(path.grants[0] for path in paths))
    if any((grant.principal_kind, grant.principal_id) != ("account", task.account_id) for grant in about):
        raise ProblemError("body_invalid", "It names what another account holds.")
    added, removed = ({grant.entitlement_id for grant in grants} for grants in (change.added, change.removed))
    if added & removed:
        raise ProblemError("body_invalid", "It names a grant as added and as removed.")
    if task.entitlement_id in (removed if task.kind == "grant" else added):
        raise ProblemError("body_invalid", f"It reports the opposite of a {task.kind}.")


def new_task(kind: wire.TaskKind, now: datetime, **options: Unpack[TaskOptions]) -> OrderedTask:
    """Return a new task, with an id of its own."""
    return OrderedTask(
        id=f"task-{uuid.uuid4().hex}",
        kind=kind,
        preview=options.get("preview", False),
        account_id=options.get("account_id"),
        entitlement_id=options.get("entitlement_id"),
        reason=options.get("reason"),
        requested_by=options.get("requested_by"),
        created_at=now,
        deadline=options.get("deadline") or now + _TIME_TO_DO,
    )


REPORTED = ("kind", "account_id", "entitlement_id", "reason", "created_at", "made_by", "requested_by", "report")
"""The fields of a task that the report of a change fills."""


def to_ended(report: wire.ChangeReport, now: datetime) -> OrderedTask:
    """Return the task as which the report of a change is stored; it has no lease.

    Raises:
        ProblemError: The change was requested in the future.
    """
    if report.requested_at > now + CLOCK_TOLERANCE:
        raise ProblemError("clock_ahead")
    task = new_task(
        report.kind,
        report.requested_at,
        account_id=report.account_id,
        entitlement_id=report.entitlement_id,
        reason=report.reason,
    )
    ended: Report = (
        wire.TaskDone(lease_id="", change=report.change)
        if report.failure is None
        else wire.TaskFailed(lease_id="", **report.failure.model_dump())
    )
    return task._replace(id=report.id, made_by=report.made_by, requested_by=report.operator, report=ended)


def copy_task(
    task: OrderedTask, now: datetime, *, reason: str | None, requested_by: str | None, preview: bool = False
) -> OrderedTask:
    """Return a new task that asks for the same."""
    return new_task(
        task.kind,
        now,
        account_id=task.account_id,
        entitlement_id=task.entitlement_id,
        reason=reason,
        requested_by=requested_by,
        preview=preview,
    )
