"""SHA-256 digests of batches, in the notations of the contract and of HTTP."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from .bodies import Digest


def digest_of(body: bytes) -> Digest:
    """Compute the digest of a batch: SHA-256 over the body as sent, after compression."""
    return hashlib.sha256(body).hexdigest()


def digest_of_batches(digests: Iterable[Digest]) -> Digest:
    """Compute the digest that a commit names: SHA-256 over the batches' digests, in order, as hexadecimal text."""
    whole = hashlib.sha256()
    for digest in digests:
        whole.update(digest.encode())
    return whole.hexdigest()


def to_content_digest(digest: Digest) -> str:
    """Return a digest as the value of the header Content-Digest (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def from_content_digest(header: str) -> Digest | None:
    """Read the SHA-256 digest from the value of Content-Digest; None if it has none."""
    found = re.search(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):", header)
    return base64.b64decode(found[1]).hex() if found else None
