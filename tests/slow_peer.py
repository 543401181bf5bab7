"""A peer on loopback that is slow at one point of its answer: it sends one byte after the other, for ever."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "slow.example"
"""A name in the certificate beside the loopback's. Clients use proxies and certificates of the environment for it."""


LASTS_SECONDS = 30
"""A client without a limit is let go after so long: it has failed then."""


@dataclass
class Connection:
    """The tools of a slow answer."""

    socket: socket.socket
    pause: Callable[[], bool]
    """Waits for a moment; False when the peer was stopped, or has gone on for long enough."""
    tls: ssl.SSLContext

    def read_head(self) -> bytes:
        """Read up to the empty line."""
        head = b""
        while b"\r\n\r\n" not in head and (byte := self.socket.recv(1)):
            head += byte
        return head

    def drip(self, text: bytes = b"x") -> None:
        """Send one byte after the other, for ever."""
        while self.pause():
            self.socket.sendall(text)

    def use_tls(self) -> None:
        """Continue with TLS."""
        self.socket = self.tls.wrap_socket(self.socket, server_side=True)


def in_silence(connection: Connection) -> None:
    """Take the request, and never answer."""
    connection.read_head()
    while connection.pause():
        pass


def without_reading(connection: Connection) -> None:
    """Read a byte now and then, so that the sender's buffer is full."""
    while connection.pause():
        connection.socket.recv(1)


def in_the_headers(connection: Connection) -> None:
    """Begin to answer."""
    connection.read_head()
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    connection.drip()


def in_the_body(connection: Connection) -> None:
    """Announce a long body, and send it."""
    connection.read_head()
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
    connection.drip()


def in_a_chunked_body(connection: Connection) -> None:
    """Send one chunk after the other."""
    connection.read_head()
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    connection.drip(b"1\r\nx\r\n")


def in_the_handshake(connection: Connection) -> None:
    """Begin a record of TLS as long as one may be."""
    connection.socket.sendall(b"\x16\x03\x03\x40\x00")
    connection.drip(b"\x02")


def in_a_body_under_tls(connection: Connection) -> None:
    """As in the body."""
    connection.use_tls()
    in_the_body(connection)


def in_a_record_under_tls(connection: Connection) -> None:
    """Let a record of an established connection arrive byte by byte."""
    with connection.socket.dup() as raw:
        connection.use_tls()
        connection.read_head()
        raw.sendall(b"\x17\x03\x03\x40\x00")
        while connection.pause():
            raw.sendall(b"\x00")


def as_a_proxy(connection: Connection) -> None:
    """Begin to answer to CONNECT."""
    assert connection.read_head().startswith(b"CONNECT ")
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    connection.drip()


def behind_a_proxy(connection: Connection) -> None:
    """Be a proxy, and the server behind it."""
    assert connection.read_head().startswith(b"CONNECT ")
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    in_a_body_under_tls(connection)


def as_a_proxy_under_tls(connection: Connection) -> None:
    """Be a proxy that itself speaks TLS."""
    connection.use_tls()
    as_a_proxy(connection)


def under_tls_behind_a_proxy_under_tls(connection: Connection) -> None:
    """Be a proxy that speaks TLS, and begin a record of TLS behind it."""
    connection.use_tls()
    assert connection.read_head().startswith(b"CONNECT ")
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    in_the_handshake(connection)


@dataclass
class SlowPeer:
    """The peer, and how often it was connected to."""

    port: int
    certificate: Path
    connected: threading.Event = field(default_factory=threading.Event)
    connections: int = 0


@contextmanager
def slow_peer(how: Callable[[Connection], None], folder: Path, *, every_seconds: float = 0.05) -> Iterator[SlowPeer]:
    """Listen while the block runs.

    Args:
        how: Where it is slow.
        folder: Where its certificate is written to.
        every_seconds: Between two bytes.
    """
    stopped = threading.Event()
    context, certificate = make_certificate(folder)

    def serve(accepted: socket.socket) -> None:
        ends_at = time.monotonic() + LASTS_SECONDS
        connection = Connection(
            accepted, lambda: not stopped.wait(every_seconds) and time.monotonic() < ends_at, context
        )
        with suppress(OSError):
            how(connection)
        connection.socket.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.connections += 1
                peer.connected.set()
                threading.Thread(target=serve, args=(accepted,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = SlowPeer(listener.getsockname()[1], certificate)
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield peer
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)


def make_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate that signs itself: a server's context with it, and the file that makes clients believe it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(NAME), x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    both = folder / "with-key.pem"
    both.write_bytes(
        file.read_bytes()
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, file
