"""``ScopeReport``: how the scopes of a run ended, for a person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.spec.pages import Failure, Scope

SCOPES_NAMED = 50
"""How many scopes of each kind a report names."""


class UnprovenScope(BaseModel):
    """A scope that was not read completely."""

    model_config = ConfigDict(frozen=True)

    scope: Scope
    since: datetime | None
    failure: Failure | None = Field(default=None, description="None: not reached.")


class ScopeReport(BaseModel):
    """How the scopes of a run ended."""

    model_config = ConfigDict(frozen=True)

    endings: dict[str, int] = Field(description="Number of scopes by ending; 'not_reached' for those without one.")
    unproven: tuple[UnprovenScope, ...] = Field(default=(), description=f"The first {SCOPES_NAMED}, by name.")
    unproven_count: int = 0
    excluded: tuple[Scope, ...] = Field(default=(), description="The first that the settings switch off.")
    gone: tuple[Scope, ...] = Field(default=(), description="The first that no longer exist.")

    @classmethod
    def of(cls, scopes: Iterable[ScopeState]) -> ScopeReport:
        """Return the report of a snapshot's scopes."""
        endings: dict[str, int] = {}
        named: dict[str, list[Scope]] = {"excluded": [], "gone": []}
        unproven: list[UnprovenScope] = []
        count = 0
        for scope in scopes:
            if scope.is_announced:
                ending = scope.ending or "not_reached"
                endings[ending] = endings.get(ending, 0) + 1
                if ending in named and len(named[ending]) < SCOPES_NAMED:
                    named[ending].append(scope.name)
            if scope.unproven_since is not None:
                count += 1
                if len(unproven) < SCOPES_NAMED:
                    unproven.append(UnprovenScope(scope=scope.name, since=scope.unproven_since, failure=scope.failure))
        return cls(
            endings=endings,
            unproven=tuple(unproven),
            unproven_count=count,
            excluded=tuple(named["excluded"]),
            gone=tuple(named["gone"]),
        )
