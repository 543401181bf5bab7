"""A gateway before the local AWS or the local Ploy that forwards all calls except one, whose answer never ends."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Place = Literal["headers", "body"]

EVERY_SECONDS = 2.0
"""Between two bytes."""


@dataclass
class SlowGateway:
    """The gateway: where it is, and whether the call that never ends was made."""

    url: str
    reached: threading.Event = field(default_factory=threading.Event)


@contextmanager
def slow_gateway(behind: str, call: str, place: Place) -> Iterator[SlowGateway]:
    """Listen on loopback while the block runs.

    Args:
        behind: The address of the server that answers all other calls.
        call: A word of the call that never ends, in its path, its headers or its body.
        place: Where its answer is slow.
    """
    stopped = threading.Event()
    server_behind = urlsplit(behind).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are sent one after the other

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if call.encode() in self.path.encode() + bytes(self.headers) + body:
                self.never_end()
                return
            connection = http.client.HTTPConnection(server_behind, timeout=60)
            try:
                connection.request(self.command, self.path, body=body, headers=dict(self.headers.items()))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server looks for

        def never_end(self) -> None:
            gateway.reached.set()
            long = b"HTTP/1.1 200 OK\r\nx-slow: "
            self.wfile.write(long if place == "headers" else long + b"x\r\ncontent-length: 100000\r\n\r\n")
            while not stopped.wait(EVERY_SECONDS):
                self.wfile.write(b" ")

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        gateway = SlowGateway(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield gateway
        finally:
            stopped.set()
            server.shutdown()
