"""The operator's routes, ``/dev/v1``: for the demo, the command line and tests. No part of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.bounds import Moment
from ploy_connector_aws.spec.records import RecordType

from .preconditions import require_way
from .requests import Body, PloyHost, check_operator, parse
from .task_ledger import OrderedTask, TaskState

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
    preview: bool = False
    deadline: Moment | None = None


class _Resolution(_Model):
    note: Annotated[str, Field(min_length=1)]


def answer_not_allowed(_: Request, error: Exception) -> Response:
    """Turn an operator's impossible wish into an answer."""
    return JSONResponse({"title": str(error), "status": 409}, 409, media_type=wire.PROBLEM_JSON)


@router.get("/organisations")
def organisations(ploy: PloyHost) -> dict[str, str]:
    """Names by id."""
    return ploy.organisations()


@router.post("/organisations")
def create_organisation(ploy: PloyHost, body: Body) -> dict[str, str]:
    """Make an organisation."""
    return {"id": ploy.create_organisation(parse(_NewOrganisation, body).name)}


@router.post("/organisations/{organisation_id}/tokens")
def create_token(ploy: PloyHost, organisation_id: str) -> dict[str, str]:
    """Make a token; it is shown this once."""
    return ploy.create_token(organisation_id)._asdict()


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(ploy: PloyHost, token_id: str) -> None:
    """End a token's life."""
    ploy.revoke_token(token_id)


@router.post("/organisations/{organisation_id}/integrations")
def create_integration(ploy: PloyHost, organisation_id: str, body: Body) -> wire.Integration:
    """Enable a connector."""
    new = parse(_NewIntegration, body)
    return ploy.create_integration(organisation_id, new.connector, new.settings)


@router.get("/integrations")
def integrations(ploy: PloyHost) -> list[dict[str, Any]]:
    """Every integration, without its settings: they hold secrets."""
    return [
        {
            **enabled.integration.model_dump(exclude={"settings"}),
            "is_enabled": enabled.is_enabled,
            "is_verified": enabled.is_verified,
            "flags": enabled.flags.model_dump(),
            "limits": enabled.limits.model_dump(),
            "intervals": enabled.intervals.model_dump(),
            "hello": enabled.hello.model_dump() if enabled.hello else None,
        }
        for enabled in ploy.integrations()
    ]


@router.patch("/integrations/{integration_id}", status_code=204)
def change_integration(ploy: PloyHost, integration_id: str, body: Body) -> None:
    """Change settings, flags, limits or intervals, or switch it on or off. Settings that differ must pass a test."""
    changes = parse(_Changes, body)
    enabled = ploy.integration(integration_id)
    # All of it before any of it: a request that is refused has changed nothing.
    for now, wanted in ((enabled.limits, changes.limits), (enabled.intervals, changes.intervals)):
        parse(type(now), json.dumps({**now.model_dump(), **wanted}).encode())
    ploy.admission.answer(integration_id, changes.settings)
    ploy.set_flags(integration_id, **changes.flags)
    ploy.set_limits(integration_id, **changes.limits)
    ploy.set_intervals(integration_id, **changes.intervals)
    if changes.is_enabled is not None:
        ploy.enable(integration_id, changes.is_enabled)


@router.get("/integrations/{integration_id}/records")
def records(ploy: PloyHost, integration_id: str, type: RecordType | None = None) -> StreamingResponse:  # noqa: A002
    """The current records, one JSON object per line."""
    ploy.integration(integration_id)
    return _stream(
        {
            "type": record.type,
            "id": record.id,
            "scopes": record.scopes,
            "is_partial": record.is_partial,
            "is_retained": record.is_unproven,
            "record": record.content,
        }
        for record in ploy.records(integration_id, type)
    )


@router.get("/integrations/{integration_id}/scopes")
def scopes(ploy: PloyHost, integration_id: str) -> StreamingResponse:
    """The current scopes, one JSON object per line."""
    ploy.integration(integration_id)
    return _stream(
        {
            "name": scope.name,
            "parent": scope.parent,
            "ending": scope.ending,
            "failure": scope.failure.model_dump() if scope.failure else None,
            "origin": scope.origin,
            "unproven_since": scope.unproven_since.isoformat() if scope.unproven_since else None,
        }
        for scope in ploy.scopes(integration_id)
    )


@router.get("/integrations/{integration_id}/generations")
def generations(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """Every commit that became visible."""
    return [
        {
            **generation._asdict(),
            "report": generation.report.model_dump(mode="json"),
            "answer": generation.answer.model_dump(),
        }
        for generation in ploy.generations(integration_id)
    ]


@router.get("/integrations/{integration_id}/generations/{generation}/changes")
def changes(ploy: PloyHost, integration_id: str, generation: Annotated[int, Path(ge=1, lt=2**63)]) -> StreamingResponse:
    """What one commit did, one JSON object per line."""
    ploy.integration(integration_id)
    return _stream(
        {"kind": change.kind, "type": change.key.type, "id": change.key.id, "before": change.before}
        for change in ploy.changes(integration_id, generation)
    )


@router.get("/integrations/{integration_id}/syncs")
def syncs(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """Every sync that is remembered, whatever became of it, newest first."""
    ploy.integration(integration_id)
    return [
        {
            "id": sync.id,
            "run_id": sync.run_id,
            "state": sync.state,
            "mode": sync.mode,
            "base_generation": sync.base_generation,
            "reading_started_at": sync.reading_started_at.isoformat(),
            "answer": sync.answer.model_dump() if sync.answer else None,
        }
        for sync in ploy.syncs(integration_id)
    ]


@router.get("/integrations/{integration_id}/held")
def held(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """The commits that wait for a person: none or one."""
    sync = ploy.held(integration_id)
    if sync is None or sync.answer is None:
        return []
    return [{"id": sync.id, "run_id": sync.run_id, "answer": sync.answer.model_dump()}]


@router.post("/integrations/{integration_id}/held/{sync_id}/approve")
def approve(ploy: PloyHost, integration_id: str, sync_id: str) -> wire.CommitAnswer:
    """Make a held commit visible."""
    return ploy.approve(integration_id, sync_id)


@router.post("/integrations/{integration_id}/held/{sync_id}/reject", status_code=204)
def reject(ploy: PloyHost, integration_id: str, sync_id: str) -> None:
    """Drop a held commit."""
    ploy.reject(integration_id, sync_id)


@router.post("/integrations/{integration_id}/tasks")
def create_task(ploy: PloyHost, integration_id: str, body: Body) -> dict[str, Any]:
    """Order something of the runtime."""
    wish = parse(_NewTask, body)
    require_way(ploy.integration(integration_id), wish.kind, wish.preview)
    return _shown(ploy.create_task(integration_id, **dict(wish)))


@router.get("/integrations/{integration_id}/tasks")
def tasks(ploy: PloyHost, integration_id: str, state: TaskState | None = None) -> list[dict[str, Any]]:
    """Every task, or those in one state, in the order in which they were created."""
    return [_shown(task) for task in ploy.tasks(integration_id) if state in (None, task.state)]


@router.get("/integrations/{integration_id}/tasks/{task_id}")
def task(ploy: PloyHost, integration_id: str, task_id: str) -> dict[str, Any]:
    """One task, and what happened to it."""
    history = [{**event._asdict(), "at": event.at.isoformat()} for event in ploy.task_history(integration_id, task_id)]
    return {**_shown(ploy.task(integration_id, task_id)), "history": history}


@router.get("/integrations/{integration_id}/manual-tasks")
def manual_tasks(ploy: PloyHost, integration_id: str) -> list[dict[str, Any]]:
    """The manual tasks that wait for a person."""
    return [_shown(task) for task in ploy.manual_tasks(integration_id)]


@router.post("/integrations/{integration_id}/manual-tasks/{task_id}/resolve")
def resolve_task(ploy: PloyHost, integration_id: str, task_id: str, body: Body) -> dict[str, Any]:
    """Note that a person is done with a manual task."""
    return _shown(ploy.resolve_task(integration_id, task_id, parse(_Resolution, body).note))


@router.post("/integrations/{integration_id}/manual-tasks/{task_id}/order-again")
def order_again(ploy: PloyHost, integration_id: str, task_id: str) -> dict[str, Any]:
    """Order what became a manual task once more; the new task."""
    old = ploy.task(integration_id, task_id)
    require_way(ploy.integration(integration_id), old.kind, old.preview)
    return _shown(ploy.order_again(integration_id, task_id))


_TASK = TypeAdapter(OrderedTask)


def _shown(task: OrderedTask) -> dict[str, Any]:
    # Without the lease's id: who has it may report the task.
    shown = dict(zip(OrderedTask._fields, _TASK.dump_python(task, mode="json"), strict=True))
    for part in (shown, shown["report"] or {}):
        part.pop("lease_id", None)
    return shown


def _stream(rows: Iterable[dict[str, Any]]) -> StreamingResponse:
    def encoded() -> Iterator[bytes]:
        for row in rows:
            yield json.dumps(row).encode() + b"\n"

    return StreamingResponse(encoded(), media_type=wire.NDJSON)
