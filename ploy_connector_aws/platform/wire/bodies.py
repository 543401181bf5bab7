"""Base classes and shared types of all bodies (strict requests, open answers), and SHA-256 digests."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ploy_connector_aws.spec.bounds import Count
from ploy_connector_aws.spec.records import RecordType

API_PREFIX = "/connector/v1"

Counts: TypeAlias = dict[RecordType, Count]
"""The number of records of each type; a missing type has none."""

Mode: TypeAlias = Literal["full", "delta"]
"""Whether a run sends everything that was proven, or what differs from a base generation."""

Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal digits. That of a batch covers its body as sent, after compression."""


NDJSON = "application/x-ndjson"
"""The media type of a batch: one JSON object per line, always sent with gzip as its content coding."""

PROBLEM_JSON = "application/problem+json"
"""The media type of every error answer."""


class RequestModel(BaseModel):
    """A request: the platform rejects an unknown field, so that nothing is lost unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ResponseModel(BaseModel):
    """An answer: the runtime ignores an unknown field, so that the platform can add fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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
