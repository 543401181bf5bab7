"""The findings of an integration with their state, which the platform keeps over time."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from ploy_connector_aws.spec.bounds import Count, Moment
from ploy_connector_aws.spec.records import Id, Severity

from .bodies import ResponseModel

FindingState: TypeAlias = Literal["open", "accepted", "resolved", "withdrawn"]
"""Open, accepted by a person, resolved (proven gone), or withdrawn (not proven gone: its scope was switched off)."""

FINDINGS_PER_PAGE = 500


class FindingSubject(ResponseModel):
    """A record that a finding is about."""

    type: Literal["account", "entitlement", "grant", "resource"]
    id: Id
    name: str | None = Field(default=None, description="Its name at the platform; None where it has no such record.")


class FindingAcceptance(ResponseModel):
    """Why a person accepted a finding."""

    reason: str
    name: str = Field(description="The name that the person typed; the platform does not verify it.")
    accepted_at: Moment


class FindingStatus(ResponseModel):
    """A finding as it was last listed, and its state."""

    id: Id
    kind: str
    source: Literal["connector", "platform"] = Field(
        description="Whether the connector observed it, or a rule of the platform found it."
    )
    subjects: tuple[FindingSubject, ...]
    severity: Severity
    title: str
    evidence: str
    advice: str | None = None
    state: FindingState
    is_judged: bool = Field(
        description="False where it is unknown whether it still applies: its scope was not read completely, or what its"
        " rule compares is not known any more."
    )
    first_seen_at: Moment
    changed_at: Moment = Field(description="When it came into its state.")
    is_reopened: bool = Field(default=False, description="Whether it was accepted, resolved or withdrawn before.")
    acceptance: FindingAcceptance | None = Field(default=None, description="Only of an accepted one.")


class Findings(ResponseModel):
    """One page of the findings, in the order in which they were first seen."""

    findings: tuple[FindingStatus, ...]
    next_after: Count | None = Field(
        default=None, description="The 'after' of the next page; None where this one is empty."
    )
    generation: Count = Field(description="The generation that they were judged by; 0 before the first one.")
    unproven_scopes: Count = Field(
        description="How many scopes that generation does not prove: findings in them may be missing."
    )
