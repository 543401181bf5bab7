"""The integrations of an organisation, one of them, and what is switched and ordered there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.preconditions import find_obstacle, require_way
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.sandbox.ploy.reports import SeenCheck
from ploy_connector_aws.sandbox.ploy.sync_store import Generation, Sync
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.spec import Manifest

from .rendering import render_page
from .session import SentForm, Visit, Visitor, first, go_to

router = APIRouter()

_SETTINGS_SHOWN = 3

_SWITCHES = {
    "paused": ("Paused: nothing is read, granted or revoked.", "Not paused any more."),
    "read_only": ("Read-only: nothing is granted or revoked.", "Granting and revoking is allowed again."),
}

_ORDERED: dict[str, wire.TaskKind] = {"check": "check", "sync": "sync"}
"""What is ordered here; what changes access is previewed first, elsewhere."""


class Summary(NamedTuple):
    """An integration in short."""

    enabled: IntegrationRow
    title: str
    generation: Generation | None
    held: Sync | None
    check: SeenCheck | None
    failed_check: OrderedTask | None
    """The newest test that was ordered and not made, where none was made since."""
    manual: int
    about: str
    """What tells it from another of the same connector: its settings that are short texts and no secrets."""

    @property
    def is_check_outdated(self) -> bool:
        """Whether the newest test was of other settings than those that are set now."""
        return self.check is not None and self.check.revision not in (None, self.enabled.revision)

    @property
    def synced_at(self) -> datetime | None:
        """When the newest sync became visible."""
        return self.generation.committed_at if self.generation else None


def card_of(visit: Visit, enabled: IntegrationRow) -> Summary:
    """Say of an integration how it is."""
    ploy, id_ = visit.ploy, enabled.integration.id
    manifest = ploy.notices.manifests(visit.organisation_id).get(enabled.integration.connector)
    generations = ploy.generations(id_)
    check, failed = ploy.notices.newest(id_), ploy.queue(id_).newest_failed("check")
    if check and failed and failed.ended_at and failed.ended_at < check.said_at:
        failed = None
    return Summary(
        enabled,
        manifest.title if manifest else enabled.integration.connector,
        generations[-1] if generations else None,
        ploy.held(id_),
        check,
        failed,
        len(ploy.manual_tasks(id_)),
        _about(enabled, manifest),
    )


def _about(enabled: IntegrationRow, manifest: Manifest | None) -> str:
    properties = manifest.config_schema.get("properties") if manifest else None
    if not isinstance(properties, Mapping):
        return ""
    shown = [
        str(enabled.integration.settings[name])
        for name, schema in properties.items()
        if name in enabled.integration.settings and name not in enabled.issued
        if isinstance(schema, Mapping) and schema.get("type") == "string" and not schema.get("writeOnly")
    ]
    return " · ".join(shown[:_SETTINGS_SHOWN])


@router.get("/")
def show_integrations(visit: Visitor) -> Response:
    """Show all of them, and what more can be set up."""
    own = [each for each in visit.ploy.integrations() if each.integration.organisation == visit.organisation_id]
    return render_page(
        visit,
        "integrations.html",
        cards=[card_of(visit, each) for each in own],
        connectors=list(visit.ploy.notices.manifests(visit.organisation_id).values()),
        refused=visit.ploy.notices.refused(visit.organisation_id),
    )


@router.post("/setup/{connector}")
def begin_setup(visit: Visitor, connector: str) -> Response:
    """Begin to set up a connector."""
    return go_to(f"/integrations/{visit.ploy.admission.begin(visit.organisation_id, connector)}/setup")


@router.get("/integrations/{integration_id}")
def show_integration(visit: Visitor, integration_id: str) -> Response:
    """Show one."""
    enabled = visit.integration(integration_id)
    return render_page(visit, "integration.html", enabled=enabled, card=card_of(visit, enabled), tab="overview")


@router.post("/integrations/{integration_id}/switch")
def switch(visit: Visitor, integration_id: str, form: SentForm) -> Response:
    """Switch an integration on or off, or one of its flags."""
    enabled, name, is_on = visit.integration(integration_id), first(form, "name"), first(form, "to") == "on"
    waiting = _waiting(visit, enabled)
    if name == "enabled":
        if is_on:
            visit.ploy.admission.require(enabled)
        visit.ploy.enable(integration_id, is_on)
        visit.say("Switched on." if is_on else "Switched off: no runtime serves it.")
    elif name in _SWITCHES:
        visit.ploy.set_flags(integration_id, **{name: is_on})
        visit.say(_SWITCHES[name][0 if is_on else 1])
    else:
        raise HTTPException(400, "There is no such switch.")
    freed = waiting - _waiting(visit, visit.integration(integration_id))
    if freed:
        visit.say(f"{len(freed)} {'task' if len(freed) == 1 else 'tasks'} waited for this, and can be fetched now.")
    return go_to(f"/integrations/{integration_id}")


@router.post("/integrations/{integration_id}/remove")
def remove(visit: Visitor, integration_id: str) -> Response:
    """Throw away a set-up that never led to an integration in use."""
    visit.integration(integration_id)
    visit.ploy.remove_draft(integration_id)
    visit.say("The set-up was removed, and with it the values that were made for it.")
    return go_to("/")


@router.post("/integrations/{integration_id}/order")
def order(visit: Visitor, integration_id: str, form: SentForm) -> Response:
    """Order a connection test or a sync."""
    enabled, said = visit.integration(integration_id), first(form, "kind")
    kind = _ORDERED.get(said)
    if kind is None:
        raise HTTPException(400, "There is no such thing to order here.")
    require_way(enabled, kind)
    task = visit.ploy.create_task(integration_id, kind)
    return go_to(f"/integrations/{integration_id}/tasks/{task.id}")


def _waiting(visit: Visit, enabled: IntegrationRow) -> set[str]:
    """The ids of the tasks that something is in the way of."""
    return {
        task.id
        for task in visit.ploy.tasks(enabled.integration.id)
        if task.state == "queued" and find_obstacle(enabled, task.kind, task.preview)
    }
