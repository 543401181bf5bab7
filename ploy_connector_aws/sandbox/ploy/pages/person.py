"""One account: who it is, and by which ways it holds what; drawn, and as a list that says the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.paths import Path as Way
from ploy_connector_aws.sandbox.ploy.views import Ways, name_of

from .drawing import draw
from .rendering import render_page
from .session import Offset, Visitor

router = APIRouter()

_SHOWN = 200
_DEEPEST = 12
"""So many levels of a list a person can read."""


class Held(NamedTuple):
    """One entitlement on a way, what it opens, and what is held through it."""

    id: str
    name: str
    kind: str
    content: dict[str, Any]
    resource_id: str | None
    resource: str | None
    is_unproven: bool
    through: str | None
    """The name of what it is held through; None where it is held directly."""
    below: list[Held]


@router.get("/integrations/{integration_id}/account")
def show_account(
    visit: Visitor,
    integration_id: str,
    id: str,  # noqa: A002 - as the address has it
    through: str = "",
    to: str = "",
    offset: Offset = 0,
) -> Response:
    """Show an account: all its ways, or only those through one entitlement or to one resource."""
    enabled = visit.integration(integration_id)
    every = visit.ploy.browser(integration_id).ways_of(id)
    if every is None:
        raise HTTPException(404, "There is no such account in the newest sync.")
    ways = every.narrowed(through=through, to=to) if through or to else every
    return render_page(
        visit,
        "person.html",
        enabled=enabled,
        tab="accounts",
        account=every.account,
        name=name_of(every.account.content, every.account.id),
        home=name_of(every.resources.get(every.home, {}), every.home) if every.home else None,
        fixed=every.account.content.get("not_grantable_reason"),
        ungranted=why_given_nothing(every.account.content),
        through=name_of(every.entitlements.get(through, {}), through),
        to=name_of(every.resources.get(to, {}), to),
        narrowed={"through": through, "to": to},
        tree=to_tree(ways, ways.ways[offset : offset + _SHOWN]),
        offset=offset,
        size=_SHOWN,
        total=len(ways.ways),
        has_more=every.has_more,
        most=MOST_CHAINS,
        drawing=draw(ways),
    )


def why_given_nothing(account: dict[str, Any]) -> str | None:
    """Say why nothing can be granted to an account; None where something may be."""
    reason: str | None = account.get("not_grantable_reason")
    if reason is None and account.get("status") == "disabled":
        return "The account is disabled. What it holds can be revoked, and nothing is granted to it."
    return reason


def to_tree(ways: Ways, shown: Iterable[Way]) -> list[Held]:
    """Some of the ways of an account, those with a common beginning under each other.

    What is deeper than a page can show stands beside what it hangs on, which it names.
    """
    unproven = {way.entitlement_ids: way.is_unproven for way in ways.ways}
    top: list[Held] = []
    known: dict[tuple[str, ...], list[Held]] = {(): top}
    for way in shown:
        ids, missing = way.entitlement_ids, []
        while ids not in known:
            missing.append(ids)
            ids = ids[:-1]
        for ids in reversed(missing):
            held = _held(ids, ways, is_unproven=unproven.get(ids, way.is_unproven))
            known[ids[: min(len(ids), _DEEPEST) - 1]].append(held)
            known[ids] = held.below
    return top


def _held(ids: tuple[str, ...], ways: Ways, *, is_unproven: bool) -> Held:
    content = ways.entitlements.get(ids[-1], {})
    resource_id = content.get("resource_id")
    above = ids[-2] if len(ids) > 1 else None
    return Held(
        id=ids[-1],
        name=name_of(content, ids[-1]),
        kind=str(content.get("kind", "entitlement")),
        content=content,
        resource_id=resource_id,
        resource=name_of(ways.resources.get(resource_id, {}), resource_id) if resource_id else None,
        is_unproven=is_unproven,
        through=name_of(ways.entitlements.get(above, {}), above) if above else None,
        below=[],
    )
