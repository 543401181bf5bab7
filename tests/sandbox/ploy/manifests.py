"""The manifest of a connector that is not AWS."""

from __future__ import annotations

from ploy_connector_aws.spec import Document, Feature, Link, Manifest, Step, Wizard, WizardField

CLUB = Manifest(
    name="club",
    title="The Club",
    version="1.0",
    spec_version=1,
    description="Members and their cards.",
    config_schema={
        "type": "object",
        "properties": {
            "address": {
                "type": "string",
                "title": "Address of the club",
                "pattern": r"^[a-z.]+$",
                "x-ploy-error-message": "must be a name",
            },
            "knock": {"type": "string", "title": "Knock", "writeOnly": True},
            "password": {"title": "Password", "anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]},
            "door": {"type": "string", "title": "Door", "enum": ["front", "back"]},
            "floors": {"type": "integer", "title": "Floors"},
            "is_loud": {"type": "boolean", "title": "Loud"},
        },
        "required": ["address", "knock"],
    },
    features=(Feature(name="dance", title="Dance"), Feature(name="sing", title="Sing")),
    wizard=Wizard(
        steps=(
            Step(
                id="all",
                title="The door",
                text=("Give the note to the doorman.",),
                fields=(
                    WizardField(name="address"),
                    WizardField(name="knock", source="host"),
                    WizardField(name="password"),
                    WizardField(name="door"),
                    WizardField(name="floors"),
                    WizardField(name="is_loud"),
                ),
                asks_features=True,
                links=(Link(id="site", title="To the club", url="https://club.example/?a={{ address }}"),),
                documents=(
                    Document(
                        id="note",
                        title="A note for the doorman",
                        language="json",
                        file_name="note.json",
                        template='{"knock": "{{ knock }}"}',
                    ),
                ),
                tests_connection=True,
            ),
        )
    ),
)
