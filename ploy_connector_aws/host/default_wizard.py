"""The wizard of a connector whose manifest has none: one step that asks for the settings in its schema."""

from __future__ import annotations

from collections.abc import Mapping

from ploy_connector_aws.spec import Manifest, Step, Wizard, WizardField

from .setting_schema import Schema, kind_of, properties_of, title_of


def make_wizard(manifest: Manifest) -> Wizard:
    """Make a wizard from the settings, features and permissions of a manifest: required settings first."""
    schema = manifest.config_schema
    properties, required = properties_of(schema), schema.get("required")
    switched = {feature.setting for feature in manifest.features}
    asked = [name for name, each in properties.items() if name not in switched and _fits_a_form(each)]
    asked.sort(key=lambda name: not (isinstance(required, list) and name in required))
    left_out = [title_of(schema, name) for name in properties if name not in switched and name not in asked]
    note = f"Only the configuration file or an environment variable can set: {', '.join(left_out)}." if left_out else ""
    return Wizard(
        steps=(
            Step(
                id="settings",
                title="Settings",
                text=tuple(filter(None, (manifest.description, note))),
                fields=tuple(WizardField(name=name) for name in asked),
                asks_features=bool(manifest.features),
                explains_permissions=bool(manifest.permissions),
                tests_connection=True,
            ),
        )
    )


def _fits_a_form(schema: Schema) -> bool:
    """Whether a person can type the setting into one field: no tables in tables or lists."""
    kind = kind_of(schema)
    inner = schema.get({"array": "items", "object": "additionalProperties"}.get(kind, ""))
    has_plain_parts = not isinstance(inner, Mapping) or kind_of(inner) not in ("array", "object")
    return has_plain_parts and not (kind == "object" and "properties" in schema)
