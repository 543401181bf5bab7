"""One account: who it is, and by which ways it holds what; drawn, and as a list that says the same."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.browsing import Ways, name_of

from .drawing import draw
from .rendering import render_page
from .visits import Visitor

router = APIRouter()


class Held(NamedTuple):
    """One entitlement on a way, what it opens, and what is held through it."""

    id: str
    name: str
    kind: str
    content: dict[str, Any]
    resource: str | None
    is_unproven: bool
    is_direct: bool
    below: list[Held]


@router.get("/integrations/{integration_id}/account")
def show_account(visit: Visitor, integration_id: str, id: str) -> Response:  # noqa: A002 - as the address has it
    """Show an account."""
    enabled = visit.integration(integration_id)
    ways = visit.ploy.browser(integration_id).ways_of(id)
    if ways is None:
        raise HTTPException(404, "There is no such account in the newest sync.")
    return render_page(
        visit,
        "person.html",
        enabled=enabled,
        tab="accounts",
        account=ways.account,
        name=name_of(ways.account.content, ways.account.id),
        tree=to_tree(ways),
        has_more=ways.has_more,
        drawing=draw(ways),
    )


def to_tree(ways: Ways) -> list[Held]:
    """The ways of an account, those with a common beginning under each other."""
    top: list[Held] = []
    known: dict[tuple[str, ...], list[Held]] = {(): top}
    for way in ways.ways:
        id_ = way.entitlement_ids[-1]
        content = ways.entitlements.get(id_, {})
        resource_id = content.get("resource_id")
        resource = name_of(ways.resources.get(resource_id, {}), resource_id) if resource_id else None
        held = Held(
            *(id_, name_of(content, id_), str(content.get("kind", "entitlement")), content, resource),
            *(way.is_unproven, len(way.entitlement_ids) == 1, []),
        )
        known[way.entitlement_ids[:-1]].append(held)
        known[way.entitlement_ids] = held.below
    return top
