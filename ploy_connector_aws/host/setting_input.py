"""Form input of a set-up: parsing a text into a setting by its schema, and formatting a setting as text.

A host shows the formatted text, and inserts it into documents and links.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from ploy_connector_aws.spec.expressions import find_expression
from ploy_connector_aws.spec.lists import split_list
from ploy_connector_aws.spec.manifest import ERROR_MESSAGE, STRIP

from .redaction import MINIMUM_SECRET_LENGTH

_YES = {"y", "yes", "on", "true"}
_NO = {"n", "no", "off", "false"}


def parse_setting(schema: Mapping[str, Any], text: str) -> JsonValue:
    """Parse a text into a setting.

    Args:
        schema: The setting's JSON Schema. Used are ``type``, ``enum``, ``writeOnly``, ``pattern`` and the two
            ``x-ploy-`` keywords of ``Manifest.config_schema``.
        text: The input.

    Raises:
        ValueError: It is invalid. The message is the rest of a sentence that begins with the setting's title
            ("must be a number"), and does not repeat the text.

    Example:
        >>> parse_setting({"type": "array"}, "a, b")
        ['a', 'b']
    """
    kind = schema.get("type", "string")
    choices = [str(each) for each in schema.get("enum", ())]
    if choices and text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}")
    if kind == "boolean":
        if text.lower() not in _YES | _NO:
            raise ValueError("must be yes or no")
        return text.lower() in _YES
    if kind == "array":
        parts = split_list(text)
        if schema.get("writeOnly") and any(len(part) < MINIMUM_SECRET_LENGTH for part in parts):
            raise ValueError(f"must have {MINIMUM_SECRET_LENGTH} characters or more each, as they are secrets")
        return list[JsonValue](parts)
    if kind == "object":
        return _parse_lines(schema, text)
    if kind in ("integer", "number"):
        try:
            number = int(text) if kind == "integer" else float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):  # JSON has no infinite numbers
            raise ValueError("must be a number")
        return number
    if ignored := schema.get(STRIP):
        # One by one, as the engine cannot replace.
        text = "".join(each for each in text if not find_expression(str(ignored), each))
    pattern = schema.get("pattern")
    if pattern and not find_expression(str(pattern), text):
        # A person cannot read the pattern itself.
        raise ValueError(str(schema.get(ERROR_MESSAGE) or "must have the form that its description requires"))
    if schema.get("writeOnly") and len(text) < MINIMUM_SECRET_LENGTH:
        raise ValueError(f"must have {MINIMUM_SECRET_LENGTH} characters or more, as it is a secret")
    return text


def _parse_lines(schema: Mapping[str, Any], text: str) -> JsonValue:
    """Parse a map of texts: one line ``key = value`` for each entry."""
    found: dict[str, JsonValue] = {}
    names = schema.get("propertyNames")
    pattern = str(names.get("pattern", "")) if isinstance(names, Mapping) else ""
    for line in filter(None, map(str.strip, text.splitlines())):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not (equals and key and value) or key in found or not find_expression(pattern, key):
            raise ValueError(str(schema.get(ERROR_MESSAGE) or "must have a line of the form key = value for each"))
        found[key] = value
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
