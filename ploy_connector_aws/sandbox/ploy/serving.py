"""Serving an application on this machine's loopback, in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOPBACK = "127.0.0.1"
_STARTUP_SECONDS = 30


class _Server(uvicorn.Server):
    """Says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


class ServerThread:
    """A running server, on a port of its own when that is 0."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._socket = socket.create_server((LOOPBACK, port))
        # Accepted connections inherit it. asyncio sets it only where the protocol is named, and without it each
        # answer waits 40 ms for the acknowledgement of its own headers.
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
        """Where it is reached."""
        return f"http://{LOOPBACK}:{self._socket.getsockname()[1]}"

    def abort(self, client: object) -> None:
        """Break the connection of a client (its address), as a network failure does. Call it in the server's thread."""
        self._connections[client].abort()

    def close(self) -> None:
        """Stop, and wait until it has stopped."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _protocol(connections: dict[object, asyncio.Transport]) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """HTTP/1.1 that remembers which connection is whose."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connections[self.client] = transport
            # Its own switch only empties the logger's handlers; those that anyone adds later would get every path.
            self.access_log = False

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self.client, None)
            super().connection_lost(exc)

    return Protocol
