"""The integrations page: what an organisation sees of its integrations, and does with them. Rendered on the server.

It knows no connector: the set-up is rendered from the manifests that runtimes send, and all work is a task.

Map: ``session`` (sessions, forms and the dependencies of routes), ``login``, ``rendering`` (templates and labels),
``overview`` (integrations and their switches), ``setup`` (the wizard), ``history`` (what changed, and who decided),
``syncs`` (held syncs, unproven records), ``records`` (lists), ``filters`` (of a list, in its address), ``downloads``
(lists as files), ``targets`` (one entitlement or resource: who reaches it, and what it opens), ``account`` (one
account: its access, grants and revokes), ``diagram`` (access paths as a drawing), ``tasks``, ``findings``.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.registry import ForbiddenError

from . import account, findings, history, login, overview, records, setup, syncs, targets, tasks
from .rendering import render_page
from .session import BASE, NotLoggedInError, Sessions, form_of, go_to, visit_of

PARTS = (login, overview, setup, history, syncs, account, targets, tasks, findings, records)
"""The modules with routes; those of the last match what is left."""

HEADERS = {
    # Only resources of these pages: a name from elsewhere can become no script, no style and no request.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not 'no-referrer': with it, browsers send the forms' Origin as 'null'.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of every response of the pages."""

__all__ = ["BASE", "HEADERS", "PARTS", "Sessions", "add_pages", "is_page", "to_error_page"]


def add_pages(app: FastAPI) -> None:
    """Add the pages to an application, whose requests' state has ``ploy`` and ``sessions``."""
    router = APIRouter(prefix=BASE, dependencies=[Depends(form_of)])
    for part in PARTS:
        router.include_router(part.router)
    # First, as the last part's routes match any name.
    app.mount(f"{BASE}/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.include_router(router)


def is_page(path: str) -> bool:
    """Whether a path belongs to the pages."""
    return path == BASE or path.startswith(f"{BASE}/")


def to_error_page(request: Request, error: Exception) -> Response:
    """Return the response of a page that failed."""
    if isinstance(error, NotLoggedInError):
        # A script would show the login inside of a page.
        return Response(status_code=401) if request.headers.get("x-part") else go_to("/login")
    if isinstance(error, ProblemError):
        kind = wire.PROBLEMS[error.code]
        return _error_page(request, kind.status, " ".join(part for part in (kind.title, error.detail) if part))
    if isinstance(error, HTTPException):
        return _error_page(request, error.status_code, str(error.detail))
    if isinstance(error, ForbiddenError):
        return _error_page(request, 409, str(error))
    if isinstance(error, RequestValidationError):
        return _error_page(request, 400, "The address of this page has an invalid value.")
    # Without the visit, which may be what failed.
    return render_page(None, "error.html", status=500, message="Internal error; the log has the details.")


def _error_page(request: Request, status: int, message: str) -> Response:
    try:
        visit = visit_of(request)
    except NotLoggedInError:
        visit = None
    return render_page(visit, "error.html", status=status, message=message)
