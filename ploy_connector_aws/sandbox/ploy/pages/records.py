"""Lists of accounts, entitlements and resources: filtered, sorted, counted by facets, paged, and as files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.graph.people import PeopleCount
from ploy_connector_aws.graph.privilege import Named
from ploy_connector_aws.spec.records import RecordType

from .downloads import format_of, to_download, to_row
from .filters import Filters, FiltersInAddress, to_facets
from .rendering import render_page
from .session import IntegrationVisit, IntegrationVisitor

router = APIRouter()

PAGE = 50

TYPES: dict[str, RecordType] = {"accounts": "account", "entitlements": "entitlement", "resources": "resource"}
"""The type of the records of each list, by its name in addresses."""

_COLUMNS: dict[str, tuple[tuple[str | None, str], ...]] = {
    "accounts": (
        *(("name", "Name"), ("kind", "Kind"), ("status", "Status"), ("privileged", "Privileged"), (None, "E-mail")),
    ),
    "entitlements": (
        *(("name", "Name"), ("kind", "Kind"), ("privileged", "Privileged"), ("grantable", "Can be granted")),
    ),
    "places": (("name", "Name"), (None, "People"), ("owner", "Owner")),
    "resources": (("name", "Name"), ("kind", "Kind"), ("region", "Region"), ("owner", "Owner")),
}
"""The columns of each list: the sort key and the heading."""


@router.get("/integrations/{integration_id}/{what}/download/{chosen}")
def download_records(visit: IntegrationVisitor, what: str, chosen: str, filters: FiltersInAddress) -> Response:
    """Return a whole list as a file, with the same filters as on its page."""
    if what not in TYPES:
        raise HTTPException(404, "There is no such file.")
    return to_download(_rows(visit, TYPES[what], filters), what, format_of(chosen))


@router.get("/integrations/{integration_id}/{what}")
def show_records(visit: IntegrationVisitor, what: str, filters: FiltersInAddress) -> Response:
    """Show a list."""
    if what not in TYPES:
        raise HTTPException(404, "There is no such page.")
    of, labels = TYPES[what], visit.labels
    listing = visit.view.list_records(of, filters.search(PAGE))
    is_places = _is_places(visit, of, filters)
    with visit.view.graph() as graph:
        people = graph.count_people(row.id for row in listing.rows) if graph and is_places else {}
    return render_page(
        visit,
        "records.html",
        tab="places" if is_places else what,
        what=what,
        of=of,
        columns=_COLUMNS["places" if is_places else what],
        rows=listing.rows,
        people={id_: count.describe(labels) for id_, count in people.items()},
        total=listing.total,
        facets=[] if is_places else to_facets(of, listing.facets, filters, labels),
        within=_name(visit, "resource", filters.place),
        holding=_name(visit, "entitlement", filters.holds),
        size=PAGE,
        filters=filters,
    )


def _is_places(visit: IntegrationVisit, of: RecordType, filters: Filters) -> bool:
    return of == "resource" and filters.kind == visit.labels.place_kind


def _name(visit: IntegrationVisit, of: RecordType, id_: str) -> Named | None:
    """Name the record that a filter is about; None where there is no filter."""
    with visit.view.graph() as graph:
        found = graph.named(of, [id_]) if id_ and graph else {}
    return found.get(id_) or (Named(of, id_, id_, "unknown") if id_ else None)


def _rows(visit: IntegrationVisit, of: RecordType, filters: Filters) -> Iterator[dict[str, Any]]:
    # With a view of its own, as the one of the visit ends before the response is sent.
    with visit.ploy.view(visit.id) as view, view.graph() as graph:
        if graph is not None:
            search, people = filters.search(-1), dict[str, PeopleCount]()
            if _is_places(visit, of, filters):
                people = graph.count_people([record.id for record in graph.stream_records(of, search)])
            for record in graph.stream_records(of, search):
                count = people.get(record.id)
                counted = {"people": count.total, "privileged_people": count.privileged} if count else {}
                yield {**to_row(of, record, visit.labels), **counted}
