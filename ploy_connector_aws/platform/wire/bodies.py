"""What every body of the contract is: strict in what is sent, open in what is answered."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ploy_connector_aws.spec.bounds import Count
from ploy_connector_aws.spec.records import RecordType

API_PREFIX = "/connector/v1"

Counts: TypeAlias = dict[RecordType, Count]
"""How many records of each type; a type that is left out has none."""

Mode: TypeAlias = Literal["full", "delta"]
"""Whether all that was proven is sent, or what differs from a base generation."""

Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal digits. A batch's is over its body as it is sent, which is after compression."""


NDJSON = "application/x-ndjson"
"""The media type of a batch: one JSON object per line, always sent with gzip as its content coding."""

PROBLEM_JSON = "application/problem+json"
"""The media type of every error answer."""


class RequestModel(BaseModel):
    """What is sent: a field that the platform does not know is refused, so that nothing is lost unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ResponseModel(BaseModel):
    """What is answered: a field that the runtime does not know yet is passed over, so that the platform can grow."""

    model_config = ConfigDict(frozen=True, extra="ignore")
