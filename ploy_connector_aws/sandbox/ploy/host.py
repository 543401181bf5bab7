"""``LocalPloy``: the local Ploy as an HTTP server in a thread, for development and tests, on loopback only."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import contract, operator_api
from .faults import Faults, Passage
from .local_platform import LocalPlatform
from .pages import BASE, HEADERS, Sessions, add_pages, is_page, to_error_page
from .pages.session import NotLoggedInError
from .problems import ProblemError, to_http_response, to_response
from .registry import ForbiddenError

LOOPBACK = "127.0.0.1"
SANDBOX_HEADER = "X-Ploy-Sandbox"
SANDBOX_NOTE = "development host"
_STARTUP_SECONDS = 30
_TICK_SECONDS = 1

_log = logging.getLogger(__name__)


class LocalPloy(LocalPlatform):
    """A platform for development, served over HTTP within its ``with`` block.

    Args:
        state_dir: Folder of all files; a restart continues with them.
        port: The port on loopback; 0 takes a free one.
        clock: Returns the time (UTC).
        lease: How long an open sync is kept when nothing arrives.
        task_lease: How long a runtime has a task when it does not extend its lease.
        operator_token: The token for ``/dev/v1`` and the login; None generates one.
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
        self._app = make_app()
        self._port = port
        self._server: ServerThread | None = None

    def __enter__(self) -> LocalPloy:
        """Start the server."""
        self._server = ServerThread(self._asgi, self._port)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server and close all files."""
        self.waiters.stop()
        if self._server is not None:
            self._server.close()
        self.close()

    @property
    def url(self) -> str:
        """The address of the server."""
        assert self._server is not None, "LocalPloy serves inside its 'with' block"
        return self._server.url

    @property
    def login_url(self) -> str:
        """An address that logs the operator in once."""
        return f"{self.url}{BASE}/login?key={self.sessions.make_login_key()}"

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        async def send_marked(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                headers = MutableHeaders(scope=message)
                headers[SANDBOX_HEADER] = SANDBOX_NOTE
                if is_page(scope["path"]):
                    headers.update(HEADERS)
            await send(message)

        def abort() -> None:
            assert self._server is not None
            self._server.abort(scope["client"])

        try:
            scope["state"] = {"ploy": self, "operator_token": self.operator_token, "sessions": self.sessions}
            operation = _operation(scope)
            if operation is None:  # faults are for calls of the contract only
                await self._app(scope, receive, send_marked)
            else:
                await self.faults.pass_through(operation, Passage(scope, receive, send_marked, self._app, abort))
        except Exception:
            if not is_answered:
                raise
            # The response was sent. Raised on, the error would close the connection, which serves other requests too.
            _log.exception("request failed")


@cache
def make_app() -> FastAPI:
    """Return the application: the contract, the operator's routes and the pages.

    It is made once: each server puts its own ``ploy``, ``operator_token`` and ``sessions`` into the request's state.
    """
    app = FastAPI(title="Local Ploy (development host)", openapi_url=None, docs_url=None, redoc_url=None)
    for error in (
        *(ProblemError, ForbiddenError, NotLoggedInError, HTTPException, RequestValidationError),
        Exception,
    ):
        app.add_exception_handler(error, _answer_error)
    # Another host name would be a web page's trick to reach this machine (DNS rebinding).
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])

    @app.get("/")
    def read_root() -> RedirectResponse:
        return RedirectResponse(BASE + "/", status_code=303)

    app.include_router(contract.router)
    app.include_router(operator_api.router)
    add_pages(app)
    return app


def _answer_error(request: Request, error: Exception) -> Response:
    if is_page(request.url.path):
        return to_error_page(request, error)
    if isinstance(error, ProblemError):
        return to_response(error)
    if isinstance(error, HTTPException):
        return to_http_response(error)
    if isinstance(error, RequestValidationError):  # without its message, which repeats the value
        return to_response(ProblemError("body_invalid", "The path or the query has an invalid value."))
    if isinstance(error, ForbiddenError):
        return to_http_response(HTTPException(409, str(error)))
    return to_http_response(HTTPException(500))


def _operation(scope: Scope) -> str | None:
    if scope["type"] != "http":
        return None
    for route in contract.router.routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return str(getattr(route, "name", ""))
    return None


class _Server(uvicorn.Server):
    """A server with an event for the end of its start-up, which ends as soon as it is stopped."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()
        self._is_stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.is_up.set()

    async def main_loop(self) -> None:
        """Wait for the end, where uvicorn looks ten times a second; each tick renews the header `Date`."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_stopped.wait(), _TICK_SECONDS)

    def stop(self) -> None:
        """End the server. Call it from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._is_stopped.set)


class ServerThread:
    """A server in a thread.

    Args:
        app: The application.
        port: The port on loopback; 0 takes a free one.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._socket = socket.create_server((LOOPBACK, port))
        # Accepted connections inherit it. asyncio sets it only for a named protocol, and without it each response
        # waits 40 ms for the acknowledgement of its own headers.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections: dict[object, asyncio.Transport] = {}
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_protocol(self._connections),
                ws="none",
                lifespan="off",
                loop="asyncio",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=5,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="local-ploy", daemon=True)
        self._thread.start()
        self._server.is_up.wait(_STARTUP_SECONDS)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{LOOPBACK}:{self._socket.getsockname()[1]}"

    def abort(self, client: object) -> None:
        """Break a client's connection, as a network failure does. Call it in the server's thread.

        Args:
            client: The client's address.
        """
        self._connections[client].abort()

    def close(self) -> None:
        """Stop the server, and wait for its end."""
        self._server.stop()
        self._thread.join()
        self._socket.close()


def _protocol(connections: dict[object, asyncio.Transport]) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """HTTP/1.1 with a table of connections by client."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connections[self.client] = transport
            # uvicorn's setting only empties the logger's handlers; handlers that are added later would get every path.
            self.access_log = False

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol
