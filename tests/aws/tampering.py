"""A server between the connector and the local AWS that changes answers: what no AWS should ever say."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Tamper = Callable[[str, bytes], bytes]
"""Is given the operation ('' where the protocol does not name it in a header) and the answer's body."""


@contextmanager
def tampered(endpoint_url: str, tamper: Tamper, taken: frozenset[str] = frozenset()) -> Iterator[str]:
    """Run the server; gives its URL. The operations that are `taken` seem to succeed, whatever AWS said."""
    behind = urlsplit(endpoint_url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(behind)
            # The Host header is part of the signature and goes through unchanged.
            connection.request(self.command, self.path, asked, dict(self.headers))
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            if answer.status == 200:
                body = tamper(operation, body)
            self.send_response(200 if operation in taken else answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "connection", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - so it is called

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def in_json(operation: str, change: Callable[[dict[str, Any]], object]) -> Tamper:
    """Change the JSON answers of one operation in place."""

    def tamper(answered: str, body: bytes) -> bytes:
        if answered != operation:
            return body
        document = json.loads(body)
        change(document)
        return json.dumps(document).encode()

    return tamper


def in_xml(operation: str, pattern: str, replacement: str) -> Tamper:
    """Change the XML answers of one operation: every match of a pattern, over line ends too."""

    def tamper(_: str, body: bytes) -> bytes:
        if not body.startswith(f"<{operation}Response".encode()):
            return body
        return re.sub(pattern, replacement, body.decode(), flags=re.DOTALL).encode()

    return tamper
