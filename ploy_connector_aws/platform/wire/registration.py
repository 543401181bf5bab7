"""What a runtime says without being asked: which connectors it has, and how connection tests go."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ploy_connector_aws.spec.bounds import Count, OutsideId
from ploy_connector_aws.spec.reports import ConnectionReport

from .bodies import RequestModel, ResponseModel


class ManifestAccepted(ResponseModel):
    """The manifest of a connector is kept for the token's organisation, and for no other."""

    name: str
    version: str


class RefusedConnector(RequestModel):
    """A connector that is installed beside the runtime and cannot be used."""

    name: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="The name of its entry point; null where that cannot be read."
    )
    distribution: Annotated[str, Field(max_length=256, description="The package that brings it.")]
    reason: Annotated[str, Field(max_length=4000, description="Why it cannot be used, as the rest of a sentence.")]


class RefusedConnectors(RequestModel):
    """All connectors that a runtime refused; an empty list withdraws what was reported before."""

    refused: Annotated[tuple[RefusedConnector, ...], Field(max_length=100)] = ()


class RefusedKept(ResponseModel):
    """The report is kept for the token's organisation, and for no other."""

    count: Count


class CheckProgress(RequestModel):
    """A connection test, as far as it is. Sent again, or overtaken by a later one, it changes nothing."""

    # Longer than the id of a task: a runtime names the test that a task asks for after it and the attempt.
    check_id: Annotated[str, Field(min_length=1, max_length=160, description="The same for all that is sent of it.")]
    number: Annotated[
        int, Field(strict=True, ge=1, le=1_000_000, description="Grows with each that is sent of this check.")
    ]
    is_final: bool = Field(default=False, description="No more checks come.")
    report: ConnectionReport = Field(description="All checks so far.")
    task_id: OutsideId | None = Field(default=None, description="The task that asked for it, where one did.")
    settings_revision: Count | None = Field(
        default=None, description="Of the settings that were tested; null where they are not the platform's."
    )


class CheckStatus(ResponseModel):
    """Where a connection test stands."""

    check_id: str
    number: Count = Field(description="The latest that has arrived.")
    is_final: bool
