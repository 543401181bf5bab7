"""Connections of httpx that respect the time limit of the exchange they are used in."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable

import httpcore
import httpx
from httpcore._backends.sync import SyncStream

from ploy_connector_aws.deadlines import SocketOption, connect, limit_tls

_NO_DELAY: SocketOption = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keep_limits(client: httpx.Client) -> None:
    """Make a client's connections, those through proxies included, respect the ``time_limit`` they are used in.

    httpcore accepts a network backend for this, but httpx has no public parameter for it that keeps the proxies of the
    environment. `tests/test_deadlines.py` fails if an attribute moves.
    """
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = _Backend()


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - httpcore's signature; nothing here binds one
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            return _Stream(connect(host, port, timeout, (*(socket_options or ()), _NO_DELAY)))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class _Stream(SyncStream):
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit_tls(ssl_context)
        return super().start_tls(ssl_context, server_hostname, timeout)
