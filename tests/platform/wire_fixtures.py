"""The fixtures of the wire contract: requests and responses as they go over HTTP, in ``tests/data/wire``.

``NAME.request.http`` is a request, ``NAME.response.http`` its response, ``NAME.VARIANT.response.http`` another response
to the same request. A file has the request line or the status line, the compared headers by name, an empty line, and
the body, byte for byte. The body of a batch is that after decompression.

The files leave out the headers of the connection and of the server, and the reason phrase of a status, which depends
on the version of Python. No command writes them: they are changed by hand only.

The local Ploy makes its ids at random. For the fixtures ``uuid.uuid4`` counts from 1: the organisation is 1, its token
2, the integration 3, the integration's external ID 4; syncs, tasks and leases follow in the order in which they are
made.
"""

from __future__ import annotations

import base64
import difflib
import gzip
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

FOLDER = Path(__file__).parents[1] / "data" / "wire"

DIGEST_OF_BODY = "sha-256=:COMPUTED:"
"""Stands for the digest of the compressed body, which depends on the build of zlib. It is compared with the body.

``put_batch.request.http`` has the digest itself: zlib and zlib-ng write the same bytes for its one short line.
"""

_NOT_COMPARED = {"connection", "content-length", "date", "host", "user-agent", "x-ploy-sandbox"}


class Message(NamedTuple):
    """A request or a response."""

    start: str
    headers: dict[str, str]
    body: bytes

    def to_bytes(self) -> bytes:
        """Return the message as it stands in a file."""
        lines = [self.start, *(f"{name}: {value}" for name, value in sorted(self.headers.items())), "", ""]
        return "\n".join(lines).encode() + self.body


def names(kind: str) -> list[str]:
    """Return the names of all fixtures of a kind, ``request`` or ``response``."""
    return sorted(path.name.removesuffix(f".{kind}.http") for path in FOLDER.glob(f"*.{kind}.http"))


def request_of(name: str) -> str:
    """Return the name of the request that a response answers: its own, or the one before the variant."""
    return name if (FOLDER / f"{name}.request.http").exists() else name.partition(".")[0]


def read(name: str, kind: str) -> Message:
    """Read a fixture."""
    head, _, body = (FOLDER / f"{name}.{kind}.http").read_bytes().partition(b"\n\n")
    start, *lines = head.decode().split("\n")
    return Message(start, dict(line.split(": ", 1) for line in lines), body)


def from_request(request: httpx.Request) -> Message:
    """Return a request as a message: its body decompressed, after the digest of the compressed one was checked."""
    headers, body = _compared(request.headers), request.content
    if headers.get("content-encoding") == "gzip":
        assert headers.get("content-digest", content_digest(body)) == content_digest(body)
        body = gzip.decompress(body)
    return Message(f"{request.method} {request.url.raw_path.decode()} HTTP/1.1", headers, body)


def from_response(response: httpx.Response) -> Message:
    """Return a response as a message."""
    return Message(f"HTTP/1.1 {response.status_code}", _compared(response.headers), response.content)


def content_digest(body: bytes) -> str:
    """Compute the header Content-Digest (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def require_same(name: str, kind: str, found: Message) -> None:
    """Fail with the difference where a message is not the one of the fixture, byte for byte."""
    expected = read(name, kind)
    if expected.headers.get("content-digest") == DIGEST_OF_BODY and "content-digest" in found.headers:
        found = found._replace(headers={**found.headers, "content-digest": DIGEST_OF_BODY})
    stored = (FOLDER / f"{name}.{kind}.http").read_bytes()
    if found.to_bytes() != stored:
        pieces = _pieces(stored), _pieces(found.to_bytes())
        difference = difflib.unified_diff(*pieces, f"{name}.{kind}.http", "found", lineterm="")
        raise AssertionError("\n".join(["The message differs from the fixture:", *difference]))


def _compared(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() not in _NOT_COMPARED}


def _pieces(message: bytes) -> list[str]:
    """Split a message at its line ends, which are shown, and at its commas, so that a difference can be read."""
    return re.split(r"(?<=,)|\n", message.decode().replace("\n", "\\n\n"))
