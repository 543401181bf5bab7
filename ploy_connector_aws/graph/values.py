"""Records and scopes of a generation, as a runtime and a platform read them from their tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ploy_connector_aws.spec.pages import Failure, ScopeEnding
from ploy_connector_aws.spec.records import RecordType


@dataclass(frozen=True)
class ScopeState:
    """One scope of a generation."""

    name: str
    parent: str | None
    is_announced: bool
    """False: an earlier run announced it."""
    ending: ScopeEnding | None
    failure: Failure | None
    origin: str | None
    unproven_since: datetime | None
    """None where it is proven."""

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> ScopeState:
        """Convert a row of a table of scopes, with its columns in the order of the fields."""
        name, parent, is_announced, ending, failure, origin, unproven_since = row
        return cls(
            name,
            parent,
            bool(is_announced),
            ending,
            Failure.model_validate_json(failure) if failure else None,
            origin,
            datetime.fromisoformat(unproven_since) if unproven_since else None,
        )


@dataclass(frozen=True)
class StoredRecord:
    """A record of a generation."""

    type: RecordType
    id: str
    scopes: tuple[str, ...]
    """The scopes that list it, or listed it at their last reading."""
    body: bytes
    is_partial: bool
    """Whether the newest run did not read the content in full."""
    is_unproven: bool
    """Whether it is kept without proof."""
    kept_by: str | None = None
    """The id of the grant that names it, where it is kept only for that reason."""

    @property
    def content(self) -> dict[str, Any]:
        """The record as JSON values."""
        content: dict[str, Any] = json.loads(self.body)
        return content
