"""The operator's routes, ``/dev/v1``: for the demo, the command line and tests. Not part of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, TypeAdapter

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.bounds import Moment
from ploy_connector_aws.spec.records import RecordType

from .requests import Body, PloyHost, check_operator, parse
from .task_ledger import OrderedTask, TaskState
from .verification import require_unblocked

router = APIRouter(prefix="/dev/v1", dependencies=[Depends(check_operator)])


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


_Size = Annotated[int, Field(lt=2**31)]


class _NewOrganisation(_Model):
    name: str


class _NewIntegration(_Model):
    connector: str
    settings: dict[str, JsonValue] = {}


class _Changes(_Model):
    is_enabled: bool | None = None
    settings: dict[str, JsonValue] = {}
    flags: dict[str, bool] = {}
    limits: dict[str, _Size] = {}
    intervals: dict[str, _Size] = {}


class _NewTask(_Model):
    kind: wire.TaskKind
    account_id: str | None = None
    entitlement_id: str | None = None
    reason: str | None = None
    requested_by: str | None = None
    preview: bool = False
    deadline: Moment | None = None


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class _Decision(_Model):
    name: _Text
    reason: _Text


class _Resolution(_Model):
    note: Annotated[str, Field(min_length=1)]


@router.get("/organisations")
def organisations(ploy: PloyHost) -> dict[str, str]:
    """Return names by id."""
    return ploy.registry.organisations()


@router.post("/organisations")
def create_organisation(ploy: PloyHost, body: Body) -> dict[str, str]:
    """Create an organisation."""
    return {"id": ploy.registry.create_organisation(parse(_NewOrganisation, body).name)}


@router.post("/organisations/{organisation_id}/tokens")
def create_token(ploy: PloyHost, organisation_id: str) -> dict[str, str]:
    """Create a token; only this response shows it."""
    return ploy.registry.create_token(organisation_id)._asdict()


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(ploy: PloyHost, token_id: str) -> None:
    """Revoke a token."""
    ploy.registry.revoke_token(token_id)


@router.post("/organisations/{organisation_id}/integrations")
def create_integration(ploy: PloyHost, organisation_id: str, body: Body) -> wire.Integration:
    """Enable a connector."""
    new = parse(_NewIntegration, body)
    return ploy.registry.create_integration(organisation_id, new.connector, new.settings)


@router.get("/integrations")
def integrations(ploy: PloyHost) -> list[dict[str, Any]]:
    """Return every integration, without its settings: they hold secrets."""
    return [
        {
            **row.integration.model_dump(exclude={"settings"}),
            "is_enabled": row.is_enabled,
            "is_verified": row.is_verified,
            "flags": row.flags.model_dump(),
            "limits": row.limits.model_dump(),
            "intervals": row.intervals.model_dump(),
            "hello": row.hello.model_dump() if row.hello else None,
        }
        for row in ploy.registry.integrations()
    ]


@router.patch("/integrations/{integration_id}", status_code=204)
def change_integration(ploy: PloyHost, integration_id: str, body: Body) -> None:
    """Change settings, flags, limits or intervals, or switch it on or off. Settings that differ must pass a test."""
    changes = parse(_Changes, body)
    row = ploy.registry.integration(integration_id)
    # Validate everything first: a rejected request changes nothing.
    for before, changed in ((row.limits, changes.limits), (row.intervals, changes.intervals)):
        parse(type(before), json.dumps({**before.model_dump(), **changed}).encode())
    with ploy.changing_setup(integration_id):
        ploy.verification.enter(integration_id, changes.settings)
        ploy.registry.set_flags(integration_id, **changes.flags)
        ploy.registry.set_limits(integration_id, **changes.limits)
        ploy.registry.set_intervals(integration_id, **changes.intervals)
        if changes.is_enabled is not None:
            ploy.registry.enable(integration_id, changes.is_enabled)


@router.get("/integrations/{integration_id}/records")
def records(ploy: PloyHost, integration_id: str, type: RecordType | None = None) -> StreamingResponse:  # noqa: A002
    """Return the current records, one JSON object per line."""
    return _stream(
        {
            "type": record.type,
            "id": record.id,
            "scopes": record.scopes,
            "is_partial": record.is_partial,
            "is_retained": record.is_unproven,
            "record": record.content,
        }
        for record in ploy.view(integration_id).records(type)
    )


@router.get("/integrations/{integration_id}/scopes")
def scopes(ploy: PloyHost, integration_id: str) -> StreamingResponse:
    """Return the current scopes, one JSON object per line."""
    return _stream(
        {
            "name": scope.name,
            "parent": scope.parent,
            "ending": scope.ending,
            "failure": scope.failure.model_dump() if scope.failure else None,
            "origin": scope.origin,
            "unproven_since": scope.unproven_since.isoformat() if scope.unproven_since else None,
        }
        for scope in ploy.view(integration_id).scopes()
    )


@router.get("/integrations/{integration_id}/generations")
def generations(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """Return every commit that became visible."""
    return [
        {
            **generation._asdict(),
            "report": generation.report.model_dump(mode="json"),
            "answer": generation.answer.model_dump(),
        }
        for generation in ploy.view(integration_id).generations()
    ]


@router.get("/integrations/{integration_id}/generations/{generation}/changes")
def changes(ploy: PloyHost, integration_id: str, generation: Annotated[int, Path(ge=1, lt=2**63)]) -> StreamingResponse:
    """Return what one commit changed, one JSON object per line."""
    return _stream(
        {"kind": change.kind, "type": change.key.type, "id": change.key.id, "before": change.before}
        for change in ploy.view(integration_id).changes(generation)
    )


@router.get("/integrations/{integration_id}/syncs")
def syncs(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """Return every sync that is still stored, newest first."""
    return [
        {
            "id": sync.id,
            "run_id": sync.run_id,
            "state": sync.state,
            "mode": sync.mode,
            "base_generation": sync.base_generation,
            "reading_started_at": sync.reading_started_at.isoformat(),
            "answer": sync.answer.model_dump() if sync.answer else None,
            "decision": {**sync.decision._asdict(), "decided_at": sync.decision.decided_at.isoformat()}
            if sync.decision
            else None,
        }
        for sync in ploy.view(integration_id).syncs()
    ]


@router.get("/integrations/{integration_id}/held")
def held(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """Return the syncs that wait for approval: none or one."""
    sync = ploy.view(integration_id).held()
    if sync is None or sync.answer is None:
        return []
    return [{"id": sync.id, "run_id": sync.run_id, "answer": sync.answer.model_dump()}]


@router.post("/integrations/{integration_id}/held/{sync_id}/approve")
def approve(ploy: PloyHost, integration_id: str, sync_id: str, body: Body) -> wire.CommitAnswer:
    """Approve a held sync."""
    return ploy.approve(integration_id, sync_id, **dict(parse(_Decision, body)))


@router.post("/integrations/{integration_id}/held/{sync_id}/reject", status_code=204)
def reject(ploy: PloyHost, integration_id: str, sync_id: str, body: Body) -> None:
    """Reject a held sync."""
    ploy.syncs(integration_id).reject(sync_id, **dict(parse(_Decision, body)))


@router.post("/integrations/{integration_id}/tasks")
def create_task(ploy: PloyHost, integration_id: str, body: Body) -> dict[str, Any]:
    """Create a task for the runtime."""
    new = parse(_NewTask, body)
    require_unblocked(ploy.registry.integration(integration_id), new.kind, new.preview)
    return _shown(ploy.create_task(integration_id, **dict(new)))


@router.get("/integrations/{integration_id}/tasks")
def tasks(ploy: PloyHost, integration_id: str, state: TaskState | None = None) -> list[dict[str, Any]]:
    """Return every task, or those in one state, in the order in which they were created."""
    return [_shown(task) for task in ploy.queue(integration_id).tasks() if state in (None, task.state)]


@router.get("/integrations/{integration_id}/tasks/{task_id}")
def task(ploy: PloyHost, integration_id: str, task_id: str) -> dict[str, Any]:
    """Return one task with its history."""
    queue = ploy.queue(integration_id)
    history = [{**event._asdict(), "at": event.at.isoformat()} for event in queue.history(task_id)]
    return {**_shown(queue.task(task_id)), "history": history}


@router.get("/integrations/{integration_id}/manual-tasks")
def manual_tasks(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """Return the manual tasks that wait for a person."""
    return [_shown(task) for task in ploy.queue(integration_id).manual()]


@router.post("/integrations/{integration_id}/manual-tasks/{task_id}/resolve")
def resolve_task(ploy: PloyHost, integration_id: str, task_id: str, body: Body) -> dict[str, Any]:
    """Resolve a manual task."""
    return _shown(ploy.queue(integration_id).resolve(task_id, parse(_Resolution, body).note))


@router.post("/integrations/{integration_id}/manual-tasks/{task_id}/order-again")
def order_again(ploy: PloyHost, integration_id: str, task_id: str) -> dict[str, Any]:
    """Create a manual task once more; return the new task."""
    old = ploy.queue(integration_id).task(task_id)
    require_unblocked(ploy.registry.integration(integration_id), old.kind, old.preview)
    return _shown(ploy.order_again(integration_id, task_id))


_TASK = TypeAdapter(OrderedTask)


def _shown(task: OrderedTask) -> dict[str, Any]:
    # Without the lease's id: its holder may report the task.
    shown = dict(zip(OrderedTask._fields, _TASK.dump_python(task, mode="json"), strict=True))
    for part in (shown, shown["report"] or {}):
        part.pop("lease_id", None)
    return shown


def _stream(rows: Iterable[dict[str, Any]]) -> StreamingResponse:
    def encoded() -> Iterator[bytes]:
        for row in rows:
            yield json.dumps(row).encode() + b"\n"

    return StreamingResponse(encoded(), media_type=wire.NDJSON)
