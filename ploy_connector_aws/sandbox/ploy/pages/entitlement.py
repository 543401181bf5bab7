"""One entitlement: what it opens, whether it can be granted, and who holds it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.views import name_of

from .rendering import render_page
from .session import Offset, Visitor

router = APIRouter()

_SHOWN = 50


@router.get("/integrations/{integration_id}/entitlement")
def show_entitlement(
    visit: Visitor,
    integration_id: str,
    id: str,  # noqa: A002 - as the address has it
    offset: Offset = 0,
) -> Response:
    """Show an entitlement, with a page of its holders."""
    enabled = visit.integration(integration_id)
    browser = visit.ploy.browser(integration_id)
    found = browser.record("entitlement", id)
    if found is None:
        raise HTTPException(404, "There is no such entitlement in the newest sync.")
    resource_id = found.content.get("resource_id")
    resource = browser.record("resource", resource_id) if resource_id else None
    holders = browser.holders_of(id, offset=offset, limit=_SHOWN)
    return render_page(
        visit,
        "entitlement.html",
        enabled=enabled,
        tab="entitlements",
        entitlement=found,
        name=name_of(found.content, found.id),
        resource=name_of(resource.content if resource else {}, resource_id) if resource_id else None,
        holders=holders.rows,
        total=holders.total,
        offset=offset,
        size=_SHOWN,
    )
