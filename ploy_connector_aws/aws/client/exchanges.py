"""botocore sessions whose clients have a total time limit for each HTTP exchange, including botocore's own clients."""

from __future__ import annotations

import socket
from typing import Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool
from botocore.client import BaseClient
from botocore.httpsession import NewConnectionError, URLLib3ConnectTimeoutError, URLLib3Session
from botocore.session import Session

from ploy_connector_aws.deadlines import LimitedTLSSocket, connect, limit_tls, time_limit

EXCHANGE_SECONDS = 60.0
"""The default limit of one whole attempt at a call."""

_LARGEST_PIECE = 16_384


class ExchangeSession(Session):  # type: ignore[misc]  # botocore has no types
    """A session whose clients have a time limit.

    Credential providers make clients of their session, too: a profile with a ``role_arn`` calls STS.
    """

    def create_client(self, *args: Any, exchange_seconds: float = EXCHANGE_SECONDS, **kwargs: Any) -> BaseClient:
        """Make a client.

        Args:
            args: As in botocore.
            exchange_seconds: The limit of one HTTP exchange, from connecting to the last byte of the response. A
                retried call has one exchange for each attempt.
            kwargs: As in botocore.
        """
        client = super().create_client(*args, **kwargs)
        # botocore has no public hook for either; `tests/test_deadlines.py` fails if one of them moves.
        endpoint = client._endpoint
        endpoint.http_session._pool_classes_by_scheme.update(http=_Pool, https=_TLSPool)
        endpoint.http_session = _LimitedSession(endpoint.http_session, exchange_seconds)
        return client


class _LimitedSession:
    """Wraps botocore's HTTP session. Its ``send`` returns after the body was read."""

    def __init__(self, session: URLLib3Session, seconds: float) -> None:
        self._session = session
        self._seconds = seconds

    def send(self, request: Any) -> Any:
        with time_limit(self._seconds):
            return self._session.send(request)

    def close(self) -> None:
        self._session.close()


class _Limited:
    """Connects with sockets that have the limit, to the server or to its proxy; sends small requests in one piece."""

    _held: list[bytes] | None = None

    def request(self: Any, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        # urllib3 sends the head alone, and the body after it: two system calls, and with TLS two records.
        if not isinstance(body, bytes | str) or len(body) > _LARGEST_PIECE:
            super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
            return
        self._held = []
        try:
            super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
            whole = b"".join(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self: Any, data: Any) -> None:
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data)

    def _new_conn(self: Any) -> socket.socket:
        try:
            return connect(self._dns_host, self.port, self.timeout, self.socket_options or ())
        except TimeoutError as error:
            raise URLLib3ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error


class _Connection(_Limited, AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
    pass


class _TLSConnection(_Limited, AWSHTTPSConnection):  # type: ignore[misc]  # botocore has no types
    def connect(self) -> None:
        limit_tls(self.ssl_context)
        super().connect()

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        # urllib3 makes this context itself: the handshake has its own time-out only, all that follows has the limit.
        wrapped = super()._connect_tls_proxy(hostname, sock)
        wrapped.__class__ = LimitedTLSSocket
        return wrapped


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc]  # botocore has no types
    ConnectionCls = _Connection


class _TLSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]  # botocore has no types
    ConnectionCls = _TLSConnection
