"""Base classes and shared types of all bodies: strict requests, open answers."""

from __future__ import annotations

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
