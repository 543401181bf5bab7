"""Settings by the schema of a manifest: defaults, the message for each wrong value, and schemas that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ploy_connector_aws.host import InvalidConnectorError, check_connector
from ploy_connector_aws.host.redaction import find_secrets
from ploy_connector_aws.host.setting_schema import complete_settings, find_schema_errors, inline
from ploy_connector_aws.runtime.settings import override_config
from ploy_connector_aws.spec import ConfigurationError, hookimpl

from .test_connectors import MANIFEST, Tiny

SECRET = "never-show-this-1"
PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ\n-----END CERTIFICATE-----\n"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Name", "minLength": 2, "maxLength": 8, "default": "main"},
        "zone": {
            "type": "string",
            "title": "Zone",
            "pattern": "^[a-z]+$",
            "x-ploy-error-message": "must be small letters",
            "x-ploy-strip": r"[\s-]",
        },
        "port": {"type": "integer", "title": "Port", "minimum": 1, "maximum": 65535, "default": 443},
        "kind": {"enum": ["a", "b", 3], "title": "Kind"},
        "is_strict": {"type": "boolean", "title": "Strict", "default": False},
        "parts": {
            "type": "array",
            "title": "Parts",
            "items": {"type": "string", "pattern": "^p"},
            "minItems": 1,
            "uniqueItems": True,
        },
        "names": {
            "type": "object",
            "title": "Names",
            "propertyNames": {"pattern": "^[0-9]+$"},
            "additionalProperties": {"type": "integer"},
        },
        "pool": {
            "type": "object",
            "title": "Pool",
            "properties": {"size": {"type": "integer", "default": 5}, "key": {"type": "string", "writeOnly": True}},
            "additionalProperties": False,
        },
        "certificate": {"type": "string", "title": "Certificate", "contentMediaType": "application/x-pem-file"},
        "token": {"type": "string", "title": "Token", "writeOnly": True, "maxLength": 30},
    },
    "required": ["zone"],
    "additionalProperties": False,
}


class Kept(Tiny):
    """Keeps the settings that it gets."""

    manifest = MANIFEST.model_copy(update={"config_schema": SCHEMA})
    got: Mapping[str, Any] = {}

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        type(self).got = config


KEPT = check_connector("dist", Kept)


def opened(**config: Any) -> Mapping[str, Any]:
    """The settings as the connector gets them."""
    KEPT.open(config)
    return Kept.got


def test_defaults_are_filled_in_and_texts_are_cleaned_before_configure() -> None:
    given = {"zone": "a-b c", "pool": {}, "certificate": PEM.replace("\n", "\r\n")}
    assert opened(**given) == {
        "name": "main",
        "zone": "abc",
        "port": 443,
        "is_strict": False,
        "pool": {"size": 5},
        "certificate": PEM,
    }
    assert given["pool"] == {}


def test_a_default_is_a_copy_that_the_connector_may_change() -> None:
    schema: dict[str, Any] = {"properties": {"parts": {"default": ["a"]}}}
    complete_settings(schema, {})["parts"].append("b")
    assert complete_settings(schema, {}) == {"parts": ["a"]}


WRONG: tuple[tuple[str, Any, str], ...] = (
    ("name", 5, "Name must be text."),
    ("name", "x", "Name must have 2 characters or more."),
    ("name", SECRET, "Name must have 8 characters or fewer."),
    ("zone", "NO!", "Zone must be small letters."),
    ("port", "443", "Port must be a whole number."),
    ("port", 1.5, "Port must be a whole number."),
    ("port", 0, "Port must be 1 or more."),
    ("port", 65536, "Port must be 65535 or less."),
    ("kind", SECRET, "Kind must be one of a, b, 3."),
    ("is_strict", "yes", "Strict must be yes or no; in a file, true or false."),
    ("parts", "p", "Parts must be a list."),
    ("parts", [], "Parts must have 1 or more items."),
    ("parts", ["p", "p"], "Parts must not have an item twice."),
    ("parts", ["p", SECRET], "Parts has a value at 2 that must have the form that its description requires."),
    ("names", {SECRET: 1}, "Names must have a line of the form key = value for each."),
    ("names", {"1": SECRET}, "Names has a value at an entry that must be a whole number."),
    ("pool", {"size": SECRET}, "Pool has a value at size that must be a whole number."),
    ("pool", {"depth": 1}, "Pool has an entry that is not allowed."),
    ("token", SECRET * 2, "Token must have 30 characters or fewer."),
    ("token", 12345678, "Token must be text."),
    ("token", "short", "Token must have 8 characters or more, as it is a secret."),
    ("pool", {"key": "short"}, "Pool must have 8 characters or more each, as they are secrets."),
    ("colour", 1, f"Unknown setting colour; the settings are {', '.join(SCHEMA['properties'])}."),
)


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_setting_is_named_and_explained_without_its_value(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        opened(**{"zone": "a", name: value})
    assert (refused.value.message, refused.value.field) == (message, name)
    assert SECRET not in message


def test_unknown_settings_come_first_then_missing_ones_then_wrong_ones() -> None:
    for config, field in (
        ({"port": 0, "zonne": "a"}, "zonne"),
        ({"port": 0}, "zone"),
        ({"port": 0, "zone": "a"}, "port"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            opened(**config)
        assert refused.value.field == field
    with pytest.raises(ConfigurationError, match=r"^The setting zone is missing\.$"):
        opened()


def test_a_secret_as_the_name_of_a_setting_is_redacted() -> None:
    with pytest.raises(ConfigurationError) as refused:
        opened(zone="a", token=SECRET, **{SECRET: "x"})
    assert SECRET not in str(refused.value) + str(refused.value.field)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("is_strict", "no", False), ("port", "8", 8), ("parts", "p1,p2", ["p1", "p2"]), ("names", "1 = 2", {"1": 2})],
)
def test_a_variable_is_parsed_as_a_form_is(name: str, text: str, value: Any) -> None:
    assert override_config({}, {name: text}, SCHEMA) == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (name, value, message)
        for name, value, message in WRONG
        if isinstance(value, str) and name not in ("port", "parts") and name != "is_strict" and name != "colour"
    ],
)
def test_a_variable_and_a_file_get_the_same_message(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        override_config({}, {name: text}, SCHEMA)
    assert (refused.value.message, refused.value.field) == (message, name)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "nothing"}, "config_schema is not a valid JSON Schema (draft 2020-12): type violates 'anyOf'"),
        ({"properties": {"a": {"minLength": "2"}}}, "properties/a/minLength violates 'type'"),
        ({"type": "array"}, "config_schema must have the type 'object'"),
        ({"properties": {"a": {"items": {"pattern": "(?=x)"}}}}, "a/items has a 'pattern' that does not compile"),
        ({"properties": {"a": {"patternProperties": {"(?=x)": {}}}}}, "'patternProperties' that does not compile"),
        ({"properties": {"a": {"type": "integer", "default": "x"}}}, "'a' has a default that is not valid: it must be"),
        (
            {"properties": {"a": {"$ref": "https://schemas.example/a"}}},
            "config_schema refers to 'https://schemas.example/a'",
        ),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "config_schema refers to '#/$defs/b', which is no part of it"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "or refers to itself"),
    ],
)
def test_a_schema_that_a_host_cannot_use_is_refused(schema: dict[str, Any], reason: str) -> None:
    class Broken(Tiny):
        manifest = MANIFEST.model_copy(update={"config_schema": schema})

    with pytest.raises(InvalidConnectorError) as refused:
        check_connector("guilty-dist", Broken)
    assert reason in str(refused.value)


def test_references_are_replaced_so_that_secrets_and_titles_behind_them_are_found() -> None:
    schema = {
        "properties": {"key": {"$ref": "#/$defs/Key", "title": "Key"}, "$ref": {"type": "string"}},
        "$defs": {"Key": {"type": "string", "writeOnly": True, "default": "#/$defs/Key"}},
    }
    plain = inline(schema)
    assert plain == {
        "properties": {
            "key": {"type": "string", "writeOnly": True, "title": "Key", "default": "#/$defs/Key"},
            "$ref": {"type": "string"},
        }
    }
    assert list(find_schema_errors(plain)) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"additionalProperties": {"writeOnly": True}},
        {"properties": {"a": {"anyOf": [{"type": "null"}, {"type": "string", "writeOnly": True}]}}},
        {"allOf": [{"properties": {"a": {"writeOnly": True}}}]},
        {"items": {"writeOnly": True}},
    ],
)
def test_a_secret_is_found_wherever_a_schema_marks_it(schema: dict[str, Any]) -> None:
    value = [SECRET] if "items" in schema else {"a": SECRET}
    assert list(find_secrets({"properties": {"x": schema}}, {"x": value})) == [("x", SECRET)]


def test_each_long_line_of_a_secret_text_is_a_secret_too() -> None:
    found = [secret for _, secret in find_secrets({"properties": {"key": {"writeOnly": True}}}, {"key": PEM})]
    assert found == [PEM, "MIIBszCCAVmgAwIBAgIUQ"]


def test_a_pattern_inside_a_schema_takes_linear_time() -> None:
    schema = {
        "properties": {"a": {"additionalProperties": {"pattern": "^(a+)+$"}, "propertyNames": {"pattern": "^(a|a)*$"}}}
    }

    class Slow(Tiny):
        manifest = MANIFEST.model_copy(update={"config_schema": schema})

    text = "a" * 5_000 + "!"
    with pytest.raises(ConfigurationError, match="that must have the form"):
        check_connector("dist", Slow).open({"a": {text: text}})
