"""The manifest: what a host can read about a connector without configuring it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator

from ._models import FrozenModel
from .bounds import Count, Interval, SpecificationError
from .expressions import is_expression
from .labels import Label, find_label_errors
from .wizard import Feature, Permission, Wizard

ERROR_MESSAGE = "x-ploy-error-message"
"""In a setting's schema: what its pattern requires, as the rest of a sentence that begins with the setting's title."""

STRIP = "x-ploy-strip"
"""In a setting's schema: a pattern for single characters that people copy by accident; matches are removed."""

SPEC_VERSION = 1
"""The version of this hook specification. A host loads connectors of the versions it knows, and no others."""

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,62}$"
"""The name of a connector."""


class Manifest(FrozenModel):
    """What identifies a connector: the class attribute ``manifest`` of the class that its entry point names."""

    name: Annotated[str, Field(pattern=NAME_PATTERN, description="Unique among installed connectors.")]
    title: str = Field(description="The name people know, e.g. 'Amazon Web Services'.")
    version: str = Field(description="The connector's own version.")
    spec_version: Count = Field(description="The version of the hook specification it was written for.")
    description: str = Field(description="What it reads and changes, in a sentence or two.")
    hooks: tuple[str, ...] = Field(
        default=(),
        description="The hooks that it implements. The host that finds the connector fills them in, from the code.",
    )
    scan_interval_seconds: Annotated[Interval, Field(ge=60)] = Field(
        default=900, description="How often a host should read everything."
    )
    poll_interval_seconds: Interval = Field(default=10, description="How often a host should ask for tasks.")
    config_schema: dict[str, JsonValue] = Field(
        description="JSON Schema (draft 2020-12) of the settings: a host validates them by it, and fills in defaults; "
        'secrets have "writeOnly": true, texts of several lines a "contentMediaType". A "pattern" may have an '
        '"x-ploy-error-message", its requirement as the rest of a sentence that begins with the title ("must be a '
        'name"), and an "x-ploy-strip", a pattern of characters to remove from the input first. Patterns are those of '
        "Rust's regex crate, as in pydantic: without look-around and back-references."
    )
    features: tuple[Feature, ...] = Field(default=(), description="What a customer may leave out.")
    permissions: tuple[Permission, ...] = Field(default=(), description="The permissions that the source must grant.")
    labels: Annotated[tuple[Label, ...], Field(max_length=200)] = Field(
        default=(), description="What people call records of each kind. A kind without one has a generic label."
    )
    wizard: Wizard | None = Field(
        default=None, description="The steps of a set-up; without them, the host asks for the settings in one step."
    )

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        features = {feature.name for feature in self.features}
        properties = self.config_schema.get("properties")
        settings = set(properties) if isinstance(properties, dict) else set()
        found = [
            f"The feature {each.name!r} needs an unknown one." for each in self.features if set(each.needs) - features
        ]
        found += [
            f"The feature {each.name!r} has an unknown setting."
            for each in self.features
            if each.setting and each.setting not in settings
        ]
        found += [
            f"The permission {each.name!r} is for an unknown feature."
            for each in self.permissions
            if set(each.features) - features
        ]
        found += find_label_errors(self.labels)
        found += list(_find_wrong_patterns(properties if isinstance(properties, dict) else {}))
        found += self.wizard.validation_errors(settings, features) if self.wizard else []
        if found:
            raise SpecificationError(" ".join(found))
        return self


def _find_wrong_patterns(properties: Mapping[str, JsonValue]) -> Iterator[str]:
    """Describe each pattern that the engine of a host does not accept."""
    for name, schema in properties.items():
        keywords = schema if isinstance(schema, Mapping) else {}
        for keyword in ("pattern", STRIP):
            if not is_expression(str(keywords.get(keyword, ""))):
                yield f"The setting {name!r} has a {keyword!r} that does not compile."
