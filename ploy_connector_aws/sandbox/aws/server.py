"""Serves the simulated AWS API over HTTP/1.1 on 127.0.0.1, with keep-alive and no access log.

Uses the standard library's server, because werkzeug's closes the connection after each response.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from .application import HttpResponse
from .requests import HttpRequest

RequestHandler: TypeAlias = Callable[[HttpRequest], HttpResponse | None]
"""Handles one request; None resets the connection without a response."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class LoopbackServer(ThreadingHTTPServer):
    """HTTP server on a free port of 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, request_handler: RequestHandler) -> None:
        self.request_handler = request_handler
        self._open_connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """The server's base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Track the connection so that ``server_close`` can close it."""
        with self._lock:
            self._open_connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Stop tracking the connection."""
        with self._lock:
            self._open_connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the port and every open connection."""
        super().server_close()
        with self._lock:
            for connection in self._open_connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close their connection; report anything else, which is a bug."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: LoopbackServer

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            # The client closed the connection in the middle of its request. AWS would reject it, because the signature
            # covers a digest of the whole body.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        response = self.server.request_handler(HttpRequest(self.command, self.path, headers, body))
        if response is None:
            self._reset()
            return
        head = (
            f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}\r\n"
            f"Content-Type: {response.content_type}\r\n"
            f"Content-Length: {len(response.body)}\r\n"
            f"x-amzn-RequestId: {response.request_id}\r\n"
            f"Date: {self.date_time_string()}\r\n"
        )
        head += "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        self.wfile.write(f"{head}\r\n".encode("latin-1") + response.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _reset(self) -> None:
        """Close with a TCP reset: with a linger time of zero the kernel drops unsent data."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Suppress the access log; the call log has the same requests."""
