"""Values that do not change and refuse fields they do not know: what every model of the specification is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """An immutable value; an unknown field is an error, so that a misspelt one is never silently lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")
