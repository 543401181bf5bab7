"""Serves the local AWS over HTTP/1.1 on loopback, connections kept alive, nothing logged.

werkzeug's own server closes the connection after each answer, so the standard library's is used.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .application import HttpResponse
from .requests import HttpRequest

Answer = Callable[[HttpRequest], HttpResponse | None]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class LoopbackServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remembers the connection, so that closing the server ends it."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forgets the connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Closes the port and every connection that clients still hold open."""
        super().server_close()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that hang up; anything else is a bug and is reported."""
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
            # The client hung up in the middle of its request. AWS executes no part of one: its signature covers the
            # digest of the whole body.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        response = self.server.answer(HttpRequest(self.command, self.path, headers, body))
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
        """Closes with a TCP reset: with a linger time of zero the kernel drops unsent data."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """No access log: `calls` has the same entries."""
