"""The state of a set-up, for a connector with every kind of setting."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from ploy_connector_aws.host import SetupSession
from ploy_connector_aws.spec import (
    ConfigurationError,
    Document,
    Feature,
    HostParameter,
    Link,
    Manifest,
    Step,
    TemplateError,
    Wizard,
    WizardField,
)

LINK = Link(id="site", title="Site", url="https://site.example/?id={{ secret }}&zone={{ zone }}")
NOTE = Document(id="note", title="Note", language="text", file_name="note", template="{{ secret }} {{ address }}")
FIRST = Step(id="first", title="First", text=(), fields=(WizardField(name="secret", source="host"),), links=(LINK,))
SECOND = Step(
    id="second",
    title="Second",
    text=(),
    fields=(WizardField(name="address", suggestion="{{ secret }}.example"), WizardField(name="token")),
    asks_features=True,
    documents=(NOTE,),
)
MANIFEST = Manifest(
    name="staff",
    title="Staff",
    version="1",
    spec_version=1,
    description="Staff.",
    config_schema={
        "type": "object",
        "properties": {
            "secret": {"type": "string"},
            "address": {"type": "string", "title": "Address", "pattern": "^[a-z.]+$"},
            "token": {"anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]},
            "parts": {"type": "array", "title": "Parts"},
        },
        "required": ["secret", "address"],
    },
    features=(
        Feature(name="people", title="People", setting="parts"),
        Feature(name="rooms", title="Rooms", setting="parts", needs=("people",), is_default=False),
    ),
    wizard=Wizard(
        steps=(FIRST, SECOND),
        operator_values=(HostParameter(name="zone", title="Zone", description="Where.", pattern="^[a-z]$"),),
    ),
)


def test_entered_and_generated_values_become_settings() -> None:
    session = SetupSession(MANIFEST, {})
    session.choose(["rooms"], [])
    session.enter("address", "a.b")
    session.enter("zone", "z")
    session.generate(["secret"])

    secret = session.values["secret"]
    assert uuid.UUID(str(secret)).version == 4
    assert session.generated == {"secret"}
    assert session.settings() == {"secret": secret, "address": "a.b", "parts": ["people", "rooms"]}
    assert session.document(NOTE) == f"{secret} a.b"
    assert session.link(LINK) == f"https://site.example/?id={secret}&zone=z"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("address", "NO", "Address must have the form that its description requires."),
        ("zone", "NO", "Zone must have the form that its description requires."),
        ("secret", "mine", "secret is generated for each integration and cannot be set."),
        ("adress", "a", "Unknown setting 'adress'; choose one of address, token, zone."),
        ("token", "s3cret-8", "token is a secret and other users can see it here; leave it out, to be asked for it."),
    ],
)
def test_invalid_input_changes_nothing_and_is_not_repeated(name: str, text: str, message: str) -> None:
    session = SetupSession(MANIFEST, {})

    with pytest.raises(ValueError, match=r".") as caught:
        session.enter(name, text, is_visible=True)

    assert (str(caught.value), session.values) == (message, {})


def test_missing_settings_are_named_by_title_and_stop_what_needs_them() -> None:
    session = SetupSession(MANIFEST, {})

    assert session.missing() == ["secret", "Address"]
    assert session.missing(except_step=SECOND) == ["secret"]
    with pytest.raises(TemplateError):
        session.document(NOTE)
    assert session.link(LINK) is None  # only the operator knows the zone


def test_suggestion_is_the_value_or_what_the_wizard_proposes() -> None:
    session = SetupSession(MANIFEST, {"secret": "x"})
    address = SECOND.fields[0]

    proposed = session.suggestion(address)
    session.enter("address", "a.b")

    assert (proposed, session.suggestion(address), session.suggestion(SECOND.fields[1])) == ("x.example", "a.b", None)


def test_choice_without_any_feature_is_rejected_and_changes_nothing() -> None:
    session = SetupSession(MANIFEST, {})
    session.choose([], [])

    with pytest.raises(ValueError, match=r"^Parts: choose at least one\.$"):
        session.choose([], ["people"])

    session.choose(["rooms"], [])
    assert session.features == ("people", "rooms")


@pytest.mark.parametrize("parts", [[], ["halls"], "people"])
def test_stored_list_of_unknown_features_is_rejected(parts: Any) -> None:
    session = SetupSession(MANIFEST, {"parts": parts})

    with pytest.raises(ConfigurationError, match="must be a list of one or more of these: people, rooms"):
        session.reject_invalid_features()


def test_value_that_the_platform_generates_is_not_generated_here() -> None:
    session = SetupSession(MANIFEST, {}, can_generate=False)

    with pytest.raises(ConfigurationError, match="Ploy has no secret for this integration"):
        session.generate(["secret"])


def test_connector_without_a_wizard_cannot_be_set_up_here() -> None:
    session = SetupSession(MANIFEST.model_copy(update={"wizard": None}), {})

    with pytest.raises(ConfigurationError, match="does not describe its set-up"):
        _ = session.wizard
