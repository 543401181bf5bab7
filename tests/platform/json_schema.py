"""A strict check of JSON values against the schemas of ``docs/platform-api.yaml``.

It is stricter than JSON Schema: an object has only the properties that its schema names, and ``1.0`` is no integer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}

_LIMITS: dict[str, Callable[[Any, Any], bool]] = {
    "const": lambda value, limit: value == limit,
    "enum": lambda value, limit: value in limit,
    "formatMaximum": lambda value, limit: _moment(value) <= _moment(limit),
    "formatMinimum": lambda value, limit: _moment(value) >= _moment(limit),
    "maxItems": lambda value, limit: len(value) <= limit,
    "maxLength": lambda value, limit: len(value) <= limit,
    "maximum": lambda value, limit: value <= limit,
    "minItems": lambda value, limit: len(value) >= limit,
    "minLength": lambda value, limit: len(value) >= limit,
    "minimum": lambda value, limit: value >= limit,
    "pattern": lambda value, limit: re.search(limit, value) is not None,
    "required": lambda value, limit: value.keys() >= set(limit),
}
"""Keywords that accept or reject a value of the right type as a whole."""

_NOTES = {"default", "description", "examples", "title", "x-ploy-line-schema"}
_NESTED = {"$ref", "additionalProperties", "anyOf", "format", "items", "not", "oneOf", "properties", "propertyNames"}


def errors(value: Any, schema: Schema, definitions: dict[str, Schema], place: str = "body") -> Iterator[str]:
    """Yield what is wrong with a value.

    Raises:
        ValueError: A schema has a keyword that is not checked here.
    """
    if "$ref" in schema:
        yield from errors(value, definitions[schema["$ref"].rpartition("/")[2]], definitions, place)
    if unknown := schema.keys() - {"type"} - _LIMITS.keys() - _NOTES - _NESTED:
        raise ValueError(f"keywords that are not checked: {sorted(unknown)}")
    if "type" in schema and not _TYPES[schema["type"]](value):
        yield f"{place}: {value!r} is not of type {schema['type']}"
        return
    if schema.get("format", "date-time") != "date-time":
        raise ValueError(f"a format that is not checked: {schema['format']}")
    if "format" in schema and not _is_moment(value):
        yield f"{place}: {value!r} is no date and time with an offset"
        return
    for keyword in sorted(schema.keys() & _LIMITS.keys()):
        if not _LIMITS[keyword](value, schema[keyword]):
            yield f"{place}: {value!r} does not fit {keyword} {schema[keyword]!r}"
    yield from _of_combined(value, schema, definitions, place)
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from errors(item, schema["items"], definitions, f"{place}[{number}]")
    if isinstance(value, dict):
        yield from _of_properties(value, schema, definitions, place)


def _of_combined(value: Any, schema: Schema, definitions: dict[str, Schema], place: str) -> Iterator[str]:
    for keyword in schema.keys() & {"anyOf", "oneOf"}:
        found = [list(errors(value, each, definitions, place)) for each in schema[keyword]]
        fitting = found.count([])
        if fitting == 0 or (keyword == "oneOf" and fitting > 1):
            yield f"{place}: {value!r} fits {fitting} of {keyword}: {found}"
    if "not" in schema and not list(errors(value, schema["not"], definitions, place)):
        yield f"{place}: {value!r} is excluded"


def _of_properties(value: dict[str, Any], schema: Schema, definitions: dict[str, Schema], place: str) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, member in value.items():
        if name in properties:
            yield from errors(member, properties[name], definitions, f"{place}.{name}")
        elif isinstance(others, dict):
            yield from errors(member, others, definitions, f"{place}.{name}")
        elif properties or others is False:
            yield f"{place}.{name}: the schema names no such property"
        if "propertyNames" in schema:
            yield from errors(name, schema["propertyNames"], definitions, f"{place}: the name {name!r}")


def parts_of(schema: Schema, owner: str) -> Iterator[str]:
    """Yield every property that a schema names and every value that it lists; not what is behind a reference.

    The names of a mapping's keys are left out: they are the types of record, which lines have as values, too.
    """
    yield from (f"{owner} {value!r}" for value in _listed(schema))
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from parts_of(each, owner)
    for keyword in schema.keys() & {"items", "additionalProperties"}:
        if isinstance(schema[keyword], dict):
            yield from parts_of(schema[keyword], owner)
    for name, member in schema.get("properties", {}).items():
        yield f"{owner}.{name}"
        yield from parts_of(member, f"{owner}.{name}")


def parts_in(value: Any, schema: Schema, definitions: dict[str, Schema], owner: str = "") -> Iterator[str]:
    """Yield those of ``parts_of`` that a value has. A property that is null counts as one that is not there."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from parts_in(value, definitions[name], definitions, name)
    yield from (f"{owner} {each!r}" for each in _listed(schema) if each == value)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if not list(errors(value, each, definitions)):
            yield from parts_in(value, each, definitions, owner)
    if isinstance(value, list):
        for item in value:
            yield from parts_in(item, schema.get("items", {}), definitions, owner)
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        for name, member in value.items():
            if name in schema.get("properties", {}) and member is not None:
                yield f"{owner}.{name}"
                yield from parts_in(member, schema["properties"][name], definitions, f"{owner}.{name}")
            elif isinstance(others, dict):
                yield from parts_in(member, others, definitions, owner)


def _listed(schema: Schema) -> list[Any]:
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]


def _is_moment(text: str) -> bool:
    try:
        return _moment(text).tzinfo is not None
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
