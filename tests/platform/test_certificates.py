"""The certificates that the client accepts, tested by TLS connections."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformUnavailableError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.spec import ConfigurationError
from tests.slow_peer import NAME, Connection, SlowPeer, slow_peer


def list_no_integrations(connection: Connection) -> None:
    """Answer the client's first call under TLS, behind a proxy if it asked for one."""
    if connection.socket.recv(7, 2) == b"CONNECT":  # 2: MSG_PEEK
        connection.read_head()
        connection.socket.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.use_tls()
    connection.read_head()
    connection.socket.sendall(
        b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 19\r\n\r\n{"integrations":[]}'
    )


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowPeer]:
    """A server under TLS for a public name, behind a proxy on loopback, and on loopback itself."""
    with slow_peer(list_no_integrations, tmp_path) as started:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{started.port}")
        yield started


def is_accepted(url: str) -> bool:
    """Whether a client takes the server's certificate."""
    tokens = TokenSource(token=SecretStr("ploy_t0ken"))
    with PlatformClient(url, tokens, retry=RetryPolicy(max_attempts=1)) as client:
        try:
            return client.integrations().integrations == ()
        except PlatformUnavailableError:
            return False


def test_certificate_is_trusted_only_if_the_environment_names_its_authority(
    peer: SlowPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not is_accepted(f"https://{NAME}")

    monkeypatch.setenv("SSL_CERT_FILE", str(peer.certificate))
    assert is_accepted(f"https://{NAME}")
    # Valid, but for another name.
    assert not is_accepted("https://another.example")

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="certificate"):
        is_accepted(f"https://{NAME}")


def test_certificates_of_the_environment_are_ignored_on_loopback(
    peer: SlowPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(peer.certificate))

    assert not is_accepted(f"https://127.0.0.1:{peer.port}")


def test_public_authorities_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    is_accepted("https://127.0.0.1:9")
    files: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def count(context: ssl.SSLContext, cafile: Any = None, *others: Any) -> None:
        files.append(cafile)
        load(context, cafile, *others)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", count)
    is_accepted("https://127.0.0.1:9")
    assert files == []

    httpx.create_ssl_context()
    assert len(files) == 1
