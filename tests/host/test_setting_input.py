"""Parsing the form input of settings, and formatting settings as text."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from pydantic import JsonValue

from ploy_connector_aws.host import format_setting, parse_setting


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({}, "as it is ", "as it is "),
        ({"type": "string", "pattern": "^[a-z]+$"}, "keyword", "keyword"),
        (
            {"type": "string", "pattern": "^[0-9]{12}$", "x-ploy-strip": r"[\s-]"},
            "1234-5678 9012\u00a0",
            "123456789012",
        ),
        ({"type": "string", "enum": ["a", "b"]}, "b", "b"),
        ({"type": "integer", "enum": [1, 2]}, "2", 2),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean"}, "on", True),
        ({"type": "boolean"}, "n", False),
        ({"type": "array"}, " a,b c ,,", ["a", "b c"]),
        (
            {"type": "object", "propertyNames": {"pattern": "^[0-9]+$"}},
            " 12 = Production \n\n3=a = b, c",
            {"12": "Production", "3": "a = b, c"},
        ),
        ({"type": "object"}, "key = value", {"key": "value"}),
        ({"type": "integer"}, "-7", -7),
        ({"type": "number"}, "1.5", 1.5),
    ],
)
def test_text_is_parsed_by_the_schema(schema: dict[str, Any], text: str, value: JsonValue) -> None:
    read = parse_setting(schema, text)
    assert (read, type(read)) == (value, type(value))
    assert parse_setting(schema, format_setting(read)) == read


@pytest.mark.parametrize("text", ["12", "12 =", "= a", "1 2 = a", "12 = a\n12 = b"])
def test_invalid_line_of_a_map_is_rejected_with_the_error_message_of_the_schema(text: str) -> None:
    schema = {"type": "object", "propertyNames": {"pattern": "^[0-9]+$"}, "x-ploy-error-message": "must be lines"}
    with pytest.raises(ValueError, match=r"^must be lines$"):
        parse_setting(schema, text)


@pytest.mark.parametrize(
    ("schema", "wrong", "sentence"),
    [
        ({"pattern": "^[a-z]+$"}, "UPPER", "must have the form that its description requires"),
        ({"pattern": "^[a-z]+$", "x-ploy-error-message": "must be small letters"}, "UPPER", "must be small letters"),
        (
            {"pattern": "^[a-z]+$", "x-ploy-error-message": "must be small letters", "x-ploy-strip": "[A-Z]"},
            "UPPER",
            "must be small letters",
        ),
        ({"enum": ["a", "b"]}, "UPPER", "must be one of a, b"),
        ({"type": "boolean"}, "UPPER", "must be yes or no; in a file, true or false"),
        ({"type": "boolean"}, "", "must be yes or no; in a file, true or false"),
        ({"type": "integer"}, "1.5", "must be a whole number"),
        ({"type": "number"}, "UPPER", "must be a number"),
    ],
)
def test_invalid_text_is_rejected_without_repeating_it(schema: dict[str, Any], wrong: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as refused:
        parse_setting(schema, wrong)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("value", "text"), [(True, "yes"), (False, "no"), (["a", "b"], "a, b"), (7, "7"), ("as it is", "as it is")]
)
def test_setting_is_formatted_as_text(value: JsonValue, text: str) -> None:
    assert format_setting(value) == text


@pytest.mark.parametrize("keyword", ["pattern", "x-ploy-strip"])
@pytest.mark.parametrize("expression", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^(.*a){20}$", "^([a-z]+)*$"])
def test_no_expression_of_a_manifest_needs_more_than_linear_time(expression: str, keyword: str) -> None:
    """The engine of the standard library would need more than a lifetime for each of these."""
    text = "a" * 5_000 + "!"

    with suppress(ValueError):
        assert parse_setting({keyword: expression}, text) in (text, "!")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "9" * 5_000])
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_number_must_be_finite(kind: str, number: str) -> None:
    with pytest.raises(ValueError, match=r"must be a (whole )?number"):
        parse_setting({"type": kind}, number)
