"""Lists of accounts, entitlements and resources, searched and sorted page by page; and one entitlement's holders."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.graph.search import SORTED, Search
from ploy_connector_aws.sandbox.ploy.views import name_of
from ploy_connector_aws.spec.records import RecordType

from .rendering import render_page
from .session import IntegrationVisitor, Offset

router = APIRouter()

PAGE = 50

_TYPES: dict[str, RecordType] = {"accounts": "account", "entitlements": "entitlement", "resources": "resource"}

_COLUMNS = {
    "accounts": (
        *(("name", "Name"), ("kind", "Kind"), ("status", "Status"), ("privileged", "Privileged"), (None, "E-mail")),
    ),
    "entitlements": (
        *(("name", "Name"), ("kind", "Kind"), ("privileged", "Privileged"), ("grantable", "Can be granted")),
    ),
    "resources": (("name", "Name"), ("kind", "Kind"), ("region", "Region"), ("owner", "Owner")),
}
"""The columns of each list: the sort key and the heading."""


@router.get("/integrations/{integration_id}/entitlement")
def show_entitlement(
    visit: IntegrationVisitor,
    id: str,  # noqa: A002 - as the address has it
    offset: Offset = 0,
) -> Response:
    """Show an entitlement, with a page of its holders."""
    found = visit.view.record("entitlement", id)
    if found is None:
        raise HTTPException(404, "There is no such entitlement in the newest sync.")
    resource_id = found.content.get("resource_id")
    resource = visit.view.record("resource", resource_id) if resource_id else None
    holders = visit.view.holders_of(id, offset=offset, limit=PAGE)
    return render_page(
        visit,
        "entitlement.html",
        tab="entitlements",
        entitlement=found,
        name=name_of(found.content, found.id),
        resource=name_of(resource.content if resource else {}, resource_id) if resource_id else None,
        holders=holders.rows,
        total=holders.total,
        offset=offset,
        size=PAGE,
    )


@router.get("/integrations/{integration_id}/{what}")
def show_records(
    visit: IntegrationVisitor, what: str, q: str = "", sort: str = "name", down: bool = False, offset: Offset = 0
) -> Response:
    """Show a list."""
    if what not in _TYPES:
        raise HTTPException(404, "There is no such page.")
    sort, q = sort if sort in SORTED else "name", q.strip()[:200]
    listing = visit.view.list_records(_TYPES[what], Search(q, sort, down, offset, PAGE))
    return render_page(
        visit,
        "records.html",
        tab=what,
        what=what,
        columns=_COLUMNS[what],
        rows=listing.rows,
        total=listing.total,
        offset=offset,
        size=PAGE,
        q=q,
        sort=sort,
        down=down,
    )
