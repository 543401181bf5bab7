"""Counters of the requests to Ploy, at the point where they leave the process."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest


@dataclass
class Wire:
    """The requests so far, and the lines of the batches among them."""

    requests: list[str] = field(default_factory=list)
    lines: list[dict[str, object]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, object]]:
        return [line for line in self.lines if line["line"] == kind]


@contextlib.contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Note every request that is made while the block runs."""
    wire = Wire()
    send = httpx.HTTPTransport.handle_request

    def noted(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        wire.requests.append(f"{request.method} {request.url.path.rpartition('/connector/v1')[2]}")
        if request.method == "PUT":
            wire.lines += [json.loads(line) for line in gzip.decompress(request.content).splitlines()]
        return send(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", noted)
        yield wire
