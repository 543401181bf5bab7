"""One entitlement or resource: what it opens, who reaches it and by which paths, with grants and revokes in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.privilege import Named, Verdict
from ploy_connector_aws.graph.reach import ALL_PATHS, MOST_MENTIONS, Opened, Reach, ReachListing, describe_mentions
from ploy_connector_aws.graph.search import Facets, FoundRecord, Search
from ploy_connector_aws.graph.targets import Target
from ploy_connector_aws.spec import Labels
from ploy_connector_aws.spec.records import RecordType

from .diagram import draw, draw_reach
from .downloads import format_of, to_download, to_reach_row, to_row
from .filters import Filters, FiltersInAddress, to_facets
from .rendering import render_page
from .session import IntegrationVisit, IntegrationVisitor, Offset

router = APIRouter()

_SHOWN = 50
_OPENED_SHOWN = 50
_EXPORTED_AT_ONCE = 5_000
_PRIVILEGED: dict[str, tuple[bool | None, ...]] = {"yes": (True,), "no": (False,), "unknown": (None,)}
"""By the filter 'privileged': whether access at the target is privileged."""
_INSIDE: tuple[RecordType, ...] = ("account", "entitlement", "resource")


def describe_opened(opened: Opened, labels: Labels, verb: str = "opens") -> str:
    """Return what a record opens in one sentence, with counts, e.g. 'opens 7 roles in 6 accounts, 2 privileged'."""
    if not opened.total:
        return f"{verb} nothing known"
    parts = [labels.count("entitlement", kind, amount) for kind, amount in opened.kinds.items()]
    places = opened.resources.get(labels.place_kind or "", 0)
    where = f" in {labels.count('resource', labels.place_kind, places)}" if places and labels.place_kind else ""
    privileged = f", {opened.privileged:,} privileged" if opened.privileged else ""
    return f"{verb} {', '.join(parts)}{where}{privileged}"


def limited_policies(found: FoundRecord, opened: Opened) -> list[Named]:
    """Return the privileged policies that a record holds and that do not make it privileged, as limits apply to it."""
    if found.content.get("privileged") is not False:
        return []
    held = (each.entitlement for each in opened.rows if each.distance == 1)
    return [each.named for each in held if each.named and each.named.kind == "policy" and each.privilege.is_privileged]


def describe_reach(listing: ReachListing, labels: Labels) -> str:
    """Return who reaches a target in one sentence, with counts, people first."""
    if not listing.total:
        return "is reached by no known person or machine"
    order = sorted(listing.kinds.items(), key=lambda each: (each[0] != "human", -each[1], each[0]))
    parts = [labels.count("account", kind, amount) for kind, amount in order]
    privileged = f", {listing.privileged:,} privileged" if listing.privileged else ""
    privileged += f", {listing.not_judged:,} not evaluated" if listing.not_judged else ""
    disabled = f", {listing.statuses['disabled']:,} disabled" if listing.statuses.get("disabled") else ""
    return f"is reached by {', '.join(parts)}{privileged}{disabled}"


@router.get("/integrations/{integration_id}/entitlement")
def show_entitlement(
    visit: IntegrationVisitor,
    id: str,  # noqa: A002 - as the address has it
    filters: FiltersInAddress,
    opened_offset: Offset = 0,
    to: str = "",
    through: str = "",
) -> Response:
    """Show an entitlement: what it opens, and who has it."""
    found = _find(visit, "entitlement", id)
    with visit.view.graph() as graph:
        assert graph is not None
        opened = graph.opens("entitlement", id, offset=opened_offset, limit=_OPENED_SHOWN)
    access = visit.view.access_of(id, "entitlement")
    assert access is not None
    narrowed = access.narrowed(through=through, to=to) if through or to else access
    return render_page(
        visit,
        "entitlement.html",
        tab="entitlements",
        found=found,
        opened=opened,
        opened_summary=describe_opened(opened, visit.labels),
        limited=limited_policies(found, opened),
        opened_offset=opened_offset,
        opened_size=_OPENED_SHOWN,
        opens_diagram=draw(narrowed, visit.labels),
        narrowed={"through": through, "to": to},
        has_more=access.has_more,
        most=MOST_CHAINS,
        **_reach_values(visit, Target("entitlement", id), found, filters),
    )


@router.get("/integrations/{integration_id}/resource")
def show_resource(
    visit: IntegrationVisitor,
    id: str,  # noqa: A002 - as the address has it
    filters: FiltersInAddress,
) -> Response:
    """Show a resource, such as a place: who reaches it."""
    found = _find(visit, "resource", id)
    is_place = found.named is not None and found.named.kind == visit.labels.place_kind
    return render_page(
        visit,
        "resource.html",
        tab="places" if is_place else "resources",
        found=found,
        inside={of: visit.view.list_records(of, Search(place=id, limit=0)).total for of in _INSIDE},
        **_reach_values(visit, Target("resource", id), found, filters),
    )


@router.get("/integrations/{integration_id}/entitlement/opens/{chosen}")
def download_opened(
    visit: IntegrationVisitor,
    chosen: str,
    id: str,  # noqa: A002 - as the address has it
) -> Response:
    """Return what an entitlement opens as a file."""
    return to_download(_opened_rows(visit, id), "what-it-opens", format_of(chosen))


@router.get("/integrations/{integration_id}/{of}/reach/{chosen}")
def download_reach(
    visit: IntegrationVisitor,
    of: str,
    chosen: str,
    id: str,  # noqa: A002 - as the address has it
    filters: FiltersInAddress,
) -> Response:
    """Return who reaches an entitlement or a resource as a file, with the same filters as on its page."""
    if of not in ("entitlement", "resource"):
        raise HTTPException(404, "There is no such file.")
    type_: Literal["entitlement", "resource"] = "entitlement" if of == "entitlement" else "resource"
    return to_download(_rows(visit, Target(type_, id), filters), f"who-reaches-{of}", format_of(chosen))


def _find(visit: IntegrationVisit, of: RecordType, id_: str) -> FoundRecord:
    with visit.view.graph() as graph:
        found = graph.record(of, id_) if graph else None
    if found is None:
        raise HTTPException(404, f"There is no such {of} in the newest sync.")
    return found


def _to_reach(filters: Filters, limit: int) -> Reach:
    return Reach(
        text=filters.q,
        kinds=(filters.kind,) if filters.kind else (),
        statuses=(filters.status,) if filters.status else (),
        privileged=_PRIVILEGED.get(filters.privileged, ()),
        offset=filters.offset,
        limit=limit,
    )


def _reach_values(visit: IntegrationVisit, target: Target, found: FoundRecord, filters: Filters) -> dict[str, Any]:
    """Return the variables of the part of a page that lists who reaches a target."""
    with visit.view.graph() as graph:
        assert graph is not None
        listing = everyone = graph.who(target, _to_reach(filters, _SHOWN))
        if filters.query:
            everyone = graph.who(target, Reach(limit=0))
    verdicts: dict[Verdict, int] = {
        "direct": listing.privileged,
        "no": listing.harmless,
        "not_judged": listing.not_judged,
    }
    counted = Facets(listing.kinds, listing.statuses, verdicts)
    return {
        "target": target,
        "listing": listing,
        "everyone": everyone,
        "facets": to_facets("account", counted, filters, visit.labels),
        "reach_summary": describe_reach(everyone, visit.labels),
        "mentions_summary": describe_mentions(visit.labels, everyone.mentions) if everyone.mentions else "",
        "most_mentions": MOST_MENTIONS,
        "reach_diagram": draw_reach(target, found, listing, visit.labels),
        "filters": filters,
        "size": _SHOWN,
    }


def _opened_rows(visit: IntegrationVisit, id_: str) -> Iterator[dict[str, Any]]:
    with visit.ploy.view(visit.id) as view, view.graph() as graph:
        offset, total = 0, 1
        while graph is not None and offset < total:
            opened = graph.opens("entitlement", id_, offset=offset, limit=_EXPORTED_AT_ONCE)
            for each in opened.rows:
                row = to_row("entitlement", each.entitlement, visit.labels)
                yield {**row, "distance": each.distance, "unproven": each.is_unproven}
            offset, total = offset + _EXPORTED_AT_ONCE, opened.total


def _rows(visit: IntegrationVisit, target: Target, filters: Filters) -> Iterator[dict[str, Any]]:
    # With a view of its own, as the one of the visit ends before the response is sent.
    with visit.ploy.view(visit.id) as view, view.graph() as graph:
        offset, total = 0, 1
        while graph is not None and offset < total:
            reach = _to_reach(filters, _EXPORTED_AT_ONCE)._replace(offset=offset, most_paths=ALL_PATHS)
            listing = graph.who(target, reach)
            yield from (to_reach_row(each, visit.labels) for each in listing.rows)
            offset, total = offset + _EXPORTED_AT_ONCE, listing.total
