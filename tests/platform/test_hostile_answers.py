"""Hostile answers: compressed twice or endlessly, too deep, too large; none causes an internal error."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformError, PlatformUnavailableError
from ploy_connector_aws.platform.openapi import CALLS
from ploy_connector_aws.platform.retry import RetryPolicy

from .calls import ANSWERED
from .extremes import EXTREME, places, put

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

JSON = {"content-type": "application/json"}


def packed(body: bytes) -> bytes:
    """Compress without the time of day, which would give each worker other ids of the tests."""
    return gzip.compress(body, mtime=0)


PLAIN = b'{"integrations": []}'
MEGABYTE = 1024 * 1024


class Body(httpx.SyncByteStream):
    """A body as it comes from the network: in pieces, and read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


@contextmanager
def answering(body: Callable[[], Iterator[bytes]], status: int = 200, **headers: str) -> Iterator[PlatformClient]:
    """A client to which a Ploy answers so, however often it asks."""

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            status, headers={**JSON, **{name.replace("_", "-"): each for name, each in headers.items()}},
            stream=Body(body()),
        )  # fmt: skip

    retry = RetryPolicy(sleep=lambda _: None, monotonic=lambda: 0.0)
    source = TokenSource(token=SecretStr("ploy_t0ken"))
    with PlatformClient("https://ploy.example", source, transport=httpx.MockTransport(handle), retry=retry) as client:
        yield client


def bomb(size: int) -> bytes:
    """So many megabytes, compressed, without the end of the stream: nothing gets as far as that."""
    packer = zlib.compressobj(9, wbits=31)
    first, next_one = (packer.compress(b" " * MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + next_one * (size - 1)


def in_pieces(body: Callable[[], bytes]) -> Callable[[], Iterator[bytes]]:
    """A body that is made when it is needed."""
    return lambda: once(body())()


def once(body: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([body[at : at + 7_000] for at in range(0, len(body), 7_000)])


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", packed(PLAIN)), ("GZIP", packed(PLAIN)), ("identity", PLAIN), ("", PLAIN)],
)
def test_answer_may_be_compressed_once_or_not_at_all(coding: str, body: bytes) -> None:
    with answering(once(body), content_encoding=coding) as client:
        assert client.integrations().integrations == ()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip, gzip", packed(packed(PLAIN))),
        ("gzip, identity, gzip", packed(packed(PLAIN))),
        ("gzip", packed(packed(PLAIN))),
        ("deflate", zlib.compress(PLAIN)),
        ("br", PLAIN),
        ("zstd", PLAIN),
        ("no-such-coding", PLAIN),
        ("gzip", PLAIN),
        ("gzip", packed(PLAIN)[:-9]),
        ("gzip", packed(PLAIN) + b"more"),
        ("gzip", packed(PLAIN) + packed(b"")),
        ("gzip", packed(PLAIN)[:-8] + b"\0" * 8),
        ("gzip", b""),
        ("identity", packed(PLAIN)),
    ],
)
def test_answer_with_another_coding_or_incomplete_is_rejected(coding: str, body: bytes) -> None:
    with answering(once(body), content_encoding=coding) as client, pytest.raises(PlatformUnavailableError):
        client.integrations()


def endless() -> Iterator[bytes]:
    while True:
        yield b" " * MEGABYTE


def endless_blocks() -> Iterator[bytes]:
    """A gzip stream that goes on with empty blocks, of which nothing comes out."""
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    while True:
        yield b"\0\0\0\xff\xff" * 100_000


HUGE: dict[str, tuple[str, Callable[[], Iterator[bytes]]]] = {
    "bomb": ("gzip", in_pieces(lambda: bomb(2_000))),
    "bomb in a bomb": ("gzip, gzip", in_pieces(lambda: packed(bomb(2_000)))),
    "empty blocks": ("gzip", endless_blocks),
    "no end": ("identity", endless),
}
QUICK = {*((200, kind) for kind in HUGE), (503, "empty blocks"), (503, "no end")}
"""Each kind, and with an error one that is decoded and one that is not; a soak plays all."""


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(status, kind, marks=() if (status, kind) in QUICK else pytest.mark.soak)
        for status in (200, 404, 503)
        for kind in HUGE
    ],
)
def test_answer_never_takes_more_memory_than_the_largest_of_the_contract(status: int, kind: str) -> None:
    coding, body = HUGE[kind]
    with answering(body, status, content_encoding=coding) as client:
        tracemalloc.start()
        try:
            with pytest.raises(PlatformUnavailableError):
                client.integrations()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 200 * MEGABYTE


def test_client_requests_the_supported_coding_only() -> None:
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["accept-encoding"])
        return httpx.Response(200, headers=JSON, stream=Body(iter([PLAIN])))

    source = TokenSource(token=SecretStr("ploy_t0ken"))
    with PlatformClient("https://ploy.example", source, transport=httpx.MockTransport(handle)) as client:
        client.integrations()
    assert asked == ["gzip"]


TASK = {
    "id": "t", "kind": "sync", "created_at": "2026-01-01T00:00:00Z", "deadline": "2026-01-01T01:00:00Z",
    "lease_id": "l", "lease_seconds": 60,
}  # fmt: skip
FINDING = {
    "id": "f", "kind": "open", "source": "connector", "subjects": [{"type": "account", "id": "a"}], "severity": "low",
    "title": "t", "evidence": "e", "state": "accepted", "is_judged": True,
    "first_seen_at": "2026-01-01T00:00:00Z", "changed_at": "2026-01-01T00:00:00Z",
    "acceptance": {"reason": "r", "name": "n", "accepted_at": "2026-01-01T00:00:00Z"},
}  # fmt: skip
FULLER: dict[str, dict[str, Any]] = {
    "findings": {"findings": [FINDING], "generation": 1, "unproven_scopes": 0},
    "lease_tasks": {"tasks": [TASK]},
    "integrations": {
        "integrations": [{"id": "i", "organisation_id": "o", "connector": "c", "settings": {}, "revision": 1}]
    },
}
"""Answers that have more than the least, so that what is in them is put to the test as well."""


@pytest.mark.parametrize("name", [call.name for call in CALLS])
def test_extreme_value_in_an_answer_is_an_error_of_the_client_or_none(name: str) -> None:
    arguments, _, _, least = ANSWERED[name]
    (model, _) = next(iter(next(call for call in CALLS if call.name == name).answers.values()))
    schema = model.model_json_schema()
    current = b""

    with answering(lambda: iter([current])) as client:
        for place in places(schema, schema.get("$defs", {})):
            text = json.dumps(put(deepcopy(FULLER.get(name, least)), place))
            for value in EXTREME:
                current = text.replace('"@"', value).encode()
                with suppress(PlatformError):
                    getattr(client, name)(*arguments)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500, 503, 302, 999])
def test_extreme_problem_is_an_error_of_the_client(status: int) -> None:
    current = b""
    schema: dict[str, Any] = {"properties": {key: {} for key in ("title", "status", "detail", "code", "errors")}}

    with answering(lambda: iter([current]), status) as client:
        deeper: list[list[str | int]] = [["errors", 0, "line"], ["errors", 0, "reason"]]
        for place in [*places(schema, {}), *deeper]:
            text = json.dumps(put({}, place))
            for value in EXTREME:
                current = text.replace('"@"', value).encode()
                with pytest.raises(PlatformError):
                    client.integrations()


RETRY_AFTER = (
    *("9" * digits for digits in (1, 9, 10, 19, 400, 5_000)),
    *("-1", "1.5", "1e400", "NaN", "", " ", "²", "٣", "soon", "\x85"),
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Fri, 31 Dec 9999 23:59:59 -9999",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2026 99999999999999999999:00:00 GMT",
    f"Mon, 01 Jan 2026 00:00:00 +{'9' * 40}",
    f"Mon, {'9' * 5_000} Jan 2026 00:00:00 GMT",
)


@pytest.mark.parametrize("header", RETRY_AFTER, ids=repr)
def test_retry_after_is_never_an_internal_error(header: str) -> None:
    RetryPolicy().from_retry_after(header)


@given(
    st.one_of(
        st.text(max_size=60),
        st.from_regex(
            r"(Mon, )?[0-9]{1,25} (Jan|Feb) -?[0-9]{1,25} [0-9]{1,25}:[0-9]{1,9}(:[0-9]{1,9})? [+-]?[0-9]{1,25}",
            fullmatch=True,
        ),
    )
)
def test_retry_after_of_any_text_is_never_an_internal_error(header: str) -> None:
    RetryPolicy().from_retry_after(header)
