"""What a runtime reports by itself: its connectors, and the progress of connection tests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ploy_connector_aws.spec.bounds import Count, OutsideId
from ploy_connector_aws.spec.reports import ConnectionReport

from .bodies import RequestModel, ResponseModel


class ManifestAccepted(ResponseModel):
    """The manifest is stored for the token's organisation only."""

    name: str
    version: str


class RefusedConnector(RequestModel):
    """An installed connector that the runtime cannot use."""

    name: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="The name of its entry point; null if it cannot be read."
    )
    distribution: Annotated[str, Field(max_length=256, description="The package that contains it.")]
    reason: Annotated[str, Field(max_length=4000, description="Why it cannot be used, as the rest of a sentence.")]


class RefusedConnectors(RequestModel):
    """All connectors that a runtime cannot use; an empty list withdraws the report before."""

    refused: Annotated[tuple[RefusedConnector, ...], Field(max_length=100)] = ()


class RefusedKept(ResponseModel):
    """The report is stored for the token's organisation only."""

    count: Count


class CheckProgress(RequestModel):
    """The checks of a connection test so far. A repeated or outdated report changes nothing."""

    # Longer than the id of a task: a runtime builds it from the task's id and the attempt.
    check_id: Annotated[str, Field(min_length=1, max_length=160, description="The same for all reports of one test.")]
    number: Annotated[int, Field(strict=True, ge=1, le=1_000_000, description="Grows with each report of this test.")]
    is_final: bool = Field(default=False, description="No more checks follow.")
    report: ConnectionReport = Field(description="All checks so far.")
    task_id: OutsideId | None = Field(default=None, description="The task that requested the test, if any.")
    settings_revision: Count | None = Field(
        default=None, description="The revision of the tested settings; null if they are not the platform's."
    )


class CheckStatus(ResponseModel):
    """The state of a connection test."""

    check_id: str
    number: Count = Field(description="The latest report that has arrived.")
    is_final: bool
