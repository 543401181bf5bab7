"""Form input of a set-up: parsing a text into a setting by its schema, and formatting a setting as text.

A host shows the formatted text, and inserts it into documents and links.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from ploy_connector_aws.spec.lists import split_list
from ploy_connector_aws.spec.manifest import ERROR_MESSAGE

from .redaction import MINIMUM_SECRET_LENGTH, find_secrets
from .setting_schema import clean_text, find_problem, kind_of

_YES = {"y", "yes", "on", "true"}
_NO = {"n", "no", "off", "false"}


def parse_setting(schema: Mapping[str, Any], text: str) -> JsonValue:
    """Parse a text into a setting, and check it as a setting from a file is checked.

    Args:
        schema: The setting's JSON Schema, with the ``x-ploy-`` keywords of ``Manifest.config_schema``.
        text: The input.

    Raises:
        ValueError: It is invalid. The message is the rest of a sentence that begins with the setting's title
            ("must be a number"), and does not repeat the text.

    Example:
        >>> parse_setting({"type": "array"}, "a, b")
        ['a', 'b']
    """
    value = _parse(schema, text)
    problem = find_problem(schema, value) or find_short_secret(schema, value)
    if problem is not None:
        raise ValueError(problem)
    return value


def find_short_secret(schema: Mapping[str, Any], value: Any) -> str | None:
    """Return the requirement that a too short secret breaks, as the rest of a sentence; None where it is met."""
    secrets = [secret for _, secret in find_secrets({"properties": {"value": schema}}, {"value": value})]
    if not any(0 < len(secret) < MINIMUM_SECRET_LENGTH for secret in secrets):
        return None
    each = " each, as they are secrets" if isinstance(value, list | dict) else ", as it is a secret"
    return f"must have {MINIMUM_SECRET_LENGTH} characters or more{each}"


def _parse(schema: Mapping[str, Any], text: str) -> JsonValue:
    """Convert a text to the type of the setting; a text that cannot be converted stays one, and is then refused."""
    kind = kind_of(schema)
    if kind == "boolean":
        return True if text.lower() in _YES else False if text.lower() in _NO else text
    if kind == "array":
        items = schema.get("items")
        return [_parse(items if isinstance(items, Mapping) else {}, part) for part in split_list(text)]
    if kind == "object":
        return _parse_lines(schema, text)
    if kind in ("integer", "number"):
        try:
            number = int(text) if kind == "integer" else float(text)
        except ValueError:
            return text
        return number if math.isfinite(number) else text  # JSON has no infinite numbers
    return clean_text(schema, text)


def _parse_lines(schema: Mapping[str, Any], text: str) -> JsonValue:
    """Parse a map: one line ``key = value`` for each entry."""
    found: dict[str, JsonValue] = {}
    values = schema.get("additionalProperties")
    for line in filter(None, map(str.strip, text.splitlines())):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not (equals and key and value) or key in found:
            raise ValueError(str(schema.get(ERROR_MESSAGE) or "must have a line of the form key = value for each"))
        found[key] = _parse(values if isinstance(values, Mapping) else {}, value)
    return found


def format_setting(value: JsonValue) -> str:
    """Format a setting as text: yes or no, the items of a list separated by commas, lines of a map, the value itself.

    Args:
        value: The setting.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "\n".join(f"{key} = {each}" for key, each in value.items())
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)
