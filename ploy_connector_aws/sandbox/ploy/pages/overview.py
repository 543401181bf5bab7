"""The integrations of an organisation; one of them, with its switches and orders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.graph.search import Search
from ploy_connector_aws.host.setting_schema import holds_secret, is_multiline
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.sandbox.ploy.reports import CheckRow
from ploy_connector_aws.sandbox.ploy.sync_store import Generation, Sync
from ploy_connector_aws.sandbox.ploy.task_ledger import OrderedTask
from ploy_connector_aws.sandbox.ploy.verification import find_blocker, require_unblocked
from ploy_connector_aws.sandbox.ploy.views import IntegrationView
from ploy_connector_aws.spec import Manifest

from .history import count_changes
from .rendering import connector_title, render_page
from .session import IntegrationVisit, IntegrationVisitor, SentForm, Visit, Visitor, go_to, value

router = APIRouter()

_SETTINGS_SHOWN = 3
_CHANGES_SHOWN = timedelta(days=7)

_SWITCHED = {
    "enabled": ("Switched on.", "Switched off: no runtime serves it."),
    "paused": ("Paused: no tests, syncs, grants or revokes.", "Resumed."),
    "read_only": ("Read-only: no grants or revokes.", "Changes are allowed again."),
}

_FLAGS = ("paused", "read_only")

_ORDERED: dict[str, wire.TaskKind] = {"check": "check", "sync": "sync"}
"""What this page orders; a change of access starts with a preview, on the account's page."""


class Summary(NamedTuple):
    """An integration in short."""

    row: IntegrationRow
    title: str
    generation: Generation | None
    held: Sync | None
    check: CheckRow | None
    failed_check: OrderedTask | None
    """The newest ordered test that could not run, where no later one did."""
    manual: int
    about: str
    """What distinguishes it from another of the same connector: its short texts among the settings, no secrets."""

    @property
    def is_check_outdated(self) -> bool:
        """Whether the newest test was of other settings than the current ones."""
        return self.check is not None and self.check.revision not in (None, self.row.revision)

    @property
    def synced_at(self) -> datetime | None:
        """When the newest sync became visible."""
        return self.generation.committed_at if self.generation else None


class Number(NamedTuple):
    """One number of the overview, and where its records are listed."""

    amount: int
    label: str
    path: str
    query: dict[str, str]
    tone: str


def summary_of(visit: Visit, row: IntegrationRow, view: IntegrationView) -> Summary:
    """Summarise an integration."""
    id_, manifest = row.integration.id, visit.manifest(row.integration.connector)
    generations, queue = view.generations(), visit.ploy.queue(id_)
    check, failed = visit.ploy.reports.newest(id_), queue.newest_failed("check")
    if check and failed and failed.ended_at and failed.ended_at < check.reported_at:
        failed = None
    return Summary(
        row,
        manifest.title if manifest else row.integration.connector,
        generations[-1] if generations else None,
        view.held(),
        check,
        failed,
        len(queue.manual()),
        _about(row, manifest),
    )


def numbers_of(visit: IntegrationVisit) -> list[Number]:
    """Return the numbers of an integration; nothing before its first sync."""
    generations = visit.view.generations()
    if not generations:
        return []
    labels, view = visit.labels, visit.view
    people = view.list_records("account", Search(kinds=("human",), limit=0))
    privileged = people.facets.verdicts.get("direct", 0) + people.facets.verdicts.get("through", 0)
    groups = view.list_records("entitlement", Search(kinds=("group",), limit=0)).total
    unproven = sum(generations[-1].answer.retained_unproven.values())
    place = labels.place_kind
    places = view.list_records("resource", Search(kinds=(place,), limit=0)).total if place else 0
    open_findings = visit.ploy.refresh_findings(visit.id).count_open(visit.id)
    findings, is_urgent = sum(open_findings.values()), bool(open_findings["critical"] or open_findings["high"])
    changes = count_changes(visit, visit.ploy.now - _CHANGES_SHOWN).total
    found: tuple[tuple[int, tuple[str, str], str, dict[str, str], str], ...] = (
        (people.total, labels.of_kind("account", "human"), "/accounts", {"kind": "human"}, ""),
        (
            privileged,
            ("privileged person", "privileged people"),
            "/accounts",
            {"kind": "human", "privileged": "yes"},
            "bad",
        ),
        (groups, labels.of_kind("entitlement", "group"), "/entitlements", {"kind": "group"}, ""),
        *([(places, labels.of_kind("resource", place), "/resources", {"kind": place}, "")] if place else []),
        (findings, ("open finding", "open findings"), "/findings", {}, "bad" if is_urgent else "warn"),
        (unproven, ("unproven record", "unproven records"), "/unproven", {}, "warn"),
        (changes, ("change in the last 7 days", "changes in the last 7 days"), "/history", {}, ""),
    )
    return [
        Number(amount, singular if amount == 1 else plural, path, query, tone if amount else "")
        for amount, (singular, plural), path, query, tone in found
    ]


def _about(row: IntegrationRow, manifest: Manifest | None) -> str:
    properties = manifest.config_schema.get("properties") if manifest else None
    if not isinstance(properties, Mapping):
        return ""
    shown = [
        str(row.integration.settings[name])
        for name, schema in properties.items()
        if name in row.integration.settings and name not in row.issued
        if isinstance(schema, Mapping) and schema.get("type") == "string"
        if not (holds_secret(schema) or is_multiline(schema))
    ]
    return " · ".join(shown[:_SETTINGS_SHOWN])


@router.get("/")
def show_integrations(visit: Visitor) -> Response:
    """Show all integrations, and the connectors that can be set up."""
    summaries = []
    for row in visit.ploy.registry.integrations():
        if row.integration.organisation == visit.organisation_id:
            with visit.ploy.view(row.integration.id) as view:
                summaries.append(summary_of(visit, row, view))
    return render_page(
        visit,
        "integrations.html",
        summaries=summaries,
        connectors=list(visit.ploy.reports.manifests(visit.organisation_id).values()),
        refused=visit.ploy.reports.refused(visit.organisation_id),
    )


@router.post("/setup/{connector}")
def begin_setup(visit: Visitor, connector: str) -> Response:
    """Begin the set-up of a connector."""
    return go_to(f"/integrations/{visit.ploy.verification.begin(visit.organisation_id, connector)}/setup")


@router.get("/integrations/{integration_id}")
def show_integration(visit: IntegrationVisitor) -> Response:
    """Show one integration."""
    summary = summary_of(visit, visit.row, visit.view)
    return render_page(visit, "integration.html", summary=summary, numbers=numbers_of(visit), tab="overview")


@router.post("/integrations/{integration_id}/switch")
def set_switch(visit: IntegrationVisitor, form: SentForm) -> Response:
    """Switch an integration on or off, or one of its flags."""
    registry = visit.ploy.registry
    switch, _, to = value(form, "switch").partition(":")
    if (switch not in _FLAGS and switch != "enabled") or to not in ("on", "off"):
        raise HTTPException(400, "There is no such switch.")
    is_on, blocked = to == "on", _blocked(visit, visit.row)
    with visit.ploy.changing_setup(visit.id, **({} if visit.row.is_draft else visit.decision(form))):
        if switch in _FLAGS:
            registry.set_flags(visit.id, **{switch: is_on})
        else:
            if is_on:
                visit.ploy.verification.require(visit.row)
            registry.enable(visit.id, is_on)
    visit.flash(_SWITCHED[switch][0 if is_on else 1])
    released = blocked - _blocked(visit, registry.integration(visit.id))
    if released:
        visit.flash(f"{len(released)} waiting {'task' if len(released) == 1 else 'tasks'} can start now.")
    return go_to(visit.path)


@router.get("/integrations/{integration_id}/remove")
def confirm_removal(visit: IntegrationVisitor) -> Response:
    """Show what the removal of an integration means, and ask for its name."""
    return render_page(
        visit,
        "remove.html",
        tab="overview",
        syncs=len(visit.view.syncs()),
        tasks=len(visit.queue.tasks()),
        unfinished=sum(task.state in ("queued", "leased") for task in visit.queue.tasks()),
        manual=len(visit.queue.manual()),
        held=visit.view.held(),
    )


@router.post("/integrations/{integration_id}/remove")
def remove(visit: IntegrationVisitor, form: SentForm) -> Response:
    """Remove an integration. One that was in use needs its name, typed."""
    name, typed = connector_title(visit), value(form, "name")
    if typed and typed.casefold() != name.casefold():
        raise HTTPException(422, f"This is not its name: nothing was removed. Its name is {name}.")
    visit.ploy.remove(visit.id, only_draft=not typed)
    visit.flash(
        f"Removed {name}, with everything that was stored for it."
        if typed
        else "Removed the set-up and the values that were generated for it."
    )
    return go_to("/")


@router.post("/integrations/{integration_id}/order")
def order(visit: IntegrationVisitor, form: SentForm) -> Response:
    """Order a connection test or a sync."""
    kind = _ORDERED.get(value(form, "kind"))
    if kind is None:
        raise HTTPException(400, "This page orders connection tests and syncs only.")
    require_unblocked(visit.row, kind)
    task = visit.ploy.create_task(visit.id, kind)
    return go_to(f"{visit.path}/tasks/{task.id}")


def _blocked(visit: IntegrationVisit, row: IntegrationRow) -> set[str]:
    """Return the ids of the queued tasks that are blocked."""
    queued = (task for task in visit.queue.tasks() if task.state == "queued")
    return {task.id for task in queued if find_blocker(row, task.kind, task.preview)}
