"""How the scopes of a run ended, as a person is shown it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ploy_connector_aws.graph.values import ScopeState
from ploy_connector_aws.spec.pages import Failure, Scope

SCOPES_NAMED = 50
"""So many scopes of each kind are named."""


class UnprovenScope(BaseModel):
    """A scope that was not read completely."""

    model_config = ConfigDict(frozen=True)

    scope: Scope
    since: datetime | None
    failure: Failure | None = Field(default=None, description="None: it was not reached.")


class ScopeReport(BaseModel):
    """How a run's scopes ended."""

    model_config = ConfigDict(frozen=True)

    endings: dict[str, int] = Field(description="How many ended so; 'not_reached' for those that did not end.")
    unproven: tuple[UnprovenScope, ...] = Field(default=(), description=f"The first {SCOPES_NAMED}, by name.")
    unproven_count: int = 0
    excluded: tuple[Scope, ...] = Field(default=(), description="The first that the settings switch off, as many.")
    gone: tuple[Scope, ...] = Field(default=(), description="The first that do not exist any more, as many.")

    @classmethod
    def of(cls, scopes: Iterable[ScopeState]) -> ScopeReport:
        """Make the report of a generation's scopes."""
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
