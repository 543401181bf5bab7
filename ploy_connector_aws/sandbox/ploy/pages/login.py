"""Log in, log out, and the choice of an organisation."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .rendering import render_page
from .session import SentForm, Visitor, cookie_name, go_to, sessions_of, set_cookie, value

router = APIRouter()


@router.get("/login")
def show_login(request: Request, key: str = "") -> Response:
    """Ask for the operator's token or, with the key of a link, for a confirmation.

    Opening the link alone does not log in, so a program that prefetches links does not use it up.
    """
    return _show_form(request, key=key)


@router.post("/login")
def log_in(request: Request, form: SentForm) -> Response:
    """Log the operator in, with a new session."""
    id_ = sessions_of(request).open(value(form, "key"))
    if id_ is None:
        return _show_form(request, error="Wrong operator token, or the link was used already or has expired.")
    response = go_to("/")
    set_cookie(request, response, id_)
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    """End the session."""
    sessions_of(request).close(request.cookies.get(cookie_name(request), ""))
    return go_to("/login")


@router.post("/organisation")
def choose_organisation(visit: Visitor, form: SentForm) -> Response:
    """Switch to another organisation."""
    organisation_id = value(form, "organisation")
    if organisation_id not in visit.ploy.registry.organisations():
        raise HTTPException(404, "There is no such organisation.")
    visit.session.organisation_id = organisation_id
    return go_to("/")


def _show_form(request: Request, *, key: str = "", error: str | None = None) -> Response:
    name = cookie_name(request)
    id_ = request.cookies.get(name) or secrets.token_urlsafe(32)  # no session yet; the form's token depends on it
    response = render_page(
        None,
        "login.html",
        status=401 if error else 200,
        form_token=sessions_of(request).form_token(id_),
        key=key,
        error=error,
    )
    if name not in request.cookies:
        set_cookie(request, response, id_)
    return response
