"""Who looks at the pages: the operator, let in by the operator's token, with a session that no other site can use."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic import AfterValidator, JsonValue
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from ploy_connector_aws.sandbox.ploy.local_platform import LocalPlatform
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow

BASE = "/app"
"""Where the pages are."""

IDLE_SECONDS = 12 * 3600

LOGIN_SECONDS = 600
"""How long a link lets in: it stays behind in terminals and in the history of browsers."""

_LONGEST_LIST = 1_000_000_000
_LARGEST_FORM = 256 * 1024
_MOST_FIELDS = 1000
_MOST_SESSIONS = 100

Form = dict[str, list[str]]
"""What was filled in, by name; a box that was ticked several times has several values."""


@dataclass
class Session:
    """One browser in which the operator is logged in."""

    organisation_id: str | None = None
    said: list[str] = field(default_factory=list)
    """What the next page says first: what was just done."""
    used_at: float = 0


class Sessions:
    """The sessions, in memory: a restart ends them all. Safe to use from several threads.

    Args:
        operator_token: What lets the operator in.
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
        """Make a key that lets the operator in once, within ten minutes."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._login_keys[key] = self._monotonic() + LOGIN_SECONDS
        return key

    def open(self, said: str) -> str | None:
        """Let somebody in who says the operator's token, or a key that was not used yet and is not old; the session's
        id."""
        with self._lock:
            now = self._monotonic()
            self._login_keys = {key: ends for key, ends in self._login_keys.items() if now < ends}
            is_key = said in self._login_keys
            if not is_key and not secrets.compare_digest(said.encode(), self._token.encode()):
                return None
            self._login_keys.pop(said, None)
            for id_ in sorted(self._sessions, key=lambda id_: self._sessions[id_].used_at)[: 1 - _MOST_SESSIONS]:
                del self._sessions[id_]
            id_ = secrets.token_urlsafe(32)
            self._sessions[id_] = Session(used_at=self._monotonic())
            return id_

    def find(self, id_: str) -> Session | None:
        """The session of an id; None where there is none, or it was not used for long."""
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
        """What every form of a browser carries, so that no other site can send one: nobody else can compute it."""
        return hmac.new(self._key, id_.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is let in."""

    request: Request
    ploy: LocalPlatform
    session: Session
    form_token: str

    @property
    def organisation_id(self) -> str:
        """The organisation that was chosen; where nobody chose, the first by name."""
        known = self.ploy.organisations()
        if self.session.organisation_id not in known:
            self.session.organisation_id = next(iter(known), None)
        return self.session.organisation_id or ""

    def integration(self, integration_id: str) -> IntegrationRow:
        """One integration of the chosen organisation; another's is unknown like none at all."""
        for enabled in self.ploy.integrations():
            integration = enabled.integration
            if (integration.id, integration.organisation) == (integration_id, self.organisation_id):
                return enabled
        raise HTTPException(404, "There is no such integration in this organisation.")

    def say(self, sentence: str) -> None:
        """Have the next page say something first."""
        self.session.said.append(sentence)

    def take_said(self) -> list[str]:
        """What is to be said, once."""
        said, self.session.said = self.session.said, []
        return said


class CustomerSimulator(Protocol):
    """Does for the person what a set-up asks for on the other side, where that is a sandbox too."""

    def values(self, connector: str) -> Mapping[str, str]:
        """What is to be answered, by setting; nothing where there is no sandbox of the connector's other side."""

    def carry_out(self, connector: str, integration_id: str, documents: Mapping[str, str]) -> Mapping[str, JsonValue]:
        """Do what the documents say; the settings that come of it."""


class NotLoggedInError(Exception):
    """Nobody is let in by this request."""


def sessions_of(request: Request) -> Sessions:
    """The sessions of these pages."""
    sessions: Sessions = request.app.state.sessions
    return sessions


def cookie_name(request: Request) -> str:
    """The name of the cookie. Cookies know no ports, so that two sandboxes at once would share one name."""
    return f"ploy-{request.url.port or 80}"


def set_cookie(request: Request, response: Response, id_: str) -> None:
    """Have the browser keep a session's id, show it to no script, and send it to nobody from another site's page."""
    response.set_cookie(cookie_name(request), id_, path=BASE, httponly=True, samesite="strict")


def visit_of(request: Request) -> Visit:
    """Let in whoever has a session.

    Raises:
        NotLoggedInError: Nobody has.
    """
    sessions = sessions_of(request)
    id_ = request.cookies.get(cookie_name(request), "")
    session = sessions.find(id_)
    if session is None:
        raise NotLoggedInError
    return Visit(request, request.app.state.ploy, session, sessions.form_token(id_))


async def form_of(request: Request) -> Form:
    """Read a form that one of these pages sent, and no other site's. Every route depends on it; to look needs no form.

    Raises:
        HTTPException: It is another site's, too large, or no form.
    """
    if request.method in ("GET", "HEAD"):
        return {}
    own = f"{request.url.scheme}://{request.url.netloc}"
    if request.headers.get("origin", own) != own:
        raise HTTPException(403, "This form was sent by another site.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise HTTPException(413, "This form is too large.")
    try:
        form = parse_qs(bytes(body).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "This form cannot be read.") from None
    id_ = request.cookies.get(cookie_name(request), "")
    expected = sessions_of(request).form_token(id_)
    if not id_ or not secrets.compare_digest(first(form, "form_token").encode(), expected.encode()):
        raise HTTPException(403, "This form is of an earlier visit. Go back, load the page again and send it anew.")
    return form


def first(form: Form, name: str) -> str:
    """The first value of a field, without the white space around it; empty where there is none."""
    return form.get(name, [""])[0].strip()


def go_to(path: str) -> RedirectResponse:
    """Send the browser to one of these pages, to be read anew."""
    return RedirectResponse(BASE + path, status_code=303)


Offset = Annotated[int, AfterValidator(lambda said: min(max(0, said), _LONGEST_LIST))]
"""How much of a list is passed over. Whatever an address says, it is one that a list could have."""

Visitor = Annotated[Visit, Depends(visit_of)]
SentForm = Annotated[Form, Depends(form_of)]
