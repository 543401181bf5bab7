"""``CuttingProxy``: a TCP proxy on loopback that cuts connections and delays responses, for drivers of authors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

_LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 65_536
_CONNECT_SECONDS = 30


@dataclass(frozen=True, eq=False)
class _Cut:
    """One ``with`` block in which connections are cut."""

    after_bytes: int


class CuttingProxy:
    """Forwards TCP connections to a source, and cuts or delays them on request. It listens on loopback only.

    A driver puts it between the connector and the source:

        class StaffDriver(Driver):
            def __init__(self, settings):
                self.proxy = CuttingProxy(settings["host"], settings["port"])
                super().__init__({**settings, "host": self.proxy.host, "port": self.proxy.port})

            def close(self):
                self.proxy.close()

            def cut_line(self, after_bytes):
                return self.proxy.cutting(after_bytes)

            def slow_down(self, seconds):
                return self.proxy.slowed(seconds)

    It does not look into what it forwards, so TLS passes through; the certificate then has the name of the source and
    not of the loopback address, so the client must be set to expect that name. As a context manager it closes itself.

    Args:
        host: The host of the source, or the path of its Unix socket.
        port: Its port; none for a Unix socket.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        self._source = (host, port)
        self._listener = socket.create_server((_LOOPBACK, 0))
        self._is_closed = threading.Event()
        self._connections: set[_Connection] = set()
        self._cut: _Cut | None = None
        self._delay_seconds = 0.0
        threading.Thread(target=self._accept, name="cutting-proxy", daemon=True).start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return _LOOPBACK

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    def close(self) -> None:
        """Close the port and all connections. Its threads end."""
        self._is_closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._connections):
            connection.close()

    @contextmanager
    def cutting(self, after_bytes: int) -> Iterator[None]:
        """End each connection once the source has sent so many bytes on it, counted from the beginning of the block."""
        self._cut = _Cut(after_bytes)
        try:
            yield
        finally:
            self._cut = None

    @contextmanager
    def slowed(self, seconds: float) -> Iterator[None]:
        """Hold back the first bytes that the source sends after each request."""
        self._delay_seconds = seconds
        try:
            yield
        finally:
            self._delay_seconds = 0.0

    def _accept(self) -> None:
        while not self._is_closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), name="cutting-proxy", daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            source = self._open_source()
        except OSError:
            client.close()
            return
        source.settimeout(None)
        connection = _Connection(client, source)
        self._connections.add(connection)
        threading.Thread(target=connection.send, name="cutting-proxy", daemon=True).start()
        try:
            self._answer(connection)
        finally:
            self._connections.discard(connection)
            connection.close()

    def _open_source(self) -> socket.socket:
        host, _ = self._source
        if not host.startswith("/"):
            return socket.create_connection(self._source, timeout=_CONNECT_SECONDS)
        source = socket.socket(socket.AF_UNIX)
        source.connect(host)
        return source

    def _answer(self, connection: _Connection) -> None:
        """Forward what the source sends, up to the cut."""
        cut: _Cut | None = None
        sent = 0
        with suppress(OSError):
            while data := connection.source.recv(_CHUNK_BYTES):
                if connection.awaits_answer:
                    connection.awaits_answer = False
                    self._is_closed.wait(self._delay_seconds)
                if cut is not self._cut:
                    cut, sent = self._cut, 0
                if cut is not None and sent + len(data) >= cut.after_bytes:
                    connection.client.sendall(data[: cut.after_bytes - sent])
                    return
                connection.client.sendall(data)
                sent += len(data)


@dataclass(eq=False)
class _Connection:
    """One connection of a client, and the one to the source that belongs to it."""

    client: socket.socket
    source: socket.socket
    awaits_answer: bool = False

    def send(self) -> None:
        """Forward what the client sends."""
        with suppress(OSError):
            while data := self.client.recv(_CHUNK_BYTES):
                self.awaits_answer = True
                self.source.sendall(data)
            self.source.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End both: the peers see the end of the stream, as when a process ends."""
        for each in (self.client, self.source):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
