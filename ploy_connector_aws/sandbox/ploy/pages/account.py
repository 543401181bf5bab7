"""One account: its access as a diagram and a list; grants and revokes, which start with a preview by a connector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.graph.chains import MOST_CHAINS
from ploy_connector_aws.graph.effects import why_not_grantable
from ploy_connector_aws.graph.paths import Path as AccessPath
from ploy_connector_aws.graph.privilege import Named, Place
from ploy_connector_aws.graph.search import FoundRecord, Search
from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.record_names import name_of
from ploy_connector_aws.sandbox.ploy.verification import require_unblocked
from ploy_connector_aws.sandbox.ploy.views import AccountAccess

from .diagram import draw
from .rendering import render_page, url_of
from .session import IntegrationVisit, IntegrationVisitor, Offset, SentForm, go_to, value
from .targets import describe_opened, limited_policies
from .tasks import task_values

router = APIRouter()

_PATHS_SHOWN = 200
_ENTITLEMENTS_SHOWN = 25
_DEEPEST = 12
"""How many levels of a list stay readable."""


class HeldEntitlement(NamedTuple):
    """One entitlement on a path, the resource that it opens, and the entitlements that are held through it."""

    id: str
    name: str
    kind: str
    content: dict[str, Any]
    resource_id: str | None
    resource: str | None
    is_unproven: bool
    through: str | None
    """The name of the entitlement through which it is held; None where it is held directly."""
    below: list[HeldEntitlement]


@router.get("/integrations/{integration_id}/account")
def show_account(
    visit: IntegrationVisitor,
    id: str,  # noqa: A002 - as the address has it
    through: str = "",
    to: str = "",
    offset: Offset = 0,
) -> Response:
    """Show an account with all its access paths, or only those through one entitlement or to one resource."""
    every = visit.view.access_of(id)
    if every is None:
        raise HTTPException(404, "There is no such account in the newest sync.")
    access = every.narrowed(through=through, to=to) if through or to else every
    with visit.view.graph() as graph:
        assert graph is not None
        found, opened = graph.record("account", id), graph.opens("account", id)
        assert found is not None
    return render_page(
        visit,
        "account.html",
        tab="accounts",
        account=every.account,
        name=name_of(every.account.content, every.account.id),
        found=found,
        opened_summary=describe_opened(opened, visit.labels, "has"),
        limited=limited_policies(found, opened),
        fixed=every.account.content.get("not_grantable_reason"),
        not_grantable=why_not_grantable(every.account.content),
        through=name_of(every.entitlements.get(through, {}), through),
        to=name_of(every.resources.get(to, {}), to),
        narrowed={"through": through, "to": to},
        tree=to_tree(access, access.paths[offset : offset + _PATHS_SHOWN]),
        offset=offset,
        size=_PATHS_SHOWN,
        total=len(access.paths),
        has_more=every.has_more,
        most=MOST_CHAINS,
        diagram=draw(access, visit.labels),
    )


def to_tree(access: AccountAccess, shown: Iterable[AccessPath]) -> list[HeldEntitlement]:
    """Return some paths of an account as a tree, in which paths with a common beginning share it.

    An entitlement deeper than a page can show stands beside the one through which it is held, and names it.
    """
    unproven = {path.entitlement_ids: path.is_unproven for path in access.paths}
    top: list[HeldEntitlement] = []
    known: dict[tuple[str, ...], list[HeldEntitlement]] = {(): top}
    for path in shown:
        ids, missing = path.entitlement_ids, []
        while ids not in known:
            missing.append(ids)
            ids = ids[:-1]
        for ids in reversed(missing):
            held = _held(ids, access, is_unproven=unproven.get(ids, path.is_unproven))
            known[ids[: min(len(ids), _DEEPEST) - 1]].append(held)
            known[ids] = held.below
    return top


def _held(ids: tuple[str, ...], access: AccountAccess, *, is_unproven: bool) -> HeldEntitlement:
    content = access.entitlements.get(ids[-1], {})
    resource_id = content.get("resource_id")
    above = ids[-2] if len(ids) > 1 else None
    resource = name_of(access.resources.get(resource_id, {}), resource_id) if resource_id else None
    place = Place(resource_id, resource, "") if resource_id and resource else None
    return HeldEntitlement(
        id=ids[-1],
        name=Named("entitlement", ids[-1], name_of(content, ids[-1]), "", place).own_name,
        kind=str(content.get("kind", "entitlement")),
        content=content,
        resource_id=resource_id,
        resource=resource,
        is_unproven=is_unproven,
        through=name_of(access.entitlements.get(above, {}), above) if above else None,
        below=[],
    )


@router.get("/integrations/{integration_id}/grant")
def choose_entitlement(visit: IntegrationVisitor, account: str, q: str = "", offset: Offset = 0) -> Response:
    """Show the entitlements that an account can be granted."""
    q, access = q.strip()[:200], visit.view.access_of(account)
    if access is None:
        raise HTTPException(404, "There is no such account in the newest sync.")
    found = access.account
    search = Search(q, offset=offset, limit=_ENTITLEMENTS_SHOWN, only_grantable=True)
    listing = visit.view.list_records("entitlement", search)
    return render_page(
        visit,
        "grant.html",
        tab="accounts",
        account=found,
        name=name_of(found.content, found.id),
        not_grantable=why_not_grantable(found.content),
        held={path.entitlement_ids[0] for path in access.paths},
        rows=listing.rows,
        total=listing.total,
        offset=offset,
        size=_ENTITLEMENTS_SHOWN,
        q=q,
    )


@router.get("/integrations/{integration_id}/grant-to")
def choose_account(visit: IntegrationVisitor, entitlement: str, q: str = "", offset: Offset = 0) -> Response:
    """Show the accounts that an entitlement can be granted to."""
    q = q.strip()[:200]
    with visit.view.graph() as graph:
        found = graph.record("entitlement", entitlement) if graph else None
        if graph is None or found is None:
            raise HTTPException(404, "There is no such entitlement in the newest sync.")
        listing = graph.list_records("account", Search(q, offset=offset, limit=_ENTITLEMENTS_SHOWN))
    return render_page(
        visit,
        "grant_to.html",
        tab="entitlements",
        found=found,
        rows=[(row, _why_not(visit, row, entitlement)) for row in listing.rows],
        total=listing.total,
        offset=offset,
        size=_ENTITLEMENTS_SHOWN,
        q=q,
    )


def _why_not(visit: IntegrationVisit, row: FoundRecord, entitlement_id: str) -> str | None:
    """Return in short why an account cannot be given an entitlement; None where it can."""
    if visit.view.holds_directly(row.id, entitlement_id):
        return "has it already"
    if row.content.get("status") == "disabled":
        return "disabled"
    return "cannot be given anything" if row.content.get("not_grantable_reason") else None


@router.post("/integrations/{integration_id}/preview")
def order_preview(visit: IntegrationVisitor, form: SentForm) -> Response:
    """Order the preview of a grant or a revoke."""
    kind = _kind(value(form, "kind"))
    require_unblocked(visit.row, kind, preview=True)
    if not value(form, "entitlement"):
        raise HTTPException(422, "Choose what to grant.")
    if not value(form, "account"):
        raise HTTPException(422, "Choose who to grant it to.")
    account = visit.view.record("account", value(form, "account"))
    content = account.content if account else {}
    reason = why_not_grantable(content) if kind == "grant" else content.get("not_grantable_reason")
    if reason:
        raise HTTPException(409, reason)
    task = visit.ploy.create_task(
        visit.id,
        kind,
        account_id=value(form, "account"),
        entitlement_id=value(form, "entitlement"),
        preview=True,
    )
    return go_to(f"{visit.path}/access/{task.id}")


@router.get("/integrations/{integration_id}/access/{task_id}")
def show_change(visit: IntegrationVisitor, task_id: str) -> Response:
    """Show what a grant or revoke changes, or would change, as soon as a connector has reported it."""
    values = task_values(visit, task_id)
    task = values["task"]
    if task.kind not in ("grant", "revoke"):
        raise HTTPException(404, "This task changes no access.")
    back = url_of(f"{visit.path}/account", id=task.account_id)
    return render_page(visit, "access.html", tab="accounts", back=back, **values)


@router.post("/integrations/{integration_id}/access/{task_id}")
def order_change(visit: IntegrationVisitor, task_id: str, form: SentForm) -> Response:
    """Order what was previewed. A repeated form orders nothing more."""
    decision = visit.decision(form)
    require_unblocked(visit.row, visit.queue.task(task_id).kind)
    task = visit.queue.order_previewed(task_id, requested_by=decision["name"], reason=decision["reason"])
    return go_to(f"{visit.path}/access/{task.id}")


def _kind(kind: str) -> wire.TaskKind:
    if kind == "grant":
        return "grant"
    if kind == "revoke":
        return "revoke"
    raise HTTPException(400, "Only grants and revokes have a preview.")
