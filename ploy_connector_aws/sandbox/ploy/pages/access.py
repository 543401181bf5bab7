"""Granting and revoking: first a preview, which a connector makes, and then the order itself."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.preconditions import require_way
from ploy_connector_aws.sandbox.ploy.views import name_of

from .person import why_given_nothing
from .rendering import render_page, url_of
from .session import Offset, SentForm, Visitor, first, go_to
from .tasks import check_values

router = APIRouter()

_SHOWN = 25


@router.get("/integrations/{integration_id}/grant")
def choose_entitlement(visit: Visitor, integration_id: str, account: str, q: str = "", offset: Offset = 0) -> Response:
    """Let somebody choose what an account is to be granted."""
    enabled, q = visit.integration(integration_id), q.strip()[:200]
    browser = visit.ploy.browser(integration_id)
    ways = browser.ways_of(account)
    if ways is None:
        raise HTTPException(404, "There is no such account in the newest sync.")
    found = ways.account
    listing = browser.list_records("entitlement", text=q, offset=offset, limit=_SHOWN, only_grantable=True)
    return render_page(
        visit,
        "grant.html",
        enabled=enabled,
        tab="accounts",
        account=found,
        name=name_of(found.content, found.id),
        ungranted=why_given_nothing(found.content),
        held={way.entitlement_ids[0] for way in ways.ways},
        rows=listing.rows,
        total=listing.total,
        offset=offset,
        size=_SHOWN,
        q=q,
    )


@router.post("/integrations/{integration_id}/preview")
def order_preview(visit: Visitor, integration_id: str, form: SentForm) -> Response:
    """Order a preview of a grant or a revoke."""
    enabled, kind = visit.integration(integration_id), _kind(first(form, "kind"))
    require_way(enabled, kind, preview=True)
    if not first(form, "entitlement"):
        raise HTTPException(422, "Choose what is to be granted.")
    account = visit.ploy.browser(integration_id).record("account", first(form, "account"))
    content = account.content if account else {}
    why_not = why_given_nothing(content) if kind == "grant" else content.get("not_grantable_reason")
    if why_not:
        raise HTTPException(409, why_not)
    task = visit.ploy.create_task(
        integration_id,
        kind,
        account_id=first(form, "account"),
        entitlement_id=first(form, "entitlement"),
        reason=first(form, "reason")[:1000] or None,
        preview=True,
    )
    return go_to(f"/integrations/{integration_id}/access/{task.id}")


@router.get("/integrations/{integration_id}/access/{task_id}")
def show_change(visit: Visitor, integration_id: str, task_id: str) -> Response:
    """Show what a grant or revoke would do, as soon as a connector has found out."""
    enabled = visit.integration(integration_id)
    values = check_values(visit, integration_id, task_id)
    task = values["task"]
    if task.kind not in ("grant", "revoke"):
        raise HTTPException(404, "This task changes no access.")
    back = url_of(f"/integrations/{integration_id}/account", id=task.account_id)
    return render_page(visit, "access.html", enabled=enabled, tab="accounts", back=back, **values)


@router.post("/integrations/{integration_id}/access/{task_id}")
def order_change(visit: Visitor, integration_id: str, task_id: str, form: SentForm) -> Response:
    """Order what was previewed; sent twice, it is one order."""
    enabled = visit.integration(integration_id)
    require_way(enabled, visit.ploy.task(integration_id, task_id).kind)
    task = visit.ploy.order_previewed(integration_id, task_id, first(form, "reason")[:1000] or None)
    return go_to(f"/integrations/{integration_id}/access/{task.id}")


def _kind(said: str) -> wire.TaskKind:
    if said == "grant":
        return "grant"
    if said == "revoke":
        return "revoke"
    raise HTTPException(400, "It is either a grant or a revoke.")
