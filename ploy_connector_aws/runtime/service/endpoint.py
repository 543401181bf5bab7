"""``/healthz`` and ``/metrics`` over HTTP, on this machine's loopback only."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from prometheus_client import CONTENT_TYPE_LATEST

from ploy_connector_aws.host.redaction import redact
from ploy_connector_aws.spec import ConfigurationError

from .health import Health
from .metrics import Metrics

LOOPBACK = "127.0.0.1"
_NAMES = {LOOPBACK, "localhost"}
_TIMEOUT_SECONDS = 5


class Endpoint:
    """The HTTP server, which runs while the block runs.

    Args:
        metrics: The content of ``/metrics``.
        health: The content of ``/healthz``.
        port: The port; 0 takes a free one.

    Raises:
        ConfigurationError: The port is taken.
    """

    def __init__(self, metrics: Metrics, health: Health, port: int) -> None:
        handler = type("Handler", (_Handler,), {"metrics": metrics, "health": health})
        try:
            self._server = _Server((LOOPBACK, port), handler)
        except OSError as error:
            raise ConfigurationError(
                f"The health and metrics endpoint cannot listen on port {port}: {error.strerror}.",
                fix="give another one: --health-port 0 takes any that is free",
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="ploy-health", daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def __enter__(self) -> Endpoint:
        """Start the server."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    metrics: ClassVar[Metrics]
    health: ClassVar[Health]
    timeout = _TIMEOUT_SECONDS
    server_version = "ploy-connector"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the two pages."""
        # Any other name would let a web page reach this machine (DNS rebinding).
        if self.headers.get("host", LOOPBACK).partition(":")[0] not in _NAMES:
            self._answer(421, "text/plain; charset=utf-8", b"Unknown Host header.\n")
        elif self.path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, self.metrics.render())
        elif self.path == "/healthz":
            is_well, report = self.health.report()
            self._answer(
                200 if is_well else 503, "application/json", redact(json.dumps(report, indent=2)).encode() + b"\n"
            )
        else:
            self._answer(404, "text/plain; charset=utf-8", b"Not found; the pages are /healthz and /metrics.\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: a scrape every few seconds is no event."""
