"""The integrations page: what an organisation sees of its integrations, and does with them. Rendered on the server.

It knows no connector: the set-up is rendered from the manifests that runtimes send. Whatever it wants done is a task.

Map: ``session`` (who is logged in), ``login``, ``headers``, ``rendering`` (templates and labels), ``overview``
(integrations and their switches), ``setup`` (the wizard), ``syncs`` (history,
held commits, what is unproven), ``records`` (lists), ``person`` (every path of one account) with ``graph`` (what its
diagram shows) and ``drawing`` (the layout), ``entitlement`` (who holds it), ``access`` (grants and revokes, with a
preview), ``tasks``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.local_platform import LocalPlatform
from ploy_connector_aws.sandbox.ploy.problems import ProblemError
from ploy_connector_aws.sandbox.ploy.registry import ForbiddenError

from . import access, entitlement, login, overview, person, records, setup, syncs, tasks
from .headers import Shield
from .rendering import render_page
from .session import BASE, CustomerSimulator, NotLoggedInError, Sessions, form_of, go_to, visit_of

PARTS = (login, overview, setup, syncs, person, entitlement, access, tasks, records)
"""Whose routes there are. Those of the last take what is left."""

__all__ = ["BASE", "PARTS", "CustomerSimulator", "Sessions", "make_pages"]


def make_pages(ploy: LocalPlatform, sessions: Sessions, stand_in: Callable[[], CustomerSimulator | None]) -> Shield:
    """Put the pages together."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(form_of)])
    app.state.ploy, app.state.sessions, app.state.stand_in = ploy, sessions, stand_in
    app.add_exception_handler(NotLoggedInError, _to_login)
    app.add_exception_handler(HTTPException, _say_no)
    app.add_exception_handler(ProblemError, _refuse)
    app.add_exception_handler(ForbiddenError, _refuse)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(Exception, _fail)
    for part in PARTS:
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    return Shield(app)


def _to_login(request: Request, _: Exception) -> Response:
    if request.headers.get("x-part"):  # a script asks, and would show the login inside of a page
        return Response(status_code=401)
    return go_to("/login")


def _say_no(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error_page(request, error.status_code, str(error.detail))


def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, ProblemError):
        kind = wire.PROBLEMS[error.code]
        return _error_page(request, kind.status, " ".join(part for part in (kind.title, error.detail) if part))
    return _error_page(request, 409, str(error))


def _misread(request: Request, _: Exception) -> Response:
    return _error_page(request, 400, "The address of this page holds a value of the wrong kind.")


def _fail(_: Request, __: Exception) -> Response:
    """Say so when something of these pages itself is wrong, without anything that may be wrong as well."""
    sentence = "Something is wrong here that should not be. Nothing is known of what was asked; the log says more."
    return render_page(None, "error.html", status=500, sentence=sentence)


def _error_page(request: Request, status: int, sentence: str) -> Response:
    try:
        visit = visit_of(request)
    except NotLoggedInError:
        visit = None
    return render_page(visit, "error.html", status=status, sentence=sentence)
