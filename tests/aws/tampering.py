"""A server between the connector and the local AWS that changes answers: what no AWS should ever say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.aws.raw_answers import Reply, Request, forward, serving

Tamper = Callable[[str, bytes], bytes]
"""Is given the operation ('' where the protocol does not name it in a header) and the answer's body."""


@contextmanager
def tampered(endpoint_url: str, tamper: Tamper, taken: frozenset[str] = frozenset()) -> Iterator[str]:
    """Run the server; gives its URL. The operations that are `taken` seem to succeed, whatever AWS said."""

    def answer(request: Request) -> Reply:
        reply = forward(endpoint_url, request)
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        status = 200 if operation in taken else reply.status
        return replace(reply, status=status, body=tamper(operation, reply.body) if status == 200 else reply.body)

    with serving(answer) as url:
        yield url


def in_json(operation: str, change: Callable[[dict[str, Any]], object]) -> Tamper:
    """Change the JSON answers of one operation in place."""

    def tamper(answered: str, body: bytes) -> bytes:
        if answered != operation:
            return body
        document = json.loads(body)
        change(document)
        return json.dumps(document).encode()

    return tamper


def in_xml(operation: str, pattern: str, replacement: str) -> Tamper:
    """Change the XML answers of one operation: every match of a pattern, over line ends too."""

    def tamper(_: str, body: bytes) -> bytes:
        if not body.startswith(f"<{operation}Response".encode()):
            return body
        return re.sub(pattern, replacement, body.decode(), flags=re.DOTALL).encode()

    return tamper
