"""Coming in, choosing an organisation, and going out."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .rendering import render_page
from .session import SentForm, Visitor, cookie_name, first, go_to, sessions_of, set_cookie

router = APIRouter()


@router.get("/login")
def show_login(request: Request, key: str = "") -> Response:
    """Ask for the operator's token; or, with the key of a link, only whether to go in.

    The link itself lets nobody in, so that a program that looks at links beforehand does not use it up.
    """
    return _ask(request, key=key)


@router.post("/login")
def log_in(request: Request, form: SentForm) -> Response:
    """Let the operator in, with a new session."""
    id_ = sessions_of(request).open(first(form, "key"))
    if id_ is None:
        return _ask(request, wrong="This is not the operator's token, or the link was used already or is old.")
    response = go_to("/")
    set_cookie(request, response, id_)
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    """End the session."""
    name = cookie_name(request)
    sessions_of(request).close(request.cookies.get(name, ""))
    return go_to("/login")


@router.post("/organisation")
def choose_organisation(visit: Visitor, form: SentForm) -> Response:
    """Look at another organisation from now on."""
    organisation_id = first(form, "organisation")
    if organisation_id not in visit.ploy.organisations():
        raise HTTPException(404, "There is no such organisation.")
    visit.session.organisation_id = organisation_id
    return go_to("/")


def _ask(request: Request, *, key: str = "", wrong: str | None = None) -> Response:
    name = cookie_name(request)
    id_ = request.cookies.get(name) or secrets.token_urlsafe(32)  # of nobody yet; the form's token hangs on it
    response = render_page(
        None,
        "login.html",
        status=401 if wrong else 200,
        form_token=sessions_of(request).form_token(id_),
        key=key,
        wrong=wrong,
    )
    if name not in request.cookies:
        set_cookie(request, response, id_)
    return response
