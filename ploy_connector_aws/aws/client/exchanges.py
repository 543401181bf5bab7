"""Clients of botocore whose every HTTP exchange has a total time limit, also those that it makes for itself."""

from __future__ import annotations

import socket
from typing import Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool
from botocore.client import BaseClient
from botocore.httpsession import NewConnectionError, URLLib3ConnectTimeoutError, URLLib3Session
from botocore.session import Session

from ploy_connector_aws.deadlines import LimitedTLSSocket, connect, limit_tls, time_limit

EXCHANGE_SECONDS = 60.0
"""How long one attempt at a call may take as a whole, unless a client is made with another limit."""


class ExchangeSession(Session):  # type: ignore[misc]  # botocore has no types
    """A session whose clients keep a limit.

    Credential providers make clients of their session, too: a profile with a ``role_arn`` asks STS.
    """

    def create_client(self, *args: Any, exchange_seconds: float = EXCHANGE_SECONDS, **kwargs: Any) -> BaseClient:
        """Make a client.

        Args:
            args: As in botocore.
            exchange_seconds: How long one HTTP exchange may take: from connecting to the last byte of the answer. A
                call that is repeated has as many exchanges as attempts.
            kwargs: As in botocore.
        """
        client = super().create_client(*args, **kwargs)
        # botocore has no public place for either; `tests/test_deadlines.py` fails where one of them moves.
        endpoint = client._endpoint
        endpoint.http_session._pool_classes_by_scheme.update(http=_Pool, https=_TLSPool)
        endpoint.http_session = _LimitedSession(endpoint.http_session, exchange_seconds)
        return client


class _LimitedSession:
    """Stands before botocore's HTTP session. Its ``send`` ends after the body was read."""

    def __init__(self, session: URLLib3Session, seconds: float) -> None:
        self._session = session
        self._seconds = seconds

    def send(self, request: Any) -> Any:
        with time_limit(self._seconds):
            return self._session.send(request)

    def close(self) -> None:
        self._session.close()


class _Limited:
    """Connects with sockets that keep the limit, to the server or to the proxy before it."""

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
        # urllib3 makes this context itself: the handshake has its own time-out only, all that follows keeps the limit.
        wrapped = super()._connect_tls_proxy(hostname, sock)
        wrapped.__class__ = LimitedTLSSocket
        return wrapped


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc]  # botocore has no types
    ConnectionCls = _Connection


class _TLSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]  # botocore has no types
    ConnectionCls = _TLSConnection
