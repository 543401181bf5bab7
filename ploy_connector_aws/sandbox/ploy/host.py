"""The local Ploy as a server: for development and tests, on loopback only."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from . import contract, operator_api
from .faults import Faults, Passage
from .local_platform import LocalPlatform
from .pages import BASE, CustomerSimulator, Sessions, make_pages
from .problems import ProblemError, answer_http_error, answer_refusal, answer_wrong_path
from .registry import ForbiddenError
from .serving import LOOPBACK, ServerThread

SANDBOX_HEADER = "X-Ploy-Sandbox"
SANDBOX_NOTE = "development host"


class LocalPloy(LocalPlatform):
    """A platform for development, served over HTTP while the block runs.

    Args:
        state_dir: Where everything is kept, so that it survives a restart.
        port: Where to listen on loopback; 0 takes a free port.
        clock: Tells the time (UTC).
        lease: How long an open sync is kept when nothing arrives.
        task_lease: How long a runtime has a task when it does not extend its lease.
        operator_token: What opens ``/dev/v1``; made at random when None.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        lease: timedelta = timedelta(minutes=5),
        task_lease: timedelta = timedelta(minutes=5),
        operator_token: str | None = None,
    ) -> None:
        super().__init__(state_dir, clock=clock, lease=lease, task_lease=task_lease)
        self.operator_token = operator_token or secrets.token_urlsafe(24)
        self.faults = Faults()
        self.sessions = Sessions(self.operator_token)
        self.stand_in: CustomerSimulator | None = None
        """Does on the other side what a set-up asks a person for, where that is local too."""
        self._app = make_app(self, self.operator_token, self.sessions, lambda: self.stand_in)
        self._port = port
        self._server: ServerThread | None = None

    def __enter__(self) -> LocalPloy:
        """Start to serve."""
        self._server = ServerThread(self._asgi, self._port)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and close all files."""
        self.bells.stop()
        if self._server is not None:
            self._server.close()
        self.close()

    @property
    def url(self) -> str:
        """Where it is reached."""
        assert self._server is not None, "LocalPloy serves inside its 'with' block"
        return self._server.url

    @property
    def login_url(self) -> str:
        """An address that lets the operator in once, to the integrations page."""
        return f"{self.url}{BASE}/login?key={self.sessions.make_login_key()}"

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[SANDBOX_HEADER] = SANDBOX_NOTE
            await send(message)

        def abort() -> None:
            assert self._server is not None
            self._server.abort(scope["client"])

        await self.faults.pass_through(_operation(scope), Passage(scope, receive, send_marked, self._app, abort))


def make_app(
    ploy: LocalPlatform, operator_token: str, sessions: Sessions, stand_in: Callable[[], CustomerSimulator | None]
) -> FastAPI:
    """Put the routes together."""
    app = FastAPI(title="Local Ploy (development host)", openapi_url=None)
    app.state.ploy, app.state.operator_token = ploy, operator_token
    app.add_exception_handler(ProblemError, answer_refusal)
    app.add_exception_handler(ForbiddenError, operator_api.answer_not_allowed)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(RequestValidationError, answer_wrong_path)
    # Another name that leads here would be a web page's trick to reach this machine (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])

    @app.get("/")
    def read_root() -> RedirectResponse:
        return RedirectResponse(BASE + "/", status_code=303)

    app.include_router(contract.router)
    app.include_router(operator_api.router)
    app.mount(BASE, make_pages(ploy, sessions, stand_in))
    return app


def _operation(scope: Scope) -> str | None:
    if scope["type"] != "http":
        return None
    for route in contract.router.routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return str(getattr(route, "name", ""))
    return None
