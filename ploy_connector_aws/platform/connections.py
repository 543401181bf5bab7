"""httpx within bounds: connections that respect the time limit of their exchange, and bodies of bounded size."""

from __future__ import annotations

import socket
import ssl
import zlib
from collections.abc import Iterable, Iterator

import httpcore
import httpx
from httpcore._backends.sync import SyncStream

from ploy_connector_aws.deadlines import SocketOption, connect, limit_tls

_NO_DELAY: SocketOption = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

_LARGEST_ANSWER = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_GZIP = 31
"""zlib's ``wbits`` for a gzip stream."""


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


def read_body(response: httpx.Response) -> bytes:
    """Read a body within bounds. httpx would inflate it as often as its header states, to any size."""
    codings = [each.lower() for each in response.headers.get_list("content-encoding", split_commas=True)]
    codings = [each for each in codings if each not in ("", "identity")]
    if codings not in ([], ["gzip"]):
        raise httpx.DecodingError("the answer has a compression that was not requested", request=response.request)
    if response.is_stream_consumed:  # by the transport, and decoded
        pieces: Iterator[bytes] = response.iter_bytes()
    else:
        pieces = _inflated(response) if codings else response.iter_raw()
    body = bytearray()
    for piece in pieces:
        body += piece
        _require_fit(response, len(body))
    return bytes(body)


def _inflated(response: httpx.Response) -> Iterator[bytes]:
    inflating = zlib.decompressobj(_GZIP)
    try:
        for packed in response.iter_raw():
            # Blocks without output count as well.
            _require_fit(response, response.num_bytes_downloaded)
            while packed:
                yield inflating.decompress(packed, _PIECE)
                packed = inflating.unconsumed_tail
    except zlib.error:
        raise httpx.DecodingError("the answer is not a gzip stream", request=response.request) from None
    if not inflating.eof or inflating.unused_data:
        raise httpx.DecodingError("the answer is not one complete gzip stream", request=response.request)


def _require_fit(response: httpx.Response, size: int) -> None:
    if size > _LARGEST_ANSWER:
        raise httpx.DecodingError("the answer is larger than the contract allows", request=response.request)
