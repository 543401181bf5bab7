"""The routes of the contract, ``/connector/v1``: exactly the calls of ``docs/platform-api.yaml``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec import Manifest

from . import remote_setup
from .batch_lines import unpack
from .long_poll import wait_for_tasks
from .problems import ProblemError
from .requests import Body, Organisation, PloyHost, Target, bounded, integration_of, parse

router = APIRouter(prefix=wire.API_PREFIX)


@router.get("/integrations")
def integrations(ploy: PloyHost, organisation: Organisation) -> wire.Integrations:
    """Answer which integrations the token serves."""
    return wire.Integrations(integrations=tuple(enabled.integration for enabled in ploy.serves(organisation)))


@router.post("/integrations")
def create_integration(ploy: PloyHost, organisation: Organisation, body: Body) -> wire.SetUpStatus:
    """Begin to set up an integration."""
    return remote_setup.begin(ploy, organisation, parse(wire.IntegrationRequest, body).connector)


@router.patch("/integrations/{integration_id}")
def change_settings(
    ploy: PloyHost, organisation: Organisation, integration_id: str, body: Body, request: Request
) -> wire.SetUpStatus:
    """Keep what a person entered in a set-up, and ask for a test of it."""
    _seen(ploy, request, body)
    change = parse(wire.SettingsChange, bounded(body))
    return remote_setup.enter(ploy, organisation, integration_id, change.settings)


@router.post("/integrations/{integration_id}/hello")
def hello(ploy: PloyHost, target: Target, body: Body, request: Request) -> wire.HelloAnswer:
    """Take a runtime's introduction."""
    _seen(ploy, request, body)
    return ploy.hello(target.integration.id, parse(wire.HelloRequest, body))


@router.put("/connectors/{name}")
def put_manifest(ploy: PloyHost, organisation: Organisation, name: str, body: Body) -> wire.ManifestAccepted:
    """Keep the manifest of a connector that a runtime of this organisation has."""
    manifest = parse(Manifest, bounded(body))
    if manifest.name != name:
        raise ProblemError("body_invalid", "name: is not that of the path")
    ploy.notices.put_manifest(organisation, manifest)
    return wire.ManifestAccepted(name=manifest.name, version=manifest.version)


@router.put("/connectors")
def report_refused(ploy: PloyHost, organisation: Organisation, body: Body) -> wire.RefusedKept:
    """Keep which connectors a runtime of this organisation cannot use."""
    report = parse(wire.RefusedConnectors, bounded(body))
    ploy.notices.put_refused(organisation, report)
    return wire.RefusedKept(count=len(report.refused))


@router.post("/integrations/{integration_id}/checks")
def report_check(ploy: PloyHost, target: Target, body: Body, request: Request) -> wire.CheckStatus:
    """Take what a runtime says of a connection test."""
    _seen(ploy, request, body)
    return ploy.admission.report(target.integration.id, parse(wire.CheckProgress, bounded(body)))


@router.post("/integrations/{integration_id}/syncs")
def open_sync(ploy: PloyHost, target: Target, body: Body, request: Request) -> wire.OpenedSync:
    """Open a staging area."""
    _seen(ploy, request, body)
    return ploy.open_sync(target.integration.id, parse(wire.OpenSync, body))


@router.put("/integrations/{integration_id}/syncs/{sync_id}/batches/{number}")
def put_batch(
    ploy: PloyHost, target: Target, sync_id: str, number: int, body: Body, request: Request
) -> wire.BatchAnswer:
    """Stage a batch."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != wire.NDJSON or request.headers.get("content-encoding") != "gzip":
        raise ProblemError("not_gzip_ndjson")
    if not 1 <= number <= wire.MOST_BATCHES:
        raise ProblemError("body_invalid", f"Batches are numbered from 1 to {wire.MOST_BATCHES}.")
    if len(body) > target.limits.max_batch_bytes:
        raise ProblemError("body_too_large", f"A batch holds {target.limits.max_batch_bytes} bytes at most.")
    if ploy.bodies is not None:
        _seen(ploy, request, unpack(body, target.limits))
    digest = request.headers.get("content-digest")
    return ploy.handover(target.integration.id).put_batch(sync_id, number, body, digest, target.limits)


@router.get("/integrations/{integration_id}/syncs/{sync_id}")
def sync_status(ploy: PloyHost, target: Target, sync_id: str) -> wire.SyncStatus:
    """Say where a sync stands."""
    return ploy.handover(target.integration.id).status(sync_id)


@router.post("/integrations/{integration_id}/syncs/{sync_id}/commit")
def commit(
    ploy: PloyHost,
    target: Target,
    sync_id: str,
    body: Body,
    request: Request,
    response: Response,
    preview: bool = False,
) -> wire.CommitAnswer:
    """Make what was staged visible, or hold it; or only say what would come of it."""
    _seen(ploy, request, body)
    answer = ploy.commit(target.integration.id, sync_id, parse(wire.Commit, body), preview=preview)
    response.status_code = 200 if answer.status == "committed" else 202
    return answer


@router.post("/integrations/{integration_id}/syncs/{sync_id}/abort")
def abort(ploy: PloyHost, target: Target, sync_id: str) -> wire.SyncStatus:
    """Drop what was staged."""
    return ploy.handover(target.integration.id).abort(sync_id)


@router.post("/integrations/{integration_id}/tasks/lease")
async def lease_tasks(ploy: PloyHost, target: Target, body: Body, request: Request) -> wire.LeaseAnswer:
    """Give out tasks; wait for them as long as is wished."""
    _seen(ploy, request, body)
    wish, integration_id = parse(wire.LeaseRequest, body), target.integration.id

    def look() -> tuple[wire.LeaseAnswer, bool]:
        # The token may be revoked by now, the integration switched off or its settings changed.
        revision = integration_of(request, integration_id).integration.revision
        answer = ploy.lease_tasks(integration_id, wish)
        is_outdated = wish.settings_revision not in (None, revision)
        is_final = is_outdated or not wish.max_tasks or ploy.queue(integration_id).is_answered(wish)
        return answer, bool(answer.tasks) or is_final

    return await wait_for_tasks(ploy.bells, integration_id, wish, look, request.is_disconnected)


@router.post("/integrations/{integration_id}/tasks/{task_id}/extend")
def extend_lease(ploy: PloyHost, target: Target, task_id: str, body: Body, request: Request) -> wire.LeaseExtended:
    """Let a runtime keep a task."""
    _seen(ploy, request, body)
    return ploy.extend_lease(target.integration.id, task_id, parse(wire.LeaseExtension, body))


@router.post("/integrations/{integration_id}/tasks/{task_id}/complete")
def complete_task(ploy: PloyHost, target: Target, task_id: str, body: Body, request: Request) -> wire.TaskStatus:
    """Take the report that a task was done."""
    _seen(ploy, request, body)
    return ploy.complete_task(target.integration.id, task_id, parse(wire.TaskDone, body))


@router.post("/integrations/{integration_id}/tasks/{task_id}/fail")
def fail_task(ploy: PloyHost, target: Target, task_id: str, body: Body, request: Request) -> wire.TaskStatus:
    """Take the report that a person must look at a task."""
    _seen(ploy, request, body)
    return ploy.fail_task(target.integration.id, task_id, parse(wire.TaskFailed, body))


def _seen(ploy: PloyHost, request: Request, content: bytes) -> None:
    ploy.saw(request.method, request.url.path, content)
