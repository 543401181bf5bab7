"""``CuttingProxy``: what comes through, what is cut, and that nothing of it is left."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ploy_connector_aws.testing import CuttingProxy
from tests.deadlines import PATIENCE_SECONDS


@pytest.fixture
def source() -> Iterator[int]:
    """A server that answers each byte with a hundred of it; yields its port."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=answer, args=(client,), daemon=True).start()

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(1):
                client.sendall(data * 100)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def connect(proxy: CuttingProxy) -> closing[socket.socket]:
    return closing(socket.create_connection((proxy.host, proxy.port), timeout=PATIENCE_SECONDS))


def read(connection: socket.socket, count: int) -> bytes:
    """Read so many bytes, or fewer if the connection ends."""
    found = b""
    while len(found) < count and (data := connection.recv(count - len(found))):
        found += data
    return found


def test_both_directions_are_forwarded_and_the_end_as_well(source: int) -> None:
    with CuttingProxy("127.0.0.1", source) as proxy, connect(proxy) as connection:
        connection.sendall(b"ab")
        connection.shutdown(socket.SHUT_WR)
        assert read(connection, 201) == b"a" * 100 + b"b" * 100


@pytest.mark.parametrize("after_bytes", [0, 1, 99, 100, 150])
def test_each_connection_is_cut_after_so_many_bytes(source: int, after_bytes: int) -> None:
    with CuttingProxy("127.0.0.1", source) as proxy, connect(proxy) as before:
        before.sendall(b"a")
        assert read(before, 100) == b"a" * 100
        with proxy.cutting(after_bytes), connect(proxy) as during:
            for connection in (before, during):
                connection.sendall(b"bc")
                assert read(connection, 200) == (b"b" * 100 + b"c" * 100)[:after_bytes]
        with connect(proxy) as after:
            after.sendall(b"d")
            assert read(after, 100) == b"d" * 100


def test_responses_are_delayed_during_the_block_only(source: int) -> None:
    with CuttingProxy("127.0.0.1", source) as proxy, connect(proxy) as connection:
        began = time.monotonic()
        with proxy.slowed(0.05):
            for text in (b"a", b"b"):
                connection.sendall(text)
                assert read(connection, 100) == text * 100
        assert time.monotonic() - began >= 0.1
        with proxy.slowed(PATIENCE_SECONDS):
            pass
        connection.sendall(b"c")
        assert read(connection, 100) == b"c" * 100


def test_close_ends_connections_that_wait_and_all_threads(source: int) -> None:
    proxy = CuttingProxy("127.0.0.1", source)
    with connect(proxy) as connection, proxy.slowed(PATIENCE_SECONDS):
        connection.sendall(b"a")
        proxy.close()
        with suppress(ConnectionResetError):
            assert read(connection, 1) in (b"", b"a")
    for thread in threading.enumerate():
        if thread.name == "cutting-proxy":
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


def test_a_source_that_is_away_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with CuttingProxy("127.0.0.1", port) as proxy, connect(proxy) as connection:
        assert read(connection, 1) == b""


def test_a_source_on_a_unix_socket_is_reached_and_cut(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with CuttingProxy(path) as proxy, connect(proxy) as connection, proxy.cutting(2):
            client, _ = listener.accept()
            with client:
                client.sendall(b"abc")
                assert read(connection, 3) == b"ab"
