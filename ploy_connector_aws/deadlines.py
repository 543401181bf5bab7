"""Total time limits of HTTP exchanges: sockets that never wait beyond the end of their exchange.

The time-outs of urllib3 and httpcore bound single waits. A peer that sends a byte now and then starts a new wait with
each, so an exchange can last for ever: in its headers, its body, the TLS handshake, a proxy's answer, and while a
request is sent to a peer that hardly reads. The sockets of this module look at every wait how much time is left
of the exchange, and end it with ``TimeoutError``, which both libraries treat as any other time-out.

The alternative is a thread that shuts sockets down when their time is over. It has to know which socket an exchange
uses (TLS exchanges the object in the middle), and can hit the next exchange of a connection that was just reused.

A name lookup (``getaddrinfo``) cannot be interrupted; the resolver has time limits of its own.
"""

from __future__ import annotations

import functools
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])

SocketOption: TypeAlias = tuple[Any, ...]

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)
"""When the current exchange of this thread must end, in monotonic seconds."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Bound the exchange in this block, from connecting to the last byte of the answer."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def _limited(method: _Method) -> _Method:
    """Make a socket's method wait no longer than the exchange may last."""

    @functools.wraps(method)
    def within_limit(self: socket.socket, *args: Any, **kwargs: Any) -> Any:
        ends_at = _ends_at.get()
        if ends_at is None:
            return method(self, *args, **kwargs)
        left = ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the exchange took longer than its limit")
        own = self.gettimeout()
        if own is not None and own <= left:
            return method(self, *args, **kwargs)
        self.settimeout(left)
        try:
            return method(self, *args, **kwargs)
        finally:
            if self.fileno() >= 0:
                self.settimeout(own)

    return cast("_Method", within_limit)


class LimitedSocket(socket.socket):
    """A TCP socket. CPython bounds ``sendall`` by one time-out as a whole, so it needs no loop here."""

    connect = _limited(socket.socket.connect)
    recv = _limited(socket.socket.recv)
    recv_into = _limited(socket.socket.recv_into)
    send = _limited(socket.socket.send)
    sendall = _limited(socket.socket.sendall)


class LimitedTLSSocket(ssl.SSLSocket):
    """A TLS socket. CPython bounds each handshake, read and write by one time-out, whatever number of packets it takes;
    ``recv``, ``recv_into`` and ``sendall`` are made of these.
    """

    do_handshake = _limited(ssl.SSLSocket.do_handshake)
    read = _limited(ssl.SSLSocket.read)
    send = _limited(ssl.SSLSocket.send)


def connect(host: str, port: int, timeout: float | None, options: Iterable[SocketOption] = ()) -> LimitedSocket:
    """Connect to the first answering address of a host, as ``socket.create_connection`` does.

    Args:
        host: A name or an address.
        port: The port.
        timeout: Seconds for each address; None for no other limit than that of the exchange.
        options: Arguments of ``setsockopt``.

    Raises:
        OSError: No address answered; what the last one failed with.
    """
    failure: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
        connected = LimitedSocket(family, kind, protocol)
        try:
            connected.settimeout(timeout)
            for option in options:
                connected.setsockopt(*option)
            connected.connect(address)
        except OSError as error:
            connected.close()
            failure = error
        else:
            return connected
    raise failure or OSError("the name has no address")


def limit_tls(context: ssl.SSLContext | None) -> None:
    """Make a context create sockets that keep the limit (the purpose of ``SSLContext.sslsocket_class``)."""
    if context is not None:
        context.sslsocket_class = LimitedTLSSocket
