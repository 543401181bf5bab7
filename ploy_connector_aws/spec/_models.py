"""The base class of all models of the specification."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """An immutable value; an unknown field is an error, so a misspelt one is never lost unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")
