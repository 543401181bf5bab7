"""Sessions, login keys and checked forms of the pages, and the dependencies of their routes: visits."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AfterValidator
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from ploy_connector_aws.sandbox.ploy.local_platform import LocalPlatform
from ploy_connector_aws.sandbox.ploy.queue import TaskQueue
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.sandbox.ploy.views import IntegrationView
from ploy_connector_aws.spec import Labels, Manifest

BASE = "/app"
"""Path prefix of the pages."""

IDLE_SECONDS = 12 * 3600

LOGIN_SECONDS = 600
"""Lifetime of a login link, which stays behind in terminals and in the history of browsers."""

_LONGEST_LIST = 1_000_000_000
_LONGEST_TEXT = 1000
_LARGEST_FORM = 256 * 1024
_MOST_FIELDS = 1000
_MOST_SESSIONS = 100


@dataclass
class Session:
    """One browser in which the operator is logged in."""

    organisation_id: str | None = None
    flash: list[str] = field(default_factory=list)
    """Messages for the top of the next page."""
    name: str = ""
    """The name that the person typed last, suggested by the next form."""
    used_at: float = 0


class Sessions:
    """The sessions, in memory: a restart ends them all. Safe to use from several threads.

    Args:
        operator_token: The token that logs the operator in.
        monotonic: The clock.
    """

    def __init__(self, operator_token: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._token = operator_token
        self._monotonic = monotonic
        self._key = secrets.token_bytes(32)
        self._sessions: dict[str, Session] = {}
        self._login_keys: dict[str, float] = {}
        self._lock = threading.Lock()

    def make_login_key(self) -> str:
        """Create a key that logs the operator in once, within ten minutes."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._login_keys[key] = self._monotonic() + LOGIN_SECONDS
        return key

    def open(self, key: str) -> str | None:
        """Create a session; return its id.

        Args:
            key: The operator's token, or a login key.

        Returns:
            None where the key is neither, was used before or has expired.
        """
        with self._lock:
            now = self._monotonic()
            self._login_keys = {each: ends for each, ends in self._login_keys.items() if now < ends}
            is_login_key = key in self._login_keys
            if not is_login_key and not secrets.compare_digest(key.encode(), self._token.encode()):
                return None
            self._login_keys.pop(key, None)
            for id_ in sorted(self._sessions, key=lambda id_: self._sessions[id_].used_at)[: 1 - _MOST_SESSIONS]:
                del self._sessions[id_]
            id_ = secrets.token_urlsafe(32)
            self._sessions[id_] = Session(used_at=self._monotonic())
            return id_

    def find(self, id_: str) -> Session | None:
        """Return a session; None where the id is unknown or the session was idle for too long."""
        with self._lock:
            session = self._sessions.get(id_)
            if session is not None and self._monotonic() - session.used_at > IDLE_SECONDS:
                del self._sessions[id_]
                return None
            if session is not None:
                session.used_at = self._monotonic()
            return session

    def close(self, id_: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(id_, None)

    def form_token(self, id_: str) -> str:
        """Return the CSRF token of a browser: every form carries it, and no other site can compute it."""
        return hmac.new(self._key, id_.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Visit:
    """One request of the operator."""

    request: Request
    ploy: LocalPlatform
    session: Session
    form_token: str

    @property
    def organisation_id(self) -> str:
        """The chosen organisation; before a choice the first by name."""
        known = self.ploy.registry.organisations()
        if self.session.organisation_id not in known:
            self.session.organisation_id = next(iter(known), None)
        return self.session.organisation_id or ""

    def manifest(self, connector: str) -> Manifest | None:
        """Return the manifest of a connector of the organisation."""
        return self.ploy.reports.manifests(self.organisation_id).get(connector)

    def decision(self, form: FormData) -> dict[str, str]:
        """Read who decides and why: ``name`` and ``reason``.

        Raises:
            HTTPException: One of them is missing: others read them later.
        """
        decision = {name: value(form, name)[:_LONGEST_TEXT] for name in ("name", "reason")}
        self.session.name = decision["name"] or self.session.name
        if not all(decision.values()):
            raise HTTPException(422, "Enter your name and a reason, so that others can read later who decided and why.")
        return decision

    def flash(self, message: str) -> None:
        """Show a message at the top of the next page."""
        self.session.flash.append(message)

    def take_flash(self) -> list[str]:
        """Return the messages for this page, once."""
        messages, self.session.flash = self.session.flash, []
        return messages


@dataclass(frozen=True)
class IntegrationVisit(Visit):
    """A request about one integration of the organisation."""

    row: IntegrationRow
    view: IntegrationView
    """One state of the integration for the whole request."""

    @property
    def id(self) -> str:
        """The id of the integration."""
        return self.row.integration.id

    @cached_property
    def labels(self) -> Labels:
        """What people call the integration's records; generic words where its connector's manifest is unknown."""
        manifest = self.manifest(self.row.integration.connector)
        return Labels(manifest.labels if manifest else ())

    @property
    def path(self) -> str:
        """The path of the integration's pages."""
        return f"/integrations/{self.id}"

    @property
    def queue(self) -> TaskQueue:
        """The tasks of the integration."""
        return self.ploy.queue(self.id)


class NotLoggedInError(Exception):
    """The request has no session."""


def sessions_of(request: Request) -> Sessions:
    """Return the sessions of these pages."""
    sessions: Sessions = request.state.sessions
    return sessions


def cookie_name(request: Request) -> str:
    """Return the name of the cookie. Cookies ignore ports, so two sandboxes would otherwise share one name."""
    return f"ploy-{request.url.port or 80}"


def set_cookie(request: Request, response: Response, id_: str) -> None:
    """Store a session's id in the browser, unreadable for scripts and never sent from another site's page."""
    response.set_cookie(cookie_name(request), id_, path=BASE, httponly=True, samesite="strict")


def visit_of(request: Request) -> Visit:
    """Return the visit of a logged-in operator.

    Raises:
        NotLoggedInError: The request has no session.
    """
    sessions = sessions_of(request)
    id_ = request.cookies.get(cookie_name(request), "")
    session = sessions.find(id_)
    if session is None:
        raise NotLoggedInError
    return Visit(request, request.state.ploy, session, sessions.form_token(id_))


async def form_of(request: Request) -> FormData:
    """Read a form of these pages. Every route depends on it; requests that only read need no form.

    Raises:
        HTTPException: It is another site's, too large, or no form.
    """
    if request.method in ("GET", "HEAD"):
        return FormData()
    own = f"{request.url.scheme}://{request.url.netloc}"
    if request.headers.get("origin", own) != own:
        raise HTTPException(403, "Another site sent this form.")
    # The server reads no further than the length that the header announces.
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > _LARGEST_FORM:
        raise HTTPException(413, "This form is too large.")
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    id_ = request.cookies.get(cookie_name(request), "")
    expected = sessions_of(request).form_token(id_)
    if not id_ or not secrets.compare_digest(value(form, "form_token").encode(), expected.encode()):
        raise HTTPException(403, "This form belongs to an earlier session. Go back, reload the page and send it again.")
    return form


def value(form: FormData, name: str) -> str:
    """Return the value of a field without surrounding white space; empty where there is none."""
    found = form.get(name)
    return found.strip() if isinstance(found, str) else ""


def go_to(path: str) -> RedirectResponse:
    """Redirect the browser to one of these pages."""
    return RedirectResponse(BASE + path, status_code=303)


Offset = Annotated[int, AfterValidator(lambda given: min(max(0, given), _LONGEST_LIST))]
"""How many rows of a list to skip. Any number in an address becomes one that a list can have."""

Visitor = Annotated[Visit, Depends(visit_of)]
SentForm = Annotated[FormData, Depends(form_of)]


def open_integration(visit: Visitor, integration_id: str) -> Iterator[IntegrationVisit]:
    """Open an integration for one request.

    Raises:
        HTTPException: The organisation has no such integration.
    """
    row = visit.ploy.registry.find(integration_id, visit.organisation_id)
    if row is None:
        raise HTTPException(404, "There is no such integration in this organisation.")
    with visit.ploy.view(integration_id) as view:
        yield IntegrationVisit(visit.request, visit.ploy, visit.session, visit.form_token, row, view)


IntegrationVisitor = Annotated[IntegrationVisit, Depends(open_integration)]
