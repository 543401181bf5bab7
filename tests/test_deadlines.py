"""No exchange with AWS or Ploy exceeds its time limit, at whatever point the other side is slow."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from ploy_connector_aws import deadlines
from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.client.exchanges import ExchangeSession
from ploy_connector_aws.aws.client.session import BACKGROUND, INTERACTIVE, CallProfile, make_sts_client
from ploy_connector_aws.platform import client as platform
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformUnavailableError
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.spec import TemporaryError

from . import slow_peer
from .slow_peer import NAME, Connection

LIMIT = 0.4
"""Seconds that these tests wait in fact: a socket's time-out runs in the kernel, where no clock can be replaced."""
PATIENCE = 60
"""Seconds after which an exchange counts as endless."""
LARGE = 30_000_000
"""Bytes: more than the buffers between two sockets hold."""

Call = Callable[[str, int, int], None]
"""Makes a request of so many bytes to an address, in so many attempts, and expects that it fails as in an outage."""


def call_aws(_: str, size: int, attempts: int) -> None:
    profile = CallProfile(
        connect_timeout_seconds=PATIENCE, read_timeout_seconds=PATIENCE, exchange_seconds=LIMIT, attempts=attempts
    )
    client = make_sts_client("eu-west-1", profile)
    request = {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session", "Policy": "x" * size}
    with pytest.raises(TemporaryError) as failed:
        read(client, "AssumeRole", **request)
    assert not failed.value.changed_nothing, "a write of which this is the answer may have taken effect"
    client.close()


def call_ploy(url: str, size: int, attempts: int) -> None:
    with (
        PlatformClient(
            url,
            TokenSource(token=SecretStr("token")),
            timeout=httpx.Timeout(PATIENCE),
            exchange_seconds=LIMIT,
            retry=RetryPolicy(max_attempts=attempts, sleep=lambda _: None),
        ) as client,
        pytest.raises(PlatformUnavailableError),
    ):
        client.put_batch("i", "s", 1, b"x" * size)


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    """Have both sides find the address, and trust the certificate."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *args, **more: look_up("127.0.0.1" if host == NAME else host, *args, **more)
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for variable in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(certificate))


DIRECT, TLS, PROXY, TLS_PROXY = "direct", "TLS", "proxy", "TLS proxy"
PLACES: list[tuple[Callable[[Connection], None], str]] = [
    (slow_peer.in_silence, DIRECT),
    (slow_peer.without_reading, DIRECT),
    (slow_peer.in_the_headers, DIRECT),
    (slow_peer.in_the_body, DIRECT),
    (slow_peer.in_a_chunked_body, DIRECT),
    (slow_peer.in_silence, TLS),
    (slow_peer.in_the_handshake, TLS),
    (slow_peer.in_a_body_under_tls, TLS),
    (slow_peer.in_a_record_under_tls, TLS),
    (slow_peer.in_silence, PROXY),
    (slow_peer.as_a_proxy, PROXY),
    (slow_peer.behind_a_proxy, PROXY),
    (slow_peer.as_a_proxy_under_tls, TLS_PROXY),
    (slow_peer.under_tls_behind_a_proxy_under_tls, TLS_PROXY),
]


@pytest.mark.parametrize("call", [call_aws, call_ploy])
@pytest.mark.parametrize(("place", "by"), PLACES, ids=lambda each: getattr(each, "__name__", each))
def test_an_exchange_ends_at_its_limit_wherever_the_peer_is_slow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call, place: Callable[[Connection], None], by: str
) -> None:
    with slow_peer.slow_peer(place, tmp_path) as peer:
        url = {DIRECT: f"http://127.0.0.1:{peer.port}", TLS: f"https://{NAME}:{peer.port}"}.get(by, f"https://{NAME}")
        if by in (PROXY, TLS_PROXY):
            monkeypatch.setenv("HTTPS_PROXY", f"{'http' if by == PROXY else 'https'}://localhost:{peer.port}")
        lead_to(url, monkeypatch, peer.certificate)
        began = time.monotonic()
        call(url, LARGE if place is slow_peer.without_reading else 10, 1)
        took = time.monotonic() - began
    assert peer.connections == 1
    assert LIMIT <= took < PATIENCE / 2


@pytest.mark.parametrize("call", [call_aws, call_ploy])
def test_too_slow_exchange_is_retried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Call) -> None:
    with slow_peer.slow_peer(slow_peer.in_the_body, tmp_path) as peer:
        url = f"http://127.0.0.1:{peer.port}"
        lead_to(url, monkeypatch, peer.certificate)
        call(url, 10, 2)
    assert peer.connections == 2


def test_the_limit_is_that_of_one_exchange_and_not_of_a_connection(tmp_path: Path) -> None:
    """Over TLS, as each layer sets time-outs of its own."""

    def answer(connection: Connection) -> None:
        connection.use_tls()
        while connection.read_head():
            connection.socket.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n" + b'{"integrations":[]}')

    with slow_peer.slow_peer(answer, tmp_path) as peer:
        sock = deadlines.connect("127.0.0.1", peer.port, 7)
        context = ssl.create_default_context(cafile=str(peer.certificate))
        deadlines.limit_tls(context)
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped:
            for limit in (PATIENCE, 5, PATIENCE):
                with deadlines.time_limit(limit):
                    wrapped.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    assert wrapped.recv(1000)
                assert wrapped.gettimeout() == 7
            with deadlines.time_limit(0), pytest.raises(TimeoutError):
                wrapped.recv(1)
            wrapped.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert wrapped.recv(1000)
    assert peer.connections == 1


def test_connecting_to_many_addresses_that_do_not_answer_keeps_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = full.getsockname()
        for _ in range(3):  # the queue of what is to be accepted is full: the kernel answers no more
            queued = stack.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(address)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 200
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = time.monotonic()
        with deadlines.time_limit(LIMIT), pytest.raises(TimeoutError):
            deadlines.connect("many.example", 443, 0.1)
    assert LIMIT <= time.monotonic() - began < PATIENCE / 2


def test_limits_match_the_documents() -> None:
    made_by_botocore = ExchangeSession().create_client("sts", region_name="eu-west-1")
    assert (
        BACKGROUND.exchange_seconds,
        INTERACTIVE.exchange_seconds,
        made_by_botocore._endpoint.http_session._seconds,
    ) == (
        60,
        30,
        60,
    )
    assert (platform.EXCHANGE_SECONDS, platform.POLL_MARGIN_SECONDS) == (60, 15)
    made_by_botocore.close()
