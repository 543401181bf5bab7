"""Accounts, entitlements and resources of an integration: searched, sorted, a page at a time."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.graph.search import SORTED
from ploy_connector_aws.spec.records import RecordType

from .rendering import render_page
from .session import Offset, Visitor

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
"""The columns of each list: by what they are sorted, and what stands above them."""


@router.get("/integrations/{integration_id}/{what}")
def show_records(
    visit: Visitor,
    integration_id: str,
    what: str,
    q: str = "",
    sort: str = "name",
    down: bool = False,
    offset: Offset = 0,
) -> Response:
    """Show a list."""
    enabled = visit.integration(integration_id)
    if what not in _TYPES:
        raise HTTPException(404, "There is no such page.")
    sort, q = sort if sort in SORTED else "name", q.strip()[:200]
    listing = visit.ploy.browser(integration_id).list_records(
        _TYPES[what], text=q, sort=sort, is_descending=down, offset=offset, limit=PAGE
    )
    return render_page(
        visit,
        "records.html",
        enabled=enabled,
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
