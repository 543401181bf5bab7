"""What a host can know of a connector without configuring it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from .frozen import Frozen

SPEC_VERSION = 1
"""The version of this hook specification. A host loads connectors of the versions it knows, and no others."""


class Manifest(Frozen):
    """A connector's identity card: the class attribute ``manifest`` of the class that its entry point names."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Unique among installed connectors.")]
    title: str = Field(description="The name people know, e.g. 'Amazon Web Services'.")
    version: str
    spec_version: int = Field(description="The version of the hook specification it was written for.")
    description: str
    config_schema: dict[str, JsonValue] = Field(
        description='JSON Schema of the settings; secrets carry "writeOnly": true.'
    )
    scan_interval_seconds: Annotated[int, Field(ge=60)] = Field(
        default=900, description="How often a host should read everything."
    )
